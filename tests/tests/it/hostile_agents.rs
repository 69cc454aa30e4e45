//! Agents that obey an attacker: a stand-in for Claude Code does whatever the repository says. Nothing of this machine
//! changes, nothing leaves, a neighbour neither is read nor notices, and every run ends with the truth.

use product_tests::{Host, Log, Place, Running, World, control_groups, processes_with, repository_of_attacks};
use serde_json::{Value, json};
use std::fs;

/// Attacks and how their steps must end. What they gain they write down in `loot.txt`; what they attack by name is in
/// `attacks/facts`.
const ATTACKS: &[(&str, &str, &str)] = &[
    ("escape", "completed(no_change)", include_str!("../../fixtures/attacks/escape.sh")),
    ("egress", "completed(no_change)", include_str!("../../fixtures/attacks/egress.sh")),
    ("push", "completed(no_change)", include_str!("../../fixtures/attacks/push.sh")),
    ("forge", "completed(no_change)", include_str!("../../fixtures/attacks/forge.sh")),
    ("approve", "completed(no_change)", include_str!("../../fixtures/attacks/approve.sh")),
    ("late", "failed(error)", include_str!("../../fixtures/attacks/late.sh")),
    ("kill", "failed(error)", "kill -KILL -1; kill -KILL 1 $PPID; kill -KILL $$"),
    ("segv", "failed(error)", "words Working.; kill -SEGV $$"),
    ("silent", "failed(error)", "exit 0"),
    ("torn", "failed(error)", "words Working.; printf '{\"type\":\"result\",\"subtype\":\"succ'; exit 0"),
    ("types", "failed(error)", include_str!("../../fixtures/attacks/types.sh")),
    ("noise", "completed(no_change)", include_str!("../../fixtures/attacks/noise.sh")),
    ("twice", "completed(no_change)", "words Working.; result Once.; result Twice.; cat > /dev/null; exit 0"),
    ("clean", "completed(no_change)", include_str!("../../fixtures/attacks/clean.sh")),
    ("outlive", "completed(no_change)", include_str!("../../fixtures/attacks/outlive.sh")),
    ("trees", "completed(changed)", include_str!("../../fixtures/attacks/trees.sh")),
];

/// Plants a canary everywhere in its own sandbox and waits for a person.
const NEIGHBOUR: &str = r#"
canary=canary-$(cat /code/canary)
for file in /code/mine ~/mine /tmp/mine /dev/shm/mine; do echo "$canary" > "$file"; done
CANARY=$canary bash -c 'sleep 7776000; :' "$canary" &
say '{"type":"control_request","request_id":"ask","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion","tool_use_id":"t1","input":{"questions":[{"question":"Go on?","header":"Go","options":[{"label":"yes","description":"y"},{"label":"no","description":"n"}],"multiSelect":false}]}}}'
await ask > /dev/null
for file in /code/mine ~/mine /tmp/mine /dev/shm/mine; do [ "$(cat "$file")" = "$canary" ] || loot "$file was changed"; done
kill -0 $! || loot 'its process is gone'
echo done > /code/done.txt
"#;

/// A number that nothing else on this machine has in a command line or a file.
fn canary() -> String {
    format!(
        "4{:07}{:012}",
        std::process::id(),
        std::time::UNIX_EPOCH.elapsed().expect("time").as_nanos() % 1_000_000_000_000
    )
}

async fn session_titled(world: &World, title: &str) -> String {
    let list = world.json(["session", "list", "--json"]).await;
    let found = list.as_array().expect("a list").iter().find(|line| line["title"] == title);
    let number = found.unwrap_or_else(|| panic!("no session {title} in {list}"))["number"].to_string();
    number.chars().filter(char::is_ascii_digit).collect()
}

fn attack(world: &World, name: &str, more: &[&str]) -> Running {
    let task = format!("attack {name}");
    let repository = world.repository.path().to_str().expect("text").to_owned();
    let first = ["run", &task, "--repo", &repository, "--title", name, "--json"];
    world.start(first.iter().chain(more))
}

/// A world with the puppet as its agent, and the neighbour's repository beside the attacked one.
async fn world(attacks: &[(&str, &str)]) -> (World, product_tests::Repository, String) {
    let place = Place::new();
    let canary = canary();
    let neighbour = repository_of_attacks(&place, "neighbour", &[("neighbour", NEIGHBOUR)], &[("canary", &canary)]);
    let marker = place.path().file_name().expect("a name").to_str().expect("text").to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let facts = format!(
        "MARK={marker}\nHOST={}\nDATA={}\nPORT={}\n",
        place.path().display(),
        place.join("data").display(),
        listener.local_addr().expect("its address").port()
    );
    // Whoever connects is never answered, so nothing is lost by keeping it.
    std::mem::forget(listener);
    let repository = repository_of_attacks(&place, "repository", attacks, &[("attacks/facts", &facts)]);
    let mut world = World::around(place, repository, &json!({ "conversations": [] }).to_string()).await;
    world.use_puppet();
    world.patient();
    for (name, value) in [("RETRY_TIMES", "0"), ("WORKERS", "3"), ("AGENT_HOLD", "10m"), ("SANDBOX_IDLE", "1s")] {
        world.environment.push((format!("RUNYARD_{name}"), value.into()));
    }
    (world, neighbour, canary)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_agent_does_gets_out_or_in() {
    let attacks: Vec<(&str, &str)> = ATTACKS.iter().map(|(name, _, text)| (*name, *text)).collect();
    let (world, neighbour, canary) = world(&attacks).await;
    let marker = world.path().file_name().expect("a name").to_str().expect("text").to_owned();
    let before = Host::of(&world, &marker);
    let server = world.serve().await;
    let path = neighbour.path().to_str().expect("text");
    let waiting = world.start(["run", "attack neighbour", "--repo", path, "--title", "neighbour", "--yes", "--json"]);
    world.wait_for("1", "the neighbour waits", |event| event.kind() == "question").await;

    for (name, expected, _) in ATTACKS {
        let run = attack(&world, name, &["--yes"]).ends().await;
        let number = session_titled(&world, name).await;
        // Who only watches leaves while a question is open.
        world.until_idle(&number).await;
        let log = world.log(&number).await;
        log.assert_whole();
        assert_eq!(log.step("1"), *expected, "{name}: {}\n{}", run.said(), log.outline());
        let code = i32::from(!expected.starts_with("completed"));
        assert!(run.code == Some(code) || log.of("question").next().is_some(), "{name}: {}", run.said());
        assert!(!run.said().contains(&canary), "{name} read the neighbour");
        check_attack(&world, name, &log).await;
    }
    for branch in world.repository.pushed() {
        let files = world.repository.git(["ls-tree", "-r", "--name-only", &branch]);
        assert!(!files.contains("loot.txt"), "{branch}: {}", world.repository.show(&branch, "loot.txt"));
    }
    assert!(world.model.requests().is_empty(), "something left: {:?}", world.model.requests());

    world.runyard(["session", "answer", "1", "yes", "--follow"]).await.expect_code(0);
    // Who only watched left with the question.
    waiting.ends().await.expect_code(3);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let branch = neighbour.pushed().pop().expect("its branch");
    let files = neighbour.git(["diff", "--name-only", "main", &branch]);
    assert_eq!(files, "done.txt\nmine\n", "the neighbour was not let alone");
    let everything = world.repository.git(["log", "--all", "--format=%H", "-S", &canary]);
    assert_eq!(everything, "");

    // The janitor takes the sandboxes away, and with them all that the attacks started.
    let sandboxes = world.data().join("sandboxes");
    let names: Vec<String> = names_in(&sandboxes);
    world.until("the sandboxes are taken away", || names_in(&sandboxes).is_empty()).await;
    assert_eq!(control_groups(&names), Vec::<String>::new());
    let left = server.killed().await;
    assert!(!left.said().contains("panicked"), "{}", left.said());
    world.until("nothing of it runs", || processes_with(&marker).is_empty()).await;
    let differences = before.differences(&Host::of(&world, &marker));
    assert!(differences.is_empty(), "{differences:#?}");
}

fn names_in(dir: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".json").to_owned()).collect()
}

/// What else must be true after an attack.
async fn check_attack(world: &World, name: &str, log: &Log) {
    let number = session_titled(world, name).await;
    let view = world.json(["session", "show", &number, "--json"]).await;
    assert_eq!(view["open_requests"], json!([]), "{name}: nobody waits for an answer any more");
    assert_eq!(world.json(["session", "queue", &number, "--json"]).await, json!([]), "{name}");
    match name {
        "forge" => {
            assert_eq!(
                world.json(["pr", "list", "--json"]).await,
                json!([]),
                "no pull request because an agent says so"
            );
            let versions = world.json(["session", "versions", &number, "--json"]).await;
            assert_eq!(versions.as_array().map(Vec::len), Some(1), "a step does not plan: {versions}");
            assert!(log.of("check_result").next().is_none());
        }
        "approve" => {
            let answers: Vec<_> = log.of("answer").collect();
            assert!(
                !answers.is_empty() && answers.iter().all(|it| it.field("answer") == &Value::Null),
                "{}",
                log.outline()
            );
        }
        "noise" => {
            let told = |words: &str| log.of("note").any(|note| note.text("text").contains(words));
            assert!(told("unreadable output") && told("too long"), "{}", log.outline());
        }
        "trees" => check_trees(world, &number).await,
        _ => {}
    }
}

async fn check_trees(world: &World, number: &str) {
    let branch = world.repository.pushed().pop().expect("its branch");
    let listed = world.repository.git(["-c", "core.quotePath=false", "diff", "--name-only", "main", &branch]);
    let listed: Vec<_> = listed.lines().collect();
    let expected = [
        ".gitattributes",
        ".github/workflows/x.yml",
        ".lfsconfig",
        ".mcp.json",
        "CLAUDE.md",
        "Makefile",
        "README.md",
        "ReadMe.md",
        "abs",
        "evil\u{202e}txt.exe",
        "in-git",
        "package.json",
        "sneaky.txt",
        "stored.bin",
        "up",
    ];
    assert_eq!(listed, expected);
    assert!(world.repository.show(&branch, "stored.bin").starts_with("version https://git-lfs"), "nothing was fetched");
    let pull = world.json(["pr", "show", "1", "--json"]).await;
    let body = pull["line"]["pull_request"]["body"].as_str().expect("a body");
    for path in [
        ".github/workflows/x.yml",
        ".mcp.json",
        "CLAUDE.md",
        "Makefile",
        "package.json",
        ".gitattributes",
        ".lfsconfig",
    ] {
        assert!(body.contains(path), "no warning of {path} in session {number}\n{body}");
    }
    assert!(body.contains("U+202E") && body.contains("U+200B"), "{body}");
    assert!(!body.contains('\u{202e}'), "the name itself is not repeated raw\n{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_step_leaves_does_not_steer_the_next() {
    let (world, _, _) = world(&[
        ("plant", include_str!("../../fixtures/attacks/plant.sh")),
        ("look", include_str!("../../fixtures/attacks/look.sh")),
    ])
    .await;
    let run = attack(&world, "plant+look", &["--yes"]).ends().await;
    let log = world.log("1").await;
    assert_eq!(
        (log.step("1"), log.step("2")),
        ("completed(no_change)".into(), "completed(no_change)".into()),
        "{}\n{}",
        run.said(),
        log.outline()
    );
    let branches = world.repository.pushed();
    assert!(branches.is_empty(), "{}", world.repository.show(&branches[0], "loot.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_itself_and_hears_no_signal_is_stopped() {
    let deaf = "trap '' TERM INT HUP QUIT; (setsid bash -c 'trap \"\" TERM; kill -STOP $$') & words Working.; kill -STOP $$; sleep 7776000";
    let (world, _, _) = world(&[("deaf", deaf)]).await;
    let server = world.serve().await;
    let run = attack(&world, "deaf", &["--yes"]);
    world.wait_for("1", "it works", |event| event.text("text") == "Working.").await;
    let inside = world.inhabitants();
    assert!(!inside.running("claude").is_empty());
    let began = std::time::Instant::now();
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    world.until("it is gone", || inside.running("claude").is_empty()).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    run.ends().await.expect_code(130);
    assert_eq!(world.log("1").await.step("1"), "failed(stopped)");
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_replaced_is_not_started() {
    let (mut world, _, _) = world(&[("nothing", "true")]).await;
    let program = world.path().join("puppet");
    let server = world.serve().await;
    attack(&world, "nothing", &["--yes"]).ends().await.expect_code(0);
    let honest = fs::read_to_string(&program).expect("the program");
    fs::write(&program, format!("{honest}\n# and something else\n")).expect("written");
    let run = attack(&world, "nothing", &["--yes"]).ends().await.expect_code(1);
    assert!(run.stdout.contains("was replaced while the server ran"), "{}", run.said());
    assert_eq!(world.log("2").await.runs("plan"), ["failed"]);
    server.killed().await;

    // Whoever restarts the server trusts what is there then, unless the settings name it.
    attack(&world, "nothing", &["--yes"]).ends().await.expect_code(0);
    world.environment.push(("RUNYARD_AGENT_SHA256".into(), "0".repeat(64)));
    let run = attack(&world, "nothing", &["--yes"]).ends().await.expect_code(1);
    assert!(run.stdout.contains("agent.sha256 says 0000"), "{}", run.said());
    assert!(world.repository.pushed().is_empty());
}
