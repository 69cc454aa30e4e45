//! Named points at which a test makes the server die, hang, wait or fail, to show that whatever was under way there is
//! finished by whoever comes next, once.
//!
//! They exist only with the feature `failpoints` of this crate: without it [`crash_point!`] and [`error_point!`] are
//! nothing and [`planted!`] is `false`, so that no name of a point is in an ordinary program.
//!
//! `RUNYARD_FAILPOINTS` says what happens where: `NAME=ACTION`, several separated by `;`. An action is
//!
//! - `kill`: the process dies as by `kill -9`;
//! - `exit`: it ends with code 86, as a `panic = "abort"` would, buffers lost;
//! - `stop`: it stops as by `SIGSTOP`, until somebody sends `SIGCONT`;
//! - `sleep(MS)`: the thread that came there waits;
//! - `return(TEXT)`: an [`error_point!`] fails with that text.
//!
//! Each holds for the first time that the point is reached, with `@N` for the N-th, with `@N-M` for those from N to M,
//! with `@*` for all. `RUNYARD_FAILPOINTS_TRACE` names a file to which each point that is reached is appended.
//! `RUNYARD_PLANTED` names defects that are switched on, separated by commas: they exist to show that something catches
//! them (docs/faults.md).

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use armed::{arm, is_planted, reach};

/// A point at which a test may end the process. Names are kebab-case and begin with `crash-`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        let _ = $crate::reach($name);
    };
}

/// A point at which a test may end the process. Names are kebab-case and begin with `crash-`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {};
}

/// A point at which a test may make the function that it is in fail; the second part makes the error from a text.
/// Names are kebab-case and begin with `fail-`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! error_point {
    ($name:literal, $error:expr) => {
        if let Some(why) = $crate::reach($name) {
            let error = $error;
            return Err(error(why));
        }
    };
}

/// A point at which a test may make the function that it is in fail; the second part makes the error from a text.
/// Names are kebab-case and begin with `fail-`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! error_point {
    ($name:literal, $error:expr) => {};
}

/// Whether a defect is switched on. Names are kebab-case and begin with `planted-`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        $crate::is_planted($name)
    };
}

/// Whether a defect is switched on: never, in an ordinary build.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        false
    };
}

/// Reads from the environment what is to happen where: nothing, in an ordinary build.
#[cfg(not(feature = "failpoints"))]
pub fn arm() -> Result<(), String> {
    Ok(())
}
