use crate::support::{World, branch, pat, worlds, write};
use domain::CommitId;
use forge::{
    Bundle, BundleRefused as R, Error, FileStatus as S, ImportLimits, LinkProblem as P, Message, Mirror, Proposed,
};
use std::{path::PathBuf, time::Duration};

/// A repository, its mirror, and a sandbox's clone of it.
struct Scene {
    world: World,
    mirror: Mirror,
    sandbox: PathBuf,
    base: CommitId,
}

async fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    for world in worlds().await {
        let at = world.repository("repo");
        write(&at.join("src/old.rs"), "fn old() {}\n");
        world.git_in(&at, &["update-index", "--add", "--cacheinfo", &format!("160000,{},vendored", "1".repeat(40))]);
        world.git_in(&at, &["add", "src"]);
        world.git_in(&at, &["commit", "-q", "-m", "Begin"]);
        let base = world.tip(&at, "HEAD");
        let mirror = world.mirror(&at).await;
        world.git_in(world.dir.path(), &["clone", "-q", "repo", "sandbox"]);
        let sandbox = world.path("sandbox");
        scenes.push(Scene { world, mirror, sandbox, base });
    }
    scenes
}

impl Scene {
    fn bundle(&self) -> Vec<u8> {
        let since = format!("^{}", self.base);
        let args = ["bundle", "create", "-q", "-", "HEAD", &since];
        let output = self.world.command(&self.sandbox).args(args).output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Stages whatever is in the sandbox's index already and commits it.
    fn commit_index(&self) {
        self.world.git_in(&self.sandbox, &["commit", "-q", "-m", "Work"]);
    }

    /// A commit on the base of a tree with exactly these entries, however odd.
    fn commit_of_raw_tree(&self, entries: &[(&str, &[u8], &str)]) {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            raw.extend_from_slice(mode.as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(name);
            raw.push(0);
            raw.extend((0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).expect("hex")));
        }
        let tree = self.object("tree", &raw);
        let commit = self.world.git_in(&self.sandbox, &["commit-tree", "-p", self.base.as_str(), "-m", "Work", &tree]);
        self.world.git_in(&self.sandbox, &["update-ref", "HEAD", &commit]);
    }

    fn object(&self, kind: &str, content: &[u8]) -> String {
        let args = ["hash-object", "-w", "--literally", "--stdin", "-t", kind];
        String::from_utf8(self.world.feed(&self.sandbox, &args, content)).expect("text").trim().to_owned()
    }

    async fn import(&self) -> Result<Proposed, Error> {
        self.import_within(&ImportLimits::default()).await
    }

    async fn import_within(&self, limits: &ImportLimits) -> Result<Proposed, Error> {
        self.mirror.import(Bundle::Bytes(&self.bundle()), &self.base, limits).await
    }

    async fn refused(&self) -> R {
        refusal(self.import().await)
    }
}

fn refusal(result: Result<Proposed, Error>) -> R {
    match result {
        Err(Error::Bundle(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn checked_work_becomes_a_commit_of_ours() {
    for scene in scenes().await {
        write(&scene.sandbox.join("src/new.rs"), "fn new() {}\n");
        write(&scene.sandbox.join("README.md"), "hello again\n");
        std::fs::remove_file(scene.sandbox.join("src/old.rs")).expect("removed");
        std::os::unix::fs::symlink("../README.md", scene.sandbox.join("src/readme")).expect("link");
        scene.world.git_in(&scene.sandbox, &["add", "-A", "--", "src", "README.md"]);
        scene.commit_index();
        let work = scene.world.tip(&scene.sandbox, "HEAD");
        let proposed = scene.import().await.expect("taken in");
        let files: Vec<_> = proposed.files.iter().map(|file| (file.path.as_str(), file.status)).collect();
        let expected = [
            ("README.md", S::Modified),
            ("src/new.rs", S::Added),
            ("src/old.rs", S::Deleted),
            ("src/readme", S::Added),
        ];
        assert_eq!(files, expected);
        assert_eq!((proposed.links.len(), &proposed.sandbox_commit), (0, &work));
        assert!(!scene.mirror.has_commit(&work).await.expect("asked"), "the sandbox's own commit came along");

        let message = Message::new("Add new").co_author("Sam", "sam@example.org");
        let who = pat();
        let make = || scene.mirror.commit_tree(&proposed.tree, std::slice::from_ref(&scene.base), &message, &who, &who);
        let commit = make().await.expect("commit");
        assert_eq!(make().await.expect("again"), commit);
        let shown = scene
            .world
            .git_in(&scene.mirror.git_dir(), &["show", "-s", "--format=%an|%ae|%at|%cn|%P%n%B", commit.as_str()]);
        assert_eq!(
            shown,
            format!(
                "Pat Person|pat@example.org|1790000000|Pat Person|{}\nAdd new\n\nCo-authored-by: Sam <sam@example.org>",
                scene.base
            )
        );
        let new = scene.mirror.file_at(&commit, "src/new.rs", 100).await.expect("read");
        assert_eq!(new.as_deref(), Some(b"fn new() {}\n".as_slice()));
        scene.mirror.keep(&branch("t"), &commit).await.expect("kept");
        scene.world.git_in(&scene.mirror.git_dir(), &["fsck", "--strict", "--connectivity-only", "--no-dangling"]);

        let again = scene.import().await.expect("the same bundle again");
        assert_eq!(again, proposed);
        let file = scene.world.path("work.bundle");
        std::fs::write(&file, scene.bundle()).expect("written");
        let from_file = scene.mirror.import(Bundle::File(&file), &scene.base, &ImportLimits::default()).await;
        assert_eq!(from_file.expect("taken in"), proposed);
        let link = scene.world.path("link.bundle");
        std::os::unix::fs::symlink(&file, &link).expect("link");
        let followed = scene.mirror.import(Bundle::File(&link), &scene.base, &ImportLimits::default()).await;
        assert!(matches!(followed, Err(Error::Io { .. })));
        assert_eq!(std::fs::read_dir(scene.world.path("mirror/tmp")).expect("list").count(), 0, "scratch was left");
    }
}

#[tokio::test]
async fn no_change_is_an_empty_proposal() {
    for scene in scenes().await {
        scene.world.git_in(&scene.sandbox, &["commit", "-q", "--allow-empty", "-m", "Nothing"]);
        let proposed = scene.import().await.expect("taken in");
        assert!(proposed.is_empty());
        assert_eq!(proposed.tree, scene.mirror.tree_of(&scene.base).await.expect("tree"));
    }
}

#[tokio::test]
async fn names_that_steer_git_are_refused() {
    for scene in scenes().await {
        let blob = scene.object("blob", b"x");
        let config = scene.object("blob", b"[core]\n\tfsmonitor = touch /tmp/x\n");
        let mut raw = b"100644 config\0".to_vec();
        raw.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&config[at..at + 2], 16).expect("hex")));
        let inner = scene.object("tree", &raw);
        for name in [".git", ".GIT", ".git ", ".git.", "git~1", ".g\u{200c}it", "..", "."] {
            scene.commit_of_raw_tree(&[("40000", name.as_bytes(), &inner)]);
            assert!(matches!(scene.refused().await, R::Damaged(_) | R::Path { .. }), "{name:?}");
        }
        for name in [b"a\nb".as_slice(), b"a\x1b[31m", b"a\rb", b"\xff\xfe", b"a/b"] {
            scene.commit_of_raw_tree(&[("100644", name, &blob)]);
            assert!(matches!(scene.refused().await, R::Damaged(_) | R::Path { .. }), "{name:?}");
        }
        scene.commit_of_raw_tree(&[("100644", b"a", &blob), ("100644", b"a", &config)]);
        assert!(matches!(scene.refused().await, R::Damaged(_)), "one name twice");
        let link = scene.object("blob", b"/etc/passwd");
        scene.commit_of_raw_tree(&[("120000", b".gitmodules", &link)]);
        assert!(matches!(scene.refused().await, R::Damaged(_)), "a linked .gitmodules");
        let modules = scene.object("blob", b"[submodule \"x\"]\n\tpath = x\n\turl = -u./payload\n");
        scene.commit_of_raw_tree(&[("100644", b".gitmodules", &modules)]);
        assert!(matches!(scene.refused().await, R::Damaged(_)), "an option for a URL");
    }
}

#[tokio::test]
async fn submodules_may_move_but_not_come() {
    for scene in scenes().await {
        let set = |path: &str, id: char| {
            let entry = format!("160000,{},{path}", id.to_string().repeat(40));
            scene.world.git_in(&scene.sandbox, &["update-index", "--add", "--cacheinfo", &entry]);
        };
        set("vendored", '2');
        scene.commit_index();
        assert_eq!(scene.import().await.expect("taken in").files[0].path, "vendored");
        scene.world.git_in(&scene.sandbox, &["reset", "-q", "--soft", scene.base.as_str()]);
        set("another", '3');
        scene.commit_index();
        assert!(matches!(scene.refused().await, R::Mode { path, .. } if path == "another"));
    }
}

#[tokio::test]
async fn links_that_lead_out_are_flagged() {
    for scene in scenes().await {
        for (name, target) in [("a", "/etc/passwd"), ("src/b", "../../up"), ("c", ".git/hooks"), ("fine", "src")] {
            std::os::unix::fs::symlink(target, scene.sandbox.join(name)).expect("link");
        }
        scene.world.git_in(&scene.sandbox, &["add", "-A", "a", "src/b", "c", "fine"]);
        scene.commit_index();
        let found = scene.import().await.expect("taken in").links;
        let found: Vec<_> = found.iter().map(|link| (link.path.as_str(), link.problem)).collect();
        assert_eq!(found, [("a", P::Absolute), ("c", P::IntoGit), ("src/b", P::Escapes)]);
    }
}

#[tokio::test]
async fn only_a_commit_on_the_base_is_taken() {
    for scene in scenes().await {
        let git = |args: &[&str]| scene.world.git_in(&scene.sandbox, args);
        let tree = git(&["rev-parse", "HEAD^{tree}"]);
        let put = |parents: &[&str]| {
            let mut args = vec!["commit-tree", "-m", "Work"];
            args.extend(parents.iter().flat_map(|parent| ["-p", *parent]));
            args.push(&tree);
            let commit = git(&args);
            git(&["update-ref", "HEAD", &commit]);
        };
        let base = scene.base.as_str();
        let older = git(&["rev-parse", "HEAD^"]);
        for parents in [vec![], vec![older.as_str()], vec![base, older.as_str()], vec![older.as_str(), base]] {
            put(&parents);
            let refused = scene.refused().await;
            assert!(matches!(&refused, R::WrongParent { found, .. } if *found == parents), "{parents:?}: {refused}");
        }
        put(&[base]);
        put(&["HEAD"]);
        assert!(matches!(scene.refused().await, R::WrongParent { .. }), "two commits");
        let unknown = "5".repeat(40).parse().expect("id");
        let elsewhere = scene.mirror.import(Bundle::Bytes(&scene.bundle()), &unknown, &ImportLimits::default()).await;
        assert!(matches!(elsewhere, Err(Error::MissingCommit { .. })));
    }
}

#[tokio::test]
async fn damaged_bundles_leave_no_trace() {
    for scene in scenes().await {
        write(&scene.sandbox.join("a"), &"some text\n".repeat(100));
        scene.world.git_in(&scene.sandbox, &["add", "a"]);
        scene.commit_index();
        let whole = scene.bundle();
        let objects = || scene.world.git_in(&scene.mirror.git_dir(), &["count-objects", "-v"]);
        let before = objects();
        let mut wrecks: Vec<Vec<u8>> = [0, 10, 60, whole.len() / 2, whole.len() - 20, whole.len() - 1]
            .into_iter()
            .map(|end| whole[..end].to_vec())
            .collect();
        let mut flipped = whole.clone();
        let middle = whole.len() - 60;
        flipped[middle] ^= 0x40;
        wrecks.push(flipped);
        for wreck in wrecks {
            let result = scene.mirror.import(Bundle::Bytes(&wreck), &scene.base, &ImportLimits::default()).await;
            assert!(matches!(refusal(result), R::NotABundle(_) | R::Damaged(_)), "{} bytes", wreck.len());
        }
        assert_eq!(objects(), before);
    }
}

#[tokio::test]
async fn a_pack_that_lacks_what_its_commit_needs_is_refused() {
    for scene in scenes().await {
        write(&scene.sandbox.join("a"), "needed\n");
        scene.world.git_in(&scene.sandbox, &["add", "a"]);
        scene.commit_index();
        let head = scene.world.tip(&scene.sandbox, "HEAD");
        let tree = scene.world.tip(&scene.sandbox, "HEAD^{tree}");
        let listed = format!("{head}\n{tree}\n");
        let pack = scene.world.feed(&scene.sandbox, &["pack-objects", "-q", "--stdout"], listed.as_bytes());
        let mut bundle = format!("# v2 git bundle\n-{} base\n{head} HEAD\n\n", scene.base).into_bytes();
        bundle.extend(pack);
        let result = scene.mirror.import(Bundle::Bytes(&bundle), &scene.base, &ImportLimits::default()).await;
        assert!(matches!(refusal(result), R::Damaged(_)));
    }
}

#[tokio::test]
async fn everything_large_is_refused() {
    for scene in scenes().await {
        // 32 MiB of zeros are a bundle of some 32 KiB.
        write(&scene.sandbox.join("zeros"), &"\0".repeat(32 << 20));
        write(&scene.sandbox.join("more"), "text");
        scene.world.git_in(&scene.sandbox, &["add", "zeros", "more"]);
        scene.commit_index();
        assert!(scene.bundle().len() < 1 << 20);
        let roomy = ImportLimits::default();
        let what = |result| match refusal(result) {
            R::TooLarge { what, .. } => what,
            other => panic!("{other}"),
        };
        let scene = &scene;
        let within = |limits: ImportLimits| async move { scene.import_within(&limits).await };
        assert_eq!(what(within(ImportLimits { file_bytes: 1 << 20, ..roomy }).await), "bytes of one blob");
        assert_eq!(what(within(ImportLimits { total_bytes: 1 << 20, ..roomy }).await), "bytes of all new objects");
        assert_eq!(what(within(ImportLimits { objects: 3, ..roomy }).await), "objects");
        assert_eq!(what(within(ImportLimits { bundle_bytes: 999, ..roomy }).await), "bytes of the bundle");
        assert_eq!(what(within(ImportLimits { files: 1, ..roomy }).await), "changed files");
        within(roomy).await.expect("and within the limits it is taken in");
    }
}

#[tokio::test]
async fn a_pack_that_claims_billions_of_objects_costs_nothing() {
    for scene in scenes().await {
        let mut bundle = format!("# v2 git bundle\n{} HEAD\n\nPACK", scene.base).into_bytes();
        bundle.extend([0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff]);
        let result = scene.mirror.import(Bundle::Bytes(&bundle), &scene.base, &ImportLimits::default()).await;
        assert!(matches!(refusal(result), R::TooLarge { found: 0xffff_ffff, .. }));
    }
}

#[tokio::test]
async fn a_tree_that_unfolds_to_billions_of_files_is_refused() {
    for scene in scenes().await {
        let mut id = scene.object("blob", b"boom");
        let mut mode = "100644";
        for _ in 0..10 {
            let names: Vec<String> = (0..10).map(|n| format!("f{n}")).collect();
            let mut raw = Vec::new();
            for name in &names {
                raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
                raw.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).expect("hex")));
            }
            id = scene.object("tree", &raw);
            mode = "40000";
        }
        scene.commit_of_raw_tree(&[("40000", b"bomb", &id)]);
        let refused = scene.refused().await;
        assert!(matches!(refused, R::TooLarge { .. }), "{refused}");
    }
}

#[tokio::test]
async fn memory_and_time_are_bounded() {
    for scene in scenes().await {
        write(&scene.sandbox.join("a"), "text\n");
        scene.world.git_in(&scene.sandbox, &["add", "a"]);
        scene.commit_index();
        let starved = ImportLimits { memory_bytes: 4 << 20, ..ImportLimits::default() };
        assert!(matches!(refusal(scene.import_within(&starved).await), R::TooCostly(_) | R::Damaged(_)));
        let hurried = ImportLimits { time: Duration::ZERO, ..ImportLimits::default() };
        assert!(matches!(refusal(scene.import_within(&hurried).await), R::TooCostly(_)));
        scene.import().await.expect("otherwise it is taken in");
    }
}
