//! A repository whose configuration and hooks would run something: nothing of it ever does.

use crate::support::{World, branch, pat, worlds, write};
use forge::{Error, Message, Upstream};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const HOOKS: &[&str] = &[
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "proc-receive",
    "post-checkout",
    "post-index-change",
    "pre-push",
    "post-merge",
    "pre-auto-gc",
    "fsmonitor-watchman",
];

/// Spoils a repository; returns the marker that anything which runs leaves behind.
fn taint(world: &World, at: &Path) -> PathBuf {
    let marker = world.path("marker");
    let evil = world.path("evil.sh");
    write(&evil, &format!("#!/bin/sh\necho ran >> {}\ncat\nexit 0\n", marker.display()));
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).expect("mode");
    let hooks = world.path("evil-hooks");
    for dir in [hooks.clone(), at.join(".git/hooks")] {
        fs::create_dir_all(&dir).expect("directory");
        for hook in HOOKS {
            fs::copy(&evil, dir.join(hook)).expect("hook");
        }
    }
    let included = world.path("included");
    write(&included, &format!("[core]\n\tfsmonitor = {0}\n\tpager = {0}\n", evil.display()));
    let included = included.to_str().expect("text").to_owned();
    let (evil, hooks) = (evil.to_str().expect("text"), hooks.to_str().expect("text"));
    for (key, value) in [
        ("core.fsmonitor", evil),
        ("core.hooksPath", hooks),
        ("core.sshCommand", evil),
        ("core.askPass", evil),
        ("core.pager", evil),
        ("core.editor", evil),
        ("core.alternateRefsCommand", evil),
        ("diff.external", evil),
        ("diff.evil.textconv", evil),
        ("filter.evil.clean", evil),
        ("filter.evil.smudge", evil),
        ("filter.evil.process", evil),
        ("filter.evil.required", "true"),
        ("filter.e=v il.clean", evil),
        ("merge.evil.driver", evil),
        ("uploadpack.packObjectsHook", evil),
        ("credential.helper", evil),
        ("gpg.program", evil),
        ("receive.denyCurrentBranch", "updateInstead"),
        ("receive.procReceiveRefs", "refs/for"),
        ("protocol.ext.allow", "always"),
        ("url.ext::evil.insteadOf", "/"),
        ("include.path", &included),
        ("includeIf.gitdir:/.path", &included),
        ("alias.rev-parse", "!evil.sh"),
        ("core.gitProxy", evil),
        ("sequence.editor", evil),
        ("trailer.runyard.command", evil),
        ("interactive.diffFilter", evil),
        ("remote.origin.url", "ext::evil.sh"),
        ("remote.origin.uploadpack", evil),
        ("remote.origin.receivepack", evil),
        ("remote.origin.promisor", "true"),
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("core.untrackedCache", "true"),
        ("commit.gpgSign", "true"),
    ] {
        world.git_in(at, &["config", key, value]);
    }
    marker
}

#[tokio::test]
async fn nothing_of_a_repository_is_executed() {
    for world in worlds().await {
        let at = world.repository("repo");
        write(&at.join(".gitattributes"), "* filter=evil diff=evil merge=evil\n*.odd filter=\"e=v il\"\n");
        let base = world.commit_all(&at, "Add attributes");
        let marker = taint(&world, &at);

        let upstream = Upstream::open(&world.git, &at).await.expect("open");
        let mirror = world.mirror(&at).await;
        mirror.fetch(&upstream).await.expect("fetch");
        assert_eq!(upstream.branch(&branch("main")).await.expect("asked"), Some(base.clone()));
        assert_eq!(upstream.head_branch().await.expect("asked"), Some(branch("main")));
        assert_eq!(upstream.checked_out(&branch("main")).await.expect("asked"), Some(at.clone()));
        // Same size, other time: only by running the filter could git tell whether it changed.
        write(&at.join("README.md"), "hallo\n");
        assert!(upstream.has_uncommitted_work().await.expect("asked"));
        mirror.base_checkout(&base, &world.path("base"), &mirror.objects()).await.expect("checkout");

        let tree = mirror.tree_of(&base).await.expect("tree");
        let commit = |subject: &'static str| {
            let (mirror, tree, base) = (mirror.clone(), tree.clone(), base.clone());
            async move { mirror.commit_tree(&tree, &[base], &Message::new(subject), &pat(), &pat()).await.expect("commit") }
        };
        let (one, two) = (commit("One").await, commit("Two").await);
        let work = branch("runyard/r-1-x");
        mirror.push(&upstream, &work, &one, None).await.expect("push");
        mirror.push(&upstream, &work, &two, Some(&one)).await.expect("push again");
        let onto_main = mirror.push(&upstream, &branch("main"), &one, Some(&base)).await;
        assert!(matches!(onto_main, Err(Error::CheckedOut { .. })));
        mirror.merge(&one, &two).await.expect("merge");
        mirror.diff(&base, &one, &forge::DiffLimits::default()).await.expect("diff");
        assert!(!marker.exists(), "something ran: {}", fs::read_to_string(&marker).unwrap_or_default());

        // The trap works: an ordinary status springs it.
        let _ = world.command(&at).arg("status").output();
        assert!(marker.exists(), "the trap is not sharp");
    }
}

/// Records what a program is given, to see that nothing of the server's environment gets through.
#[tokio::test]
async fn the_environment_of_the_server_stays_outside() {
    let dir = tempfile::tempdir().expect("directory");
    let spy = dir.path().join("spy");
    write(&spy, &format!("#!/bin/sh\nenv > {}\necho git version 2.99\n", dir.path().join("seen").display()));
    fs::set_permissions(&spy, fs::Permissions::from_mode(0o755)).expect("mode");
    let git = forge::Git::new(&spy, &dir.path().join("private")).await.expect("git");
    assert_eq!(git.version().await.expect("asked"), "2.99");
    let seen = fs::read_to_string(dir.path().join("seen")).expect("seen");
    for (name, _) in std::env::vars().filter(|(name, _)| {
        !matches!(name.as_str(), "PATH" | "HOME" | "PWD" | "_" | "SHLVL" | "OLDPWD" | "LC_ALL" | "TZ")
    }) {
        assert!(!seen.lines().any(|line| line.starts_with(&format!("{name}="))), "{name} got through");
    }
    let home = dir.path().join("private");
    for line in ["GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", &format!("HOME={}", home.display())] {
        assert!(seen.lines().any(|seen| seen == line), "{line} is missing");
    }
    assert_eq!(fs::metadata(&home).expect("there").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn uncommitted_work_is_seen_in_all_its_forms() {
    for world in worlds().await {
        let at = world.repository("repo");
        write(&at.join(".gitignore"), "target/\n");
        world.commit_all(&at, "Ignore");
        let upstream = world.upstream(&at).await;
        let dirty = || async { upstream.has_uncommitted_work().await.expect("asked") };
        assert!(!dirty().await);
        write(&at.join("target/out"), "ignored");
        assert!(!dirty().await, "ignored files");
        write(&at.join("new"), "x");
        assert!(dirty().await, "an untracked file");
        fs::remove_file(at.join("new")).expect("removed");
        write(&at.join("README.md"), "another length\n");
        assert!(dirty().await, "a changed file");
        world.git_in(&at, &["add", "-A"]);
        write(&at.join("README.md"), "hello\n");
        assert!(dirty().await, "a staged change");
        world.git_in(&at, &["reset", "-q", "--hard"]);
        assert!(!dirty().await);
        let index = fs::read(at.join(".git/index")).expect("index");
        Command::new("touch").arg(at.join("README.md")).status().expect("touched");
        dirty().await;
        assert_eq!(fs::read(at.join(".git/index")).expect("index"), index, "the index was written");
        let bare = world.bare(&at, "bare.git");
        assert!(!world.upstream(&bare).await.has_uncommitted_work().await.expect("asked"));
    }
}
