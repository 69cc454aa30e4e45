//! The socket itself: who may use it, and what a restart finds.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use egress::{Limits, Listener, Note};
use tokio::net::UnixStream;

use crate::support::{Recording, asked, call, model, post, route, way_to};

#[tokio::test]
async fn a_restarted_server_listens_on_the_same_path_again() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let own = rustix::process::geteuid().as_raw();
    let gate = Arc::new(Recording::default());
    let successor =
        Listener::serve(&way.socket, own, route(&model.base_url(), Limits::default(), gate.clone())).unwrap();
    way.listener.close().await;
    assert_eq!(call(&way.socket, post(&asked())).await.status, 200, "the former server removed its successor's socket");
    assert_eq!(gate.spent.lock().len(), 1);
    successor.close().await;
    assert!(!way.socket.exists());

    drop(std::os::unix::net::UnixListener::bind(&way.socket).unwrap());
    assert!(way.socket.exists(), "a killed server leaves its socket file");
    let third = Listener::serve(&way.socket, own, route(&model.base_url(), Limits::default(), gate)).unwrap();
    assert_eq!(call(&way.socket, post(&asked())).await.status, 200);
    drop(third);
    assert!(!way.socket.exists());
}

#[tokio::test]
async fn a_path_longer_than_a_socket_address_works() {
    let model = model("- say: hi").await;
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(120)).join("api.sock");
    let own = rustix::process::geteuid().as_raw();
    let gate = Arc::new(Recording::default());
    let listener = Listener::serve(&long, own, route(&model.base_url(), Limits::default(), gate)).unwrap();
    let short = folder.path().join("short");
    std::os::unix::fs::symlink(long.parent().unwrap(), &short).unwrap();
    assert_eq!(call(&short.join("api.sock"), post(&asked())).await.status, 200);
    listener.close().await;
}

#[tokio::test]
async fn the_socket_is_the_sandboxs_alone() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let metadata = std::fs::metadata(&way.socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    if !rustix::process::geteuid().is_root() {
        return;
    }

    let sandbox = 200_123;
    let stranger = 200_124;
    let socket = way.folder.path().join("other/api.sock");
    std::fs::set_permissions(way.folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let gate = Arc::new(Recording::default());
    let listener =
        Listener::serve(&socket, sandbox, route(&model.base_url(), Limits::default(), gate.clone())).unwrap();
    assert_eq!(std::fs::metadata(&socket).unwrap().uid(), sandbox);
    let connect = |uid: u32| {
        let socket = socket.clone();
        tokio::task::spawn_blocking(move || answer_to(uid, &socket))
    };
    assert!(connect(sandbox).await.unwrap().unwrap().starts_with("HTTP/1.1 200 OK"));
    let refused = connect(stranger).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);

    // Even where the file's mode would let them in.
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(!connect(stranger).await.unwrap().is_ok_and(|answer| answer.contains("200 OK")));
    assert!(gate.notes.lock().contains(&Note::Stranger { uid: stranger }));
    listener.close().await;
    assert!(UnixStream::connect(&socket).await.is_err());
}

/// What `HEAD /` gets for a process of `uid`. On Linux a thread may have a user of its own.
fn answer_to(uid: u32, socket: &Path) -> std::io::Result<String> {
    let socket = socket.to_owned();
    let thread = std::thread::spawn(move || {
        let user = rustix::process::Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(user, user, user)?;
        let mut stream = std::os::unix::net::UnixStream::connect(&socket)?;
        stream.write_all(b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    thread.join().unwrap()
}
