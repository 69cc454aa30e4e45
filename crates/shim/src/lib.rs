//! The small program that is process 1 of every sandbox, and what it says to its clients.
//!
//! This library is the part that both sides share: [`frame`]s, the [`proto`]col and the launcher's [`spec`]; and what is
//! fuzzed of the shim, which must be reachable from outside: the unpacking and packing of archives. The binary
//! of the same name is the launcher on the host (`shim launch`), process 1 inside (`shim init`) and the first process
//! of each exec (`shim child`).

#[doc(hidden)]
pub mod archive;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod proto;
pub mod spec;
