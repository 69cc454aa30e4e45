//! The local provider on the real bubblewrap, with the real shim.
//!
//! Everything runs as the user who runs the tests; when that is root, `as_user` runs all of it again as an ordinary one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod as_user;
mod files;
mod filled;
mod hostile;
mod isolation;
mod large;
mod life;
mod output;
mod rig;
mod strict;
mod way_out;
