//! The server as browsers and programs meet it: over HTTP and WebSocket, with a stand-in for the engine.

mod audit;
mod constant;
mod entry;
mod fences;
mod knowledge;
mod large;
mod limits;
mod listening;
mod live;
mod matrix;
mod measures;
mod oidc;
mod openapi;
mod real_provider;
mod receiver;
mod rest;
mod rogue;
mod schema;
mod schemathesis;
mod stand_in;
mod transcript;
mod webhooks;
mod world;
