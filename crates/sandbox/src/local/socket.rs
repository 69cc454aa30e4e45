//! Unix sockets at paths of any length: an address has room for 107 bytes only (unix(7)), a directory's descriptor does
//! not care.

use rustix::fs::{Mode, OFlags};
use std::{
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

/// Listens on the socket `name` of a sandbox's egress directory, in place of what was there (an earlier server's socket
/// answers nobody any more). The listener is non-blocking, ready for `tokio::net::UnixListener::from_std`.
///
/// Whoever can enter the directory can connect: within a sandbox's directory that is its uid and root.
pub fn listen_in(dir: &Path, name: &str) -> io::Result<UnixListener> {
    if name.contains('/') || name.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no socket's name")));
    }
    let (_held, path) = short(dir, name)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects to the socket `name` of a directory.
pub(super) async fn connect_in(dir: &Path, name: &str) -> io::Result<tokio::net::UnixStream> {
    let (_held, path) = short(dir, name)?;
    tokio::net::UnixStream::connect(path).await
}

/// A short path to `name`, good for as long as the descriptor is held.
fn short(dir: &Path, name: &str) -> io::Result<(OwnedFd, PathBuf)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
    Ok((dir, path.into()))
}
