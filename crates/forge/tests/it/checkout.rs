use crate::support::{World, worlds, write};
use forge::Error;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn large(world: &World, at: &Path) {
    for n in 0..300 {
        write(&at.join(format!("src/dir{}/file{n}.txt", n % 17)), &format!("content {n}\n"));
    }
    write(&at.join("run.sh"), "#!/bin/sh\n");
    fs::set_permissions(at.join("run.sh"), fs::Permissions::from_mode(0o755)).expect("mode");
    std::os::unix::fs::symlink("src", at.join("link")).expect("link");
    world.commit_all(at, "Add many files");
}

#[tokio::test]
async fn a_base_checkout_is_a_clean_repository_that_borrows_its_history() {
    for world in worlds().await {
        let at = world.repository("repo");
        large(&world, &at);
        let commit = world.tip(&at, "HEAD");
        let mirror = world.mirror(&at).await;
        let base = mirror.base_checkout(&commit, &world.path("bases/one"), &mirror.objects()).await.expect("checkout");

        let config = fs::read_to_string(base.join(".git/config")).expect("config");
        assert!(!config.contains("remote"), "{config}");
        assert_eq!(world.git_in(&base, &["status", "--porcelain"]), "");
        assert_eq!(world.git_in(&base, &["log", "--format=%s"]), "Add many files\nWrite README.md");
        assert_eq!(fs::read_to_string(base.join(".git/HEAD")).expect("HEAD"), format!("{commit}\n"));
        let copied: Vec<_> =
            files_below(&base.join(".git/objects")).into_iter().filter(|f| !f.ends_with("info/alternates")).collect();
        assert!(copied.is_empty(), "history was copied: {copied:?}");

        let mode = |path: &str| fs::metadata(base.join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("run.sh"), mode("README.md"), mode("src/dir3")), (0o777, 0o666, 0o777));
        for file in files_below(&base) {
            assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o006, 0o006, "{file:?}");
        }
        // No entry is as old as the index: git would read all such files again on every status.
        let index = fs::metadata(base.join(".git/index")).expect("index").modified().expect("time");
        for file in files_below(&base).into_iter().filter(|file| !file.starts_with(base.join(".git"))) {
            let age = index.duration_since(fs::symlink_metadata(&file).expect("there").modified().expect("time"));
            assert!(age.is_ok_and(|age| age.as_secs() >= 5), "{file:?}");
        }
        // Stat data in the index match, so that nothing needs to be read at all.
        assert_eq!(world.git_in(&base, &["diff-files", "--name-only"]), "");
    }
}

#[tokio::test]
async fn the_sandbox_sees_the_objects_where_it_is_told() {
    for world in worlds().await {
        let at = world.repository("repo");
        let commit = world.tip(&at, "HEAD");
        let mirror = world.mirror(&at).await;
        let base =
            mirror.base_checkout(&commit, &world.path("base"), Path::new("/mirror/objects")).await.expect("made");
        assert_eq!(fs::read_to_string(base.join(".git/objects/info/alternates")).expect("file"), "/mirror/objects\n");
    }
}

#[tokio::test]
async fn a_checkout_appears_whole_once_and_is_used_again() {
    for world in worlds().await {
        let at = world.repository("repo");
        large(&world, &at);
        let commit = world.tip(&at, "HEAD");
        let mirror = world.mirror(&at).await;
        let mut builders = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (mirror, commit, at) = (mirror.clone(), commit.clone(), world.path("bases/one"));
            builders.spawn(async move { mirror.base_checkout(&commit, &at, &mirror.objects()).await });
        }
        while let Some(built) = builders.join_next().await {
            let base = built.expect("no panic").expect("built");
            assert_eq!(world.git_in(&base, &["status", "--porcelain"]), "");
        }
        let beside: Vec<_> =
            fs::read_dir(world.path("bases")).expect("list").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(beside, ["one"], "scratch was left behind");
        let inode = |p: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(p).expect("there"));
        let before = inode(&world.path("bases/one"));
        mirror.base_checkout(&commit, &world.path("bases/one"), &mirror.objects()).await.expect("again");
        assert_eq!(inode(&world.path("bases/one")), before);
        mirror.remove_base_checkout(&world.path("bases/one")).await.expect("removed");
        mirror.remove_base_checkout(&world.path("bases/one")).await.expect("removed twice");
        assert!(!world.path("bases/one").exists());

        let unknown = "0".repeat(40).parse().expect("id");
        let missing = mirror.base_checkout(&unknown, &world.path("bases/none"), Path::new("/m")).await;
        assert!(matches!(missing, Err(Error::MissingCommit { .. })));
        assert!(!world.path("bases/none").exists());
    }
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("list") {
        let entry = entry.expect("entry");
        match entry.file_type().expect("type") {
            kind if kind.is_dir() => found.extend(files_below(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn a_tree_that_unfolds_beyond_measure_is_not_checked_out() {
    for world in worlds().await {
        let at = world.repository("repo");
        let tree = |entries: &[(String, String)]| {
            let lines = entries.iter().map(|(about, name)| format!("{about}\t{name}\n")).collect::<Vec<_>>().concat();
            String::from_utf8(world.feed(&at, &["mktree"], lines.as_bytes())).expect("text").trim().to_owned()
        };
        let blob = |bytes: &[u8]| {
            let id = world.feed(&at, &["hash-object", "-w", "--stdin"], bytes);
            String::from_utf8(id).expect("text").trim().to_owned()
        };
        let small = blob(b"boom");
        let mut files = tree(&(0..10).map(|n| (format!("100644 blob {small}"), format!("f{n}"))).collect::<Vec<_>>());
        for _ in 0..9 {
            files = tree(&(0..10).map(|n| (format!("040000 tree {files}"), format!("d{n}"))).collect::<Vec<_>>());
        }
        let zeros = blob(&vec![0; 16 << 20]);
        let bytes = tree(&(0..2200).map(|n| (format!("100644 blob {zeros}"), format!("f{n}"))).collect::<Vec<_>>());
        for (bomb, limit) in [(files, "1000000 files"), (bytes, "32 GiB")] {
            let commit = world.git_in(&at, &["commit-tree", "-m", "Boom", &bomb]);
            world.git_in(&at, &["update-ref", "refs/heads/main", &commit]);
            let mirror = world.mirror(&at).await;
            let commit = commit.parse().expect("an id");
            let refused = mirror.base_checkout(&commit, &world.path("bases/bomb"), &mirror.objects()).await;
            let refused = refused.expect_err("it was unfolded");
            assert!(matches!(refused, Error::TreeTooLarge { .. }), "{refused}");
            assert!(refused.to_string().contains(limit), "{refused}");
            assert!(!world.path("bases").exists(), "something was written");
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_files_are_checked_out() {
    const FOLDERS: usize = 100;
    const FILES: usize = 1000;
    let world = worlds().await.remove(0);
    let at = world.repository("repo");
    let made = |args: &[&str], input: &str| {
        String::from_utf8(world.feed(&at, args, input.as_bytes())).expect("text").trim().to_owned()
    };
    let blob = made(&["hash-object", "-w", "--stdin"], "x\n");
    let files = (0..FILES).map(|n| format!("100644 blob {blob}\tf{n}\n")).collect::<Vec<_>>().concat();
    let folder = made(&["mktree"], &files);
    let folders = (0..FOLDERS).map(|n| format!("040000 tree {folder}\td{n}\n")).collect::<Vec<_>>().concat();
    let tree = made(&["mktree"], &folders);
    let commit = world.git_in(&at, &["commit-tree", "-m", "Many", &tree]);
    world.git_in(&at, &["update-ref", "refs/heads/main", &commit]);
    let mirror = world.mirror(&at).await;
    let commit = commit.parse().expect("an id");
    let base = mirror.base_checkout(&commit, &world.path("base"), &mirror.objects()).await.expect("checked out");
    assert_eq!(files_below(&base).iter().filter(|path| !path.starts_with(base.join(".git"))).count(), FOLDERS * FILES);
    assert_eq!(world.git_in(&base, &["status", "--porcelain"]), "");
}
