use crate::support::{branch, worlds, write};
use forge::{EntryKind, Error, Mirror, ObjectFormat, Upstream};

#[tokio::test]
async fn a_mirror_follows_branches_and_tags_and_forgets_removed_ones() {
    for world in worlds().await {
        let at = world.repository("repo");
        let first = world.tip(&at, "HEAD");
        world.git_in(&at, &["branch", "feature/x"]);
        world.git_in(&at, &["tag", "v1"]);
        let mirror = world.mirror(&at).await;
        assert_eq!(mirror.resolve_branch(&branch("feature/x")).await.expect("there"), first);
        assert_eq!(world.tip(&mirror.git_dir(), "refs/tags/v1"), first);

        let second = world.commit(&at, "a", "1");
        world.git_in(&at, &["branch", "-D", "feature/x"]);
        // A branch where a folder of branches was: the old name has to go first.
        world.git_in(&at, &["branch", "feature"]);
        mirror.fetch(&world.upstream(&at).await).await.expect("fetch");
        let names: Vec<_> = mirror.branches().await.expect("list").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [branch("feature"), branch("main")]);
        assert_eq!(mirror.resolve_branch(&branch("main")).await.expect("there"), second);
        assert_eq!(mirror.parents(&second).await.expect("parents"), [first]);
        assert!(!mirror.has_commit(&mirror.tree_of(&second).await.expect("tree")).await.expect("asked"));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_path_or_branch_is_told_apart() {
    for world in worlds().await {
        let open = |name: &str| {
            let (git, path) = (world.git.clone(), world.path(name));
            async move { Upstream::open(&git, &path).await.map(drop) }
        };
        assert!(matches!(open("nowhere").await, Err(Error::PathMissing { .. })));
        write(&world.path("file"), "x");
        assert!(matches!(open("file").await, Err(Error::NotARepository { .. })));
        let at = world.empty("repo");
        std::fs::create_dir(at.join("below")).expect("directory");
        assert!(matches!(open("repo/below").await, Err(Error::NotARepository { .. })), "a parent must not be found");

        let mirror = world.mirror(&at).await;
        assert!(matches!(mirror.resolve_branch(&branch("main")).await, Err(Error::Unborn)));
        assert_eq!(world.upstream(&at).await.head_branch().await.expect("asked"), Some(branch("main")));

        world.commit(&at, "a", "1");
        world.git_in(&at, &["branch", "release-2026"]);
        let upstream = world.upstream(&at).await;
        mirror.fetch(&upstream).await.expect("fetch");
        for (wrong, near) in [("master", "main"), ("mian", "main"), ("Release-2025", "release-2026")] {
            match mirror.resolve_branch(&branch(wrong)).await {
                Err(Error::MissingBranch { near: found, .. }) => assert_eq!(found, [near], "{wrong}"),
                other => panic!("{other:?}"),
            }
        }
        let far = mirror.resolve_branch(&branch("zzz")).await.expect_err("missing");
        assert_eq!(far.to_string(), "there is no branch `zzz`; there are main, release-2026");

        std::fs::rename(&at, world.path("moved")).expect("moved away");
        assert!(matches!(mirror.fetch(&upstream).await, Err(Error::PathMissing { .. })));
    }
}

#[tokio::test]
async fn many_writers_of_one_mirror_wait_for_each_other() {
    for world in worlds().await {
        let at = world.repository("repo");
        for n in 0..20 {
            world.git_in(&at, &["branch", &format!("b{n}")]);
        }
        let mut fetches = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (git, dir, at) = (world.git.clone(), world.path("mirror"), at.clone());
            fetches.spawn(async move {
                let mirror = Mirror::open_or_create(&git, &dir, ObjectFormat::Sha1).await?;
                mirror.fetch(&Upstream::open(&git, &at).await?).await?;
                mirror.branches().await
            });
        }
        while let Some(done) = fetches.join_next().await {
            assert_eq!(done.expect("no panic").expect("fetched").len(), 21);
        }
    }
}

#[tokio::test]
async fn files_are_read_without_following_links() {
    for world in worlds().await {
        let at = world.repository("repo");
        write(&at.join("docs/CLAUDE.md"), "be kind\n");
        write(&at.join("-x"), "dash");
        write(&at.join("*"), "star");
        std::os::unix::fs::symlink("/etc/passwd", at.join("CLAUDE.md")).expect("link");
        std::os::unix::fs::symlink("docs", at.join("linked")).expect("link");
        let commit = world.commit_all(&at, "Add files");
        let mirror = world.mirror(&at).await;
        let read = |path: &'static str| mirror.file_at(&commit, path, 100);
        assert_eq!(read("docs/CLAUDE.md").await.expect("read").as_deref(), Some(b"be kind\n".as_slice()));
        assert_eq!(read("-x").await.expect("read").as_deref(), Some(b"dash".as_slice()));
        assert_eq!(read("*").await.expect("read").as_deref(), Some(b"star".as_slice()), "no pattern");
        for absent in ["nothing", "docs/none", "nowhere/x", "README.md/x", "d*"] {
            assert_eq!(read(absent).await.expect(absent), None, "{absent}");
        }
        assert!(matches!(read("CLAUDE.md").await, Err(Error::Symlink { path }) if path == "CLAUDE.md"));
        assert!(matches!(read("linked/CLAUDE.md").await, Err(Error::Symlink { path }) if path == "linked"));
        assert!(matches!(read("docs").await, Err(Error::NotAFile { .. })));
        for odd in ["", "/etc/passwd", "../x", "docs//CLAUDE.md", "docs/", "a\0b", "./README.md"] {
            assert!(matches!(read(odd).await, Err(Error::InvalidPath { .. })), "{odd:?}");
        }
        let small = mirror.file_at(&commit, "docs/CLAUDE.md", 7).await;
        assert!(matches!(small, Err(Error::TooLarge { limit: 7, .. })));

        let all = mirror.list_tree(&commit, None, 100).await.expect("list");
        let links: Vec<_> = all.iter().filter(|e| e.kind == EntryKind::Symlink).map(|e| e.path.as_str()).collect();
        assert_eq!(links, ["CLAUDE.md", "linked"]);
        let docs = mirror.list_tree(&commit, Some("docs"), 100).await.expect("list");
        assert_eq!(docs.iter().map(|e| (e.path.as_str(), e.size)).collect::<Vec<_>>(), [("docs/CLAUDE.md", Some(8))]);
        assert_eq!(mirror.list_tree(&commit, None, 2).await.expect("list").len(), 2);
    }
}

#[tokio::test]
async fn kept_commits_outlive_their_branch() {
    for world in worlds().await {
        let at = world.repository("repo");
        world.switch(&at, "work");
        let work = world.commit(&at, "a", "1");
        let mirror = world.mirror(&at).await;
        let name = branch("runs/7");
        assert_eq!(mirror.kept(&name).await.expect("asked"), None);
        mirror.keep(&name, &work).await.expect("kept");
        world.switch(&at, "main");
        world.git_in(&at, &["reset", "-q", "--hard", "HEAD^"]);
        world.git_in(&at, &["branch", "-D", "work"]);
        mirror.fetch(&world.upstream(&at).await).await.expect("fetch");
        world.git_in(&mirror.git_dir(), &["gc", "-q", "--prune=now"]);
        assert!(mirror.has_commit(&work).await.expect("asked"));
        assert_eq!(mirror.kept(&name).await.expect("asked"), Some(work));
        mirror.drop_kept(&name).await.expect("dropped");
        mirror.drop_kept(&name).await.expect("dropped twice");
        assert_eq!(mirror.kept(&name).await.expect("asked"), None);
    }
}

#[tokio::test]
async fn repositories_with_long_ids_work_too() {
    for world in worlds().await {
        let at = world.path("repo");
        std::fs::create_dir(&at).expect("directory");
        world.git_in(&at, &["init", "-q", "-b", "main", "--object-format=sha256", "."]);
        let commit = world.commit(&at, "a", "1");
        assert_eq!(commit.as_str().len(), 64);
        let mirror = world.mirror(&at).await;
        assert_eq!(mirror.resolve_branch(&branch("main")).await.expect("there"), commit);
        let inside = mirror.objects();
        let checkout = mirror.base_checkout(&commit, &world.path("base"), &inside).await.expect("checkout");
        assert_eq!(world.git_in(&checkout, &["status", "--porcelain"]), "");
    }
}

#[tokio::test]
async fn a_crash_leaves_nothing_for_long_and_sandboxes_can_read() {
    use std::os::unix::fs::PermissionsExt;
    for world in worlds().await {
        let at = world.repository("repo");
        let commit = world.tip(&at, "HEAD");
        let mirror = world.mirror(&at).await;
        let bases = world.path("bases");
        mirror.base_checkout(&commit, &bases.join("one"), &mirror.objects()).await.expect("checkout");
        write(&world.path("mirror/tmp/quarantineX/q.git/HEAD"), "left");
        write(&bases.join(".base-X/tree/file"), "left");
        mirror.sweep(&bases).await.expect("swept");
        mirror.sweep(&world.path("nowhere")).await.expect("nothing to sweep");
        assert_eq!(std::fs::read_dir(world.path("mirror/tmp")).expect("list").count(), 0);
        let left: Vec<_> = std::fs::read_dir(&bases).expect("list").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(left, ["one"]);

        let mut waiting = vec![mirror.objects()];
        while let Some(path) = waiting.pop() {
            let meta = std::fs::metadata(&path).expect("there");
            let wanted = if meta.is_dir() { 0o005 } else { 0o004 };
            assert_eq!(meta.permissions().mode() & wanted, wanted, "{path:?}");
            if meta.is_dir() {
                waiting.extend(std::fs::read_dir(&path).expect("list").map(|entry| entry.expect("entry").path()));
            }
        }
        let shared = world.git_in(&mirror.git_dir(), &["config", "core.sharedRepository"]);
        assert_eq!(shared, "0644", "the umask of the server would decide");
    }
}
