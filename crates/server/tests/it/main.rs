//! The server as browsers and programs meet it: over HTTP and WebSocket, with a stand-in for the engine.

mod entry;
mod fences;
mod limits;
mod listening;
mod live;
mod matrix;
mod measures;
mod schema;
mod stand_in;
mod world;
