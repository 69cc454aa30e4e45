//! The small program that is process 1 of every sandbox, and what it says to its clients.
//!
//! This library is the part that both sides share: [`frame`]s, the [`proto`]col and the launcher's [`spec`]. The binary
//! of the same name is the launcher on the host (`shim launch`), process 1 inside (`shim init`) and the first process
//! of each exec (`shim child`).

pub mod frame;
pub mod proto;
pub mod spec;
