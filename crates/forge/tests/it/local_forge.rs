use crate::{
    store_in_memory::Crashing,
    support::{Ticking, World, branch, pat, worlds, write},
};
use domain::{Account, AccountId, CommitId, Repository, RepositoryId};
use forge::{
    Check, Edit, Error, Forge, LocalForge, MergeHow, MergeMethod, Message, Mirror, NewComment, NewPullRequest,
    PullRequest, PullRequestState as P, Push, Thread,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering},
};
use store::Store;
use uuid::Uuid;

struct Scene {
    world: World,
    at: PathBuf,
    forge: LocalForge,
    store: Arc<Crashing>,
    repository: Repository,
    mirror: Mirror,
}

/// A repository whose `main` is checked out, and, when asked, a bare one beside it that the forge serves instead.
async fn scenes(bare: bool) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for world in worlds().await {
        let mut at = world.repository("repo");
        world.commit(&at, "a", "1\n2\n3\n");
        if bare {
            at = world.bare(&at, "bare.git");
        }
        let store = Arc::new(Crashing::default());
        let forge = LocalForge::new(world.git.clone(), store.clone(), Arc::new(Ticking::default()));
        let repository = Repository {
            id: RepositoryId(Uuid::from_u128(1)),
            account: AccountId(Uuid::from_u128(2)),
            name: "repo".into(),
            forge: "local".into(),
            location: at.to_str().expect("text").into(),
        };
        let account = Account { id: repository.account, name: "us".into() };
        store.store.account(&account).await.expect("account");
        store.store.add_repository(&repository).await.expect("registered");
        let mirror = forge.mirror(&repository, &world.path("mirror")).await.expect("mirror");
        forge.fetch(&repository, &mirror).await.expect("fetch");
        scenes.push(Scene { world, at, forge, store, repository, mirror });
    }
    scenes
}

impl Scene {
    /// Pushes a branch on `base` that writes one file, as the engine would.
    async fn push(&self, name: &str, base: &CommitId, path: &str, content: &str) -> CommitId {
        let clone = self.world.path(&format!("clone-{}", name.replace('/', "-")));
        self.world.git_in(
            self.world.dir.path(),
            &["clone", "-q", "--shared", "mirror/repo.git", clone.to_str().expect("text")],
        );
        self.world.git_in(&clone, &["checkout", "-q", "--detach", base.as_str()]);
        write(&clone.join(path), content);
        self.world.commit_all(&clone, "Work");
        let bundle =
            self.world.command(&clone).args(["bundle", "create", "-q", "-", "HEAD", &format!("^{base}")]).output();
        let bundle = bundle.expect("git").stdout;
        let limits = forge::ImportLimits::default();
        let proposed = self.mirror.import(forge::Bundle::Bytes(&bundle), base, &limits).await.expect("taken in");
        let message = Message::new(&format!("Write {path}")).co_author("Sam", "sam@example.org");
        let commit = self
            .mirror
            .commit_tree(&proposed.tree, std::slice::from_ref(base), &message, &pat(), &pat())
            .await
            .expect("commit");
        let expected = self.forge.branch(&self.repository, &branch(name)).await.expect("asked");
        let push = Push { branch: &branch(name), new: &commit, expected_old: expected.as_ref() };
        self.forge.push(&self.repository, &self.mirror, push).await.expect("pushed");
        commit
    }

    async fn open(&self, base: &str, head: &str) -> PullRequest {
        let new = NewPullRequest {
            key: format!("key of {head}"),
            title: format!("Bring {head}"),
            body: "Why".into(),
            base: branch(base),
            head: branch(head),
            draft: false,
            labels: vec!["b".into(), "a".into(), "b".into()],
            author: "pat".into(),
        };
        self.forge.open(&self.repository, &new).await.expect("opened")
    }

    async fn main(&self) -> CommitId {
        self.forge.branch(&self.repository, &branch("main")).await.expect("asked").expect("there")
    }

    async fn merge(&self, number: i64, method: MergeMethod) -> Result<forge::Merged, Error> {
        let how = MergeHow { method, name: "Kim".into(), email: "kim@example.org".into(), expected_head: None };
        self.forge.merge(&self.repository, &self.mirror, number, &how).await
    }

    fn show(&self, format: &str, commit: &CommitId) -> String {
        self.world.git_in(&self.at, &["show", "-s", &format!("--format={format}"), commit.as_str()])
    }
}

#[tokio::test]
async fn a_key_makes_one_pull_request() {
    for scene in scenes(false).await {
        let main = scene.main().await;
        assert_eq!(scene.forge.default_branch(&scene.repository).await.expect("asked"), Some(branch("main")));
        scene.push("runyard/one", &main, "one", "1").await;
        let opened = scene.open("main", "runyard/one").await;
        assert_eq!((opened.number, opened.labels.as_slice()), (1, ["b".to_owned(), "a".to_owned()].as_slice()));
        assert_eq!(scene.open("main", "runyard/one").await, opened);
        assert_eq!(scene.forge.list(&scene.repository).await.expect("list").len(), 1);
        let found = scene.forge.find_by_key(&scene.repository, "key of runyard/one").await.expect("asked");
        assert_eq!(found, Some(opened.clone()));
        let headless = NewPullRequest {
            key: "other".into(),
            title: String::new(),
            body: String::new(),
            base: branch("main"),
            head: branch("none"),
            draft: false,
            labels: vec![],
            author: String::new(),
        };
        let missing = scene.forge.open(&scene.repository, &headless).await;
        assert!(matches!(missing, Err(Error::MissingBranch { name, .. }) if name == branch("none")));
        assert!(matches!(scene.forge.get(&scene.repository, 9).await, Err(Error::MissingPullRequest { number: 9 })));

        let edit = Edit {
            title: Some("New".into()),
            labels: Some(vec!["x".into(), "x".into()]),
            draft: Some(true),
            ..Edit::default()
        };
        let edited = scene.forge.update(&scene.repository, 1, &edit).await.expect("edited");
        assert_eq!(
            (edited.title.as_str(), edited.body.as_str(), edited.labels.len(), edited.draft),
            ("New", "Why", 1, true)
        );
        assert!(edited.updated_at > opened.updated_at);
        assert_eq!(scene.forge.update(&scene.repository, 1, &edit).await.expect("same"), edited, "nothing was written");
        let known = |text: &str| Edit { body: Some(text.into()), seen: Some(edited.updated_at), ..Edit::default() };
        let first = scene.forge.update(&scene.repository, 1, &known("Why")).await.expect("nothing came between");
        assert!(first.updated_at > edited.updated_at, "it counts as a change, though it says the same");
        let second = scene.forge.update(&scene.repository, 1, &known("Later")).await;
        assert!(matches!(second, Err(Error::Changed { number: 1 })), "{second:?}");
        assert_eq!(scene.forge.get(&scene.repository, 1).await.expect("there").body, "Why");
        let rename = |n: i64| {
            let (scene, edit) = (&scene, Edit { body: Some(format!("body {n}")), ..Edit::default() });
            async move { scene.forge.update(&scene.repository, 1, &edit).await.expect("each in its turn") }
        };
        let (one, two, three) = tokio::join!(rename(1), rename(2), rename(3));
        let times = std::collections::HashSet::from([one.updated_at, two.updated_at, three.updated_at]);
        assert_eq!(times.len(), 3, "one change was lost under another");
        assert_eq!(scene.forge.close(&scene.repository, 1).await.expect("closed").state, P::Closed);
        assert!(matches!(scene.merge(1, MergeMethod::Merge).await, Err(Error::NotOpen { state: "closed", .. })));
        assert_eq!(scene.forge.reopen(&scene.repository, 1).await.expect("open").state, P::Open);
        assert!(matches!(scene.merge(1, MergeMethod::Merge).await, Err(Error::Draft { number: 1 })), "a draft");
    }
}

#[tokio::test]
async fn people_talk_on_lines_and_checks_report() {
    for scene in scenes(false).await {
        let main = scene.main().await;
        let head = scene.push("runyard/one", &main, "one", "1").await;
        scene.open("main", "runyard/one").await;
        let (forge, repository) = (&scene.forge, &scene.repository);
        let thread =
            Thread { id: Uuid::from_u128(5), path: "one".into(), line: 1, commit: head.clone(), resolved: false };
        let say = |id: u128, thread| NewComment {
            id: Uuid::from_u128(id),
            author: "kim".into(),
            body: format!("c{id}"),
            thread,
        };
        let early = forge.comment(repository, 1, &say(1, Some(thread.id))).await;
        assert!(matches!(early, Err(Error::MissingThread { .. })));
        forge.put_thread(repository, 1, &thread).await.expect("begun");
        let first = forge.comment(repository, 1, &say(1, Some(thread.id))).await.expect("said");
        assert_eq!(forge.comment(repository, 1, &say(1, Some(thread.id))).await.expect("said again"), first);
        forge.comment(repository, 1, &say(2, None)).await.expect("said");
        assert_eq!(forge.comments(repository, 1).await.expect("list").len(), 2);
        forge.resolve(repository, 1, thread.id, true).await.expect("resolved");
        assert_eq!(forge.threads(repository, 1).await.expect("list"), [Thread { resolved: true, ..thread }]);
        assert!(matches!(forge.resolve(repository, 1, Uuid::nil(), true).await, Err(Error::MissingThread { .. })));
        let check = |passed| Check { commit: head.clone(), name: "tests".into(), passed, summary: String::new() };
        forge.set_check(repository, &check(false)).await.expect("set");
        forge.set_check(repository, &check(true)).await.expect("set");
        assert_eq!(forge.checks(repository, &head).await.expect("list"), [check(true)]);
    }
}

#[tokio::test]
async fn merging_moves_the_base_once_even_over_a_crash() {
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        for scene in scenes(true).await {
            let main = scene.main().await;
            let head = scene.push("runyard/one", &main, "one", "1").await;
            let opened = scene.open("main", "runyard/one").await;
            scene.store.before_update.store(true, Ordering::SeqCst);
            assert!(matches!(scene.merge(1, method).await, Err(Error::Store(_))), "it dies after the push");
            let after = scene.main().await;
            assert_ne!(after, main);
            let merged = scene.merge(1, method).await.expect("and is merged by the next");
            assert_eq!((scene.main().await, &merged.commit), (after.clone(), &after), "once");
            assert_eq!(merged.pull_request.state, P::Merged);
            assert_eq!(merged.pull_request.merged_head, Some(head.clone()));
            assert_eq!(scene.merge(1, method).await.expect("again"), merged);
            let parents = scene.show("%P", &after);
            match method {
                MergeMethod::Merge => assert_eq!(parents, format!("{main} {head}")),
                MergeMethod::Squash => {
                    assert_eq!(parents, main.as_str());
                    let people = scene.show("%(trailers:key=Co-authored-by,valueonly)", &after);
                    assert!(
                        people.contains("Sam <sam@example.org>") && people.contains("Pat Person <pat@example.org>"),
                        "{people}"
                    );
                }
            }
            assert_eq!(scene.show("%an <%ae> %s", &after), "Kim <kim@example.org> Bring runyard/one (#1)");
            assert!(matches!(scene.forge.close(&scene.repository, opened.number).await, Err(Error::NotOpen { .. })));
        }
    }
}

#[tokio::test]
async fn conflicts_moved_heads_and_checked_out_targets_are_refused() {
    for scene in scenes(false).await {
        let main = scene.main().await;
        let one = scene.push("runyard/one", &main, "a", "one\n2\n3\n").await;
        scene.open("main", "runyard/one").await;
        let moved =
            MergeHow { method: MergeMethod::Merge, name: "Kim".into(), email: "k@x".into(), expected_head: Some(main) };
        let refused = scene.forge.merge(&scene.repository, &scene.mirror, 1, &moved).await;
        assert!(matches!(refused, Err(Error::Moved { found: Some(found), .. }) if found == one));
        scene.world.commit(&scene.at, "a", "uno\n2\n3\n");
        match scene.merge(1, MergeMethod::Squash).await {
            Err(Error::Conflict { files }) => assert_eq!(files, ["a"]),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_command_for_a_checked_out_target_does_what_was_asked() {
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        for scene in scenes(false).await {
            let main = scene.main().await;
            let head = scene.push("runyard/it's-one", &main, "one", "1").await;
            scene.open("main", "runyard/it's-one").await;
            let Err(Error::CheckedOut { command, worktree, .. }) = scene.merge(1, method).await else {
                panic!("checked out")
            };
            assert_eq!(worktree, scene.at);
            assert_eq!(scene.main().await, main, "nothing moved");
            let unmerged = scene.forge.refresh(&scene.repository, &scene.mirror, 1).await.expect("looked");
            assert_eq!(unmerged.state, P::Open);

            let typed = Command::new("sh").arg("-c").arg(&command).envs(person()).output().expect("sh");
            assert!(typed.status.success(), "{command}: {}", String::from_utf8_lossy(&typed.stderr));
            assert!(scene.at.join("one").exists(), "the working tree has it");
            let merged = scene.forge.refresh(&scene.repository, &scene.mirror, 1).await.expect("looked");
            assert_eq!((merged.state, merged.merged_head), (P::Merged, Some(head)));
            assert_eq!(merged.merge_commit, Some(scene.main().await));
        }
    }
}

fn person() -> Vec<(&'static str, &'static str)> {
    vec![
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "Pat"),
        ("GIT_AUTHOR_EMAIL", "pat@example.org"),
        ("GIT_COMMITTER_NAME", "Pat"),
        ("GIT_COMMITTER_EMAIL", "pat@example.org"),
    ]
}

#[tokio::test]
async fn a_stack_merges_from_the_bottom_and_its_children_move_down() {
    for scene in scenes(true).await {
        let main = scene.main().await;
        let one = scene.push("runyard/one", &main, "one", "1").await;
        let two = scene.push("runyard/two", &one, "one", "2").await;
        scene.push("runyard/three", &two, "three", "3").await;
        scene.open("main", "runyard/one").await;
        scene.open("runyard/one", "runyard/two").await;
        scene.open("runyard/two", "runyard/three").await;

        let into_two = scene.merge(3, MergeMethod::Merge).await.expect("into the branch below");
        assert_eq!(into_two.into_open, Some(2));
        assert_eq!(scene.main().await, main, "the target has nothing of it yet");

        let merged = scene.merge(1, MergeMethod::Squash).await.expect("the bottom");
        assert_eq!(merged.into_open, None);
        let moved = scene.forge.retarget_children(&scene.repository, &merged.pull_request).await.expect("retargeted");
        assert_eq!(moved.iter().map(|pull| (pull.number, pull.base.as_str())).collect::<Vec<_>>(), [(2, "main")]);
        let again = scene.forge.retarget_children(&scene.repository, &merged.pull_request).await.expect("again");
        assert!(again.is_empty());

        // The upper branch is brought onto the squashed base, so that it can be merged in its turn.
        let head = scene.forge.branch(&scene.repository, &branch("runyard/two")).await.expect("asked").expect("there");
        let stack = forge::Restack { old_base: &one, new_base: &merged.commit, head: &head };
        let message = Message::new("Bring main");
        let forge::Restacked::Commit(new) = scene.mirror.restack(stack, &message, &pat()).await.expect("ran") else {
            panic!()
        };
        let push = Push { branch: &branch("runyard/two"), new: &new, expected_old: Some(&head) };
        scene.forge.push(&scene.repository, &scene.mirror, push).await.expect("pushed");
        let merged = scene.merge(2, MergeMethod::Squash).await.expect("the next");
        let at = |path: &'static str| scene.mirror.file_at(&merged.commit, path, 9);
        assert_eq!(at("one").await.expect("read").as_deref(), Some(b"2".as_slice()));
        assert_eq!(at("three").await.expect("read").as_deref(), Some(b"3".as_slice()));
    }
}

#[tokio::test]
async fn of_two_merges_that_race_both_land_or_one_is_told() {
    for scene in scenes(true).await {
        let main = scene.main().await;
        scene.push("runyard/one", &main, "one", "1").await;
        scene.push("runyard/two", &main, "two", "2").await;
        scene.open("main", "runyard/one").await;
        scene.open("main", "runyard/two").await;
        let (first, second) = tokio::join!(scene.merge(1, MergeMethod::Merge), scene.merge(2, MergeMethod::Merge));
        for (number, result) in [(1, first), (2, second)] {
            match result {
                Ok(_) => {}
                Err(Error::Moved { .. } | Error::Rejected { .. }) => {
                    scene.merge(number, MergeMethod::Merge).await.expect("tried again");
                }
                Err(other) => panic!("{other}"),
            }
        }
        let main = scene.main().await;
        scene.forge.fetch(&scene.repository, &scene.mirror).await.expect("fetch");
        for path in ["one", "two"] {
            assert!(scene.mirror.file_at(&main, path, 9).await.expect("read").is_some(), "{path} was lost");
        }
        assert!(Path::new(&scene.repository.location).exists());
    }
}
