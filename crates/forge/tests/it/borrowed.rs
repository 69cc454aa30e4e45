//! A folder that looks like a repository and lends itself another one's content.

use crate::support::{World, branch, worlds, write};
use forge::{Error, Upstream};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// A hostile repository beside a private one, of which the attacker knows the path but no commit.
fn scene(world: &World) -> (PathBuf, PathBuf) {
    let private = world.repository("private");
    world.commit(&private, "secret.txt", "a canary\n");
    let at = world.repository("downloaded");
    (at, private)
}

async fn opened(world: &World, at: &Path) -> Result<Upstream, Error> {
    Upstream::open(&world.git, at).await
}

/// What is blamed for leading elsewhere.
async fn blamed(world: &World, at: &Path) -> (String, String) {
    match opened(world, at).await {
        Err(Error::Borrows { what, mend, .. }) => (
            what.strip_prefix(world.dir.path().canonicalize().expect("there")).expect("inside").display().to_string(),
            mend,
        ),
        other => panic!("not refused: {other:?}"),
    }
}

fn swap_for_link(path: &Path, to: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).expect("removed");
    } else {
        let _ = fs::remove_file(path);
    }
    symlink(to, path).expect("link");
}

#[tokio::test]
async fn nothing_of_another_repository_is_lent() {
    for world in worlds().await {
        type Attack = (&'static str, fn(&Path, &Path));
        let attacks: [Attack; 10] = [
            ("downloaded/.git/objects/info/alternates", |at, private| {
                write(
                    &at.join(".git/objects/info/alternates"),
                    &format!("{}\n", private.join(".git/objects").display()),
                );
                // A branch that is a link needs no commit's id.
                swap_for_link(&at.join(".git/refs/heads/stolen"), &private.join(".git/refs/heads/main"));
            }),
            ("downloaded/.git", |at, private| {
                fs::remove_dir_all(at.join(".git")).expect("removed");
                write(&at.join(".git"), &format!("gitdir: {}\n", private.join(".git").display()));
            }),
            ("downloaded/.git", |at, private| swap_for_link(&at.join(".git"), &private.join(".git"))),
            ("downloaded/.git/commondir", |at, private| {
                write(&at.join(".git/commondir"), &format!("{}\n", private.join(".git").display()));
            }),
            ("downloaded/.git/commondir", |at, private| {
                // As if it were a linked working tree of the other one.
                fs::create_dir_all(at.join("worktrees")).expect("made");
                fs::rename(at.join(".git"), at.join("worktrees/x")).expect("moved");
                write(&at.join(".git"), "gitdir: worktrees/x\n");
                write(&at.join("worktrees/x/commondir"), &format!("{}\n", private.join(".git").display()));
                write(&at.join("worktrees/x/gitdir"), &format!("{}\n", at.join(".git").display()));
            }),
            ("downloaded/.git/objects", |at, private| {
                swap_for_link(&at.join(".git/objects"), &private.join(".git/objects"));
            }),
            ("downloaded/.git/objects/pack", |at, private| {
                swap_for_link(&at.join(".git/objects/pack"), &private.join(".git/objects/pack"));
            }),
            ("downloaded/.git/objects/ab", |at, private| {
                swap_for_link(&at.join(".git/objects/ab"), &private.join(".git/objects"));
            }),
            ("downloaded/.git/refs/heads/deep/er", |at, private| {
                fs::create_dir_all(at.join(".git/refs/heads/deep")).expect("made");
                swap_for_link(&at.join(".git/refs/heads/deep/er"), &private.join(".git/refs/heads/main"));
            }),
            ("downloaded/.git/HEAD", |at, private| {
                swap_for_link(&at.join(".git/HEAD"), &private.join(".git/refs/heads/main"));
            }),
        ];
        for (number, (culprit, attack)) in attacks.into_iter().enumerate() {
            let _ = fs::remove_dir_all(world.path("downloaded"));
            let _ = fs::remove_dir_all(world.path("private"));
            let (at, private) = scene(&world);
            attack(&at, &private);
            let (what, mend) = blamed(&world, &at).await;
            let culprit = if number == 4 { "downloaded/worktrees/x/commondir" } else { culprit };
            assert_eq!(what, culprit, "attack {number}: {mend}");
            assert!(mend.len() > 20, "attack {number}: {mend}");
        }
    }
}

#[tokio::test]
async fn what_the_mend_says_helps() {
    for world in worlds().await {
        let (at, private) = scene(&world);
        world.git_in(world.dir.path(), &["clone", "-q", "--shared", "private", "shared"]);
        let shared = world.path("shared");
        let (_, mend) = blamed(&world, &shared).await;
        assert!(mend.contains("repack -a -d"), "{mend}");
        world.git_in(&shared, &["repack", "-q", "-a", "-d"]);
        fs::remove_file(shared.join(".git/objects/info/alternates")).expect("removed");
        fs::remove_dir_all(&private).expect("removed");
        world.mirror(&shared).await;

        let apart = world.path("apart.git");
        world.git_in(&at, &["init", "-q", "--separate-git-dir", apart.to_str().expect("text")]);
        let (_, mend) = blamed(&world, &at).await;
        let command = mend.split('`').nth(1).expect("a command").to_owned();
        let typed = std::process::Command::new("sh").args(["-c", &command]).status().expect("sh");
        assert!(typed.success(), "{command}");
        opened(&world, &at).await.expect("now they know each other");
    }
}

#[tokio::test]
async fn working_trees_that_belong_together_are_let_in() {
    for world in worlds().await {
        let at = world.repository("repo");
        let tip = world.tip(&at, "HEAD");
        world.git_in(&at, &["worktree", "add", "-q", "../linked", "-b", "side"]);
        let linked = opened(&world, &world.path("linked")).await.expect("a linked working tree");
        assert_eq!(linked.branch(&branch("main")).await.expect("asked"), Some(tip.clone()));
        assert_eq!(linked.head_branch().await.expect("asked"), Some(branch("side")));

        // A bare repository in a folder beside its working trees.
        let beside = world.path("beside");
        fs::create_dir(&beside).expect("made");
        world.git_in(&beside, &["clone", "-q", "--bare", "../repo", ".bare"]);
        write(&beside.join(".git"), "gitdir: ./.bare\n");
        world.git_in(&beside, &["worktree", "add", "-q", "main", "main"]);
        opened(&world, &beside).await.expect("the folder");
        opened(&world, &beside.join("main")).await.expect("a working tree in it");

        let outer = world.repository("outer");
        world.git_in(&outer, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../repo", "inner"]);
        opened(&world, &outer.join("inner")).await.expect("a submodule's working tree");

        // How git wrote HEAD long ago.
        swap_for_link(&at.join(".git/HEAD"), Path::new("refs/heads/main"));
        opened(&world, &at).await.expect("a link to a branch of its own");
    }
}
