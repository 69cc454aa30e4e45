//! Loopback ports that lead to sockets of the egress directory: the only way out.

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use shim::proto::{EGRESS_INSIDE, Forward, Refusal};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Connections of one port at once.
const MAX_CONNECTIONS: usize = 256;

/// Listens on the port. The socket is looked for at each connection, so it may be made, and made anew, at any time.
pub fn start(forward: &Forward) -> Result<(), Refusal> {
    let name = &forward.socket;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(Refusal::Invalid { detail: format!("`{name}` is no socket's name") });
    }
    let failed = |error: io::Error| Refusal::Failed { detail: format!("port {}: {error}", forward.port) };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, forward.port)).map_err(failed)?;
    let path = format!("{EGRESS_INSIDE}/{name}");
    super::spawn("forward", move || accept(&listener, &path)).map_err(failed)
}

fn accept(listener: &TcpListener, path: &str) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors or memory: some connection will end.
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        if open.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            continue;
        }
        let Ok(target) = connect(path) else { continue };
        open.fetch_add(1, Ordering::Relaxed);
        let count = open.clone();
        let run = move || {
            join(&stream, &target);
            count.fetch_sub(1, Ordering::Relaxed);
        };
        if super::spawn("forward", run).is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn connect(path: &str) -> io::Result<UnixStream> {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// Copies both ways until both sides have ended.
fn join(inside: &TcpStream, outside: &UnixStream) {
    let _ = inside.set_nodelay(true);
    let (Ok(inside_too), Ok(outside_too)) = (inside.try_clone(), outside.try_clone()) else { return };
    let back = move || {
        copy(&outside_too, &inside_too);
        let _ = inside_too.shutdown(Shutdown::Write);
    };
    if super::spawn("forward", back).is_err() {
        return;
    }
    copy(inside, outside);
    let _ = outside.shutdown(Shutdown::Write);
}

fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if to.write_all(&buffer[..length]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
