//! What an agent leaves in the workspace, and what of it becomes a commit.

use crate::scripts::{bash, plan, script, step, step_again, turn, write};
use product_tests::World;

/// Everything that can go wrong in a tree, done by a program that the agent calls: the agent itself may not call git.
const MESS: &str = r#"#!/bin/bash
set -e
export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x
# Ignored by the base, though a .gitignore of its own is in it; a cache that ignores itself.
mkdir -p node_modules/x .pytest_cache
echo '!*' > node_modules/x/.gitignore
echo a > node_modules/x/a
echo l > a.log
printf '# made by a tool\n\n*\n' > .pytest_cache/.gitignore
echo c > .pytest_cache/c
# The agent's own rules do not hide its work, wherever they are.
echo hidden.txt >> .gitignore
echo h > hidden.txt
mkdir kept
echo '*.txt' > kept/.gitignore
echo k > kept/k.txt
echo '*.cfg' > /tmp/excludes
/usr/bin/git config --global core.excludesFile /tmp/excludes
/usr/bin/git config --global core.autocrlf true
echo e > app.cfg
printf 'a\r\nb\r\n' > crlf.txt
# Names, links, modes.
mkdir 'with space'
echo u > 'with space/ü ß $(x) "q".txt'
ln -s README.md link
ln -s /etc/passwd absolute
chmod +x README.md
chmod 000 locked.txt
mkdir ro
echo r > ro/f
chmod 555 ro
mkdir -p .aviator
echo learned > .aviator/current_session_learnings.md
# Repositories of its own, and a commit in ours.
/usr/bin/git init -q empty
echo e > empty/e
/usr/bin/git init -q nested
echo n > nested/n
/usr/bin/git -C nested add . && /usr/bin/git -C nested commit -q -m nested
/usr/bin/git commit -q -a -m 'behind your back'
rm gone.txt
"#;

const RUNBOOK: &str = "\
# Runbook: A mess

## Execution Steps

### Step 1: Make it
- everything

### Step 2: Look at it
- `seen.txt`
";

fn files() -> [(&'static str, &'static str); 6] {
    [
        ("README.md", "# Files\n"),
        (".gitignore", "node_modules/\n*.log\n"),
        ("mess.sh", MESS),
        ("gone.txt", "gone\n"),
        ("locked.txt", "locked\n"),
        ("src/lib.txt", "1\n"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_work_is_committed_and_nothing_else() {
    let script = script(&[
        plan(RUNBOOK),
        step("1", "Make it", &[turn("I make it.", &[bash("bash mess.sh")]), turn("Made.", &[])]),
        step("2", "Look at it", &[turn("I look.", &[bash("ls -A > seen.txt")]), turn("Seen.", &[])]),
    ]);
    let world = World::new(&script, &files()).await;
    let run = world.run("A mess", &["--yes", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", run.said());
    let [first, second] = world.repository.pushed().try_into().expect("two branches");

    let listed = world.repository.git(["-c", "core.quotePath=false", "ls-tree", "-r", "-z", &first]);
    let mut entries: Vec<(&str, &str)> = Vec::new();
    for line in listed.split_terminator('\0') {
        let (about, path) = line.split_once('\t').expect("mode, id and path");
        entries.push((path, &about[..6]));
    }
    let expected = [
        (".gitignore", "100644"),
        ("README.md", "100755"),
        ("absolute", "120000"),
        ("app.cfg", "100644"),
        ("crlf.txt", "100644"),
        ("hidden.txt", "100644"),
        ("kept/.gitignore", "100644"),
        ("kept/k.txt", "100644"),
        ("link", "120000"),
        ("locked.txt", "100644"),
        ("mess.sh", "100755"),
        ("ro/f", "100644"),
        ("src/lib.txt", "100644"),
        ("with space/ü ß $(x) \"q\".txt", "100644"),
    ];
    assert_eq!(entries, expected);
    assert_eq!(world.repository.show(&first, ".gitignore"), "node_modules/\n*.log\nhidden.txt\n");
    assert_eq!(world.repository.show(&first, "crlf.txt"), "a\r\nb\r\n", "the agent's settings of git do not count");
    assert_eq!(world.repository.subjects(&format!("main..{first}")), ["1 Make it"], "one commit, and it is ours");
    let notes: Vec<_> = log.of("note").map(|note| note.text("text").to_owned()).collect();
    let warning = notes.iter().find(|note| note.contains("Repositories inside the repository")).expect("a warning");
    assert!(warning.contains("`empty`, `nested`"), "{warning}");

    // The next step starts from that commit; what is ignored is still there, all else is gone.
    let seen = world.repository.show(&second, "seen.txt");
    let seen: Vec<_> = seen.lines().collect();
    for name in ["node_modules", "a.log", "kept", "ro", "hidden.txt"] {
        assert!(seen.contains(&name), "no {name} in {seen:?}");
    }
    for name in [".pytest_cache", ".aviator", "nested", "empty", "gone.txt"] {
        assert!(!seen.contains(&name), "{name} in {seen:?}");
    }
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_committed_is_refused_in_words() {
    let script = script(&[
        plan(&RUNBOOK.replace("### Step 2: Look at it\n- `seen.txt`\n", "")),
        step_again(
            "1",
            "Make it",
            &[turn("A name of two lines.", &[bash("echo 1 > \"$(printf 'two\\nlines')\"")]), turn("Made.", &[])],
        ),
        step(
            "1",
            "Make it",
            &[
                turn("A large one.", &[bash("truncate --size=60M 'big one.bin'"), write("ok.txt", "1\n")]),
                turn("Made.", &[]),
            ],
        ),
    ]);
    let world = World::new(&script, &files()).await;
    let run = world.run("A mess", &["--yes", "--json"]).ends().await.expect_code(1);
    let large = "too large for a commit (at most 50 MiB for each file): 'big one.bin' (60 MiB)";
    assert!(run.stdout.contains(large), "{}", run.stdout);
    assert_eq!(world.log("1").await.step("1"), "failed(error)");

    let retry = world.runyard(["session", "retry", "1", "--json"]).await.expect_code(1);
    assert!(retry.stdout.contains("two\\\\nlines") && retry.stdout.contains("control characters"), "{}", retry.stdout);
    assert!(world.repository.pushed().is_empty());
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_that_the_base_has_stay_as_they_are() {
    let notes = ".aviator/current_session_learnings.md";
    let script = script(&[
        plan(&RUNBOOK.replace("### Step 2: Look at it\n- `seen.txt`\n", "")),
        step(
            "1",
            "Make it",
            &[turn("I write.", &[bash(&format!("echo more >> {notes}; rm -rf src; touch new"))]), turn("Made.", &[])],
        ),
    ]);
    let world = World::new(&script, &[("README.md", "# Files\n"), (notes, "learned\n"), ("src/lib.txt", "1\n")]).await;
    world.run("A mess", &["--yes", "--json"]).ends().await.expect_code(0);
    let branch = world.repository.pushed().pop().expect("a branch");
    let changed = world.repository.git(["diff", "--name-status", "main", &branch]);
    assert_eq!(changed, "A\tnew\nD\tsrc/lib.txt\n");
    world.assert_foreseen();
}
