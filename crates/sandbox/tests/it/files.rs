//! Files in and out, between two sides that do not trust each other.

use crate::rig::*;
use bytes::Bytes;
use sandbox::{ByteReader, Error, LocalConfig, LocalProvider, Sandbox};
use std::{fs::Permissions, io::Cursor, os::unix::fs::PermissionsExt, path::Path, sync::Arc};
use tokio::io::AsyncReadExt;

/// Name, kind, what a link says, content.
type Entry<'a> = (&'a str, tar::EntryType, &'a str, &'a [u8]);

fn tar(entries: &[Entry<'_>]) -> ByteReader {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o6755);
        header.set_size(content.len() as u64);
        // Set by hand: the builder refuses the names that a hostile archive has.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    Box::pin(Cursor::new(builder.into_inner().unwrap()))
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;

async fn get(sandbox: &Arc<dyn Sandbox>, path: &str) -> Vec<(String, tar::EntryType, Vec<u8>)> {
    let mut bytes = Vec::new();
    sandbox.get_archive(path, 64 << 20).await.unwrap().read_to_end(&mut bytes).await.unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (entry.path().unwrap().display().to_string(), entry.header().entry_type(), content)
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries
}

#[tokio::test]
async fn a_tree_goes_in_and_comes_out_as_it_was() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let long = "x".repeat(90);
    let entries =
        [("a/b.txt", FILE, "", &b"bee"[..]), ("a/link", LINK, "b.txt", b""), (long.as_str(), FILE, "", b"long")];
    sandbox.put_archive("/code/deep/er", tar(&entries)).await.unwrap();
    assert_eq!(say(&sandbox, "cd /code/deep/er; cat a/link; stat -c %a a/b.txt").await, "bee755");
    let back = get(&sandbox, "/code/deep").await;
    let names: Vec<_> = back.iter().map(|entry| entry.0.as_str()).collect();
    assert_eq!(names, ["er", "er/a", "er/a/b.txt", "er/a/link", &format!("er/{long}")]);
    assert_eq!(back[2].2, b"bee");
    sandbox.put_archive("/code/deep/er", tar(&[("a/b.txt", FILE, "", b"new")])).await.unwrap();
    assert_eq!(sandbox.read_file("/code/deep/er/a/b.txt", 100).await.unwrap(), b"new");
}

#[tokio::test]
async fn files_are_written_and_read_by_name() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let big = Bytes::from(vec![3; 3 << 20]);
    sandbox.write_file("/code/x/big", big.clone(), 0o600).await.unwrap();
    assert_eq!(sandbox.read_file("/code/x/big", 3 << 20).await.unwrap(), big);
    assert!(matches!(sandbox.read_file("/code/x/big", (3 << 20) - 1).await, Err(Error::TooLarge { .. })));
    assert!(matches!(sandbox.read_file("/code/x/big", 1000).await, Err(Error::TooLarge { .. })));
    assert!(matches!(sandbox.read_file("/code/none", 1000).await, Err(Error::NotFound(_))));
    assert!(sandbox.read_file("/code/x", 1000).await.is_err());
    assert_eq!(say(&sandbox, "stat -c %a /code/x/big").await, "600");
    say(&sandbox, "true > /code/empty").await;
    assert_eq!(sandbox.read_file("/code/empty", 0).await.unwrap(), b"");
}

#[tokio::test]
async fn a_hostile_archive_stays_where_it_was_put() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let bad: [&[Entry<'_>]; 9] = [
        &[("../out", FILE, "", b"x")],
        &[("/code/out", FILE, "", b"x")],
        &[("a/../../out", FILE, "", b"x")],
        &[("link", LINK, "/code", b"")],
        &[("link", LINK, "../..", b"")],
        &[("d/link", LINK, "../../out", b"")],
        &[("hard", tar::EntryType::Link, "/etc/passwd", b"")],
        &[("null", tar::EntryType::Char, "", b"")],
        &[("pipe", tar::EntryType::Fifo, "", b"")],
    ];
    for entries in bad {
        let result = sandbox.put_archive("/code/in", tar(entries)).await;
        assert!(matches!(result, Err(Error::Refused(_))), "{entries:?} gave {result:?}");
    }
    // Within one archive, and against what was planted before: no link is followed.
    let through = [("door", LINK, "room", &b""[..]), ("door/file", FILE, "", b"x")];
    assert!(sandbox.put_archive("/code/in", tar(&through)).await.is_err());
    say(&sandbox, "mkdir /code/out; ln -s /code/out /code/in/planted; ln -s /code/out/target /code/in/file").await;
    assert!(sandbox.put_archive("/code/in", tar(&[("planted/file", FILE, "", b"x")])).await.is_err());
    assert!(sandbox.put_archive("/code/in/planted", tar(&[("file", FILE, "", b"x")])).await.is_err());
    sandbox.put_archive("/code/in", tar(&[("file", FILE, "", b"replaced")])).await.unwrap();
    assert_eq!(say(&sandbox, "ls -A /code/out; test ! -L /code/in/file; cat /code/in/file").await, "replaced");
    for place in ["/etc", "/proc/self", "/", "/code/../etc", "relative", "/run/egress", "/codex"] {
        assert!(sandbox.put_archive(place, tar(&[("x", FILE, "", b"x")])).await.is_err(), "{place} was written");
        assert!(sandbox.get_archive(place, 1 << 20).await.is_err(), "{place} was read");
    }
    // The connection is none the worse for it.
    say(&sandbox, "true").await;
}

#[tokio::test]
async fn a_hostile_tree_gives_away_nothing_but_itself() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    say(
        &sandbox,
        "mkdir /code/t; cd /code/t; ln -s /etc/passwd link; ln -s /proc/1 proc; mkfifo pipe; echo x > file; \
         bash -c 'exec -a s cat' </dev/null; mkdir shut; chmod 0 shut; chmod 700 shut",
    )
    .await;
    let back = get(&sandbox, "/code/t").await;
    let shown: Vec<_> = back.iter().map(|entry| (entry.0.as_str(), entry.1, entry.2.as_slice())).collect();
    let dir = tar::EntryType::Directory;
    assert_eq!(shown, [("file", FILE, &b"x\n"[..]), ("link", LINK, b""), ("proc", LINK, b""), ("shut", dir, b"")]);
    for path in ["/code/t/link", "/code/t/proc/environ", "/code/t/pipe"] {
        assert!(sandbox.read_file(path, 1 << 20).await.is_err(), "{path} was followed");
    }
    // Larger than it may be: cut off, not swallowed.
    say(&sandbox, "truncate -s 10G /code/t/huge").await;
    let mut sink = Vec::new();
    let outcome = match sandbox.get_archive("/code/t", 1 << 20).await {
        Ok(mut reader) => reader.read_to_end(&mut sink).await.map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert!(outcome.is_err() && sink.len() <= 1 << 20, "{outcome:?} after {} bytes", sink.len());
    say(&sandbox, "true").await;
}

#[tokio::test]
async fn a_toolchain_in_a_home_that_is_closed_to_others_can_be_shown() {
    let home = tempfile::tempdir_in("/var/tmp").unwrap();
    let toolchain = home.path().join(".rustup/toolchains/own");
    let tool = toolchain.join("bin/tool");
    std::fs::create_dir_all(tool.parent().unwrap()).unwrap();
    std::fs::write(&tool, "#!/bin/sh\necho made of iron\n").unwrap();
    std::fs::write(home.path().join("diary"), "private").unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&tool, 0o755);
    mode(home.path(), 0o700);
    // The way by which it is named may have links in it.
    let link = home.path().join("current");
    std::os::unix::fs::symlink(&toolchain, &link).unwrap();
    let rig = Rig::with(|config| config.read_only_paths = vec![toolchain.clone(), link.clone()]);
    for start in 0..2 {
        let sandbox = rig.sandbox().await;
        for shown in [&toolchain, &link] {
            let script = format!("{}/bin/tool; touch {0}/new 2>&1 | grep -o Read-only", shown.display());
            assert_eq!(say(&sandbox, &script).await, "made of iron\nRead-only", "start {start}");
        }
        assert_eq!(say(&sandbox, &format!("ls -A {}", home.path().display())).await, ".rustup\ncurrent");
    }
    if is_root() {
        mode(&toolchain, 0o700);
        let mut config = LocalConfig::new(rig.data.path());
        config.read_only_paths = vec![toolchain.clone()];
        let closed = LocalProvider::new(config).err().unwrap().to_string();
        assert!(closed.contains("chmod o+rX") && closed.contains(toolchain.to_str().unwrap()), "{closed}");
    }
}
