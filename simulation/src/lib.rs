//! Attacks on the promises about leases, fences and acts outside, without a single real process.
//!
//! [`model`] is a small model of them, explored exhaustively; [`replay`] walks along its paths in the real store; [`world`]
//! runs the real workers, keepers and janitors of the engine under virtual time, with seeded faults.

pub mod model;
pub mod replay;
pub mod world;
