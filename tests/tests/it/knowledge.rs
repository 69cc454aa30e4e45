//! What the team wrote down reaches the model, and the session says what it was told.

use crate::scripts::{plan, script, writes};
use product_tests::{Log, World};
use serde_json::Value;

const RUNBOOK: &str = "\
# Runbook: Two files

## Execution Steps

### Step 1: Write one
- `one.txt`

### Step 2: Write two
- `two.txt`
";

const AUTH: &str = "# Auth\n\nTOKENS-ARE-READ-HERE: `src/auth.rs`, and never in `src/gone.rs`.\n";

/// The system prompts that the model was given in a conversation, each once and in order.
fn told(world: &World, conversation: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for request in world.model.requests().iter().filter(|it| it.conversation() == Some(conversation)) {
        let system = match &request.body["system"] {
            Value::String(text) => text.clone(),
            blocks => blocks.as_array().expect("blocks").iter().filter_map(|it| it["text"].as_str()).collect(),
        };
        if all.last() != Some(&system) {
            all.push(system);
        }
    }
    all
}

/// What each event about knowledge names, with the version.
fn named(log: &Log) -> Vec<Vec<String>> {
    let names = |list: &Value| -> Vec<String> {
        let each = list.as_array().expect("a list").iter();
        each.map(|it| format!("{} {}", it["title"].as_str().expect("text"), it["version"])).collect()
    };
    log.of("knowledge").map(|event| names(event.field("used"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn context_files_and_a_persona_are_in_what_the_model_gets_and_the_session_says_which() {
    let words = script(&[
        plan(RUNBOOK),
        writes("1", "Write one", "one.txt", "1\n"),
        writes("2", "Write two", "two.txt", "2\n"),
    ]);
    let files = [("src/auth.rs", "// tokens\n"), ("CLAUDE.md", "REPOSITORY-SAYS-SO\n")];
    let world = World::new(&words, &files).await;
    let write = |name: &str, text: &str| {
        let path = world.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let added = world.runyard(["context", "add", &write("auth.md", AUTH), "--for", "repo*"]).await.expect_code(0);
    assert!(added.stdout.contains("added Auth (version 1)"), "{}", added.said());
    let elsewhere = write("elsewhere.md", "# Elsewhere\n\nNOT-ABOUT-THIS-ONE\n");
    world.runyard(["context", "add", &elsewhere, "--for", "shop"]).await.expect_code(0);
    let off = write("off.md", "# Off\n\nSWITCHED-OFF\n");
    world.runyard(["context", "add", &off, "--off"]).await.expect_code(0);
    let careful = write("careful.md", "BE-CAREFUL, and say why.");
    world.runyard(["persona", "add", "Careful", "--file", &careful]).await.expect_code(0);

    world.run("Write two files", &["--persona", "careful"]).ends().await.expect_code(3);
    let [planning] = told(&world, "plan").try_into().expect("one system prompt");
    let places = [
        "# How you work\n\nBE-CAREFUL, and say why.",
        "# What the team wrote",
        "<context-file title=\"Auth\">",
        "TOKENS-ARE-READ-HERE",
        "before others:\n\n- src/auth.rs\n",
        "# What the repository says",
        "REPOSITORY-SAYS-SO",
    ]
    .map(|words| planning.find(words).unwrap_or_else(|| panic!("no {words:?} in\n{planning}")));
    assert!(places.is_sorted(), "the team's words come before the repository's: {places:?}");
    for words in ["NOT-ABOUT-THIS-ONE", "SWITCHED-OFF", "- src/gone.rs"] {
        assert!(!planning.contains(words), "{words} in\n{planning}");
    }
    assert_eq!(named(&world.log("1").await), [["Careful 1", "Auth 1"]]);

    // A change counts from the next run on, and only then.
    let changed = AUTH.replace("TOKENS-ARE-READ-HERE", "TOKENS-ARE-WRITTEN-HERE");
    let edit = ["context", "edit", "auth", "--file", &write("auth.md", &changed)];
    world.runyard(edit).await.expect_code(0);
    world.runyard(["session", "execute", "1", "1"]).await.expect_code(0);
    world.runyard(["session", "persona", "1"]).await.expect_code(0);
    world.runyard(["session", "execute", "1", "2"]).await.expect_code(0);
    let [first] = told(&world, "step 1").try_into().expect("one system prompt");
    assert!(first.contains("TOKENS-ARE-WRITTEN-HERE") && first.contains("BE-CAREFUL"), "{first}");
    let [second] = told(&world, "step 2").try_into().expect("one system prompt");
    assert!(second.contains("TOKENS-ARE-WRITTEN-HERE") && !second.contains("BE-CAREFUL"), "{second}");
    assert!(second.contains("Work as an experienced engineer"), "the default persona:\n{second}");

    let log = world.log("1").await;
    let expected: [&[&str]; 3] =
        [&["Careful 1", "Auth 1"], &["Careful 1", "Auth 2"], &["Default Developer 0", "Auth 2"]];
    assert_eq!(named(&log), expected);
    let shown = world.json(["session", "show", "1", "--json"]).await;
    let used: Vec<_> = shown["knowledge"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (it["known"]["title"].as_str().expect("text"), it["known"]["version"].as_i64(), it["runs"].as_i64()))
        .collect();
    assert_eq!(
        used,
        [("Careful", Some(1), Some(2)), ("Auth", Some(2), Some(3)), ("Default Developer", Some(0), Some(1))]
    );
    let list = world.json(["context", "list", "--json"]).await;
    let counted: Vec<_> = list.as_array().expect("a list").iter().map(|it| it["used"].as_i64()).collect();
    assert_eq!(counted.iter().flatten().sum::<i64>(), 3, "{list}");
    let text = world.runyard(["session", "show", "1"]).await.expect_code(0).stdout;
    assert!(text.contains("Told Careful (persona), Auth (context file)"), "{text}");
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_said_and_bad_input_is_refused_with_what_to_do() {
    let words = script(&[plan(RUNBOOK)]);
    let world = World::new(&words, &[("README.md", "x\n")]).await;
    let path = world.path().join("big.md");
    let file = path.to_str().expect("text");
    std::fs::write(&path, "x".repeat(32 * 1024)).expect("a file");
    for (title, priority) in [("First", "9"), ("Second", "5"), ("Third", "-1")] {
        world.runyard(["context", "add", file, "--title", title, "--priority", priority]).await.expect_code(0);
    }
    std::fs::write(&path, "x".repeat(32 * 1024 + 1)).expect("a file");
    let refused = world.runyard(["context", "add", file, "--title", "Fourth"]).await.expect_code(2);
    assert!(
        refused.said().contains("the limit is 32768") && refused.said().contains("say it shorter"),
        "{}",
        refused.said()
    );
    let untitled = world.runyard(["context", "edit", "Third", "--title", " "]).await;
    assert_eq!(untitled.code, Some(2), "{}", untitled.said());
    let stays = world.runyard(["persona", "remove", "Default Planner"]).await.expect_code(2);
    assert!(stays.said().contains("so it stays"), "{}", stays.said());
    let nobody = world.run("Write two files", &["--persona", "nobody"]).ends().await.expect_code(2);
    assert!(nobody.said().contains("there is no persona `nobody`"), "{}", nobody.said());

    world.run("Write two files", &[]).ends().await.expect_code(3);
    let log = world.log("1").await;
    assert_eq!(named(&log), [["Default Planner 0", "First 1", "Second 1"]]);
    let left_out: Vec<_> = log.of("knowledge").map(|event| event.field("left_out")[0]["title"].clone()).collect();
    assert_eq!(left_out, ["Third"]);
    world.assert_foreseen();
}
