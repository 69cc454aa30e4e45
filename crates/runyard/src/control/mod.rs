//! The control socket: how commands reach the server of a data directory, in the same process or in another.

mod client;
mod protocol;
mod server;

pub use client::{Client, ConnectError, Events, problem};
pub use protocol::VERSION;
pub use server::{Server, listen};

pub use engine::Backend;

use std::{
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

/// A path to `name` in `dir` that fits a socket address (107 bytes, unix(7)), and what must stay open for it to work.
fn short_path(dir: &Path, name: &str) -> std::io::Result<(PathBuf, Option<std::fs::File>)> {
    let path = dir.join(name);
    if path.as_os_str().len() < 100 {
        return Ok((path, None));
    }
    let dir = std::fs::File::open(dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())), Some(dir)))
}

#[cfg(test)]
mod tests;
