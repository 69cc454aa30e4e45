//! A real task on a clone of a real repository, Runyard's own: the agent explores, asks one question, plans three steps
//! with substeps, is told to change the plan, fails one step, is retried; then everything is merged.

use crate::scripts::{ask, bash, message, plan_after, script, step, step_again, submit, turn, write, writes};
use product_tests::{Place, Repository, World};
use serde_json::{Value, json};

const TASK: &str = "Give the repository a glossary, and a check that it stays in order";

fn runbook(places: &str) -> String {
    format!(
        "\
# Runbook: A glossary

People who are new here ask for the words.

## Execution Steps

### Step 1: Collect the words
From what is there.

#### 1.1: [NO-CODE-CHANGE] Look where words are defined
- {places}

#### 1.2: Write the glossary
- `docs/glossary.md`

```runnable bash check name=glossary timeout=30s
grep --quiet '^- \\*\\*runbook\\*\\*' docs/glossary.md
```

### Step 2: Keep it in order
By a script.

#### 2.1: Write the script
- `docs/glossary-in-order.sh`

```runnable bash check name=in-order timeout=30s
bash docs/glossary-in-order.sh
```

#### 2.2: Say how to run it
- at the end of the glossary

### Step 3: Tell people
In the place where they look.

#### 3.1: Point to the glossary
- `docs/README-glossary.md`

```runnable bash check name=linked timeout=30s
git grep --untracked --quiet glossary.md -- docs
```
"
    )
}

const GLOSSARY: &str = "# Glossary\n\n- **action**: something asked of a session\n- **runbook**: the plan of a session\n- **session**: a unit of work\n";
const IN_ORDER: &str = "#!/usr/bin/env bash\n# The words of the glossary are sorted.\nset -euo pipefail\ngrep '^- ' docs/glossary.md | LC_ALL=C sort --check\n";

fn glossary() -> String {
    let edit = |text: &str| turn("At the end.", &[bash(&format!("printf '\\n{text}\\n' >> docs/glossary.md"))]);
    script(&[
        plan_after(
            &[
                turn(
                    "I look around.",
                    &[bash("git ls-files | head -20"), bash("git grep -n -i 'session' -- '*.md' | head -5")],
                ),
                turn("One thing is open.", &[ask("Where should the glossary live?", ["docs", "the README"])]),
            ],
            &runbook("`git grep` in the documentation"),
        ),
        // A resumed agent may ask the model before our tool is offered to it: a model that is reminded hands in again.
        json!({ "name": "reminded", "when": { "prompt_contains": "You have not handed in a runbook" }, "turns": [
            turn("Now it works.", &[submit(&runbook("`git grep` in the documentation"))]),
            turn("The plan is ready.", &[]),
        ] }),
        message(
            "also look into the crates",
            &[
                turn("I change step 1.1.", &[submit(&runbook("`git grep` in the documentation and the crates"))]),
                turn("Step 1.1 now looks into the crates as well.", &[]),
            ],
        ),
        step(
            "1.1",
            "Look where words are defined",
            &[
                turn("I look.", &[bash("git grep -l -i runbook | head")]),
                turn("They are in the documentation and the crates.", &[]),
            ],
        ),
        writes("1.2", "Write the glossary", "docs/glossary.md", GLOSSARY),
        step_again(
            "2.1",
            "Write the script",
            &[
                turn("With the right flag this time.", &[write("docs/glossary-in-order.sh", IN_ORDER)]),
                turn("It passes.", &[]),
            ],
        ),
        step(
            "2.1",
            "Write the script",
            &[
                turn("I write it.", &[write("docs/glossary-in-order.sh", &IN_ORDER.replace("--check", "--chekc"))]),
                turn("It is written.", &[]),
                turn("I see nothing wrong with it.", &[]),
                turn("I still see nothing wrong with it.", &[]),
            ],
        ),
        step("2.2", "Say how to run it", &[edit("Check: bash docs/glossary-in-order.sh"), turn("Said.", &[])]),
        writes("3.1", "Point to the glossary", "docs/README-glossary.md", "See [the glossary](glossary.md).\n"),
    ])
}

async fn world() -> World {
    let place = Place::new();
    let repository = Repository::clone_of_runyard(place.join("repository"));
    World::around(place, repository, &glossary()).await
}

/// Up to the point where all steps but those from 2.1 on are done: asked, planned, revised, executed, failed, retried.
async fn until_everything_is_done(world: &World, mode: &str) {
    // Nobody is at a terminal, so the question waits for an answer.
    let run = world.run(TASK, &["--pr-mode", mode, "--json"]).ends().await.expect_code(3);
    assert!(run.stdout.contains("Where should the glossary live?"), "{}", run.stdout);
    world.runyard(["session", "answer", "1", "docs", "--follow"]).await;
    let log = world.log("1").await;
    assert_eq!((log.of("answer").count(), log.of("plan_version").count()), (1, 1), "{}", log.outline());

    world.runyard(["session", "message", "1", "Please also look into the crates", "--follow"]).await;
    let versions = world.json(["session", "versions", "1", "--json"]).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions}");

    executed(world, ["session", "execute", "1", "all", "--follow"], 1).await;
    let log = world.log("1").await;
    let states = ["1.1", "1.2", "2.1", "2.2", "3.1"].map(|number| log.step(number));
    let expected = ["completed(no_change)", "completed(changed)", "failed(check)", "not_started", "not_started"];
    assert_eq!(states, expected, "{}", log.outline());
    let failing = log.of("check_result").filter(|check| check.text("name") == "in-order");
    assert_eq!(failing.count(), 3, "the agent may mend a failing check twice");

    executed(world, ["session", "retry", "1", "--follow"], 0).await;
    assert_eq!(world.log("1").await.step("2.1"), "completed(changed)");
    executed(world, ["session", "execute", "1", "all", "--follow"], 0).await;
    let log = world.log("1").await;
    log.assert_whole();
    for (number, state) in
        [("1.1", "completed(no_change)"), ("2.2", "completed(changed)"), ("3.1", "completed(changed)")]
    {
        assert_eq!(log.step(number), state, "{}", log.outline());
    }
    assert_eq!(world.json(["session", "queue", "1", "--json"]).await, serde_json::json!([]));
    world.assert_foreseen();
}

/// Executes, and in manual mode answers what becomes of the work: a pull request for each, stacked.
async fn executed<const N: usize>(world: &World, arguments: [&str; N], code: i32) {
    let mut finished = world.runyard(arguments).await;
    while finished.code == Some(3) {
        let open = open_options(world).await;
        let wanted = ["stacked_pr", "create_pr"].into_iter().find(|option| open.iter().any(|it| it == option));
        let wanted = wanted.unwrap_or_else(|| panic!("{open:?}\n{}", finished.said()));
        finished = world.runyard(["session", "answer", "1", wanted, "--follow"]).await;
    }
    finished.expect_code(code);
}

async fn open_options(world: &World) -> Vec<String> {
    let view = world.json(["session", "show", "1", "--json"]).await;
    let open = &view["open_requests"][0]["kind"]["options"];
    open.as_array().into_iter().flatten().filter_map(|option| option["label"].as_str().map(str::to_owned)).collect()
}

/// Numbers of all pull requests, bottom of the stack first.
async fn pull_requests(world: &World) -> Vec<i64> {
    let list = world.json(["pr", "list", "--json"]).await;
    let number = |line: &Value| line["pull_request"]["number"].as_i64().expect("a number");
    let mut numbers: Vec<i64> = list.as_array().expect("a list").iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Merges all, and looks at what people get.
async fn merged(world: &World, numbers: &[i64], flags: &[&str]) {
    let first = numbers[0].to_string();
    let refused = world.runyard(["pr", "merge", &first]).await;
    assert_ne!(refused.code, Some(0), "main is checked out in the person's repository");
    assert!(refused.stderr.contains("git "), "it says what to type instead:\n{}", refused.said());
    world.repository.git(["checkout", "--quiet", "--detach"]);

    for number in numbers {
        let number = number.to_string();
        world.runyard(["pr", "merge", &number].iter().chain(flags)).await.expect_code(0);
    }
    let main = |file| world.repository.show("main", file);
    assert!(main("docs/glossary.md").starts_with(GLOSSARY), "{}", main("docs/glossary.md"));
    assert!(main("docs/glossary.md").contains("Check: bash docs/glossary-in-order.sh"));
    assert_eq!(main("docs/glossary-in-order.sh"), IN_ORDER);
    assert_eq!(main("docs/README-glossary.md"), "See [the glossary](glossary.md).\n");
    assert_eq!(world.repository.git(["status", "--porcelain"]), "", "the person's working tree is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn stacked_pull_requests() {
    let world = world().await;
    until_everything_is_done(&world, "stacked_pr").await;
    let branches = world.repository.pushed();
    assert_eq!(branches.len(), 3, "one for each top-level step: {branches:?}");
    let commits: Vec<_> = ["main".to_owned()]
        .iter()
        .chain(&branches)
        .zip(&branches)
        .map(|(below, branch)| world.repository.subjects(&format!("{below}..{branch}")).len())
        .collect();
    assert_eq!(commits, [1, 2, 1], "one commit for each leaf that changed something");
    let numbers = pull_requests(&world).await;
    assert_eq!(numbers.len(), 3);
    merged(&world, &numbers, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stacked_pull_requests_squashed() {
    let world = world().await;
    until_everything_is_done(&world, "stacked_pr").await;
    let numbers = pull_requests(&world).await;
    world.repository.git(["checkout", "--quiet", "--detach"]);
    world.runyard(["pr", "merge", &numbers[0].to_string(), "--squash"]).await.expect_code(0);
    let diff = world.runyard(["pr", "diff", &numbers[1].to_string()]).await.expect_code(0).stdout;
    assert!(diff.contains("glossary-in-order.sh") && !diff.contains("+# Glossary"), "only its own step:\n{diff}");
    world.repository.git(["checkout", "--quiet", "main"]);
    merged(&world, &numbers[1..], &["--squash"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_pull_request() {
    let world = world().await;
    until_everything_is_done(&world, "single_pr").await;
    let branches = world.repository.pushed();
    assert_eq!(branches.len(), 1, "{branches:?}");
    assert_eq!(world.repository.subjects(&format!("main..{}", branches[0])).len(), 4);
    let numbers = pull_requests(&world).await;
    assert_eq!(numbers.len(), 1);
    merged(&world, &numbers, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_requests_by_hand() {
    let world = world().await;
    until_everything_is_done(&world, "manual").await;
    let numbers = pull_requests(&world).await;
    assert!(numbers.len() >= 3, "{numbers:?}");
    merged(&world, &numbers, &[]).await;
}
