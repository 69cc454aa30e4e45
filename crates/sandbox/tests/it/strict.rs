//! Strict mode: where a wall is open, nothing starts (SBX-18).

use crate::rig::*;
use sandbox::{Error, LocalConfig, Provider, SandboxSpec, Status};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A program that tells another version and else is what it stands for.
fn stub(dir: &Path, name: &str, says: &str) -> PathBuf {
    let path = dir.join(name);
    let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo {says} && exit\nexec /usr/bin/{name} \"$@\"\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

struct Stubs {
    dir: tempfile::TempDir,
}

impl Stubs {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn versions(&self, config: &mut LocalConfig, bwrap: &str, git: &str) {
        config.bwrap = stub(self.dir.path(), "bwrap", &format!("bubblewrap {bwrap}"));
        config.git = stub(self.dir.path(), "git", &format!("git version {git}"));
    }
}

async fn refused(rig: &Rig) -> (String, String) {
    match rig.provider.create(SandboxSpec::new(new_id(), LEASE)).await.err() {
        Some(Error::WallOpen { wall, detail, mend }) if !mend.is_empty() => {
            let left = std::fs::read_dir(rig.data.path().join("sandboxes")).unwrap().count();
            assert_eq!(left, 0, "something was made");
            (wall, detail)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_with_a_known_hole_is_named_and_in_strict_mode_refused() {
    for (bwrap, git, wall, hole) in
        [("0.8.0", "2.99.0", "bubblewrap", "CVE-2026-87766"), ("0.12.0", "2.47.1", "git", "CVE-2025-48384")]
    {
        let stubs = Stubs::new();
        let plain = Rig::with(|config| stubs.versions(config, bwrap, git));
        say(&plain.sandbox().await, "true").await;
        let report = plain.provider.probe().await;
        let named = report.get(wall).unwrap();
        assert_eq!(named.status, Status::Warn);
        assert!(named.detail.contains(hole) && named.mend.is_some(), "{named:?}");
        assert_ne!(report.status(), Status::Fail, "{report:?}");

        let strict = Rig::with(|config| {
            stubs.versions(config, bwrap, git);
            config.strict = true;
        });
        // An ordinary user is refused in any case, for one reason or the other.
        let (found, detail) = refused(&strict).await;
        if is_root() {
            assert!(found == wall && detail.contains(hole), "{found}: {detail}");
        }
        assert_eq!(strict.provider.probe().await.status(), Status::Fail);
    }
}

#[tokio::test]
async fn strict_mode_works_where_all_walls_stand() {
    let stubs = Stubs::new();
    let strict = Rig::with(|config| {
        stubs.versions(config, "0.8.0", "2.50.1");
        config.strict = true;
        config.accepted_holes = vec!["CVE-2026-87766".to_owned()];
    });
    if is_root() {
        return assert_eq!(say(&strict.sandbox().await, "echo in").await, "in");
    }
    assert_eq!(refused(&strict).await.0, "uids", "an ordinary user shares its uid with its sandboxes");
}
