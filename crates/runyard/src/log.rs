//! The server's log: to standard error for `serve` and with `-v`, else to `DATA/runyard.log`.

use crate::{config::Config, exit::Failure};
use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _};
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// A log file beyond this is begun anew; the one before is kept as `runyard.log.1`.
const LARGEST: u64 = 16 << 20;

/// Starts to log. A second call changes nothing.
pub fn start(config: &Config, command: &str, verbose: u8) -> Result<(), Failure> {
    let filter: Targets =
        config.values.log.0.parse().map_err(|error| Failure::usage(format!("`log` is no filter: {error}")))?;
    if command == "serve" || verbose > 0 {
        let layer = fmt::layer().with_writer(std::io::stderr);
        // Only tests start twice in one process.
        let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
        return Ok(());
    }
    let path = config.data_dir.join("runyard.log");
    let failed = |error| Failure::environment(format!("failed to open {}: {error}", path.display()));
    if path.metadata().is_ok_and(|found| found.len() > LARGEST) {
        std::fs::rename(&path, path.with_extension("log.1")).map_err(failed)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    let layer = fmt::layer().with_ansi(false).with_writer(std::sync::Mutex::new(file));
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Ok(())
}
