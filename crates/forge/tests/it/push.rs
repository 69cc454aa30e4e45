use crate::support::{World, branch, pat, worlds, write};
use domain::CommitId;
use forge::{Error, Message, Mirror, Pushed, Upstream};
use std::{fs, path::PathBuf};

struct Scene {
    world: World,
    at: PathBuf,
    upstream: Upstream,
    mirror: Mirror,
    base: CommitId,
}

async fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    for world in worlds().await {
        let at = world.repository("repo");
        let base = world.tip(&at, "HEAD");
        let (upstream, mirror) = (world.upstream(&at).await, world.mirror(&at).await);
        scenes.push(Scene { world, at, upstream, mirror, base });
    }
    scenes
}

impl Scene {
    async fn commit(&self, subject: &str) -> CommitId {
        let tree = self.mirror.tree_of(&self.base).await.expect("tree");
        let parents = [self.base.clone()];
        self.mirror.commit_tree(&tree, &parents, &Message::new(subject), &pat(), &pat()).await.expect("commit")
    }
}

#[tokio::test]
async fn a_branch_moves_only_from_where_it_was_expected() {
    for scene in scenes().await {
        let (one, two) = (scene.commit("One").await, scene.commit("Two").await);
        let name = branch("runyard/r-1-x");
        let push = |new, old| scene.mirror.push(&scene.upstream, &name, new, old);
        let status = || scene.world.git_in(&scene.at, &["status", "--porcelain=v2", "--branch"]);
        write(&scene.at.join("mine"), "work in progress");
        scene.world.git_in(&scene.at, &["add", "mine"]);
        let (before, index) = (status(), fs::read(scene.at.join(".git/index")).expect("index"));
        let config = fs::read(scene.at.join(".git/config")).expect("config");

        assert!(matches!(push(&one, Some(&two)).await, Err(Error::Moved { found: None, .. })));
        assert_eq!(push(&one, None).await.expect("made"), Pushed::Updated);
        assert_eq!(push(&one, None).await.expect("there"), Pushed::AlreadyThere);
        assert!(matches!(push(&two, None).await, Err(Error::Moved { found: Some(found), .. }) if found == one));
        assert!(matches!(push(&two, Some(&scene.base)).await, Err(Error::Moved { .. })));
        assert_eq!(push(&two, Some(&one)).await.expect("replaced, not forward"), Pushed::Updated);
        assert_eq!(push(&two, Some(&one)).await.expect("again after a crash"), Pushed::AlreadyThere);
        assert_eq!(scene.upstream.branch(&name).await.expect("asked"), Some(two));

        assert_eq!(status(), before);
        assert_eq!(fs::read(scene.at.join(".git/index")).expect("index"), index);
        assert_eq!(fs::read(scene.at.join(".git/config")).expect("config"), config);
        let refs = scene.world.git_in(&scene.at, &["for-each-ref", "--format=%(refname)"]);
        assert_eq!(refs, "refs/heads/main\nrefs/heads/runyard/r-1-x", "nothing else was pushed");
    }
}

#[tokio::test]
async fn of_two_pushes_with_one_expectation_one_wins() {
    for scene in scenes().await {
        let name = branch("runyard/race");
        let first = scene.commit("First").await;
        scene.mirror.push(&scene.upstream, &name, &first, None).await.expect("made");
        let mut racers = tokio::task::JoinSet::new();
        for n in 0..6 {
            let new = scene.commit(&format!("Racer {n}")).await;
            let (mirror, upstream, name, first) =
                (scene.mirror.clone(), scene.upstream.clone(), name.clone(), first.clone());
            racers.spawn(async move { (mirror.push(&upstream, &name, &new, Some(&first)).await, new) });
        }
        let mut winners = Vec::new();
        while let Some(raced) = racers.join_next().await {
            match raced.expect("no panic") {
                (Ok(Pushed::Updated), new) => winners.push(new),
                (Err(Error::Moved { .. }), _) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(scene.upstream.branch(&name).await.expect("asked"), winners.pop());
    }
}

#[tokio::test]
async fn a_branch_in_a_working_tree_is_left_alone() {
    for scene in scenes().await {
        let one = scene.commit("One").await;
        scene.world.git_in(&scene.at, &["config", "receive.denyCurrentBranch", "updateInstead"]);
        let refused = scene.mirror.push(&scene.upstream, &branch("main"), &one, Some(&scene.base)).await;
        assert!(matches!(refused, Err(Error::CheckedOut { worktree, .. }) if worktree == scene.at));
        let linked = scene.world.path("linked");
        let linked = linked.to_str().expect("text");
        scene.world.git_in(&scene.at, &["worktree", "add", "-q", "-b", "side", linked]);
        let refused = scene.mirror.push(&scene.upstream, &branch("side"), &one, Some(&scene.base)).await;
        assert!(matches!(refused, Err(Error::CheckedOut { worktree, .. }) if worktree.to_str() == Some(linked)));
        assert_eq!(scene.upstream.branch(&branch("side")).await.expect("asked"), Some(scene.base.clone()));

        let bare = scene.world.bare(&scene.at, "bare.git");
        let bare = scene.world.upstream(&bare).await;
        assert!(bare.is_bare());
        let pushed = scene.mirror.push(&bare, &branch("main"), &one, Some(&scene.base)).await;
        assert_eq!(pushed.expect("HEAD of a bare repository is no working tree"), Pushed::Updated);
    }
}

#[tokio::test]
async fn what_the_repository_refuses_is_told() {
    for scene in scenes().await {
        let one = scene.commit("One").await;
        scene.world.git_in(&scene.at, &["branch", "runyard"]);
        let refused = scene.mirror.push(&scene.upstream, &branch("runyard/x"), &one, None).await;
        assert!(matches!(&refused, Err(Error::Rejected { .. })), "{refused:?}");
        scene.world.git_in(&scene.at, &["branch", "-D", "runyard"]);
        scene.world.git_in(&scene.at, &["config", "receive.denyNonFastForwards", "true"]);
        let two = scene.commit("Two").await;
        let name = branch("runyard/x");
        scene.mirror.push(&scene.upstream, &name, &one, None).await.expect("made");
        let refused = scene.mirror.push(&scene.upstream, &name, &two, Some(&one)).await;
        assert!(matches!(refused, Err(Error::Rejected { reason, .. }) if reason.contains("non-fast-forward")));
    }
}

#[tokio::test]
async fn a_branch_is_removed_only_from_where_it_was_expected() {
    for scene in scenes().await {
        let (one, two) = (scene.commit("One").await, scene.commit("Two").await);
        let name = branch("runyard/r-1-x");
        let remove = |at| scene.mirror.remove_branch(&scene.upstream, &name, at);
        assert!(!remove(&one).await.expect("asked"), "there is none");
        scene.mirror.push(&scene.upstream, &name, &two, None).await.expect("made");
        assert!(!remove(&one).await.expect("asked"), "it is elsewhere");
        assert_eq!(scene.upstream.branch(&name).await.expect("asked"), Some(two.clone()));
        assert!(remove(&two).await.expect("removed"));
        assert_eq!(scene.upstream.branch(&name).await.expect("asked"), None);
    }
}
