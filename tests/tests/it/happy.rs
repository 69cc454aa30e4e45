//! From a request to two stacked pull requests, as `cargo xtask demo` shows it.

use crate::scripts::{plan, script, writes};
use product_tests::{Log, World};

pub const RUNBOOK: &str = "\
# Runbook: Two files

Both are wanted.

## Execution Steps

### Step 1: Write one
- `one.txt`

```runnable bash check name=one timeout=30s
grep --line-number 1 one.txt
```

### Step 2: Write two
- `two.txt`

```runnable bash check name=two timeout=30s
cat one.txt two.txt
```
";

pub fn two_files() -> String {
    script(&[plan(RUNBOOK), writes("1", "Write one", "one.txt", "1\n"), writes("2", "Write two", "two.txt", "2\n")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_becomes_two_stacked_pull_requests_with_evidence() {
    let world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    let before = world.repository.git(["rev-parse", "main"]);

    let run = world.run("Write two files", &["--yes", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    log.assert_whole();
    let printed = Log::parse(&run.stdout);
    assert_eq!(printed.outline(), log.outline(), "what was shown live is the log");

    assert_eq!((log.step("1"), log.step("2")), ("completed(changed)".into(), "completed(changed)".into()));
    let checks: Vec<_> =
        log.of("check_result").map(|check| (check.text("name"), check.field("exit_code").as_i64())).collect();
    assert_eq!(checks, [("one", Some(0)), ("two", Some(0))], "{}", log.outline());

    let branches = world.repository.pushed();
    let [first, second] = branches.as_slice() else { panic!("two branches: {branches:?}") };
    assert_eq!(world.repository.git(["rev-parse", &format!("{first}~1")]), before, "the stack stands on main");
    assert_eq!(
        world.repository.git(["rev-parse", &format!("{second}~1")]),
        world.repository.git(["rev-parse", first]),
        "the second stands on the first"
    );
    assert_eq!(world.repository.show(first, "one.txt"), "1\n");
    assert_eq!(world.repository.show(second, "two.txt"), "2\n");

    let message = world.repository.git(["log", "-1", "--format=%an <%ae>%n%B", second]);
    assert!(message.starts_with("Ada <ada@example.com>"), "{message}");
    for trailer in ["Runyard-Session: ", "Runyard-Step: ", "Runyard-Run: "] {
        assert!(message.contains(trailer), "{message}");
    }

    let shown = world.runyard(["pr", "show", "2"]).await.expect_code(0).stdout;
    for part in ["## Evidence", "| 2 | ✓ two | `cat one.txt two.txt` | 0 |", "✓ two"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let diff = world.runyard(["pr", "diff", "2"]).await.expect_code(0).stdout;
    assert!(diff.contains("+2") && !diff.contains("one.txt"), "only its own step:\n{diff}");

    assert_eq!(world.repository.git(["rev-parse", "main"]), before, "the person's branch is not touched");
    its_plan_serves_another_session(&world).await;
    assert_eq!(world.repository.git(["status", "--porcelain"]), "", "nor the working tree");
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shot_goes_through_without_a_person_and_ends_ready() {
    let world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    world.run("Write two files", &["--one-shot"]).ends().await.expect_code(0);
    let list = world.json(["pr", "list", "--json"]).await;
    let text = list.to_string();
    assert!(!text.contains("[WIP]") && !text.contains("\"draft\":true"), "{text}");
    assert!(world.model.requests().iter().all(|request| !request.body.to_string().contains("\"AskUserQuestion\"")));
    is_written_out_whole(&world).await;
    world.assert_foreseen();
}

async fn its_plan_serves_another_session(world: &World) {
    world.runyard(["session", "clone", "1"]).await.expect_code(0);
    let told = world.json(["audit", "list", "--action", "session.clone", "--json"]).await;
    assert_eq!((&told[0]["target"], &told[0]["details"]["copy_of"]), (&"r/2".into(), &"r/1".into()), "{told}");
    let copy = world.json(["session", "show", "2", "--json"]).await;
    assert_eq!(copy["session"]["title"], "Write two files (copy)", "{copy}");
    assert_eq!(copy["runbook"]["text"], world.json(["session", "show", "1", "--json"]).await["runbook"]["text"]);
    assert_eq!(
        (&copy["phase"]["phase"], copy["changes"].as_array().map(Vec::len)),
        (&"planned".into(), Some(0)),
        "{copy}"
    );
    let steps = copy["steps"].as_array().expect("a list");
    assert!(steps.len() == 2 && steps.iter().all(|step| step["state"]["state"] == "not_started"), "{copy}");
    world.runyard(["session", "rename", "2", "  Write  one\nagain "]).await.expect_code(0);
    let empty = world.runyard(["session", "rename", "2", " "]).await.expect_code(2);
    assert!(empty.said().contains("the title is empty"), "{}", empty.said());
    world.runyard(["session", "execute", "2", "1"]).await.expect_code(0);
    let copy = world.json(["session", "show", "2", "--json"]).await;
    assert_eq!(copy["session"]["title"], "Write one again", "{copy}");
    assert_eq!(copy["steps"][0]["state"]["state"], "completed", "{copy}");
    assert_eq!(world.log("1").await.step("1"), "completed(changed)", "the first one is as it was");
}

async fn is_written_out_whole(world: &World) {
    let document = world.runyard(["session", "export"]).await.expect_code(0).stdout;
    for part in
        ["# r/1: Write two files", "- Asked for by Ada, ", "| 1 Write one | completed | #1 |", "### Step 2: Write two"]
    {
        assert!(document.contains(part), "no {part:?} in\n{document}");
    }
    let file = world.data().parent().expect("a folder").join("r1.json");
    let path = file.to_str().expect("text");
    world.runyard(["session", "export", "1", "--format", "json", "-o", path]).await.expect_code(0);
    let text = std::fs::read_to_string(&file).expect("a file");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let numbers = whole["events"].as_array().expect("a list").iter().map(|event| event["number"].as_i64());
    let printed = world.runyard(["session", "log", "1", "--json"]).await.expect_code(0).stdout;
    let logged = printed.lines().count();
    assert!(numbers.eq((1..).map(Some).take(logged)), "the log has {logged}");
    let refused = world.runyard(["session", "export", "1", "-o", path]).await.expect_code(2);
    assert!(refused.said().contains("--force"), "{}", refused.said());
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), text, "it is as it was");
    world.runyard(["session", "export", "1", "-o", path, "--force"]).await.expect_code(0);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), document, "written over");
    assert!(!file.with_added_extension("part").exists(), "the part became the whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_written_anywhere() {
    let world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    let run = world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    assert!(!run.said().contains(product_tests::KEY), "shown to the person");
    let found = std::process::Command::new("grep")
        .args(["--recursive", "--files-with-matches", "--text", product_tests::KEY])
        .arg(world.data())
        .output()
        .expect("grep");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the key lies in the data directory");
}
