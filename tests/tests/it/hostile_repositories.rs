//! Repositories that want to be more than data, and words that want to be more than a path or a name.

use crate::scripts::script;
use product_tests::{Host, Place, Repository, World, repository_of_attacks};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

const USAGE: i32 = 2;

/// Writes through every link that the repository brings, and leaves honest work.
const WRITE: &str = "
for link in CLAUDE.md .claude .mcp.json .runyard .aviator .gitignore .github/x loot; do
  echo owned > $link || true
  echo owned > $link/owned || true
done 2> /dev/null
rm -rf done.txt
echo done > done.txt
finish Done.
";

/// A world with the puppet as its agent.
async fn world(files: &[(&str, &str)]) -> World {
    let place = Place::new();
    let repository = repository_of_attacks(&place, "repository", &[("write", WRITE)], files);
    let mut world = World::around(place, repository, &script(&[])).await;
    world.use_puppet();
    world.patient();
    world.environment.push(("RUNYARD_RETRY_TIMES".into(), "0".into()));
    world
}

/// Spoils the configuration of a repository; whatever runs leaves this file.
fn taint(world: &World, at: &Path) -> std::path::PathBuf {
    let ran = world.path().join("ran");
    let evil = world.path().join("evil.sh");
    fs::write(&evil, format!("#!/bin/sh\necho ran >> {}\ncat\n", ran.display())).expect("written");
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).expect("mode");
    for hook in [
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
        "post-checkout",
        "push-to-checkout",
    ] {
        fs::copy(&evil, at.join(".git/hooks").join(hook)).expect("a hook");
    }
    let evil = evil.display();
    let mut config = fs::OpenOptions::new().append(true).open(at.join(".git/config")).expect("its configuration");
    let text = format!(
        "[core]\n\tfsmonitor = {evil}\n\tsshCommand = {evil}\n\tpager = {evil}\n\teditor = {evil}\n\taskPass = {evil}\n\
         \talternateRefsCommand = {evil}\n[filter \"evil\"]\n\tclean = {evil}\n\tsmudge = {evil}\n\tprocess = {evil}\n\
         \trequired = true\n[diff]\n\texternal = {evil}\n[diff \"evil\"]\n\ttextconv = {evil}\n\
         [merge \"evil\"]\n\tdriver = {evil}\n[uploadpack]\n\tpackObjectsHook = {evil}\n[credential]\n\thelper = {evil}\n\
         [gpg]\n\tprogram = {evil}\n[commit]\n\tgpgSign = true\n[protocol \"ext\"]\n\tallow = always\n\
         [receive]\n\tdenyCurrentBranch = updateInstead\n"
    );
    std::io::Write::write_all(&mut config, text.as_bytes()).expect("written");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_run_executes_nothing_of_a_repository_and_follows_no_link() {
    let world = world(&[
        (".gitattributes", "* filter=evil diff=evil merge=evil\n*.bin filter=lfs\n"),
        ("a.bin", "version https://git-lfs.github.com/spec/v1\n"),
    ])
    .await;
    let at = world.repository.path().to_owned();
    let outside = world.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("pre-execution.sh"), "touch /code/script-ran\n").expect("written");
    for (name, to) in [
        ("CLAUDE.md", outside.join("secret")),
        (".claude", outside.clone()),
        (".mcp.json", "/etc/passwd".into()),
        (".runyard", "../outside".into()),
        (".aviator", "/oldroot/etc".into()),
        (".gitignore", "/proc/self/root/etc/passwd".into()),
        (".github/x", "../../../../../../..".into()),
        ("loot", outside.join("loot")),
    ] {
        fs::create_dir_all(at.join(name).parent().expect("a parent")).expect("made");
        symlink(to, at.join(name)).expect("a link");
    }
    fs::write(outside.join("secret"), "SECRET-MARK\n").expect("written");
    world.repository.commit("Links everywhere");
    world.repository.git(["checkout", "--quiet", "--detach"]);
    let ran = taint(&world, &at);
    let marker = world.path().file_name().expect("a name").to_str().expect("text").to_owned();
    let before = Host::of(&world, &marker);

    world.run("attack write", &["--yes", "--target-branch", "main", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let notes: Vec<_> = log.of("note").map(|note| note.text("text").to_owned()).collect();
    assert!(notes.iter().any(|note| note.contains("`CLAUDE.md` is a symbolic link")), "it is told: {notes:?}");
    assert!(notes.iter().any(|note| note.contains(".runyard") && note.contains("symbolic link")), "{notes:?}");
    world.runyard(["pr", "diff", "1"]).await.expect_code(0);
    world.runyard(["session", "diff", "1"]).await.expect_code(0);
    let body = world.json(["pr", "show", "1", "--json"]).await.to_string();
    assert!(!body.contains("SECRET-MARK") && !log.outline().contains("SECRET-MARK"));
    assert_eq!(before.differences(&Host::of(&world, &marker)), Vec::<String>::new());

    world.runyard(["pr", "merge", "1"]).await.expect_code(0);
    assert_eq!(world.repository.show("main", "done.txt"), "done\n");
    assert!(!ran.exists(), "something ran: {}", fs::read_to_string(&ran).unwrap_or_default());
    // The trap is sharp.
    fs::write(at.join("README.md"), "changed\n").expect("written");
    let _ = std::process::Command::new("git").arg("-C").arg(&at).args(["status"]).output();
    assert!(ran.exists(), "the trap is not sharp");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_a_repository_lends_nothing() {
    let world = world(&[]).await;
    let private = Repository::with(world.path().join("private"), &[("secret.txt", "SECRET-MARK\n")]);
    let at = world.repository.path();
    let alternates = at.join(".git/objects/info/alternates");
    fs::write(&alternates, format!("{}\n", private.path().join(".git/objects").display())).expect("written");
    symlink(private.path().join(".git/refs/heads/main"), at.join(".git/refs/heads/stolen")).expect("a link");
    let run = world.run("attack write", &["--yes", "--target-branch", "stolen"]).ends().await.expect_code(USAGE);
    assert!(
        run.stderr.contains("alternates is not followed") || run.stderr.contains("symbolic link"),
        "{}",
        run.said()
    );

    let pointer = world.path().join("pointer");
    fs::create_dir(&pointer).expect("made");
    fs::write(pointer.join(".git"), format!("gitdir: {}\n", private.path().join(".git").display())).expect("written");
    let add = world.runyard(["repo", "add", pointer.to_str().expect("text")]).await.expect_code(USAGE);
    assert!(add.stderr.contains("does not say that this is its working tree"), "{}", add.said());
    assert_eq!(world.json(["repo", "list", "--json"]).await, json!([]));
    assert_eq!(fs::read_dir(world.data().join("mirrors")).map_or(0, Iterator::count), 0, "nothing was copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_no_path_are_refused_and_dialled_nowhere() {
    let world = world(&[]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("its address").port();
    let mut addresses: Vec<String> = [
        "--upload-pack=touch ran",
        "-oProxyCommand=touch ran",
        "-u./ran",
        "ssh://-oProxyCommand=touch%20ran/x",
        "ext::sh -c touch% ran",
        "fd::7",
        "file:///etc",
        "file:///etc/../etc/passwd",
        "https:///evil",
        "git@github.com:a/b.git",
        "https://аpple.example/x.git",
        "/etc",
        "/etc/passwd",
        "/proc/self/cwd",
        "/dev/stdin",
        "/nowhere\n/etc",
        "\u{202e}/code",
        "",
        ".",
        "..",
        "~root",
        "$(touch ran)",
        "`touch ran`",
    ]
    .map(str::to_owned)
    .into();
    for scheme in ["http", "https", "git", "ssh", "ftp", "ext::http"] {
        addresses.push(format!("{scheme}://ada:secret@127.0.0.1:{port}/x.git"));
        addresses.push(format!("{scheme}://127.0.0.1:{port}%0d%0aevil/%0ax"));
    }
    let server = world.serve().await;
    for address in &addresses {
        let add = world.runyard(["repo", "add", "--", address.as_str()]).await.expect_code(USAGE);
        assert!(add.stderr.len() > 20 && !add.stderr.contains("panicked"), "{address:?}: {}", add.said());
        assert!(!add.stderr.contains('\u{202e}'), "{address:?} is repeated raw");
        let repo = format!("--repo={address}");
        let run = world.runyard(["run", "attack write", &repo, "--yes"]).await.expect_code(USAGE);
        assert!(!run.stderr.contains("panicked"), "{address:?}: {}", run.said());
    }
    assert_eq!(world.json(["repo", "list", "--json"]).await, json!([]));
    assert_eq!(world.json(["session", "list", "--json"]).await, json!([]));
    assert!(listener.accept().is_err(), "somebody called");
    assert!(!world.path().join("ran").exists(), "something ran");
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_names_whatever_they_look_like() {
    let mut world = world(&[]).await;
    let path = world.repository.path().to_str().expect("text").to_owned();
    let server = world.serve().await;
    for name in [
        "-x",
        "--output=ran",
        "a..b",
        "refs/heads/../../x",
        "a\nb",
        "a\u{1b}[31m",
        "x.lock",
        "@{-1}",
        "HEAD",
        "@",
        "a b",
        "a//b",
        "/a",
        "a/",
        "a^",
        "a:b",
        "a~1",
        "main^{tree}",
        "\u{7f}",
        "\u{202e}niam",
        "ma\u{200b}in",
        "main\u{3164}",
        &"x".repeat(4096),
    ] {
        let branch = format!("--target-branch={name}");
        let run = world.runyard(["run", "attack write", "--repo", &path, &branch, "--yes"]).await.expect_code(USAGE);
        assert!(!run.stderr.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{name:?}: {}", run.said());
        assert!(!run.stderr.contains("panicked"), "{name:?}: {}", run.said());
    }
    // Nor does one come in by being the branch that a repository has checked out.
    let disguised = Repository::with(world.path().join("disguised"), &[("a.txt", "a\n")]);
    disguised.git(["branch", "--move", "ma\u{200b}in"]);
    let at = format!("--repo={}", disguised.path().display());
    let run = world.runyard(["run", "attack write", &at, "--yes"]).await.expect_code(USAGE);
    assert!(run.stderr.contains("git branch -m") && !run.stderr.contains('\u{200b}'), "{}", run.said());
    assert_eq!(world.json(["session", "list", "--json"]).await, json!([]));
    server.killed().await;

    // Odd but honest ones go all the way round.
    let branch = "a'b$(touch,ran);ü%d&|<>";
    world.repository.git(["branch", branch]);
    let name = "O'Brien \u{1b}[31m\u{202e}\"; touch ran; $(x) é";
    world.environment.push(("RUNYARD_USER_NAME".into(), name.replace('\u{1b}', "")));
    world.environment.push(("RUNYARD_USER_EMAIL".into(), "o'brien+x@example.com".into()));
    let run = world.run("attack write", &["--yes", "--target-branch", branch]).ends().await.expect_code(0);
    assert!(!run.said().contains('\u{202e}'), "{}", run.said());
    let pushed = world.repository.pushed().pop().expect("a branch");
    let author = world.repository.git(["log", "-1", "--format=%an <%ae>", &pushed]);
    assert!(author.starts_with("O'Brien") && author.contains("touch ran; $(x) é <o'brien+x@example.com>"), "{author}");
    assert_eq!(
        world.repository.git(["rev-parse", &format!("{pushed}~1")]),
        world.repository.git(["rev-parse", branch])
    );
    world.runyard(["pr", "merge", "1"]).await.expect_code(0);
    assert_eq!(world.repository.show(branch, "done.txt"), "done\n");
    assert!(!world.path().join("ran").exists() && !world.repository.path().join("ran").exists(), "something ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_no_work_tree_can_hold_are_refused_in_words() {
    let world = world(&[]).await;
    let at = world.repository.path();
    let feed = |arguments: &[&str], input: &[u8]| {
        use std::io::Write as _;
        let mut git = std::process::Command::new("git");
        git.current_dir(at).args(arguments).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut git = git.spawn().expect("git");
        git.stdin.take().expect("piped").write_all(input).expect("written");
        let output = git.wait_with_output().expect("git");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let blob = feed(&["hash-object", "-w", "--stdin"], b"[core]\n\tfsmonitor = touch ran\n");
    let entry = |mode: &str, name: &str, id: &str| {
        let mut raw = format!("{mode} {name}\0").into_bytes();
        raw.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).expect("hex")));
        raw
    };
    let tree = |entries: &[u8]| feed(&["hash-object", "-w", "--literally", "--stdin", "-t", "tree"], entries);
    let inner = tree(&entry("100644", "config", &blob));
    let mut bomb = tree(&entry("100644", "f", &blob));
    for _ in 0..12 {
        let names: Vec<u8> = (0..10).flat_map(|n| entry("40000", &format!("d{n}"), &bomb)).collect();
        bomb = tree(&names);
    }
    let cases = [
        (tree(&entry("40000", ".git", &inner)), ".git/config"),
        (tree(&entry("40000", ".GIT", &inner)), ".GIT/config"),
        (tree(&entry("40000", "git~1", &inner)), "git~1/config"),
        (tree(&entry("40000", "..", &inner)), "../config"),
        (tree(&entry("120000", ".gitmodules", &blob)), ".gitmodules"),
        (bomb, "too large to be checked out"),
    ];
    for (number, (tree, words)) in cases.iter().enumerate() {
        let branch = format!("odd-{number}");
        let commit = world.repository.git(["commit-tree", "-m", "Odd", tree]);
        world.repository.git(["update-ref", &format!("refs/heads/{branch}"), commit.trim()]);
        let run =
            world.run("attack write", &["--yes", "--target-branch", &branch, "--json"]).ends().await.expect_code(1);
        let log = world.log(&(number + 1).to_string()).await;
        assert!(log.outline().contains(words), "{branch}: {}\n{}", run.said(), log.outline());
    }
    assert!(world.repository.pushed().is_empty());
    assert!(!world.path().join("ran").exists(), "something ran");
}
