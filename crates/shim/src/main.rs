//! The shim binary: `launch` on the host, `init` as process 1 of a sandbox, `child` as the first process of an exec.
//!
//! It is linked statically and uses threads instead of an async runtime, so that it is small and runs in an empty root.

mod child;
mod host;
mod inside;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1);
    match mode.as_deref() {
        Some("launch") => host::launch(),
        Some("init") => inside::init(),
        Some("child") => child::run(),
        _ => ExitCode::from(2),
    }
}
