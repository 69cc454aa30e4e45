//! Named points at which a test ends the server, to show that whatever was under way there is finished by the next one.
//! They exist only with the feature `failpoints`; without it [`crash_point!`] is nothing at all.
//!
//! `RUNYARD_FAILPOINTS` says what happens where: `NAME=kill` (as `kill -9` does), `NAME=exit` (as a `panic = "abort"`
//! would, with buffers lost), each with `@N` for the N-th time only; several are separated by `;`. Anything else is an
//! action of the crate `fail`, such as `NAME=sleep(500)`.

/// A point at which a test may end the server. Names are kebab-case and begin with `crash-`, so that a test can show
/// that a binary has none of them.
macro_rules! crash_point {
    ($name:literal) => {{
        #[cfg(feature = "failpoints")]
        fail::fail_point!($name);
    }};
}

/// Reads what is to happen where.
#[cfg(feature = "failpoints")]
pub(crate) fn arm() -> Result<(), String> {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let Ok(wanted) = std::env::var("RUNYARD_FAILPOINTS") else { return Ok(()) };
    for point in wanted.split(';').map(str::trim).filter(|point| !point.is_empty()) {
        let (name, action) = point.split_once('=').ok_or_else(|| format!("`{point}` is not NAME=ACTION"))?;
        let (how, at) = match action.split_once('@') {
            Some((how, at)) => (how, at.parse().map_err(|_| format!("`{at}` is not a count"))?),
            None => (action, 1),
        };
        let end: fn() = match how {
            "kill" => || {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                // The signal is delivered at the next chance; nothing may happen until then.
                loop {
                    std::thread::park();
                }
            },
            "exit" => || std::process::exit(86),
            _ => {
                fail::cfg(name, action)?;
                continue;
            }
        };
        let times = AtomicUsize::new(0);
        fail::cfg_callback(name, move || {
            if times.fetch_add(1, Ordering::SeqCst) + 1 == at {
                end();
            }
        })?;
    }
    Ok(())
}
