//! The small program that is process 1 of every sandbox, and what it says to its clients.
//!
//! This library is the part that both sides share: [`frame`]s, the [`proto`]col and the launcher's [`spec`]. The binary
//! of the same name is both the launcher on the host (`shim launch`) and process 1 inside (`shim init`).

pub mod frame;
pub mod proto;
