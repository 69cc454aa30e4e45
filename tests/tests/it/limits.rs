//! Budgets, passing failures, poison and fairness: what ends work, what only delays it, and who has the next turn.

use crate::scripts::{bash, held, message, plan, script, step, step_again, turn, write, writes};
use product_tests::{Event, Finished, KEY, Log, World};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

const TWO_STEPS: &str = "\
# Runbook: Two files

## Execution Steps

### Step 1: Write one
- `one.txt`

### Step 2: Write two
- `two.txt`
";

/// A turn whose answer uses this many tokens.
fn dear(mut turn: Value, tokens: u64) -> Value {
    turn["usage"] = json!({ "input": tokens, "output": 10 });
    turn
}

/// A number of seconds that nothing else on the machine sleeps.
fn mark(kind: u32) -> String {
    format!("8{kind}{:06}", std::process::id() % 1_000_000)
}

/// Requests of the agent that one conversation of the script answered.
fn asked(world: &World, conversation: &str) -> usize {
    world.model.requests().iter().filter(|request| request.conversation() == Some(conversation)).count()
}

/// Why the last run of a kind of action ended, in words for people.
fn why(log: &Log, action: &str) -> String {
    log.of("run_state")
        .filter(|event| event.text("action_kind") == action && !event.text("message").is_empty())
        .last()
        .map(|event| event.text("message").to_owned())
        .unwrap_or_default()
}

async fn planned(world: &World) {
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_tokens_last_over_several_steps_and_can_be_raised() {
    let again = step_again("2", "Write two", &[turn("Again.", &[write("two.txt", "2\n")]), turn("Done.", &[])]);
    let second = [dear(turn("I look around.", &[bash("ls")]), 100_000), turn("More.", &[write("two.txt", "2\n")])];
    // What ends step 1 is dear as well, but within the budget.
    let first = [turn("I write it.", &[write("one.txt", "1\n")]), dear(turn("It is written.", &[]), 50_000)];
    let world = World::new(
        &script(&[plan(TWO_STEPS), step("1", "Write one", &first), again, step("2", "Write two", &second)]),
        &FILES,
    )
    .await;
    let run = world.run("Write two files", &["--yes", "--budget-tokens", "120k"]).ends().await.expect_code(1);
    let mend = "runyard session budget r/1 --tokens";
    assert!(run.said().contains(mend), "it says how to go on:\n{}", run.said());
    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.step("2")), ("completed(changed)".into(), "failed(budget)".into()));
    assert_eq!(asked(&world, "step 2"), 1, "nothing is asked once the budget is used up");
    let used: i64 = log.of("usage").map(|event| event.field("input").as_i64().unwrap_or(0)).sum();
    assert!((150_000..170_000).contains(&used), "what was used is on record: {used}");

    // Still used up: the next attempt does not even begin to talk.
    world.runyard(["session", "retry", "1"]).await.expect_code(1);
    assert_eq!(asked(&world, "step 2") + asked(&world, "step 2 again"), 1);

    let shown = world.runyard(["session", "budget", "1", "--tokens", "1M"]).await.expect_code(0);
    assert!(shown.stdout.contains("1000000 tokens"), "{}", shown.said());
    world.runyard(["session", "budget", "1", "--tokens", "many"]).await.expect_code(2);
    world.runyard(["session", "retry", "1"]).await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.step("2"), "completed(changed)", "{}", log.outline());
    log.assert_whole();
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runs_money_is_its_own_and_its_last_words_are_waited_for() {
    let script = script(&[
        plan(TWO_STEPS),
        step("1", "Write one", &[turn("I write it.", &[write("one.txt", "1\n")]), dear(turn("Done.", &[]), 400_000)]),
        step("2", "Write two", &[dear(turn("I look.", &[bash("ls")]), 400_000), turn("Never said.", &[])]),
    ]);
    let mut world = World::new(&script, &FILES).await;
    world.environment.push(("RUNYARD_AGENT_MODEL".into(), "claude-sonnet-4-5".into()));
    // 400,000 tokens of this model's input cost 1.20 dollars.
    world.environment.push(("RUNYARD_BUDGET_RUN_USD".into(), "0.90".into()));
    let run = world.run("Write two files", &["--yes"]).ends().await.expect_code(1);
    assert!(run.said().contains("$0.90") && run.said().contains("--run-usd"), "{}", run.said());
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "its last answer ended it\n{}", log.outline());
    assert_eq!(log.step("2"), "failed(budget)", "{}", log.outline());
    assert_eq!(asked(&world, "step 2"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_budget_ends_long_commands_of_agents_and_of_checks() {
    let (agents, checks) = (mark(1), mark(2));
    let runbook = format!(
        "# Runbook: Slow\n\n## Execution Steps\n\n### Step 1: Take long\nText.\n\n### Step 2: Check long\nText.\n\n\
         ```runnable bash check name=slow timeout=20m\nsleep {checks}\n```\n"
    );
    let world = World::new(
        &script(&[
            plan(&runbook),
            step_again("1", "Take long", &[turn("Quick.", &[write("one.txt", "1\n")]), turn("Done.", &[])]),
            step("1", "Take long", &[turn("I wait.", &[bash(&format!("sleep {agents}"))]), turn("Never said.", &[])]),
            writes("2", "Check long", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    let server = world.serve().await;
    planned(&world).await;
    world.runyard(["session", "budget", "1", "--run-time", "6s"]).await.expect_code(0);
    let began = Instant::now();
    let run = world.runyard(["session", "execute", "1", "1", "--follow"]).await.expect_code(1);
    assert!(began.elapsed() >= Duration::from_secs(5), "not before its time");
    assert!(run.said().contains("--run-time"), "{}", run.said());
    assert_eq!(world.log("1").await.step("1"), "failed(budget)");
    let inside = world.inhabitants();
    world.until("the command is gone", || inside.running(&agents).is_empty()).await;

    world.runyard(["session", "budget", "1", "--run-time", "none"]).await.expect_code(0);
    world.runyard(["session", "retry", "1", "--follow"]).await.expect_code(0);
    // A budget that is lowered while something runs counts at once.
    world.runyard(["session", "execute", "1", "2"]).await.expect_code(0);
    world.until("the check runs", || !inside.running(&checks).is_empty()).await;
    world.runyard(["session", "budget", "1", "--run-time", "1s"]).await.expect_code(0);
    world.until("the check is gone", || inside.running(&checks).is_empty()).await;
    world.until_idle("1").await;
    let log = world.log("1").await;
    assert_eq!(log.step("2"), "failed(budget)", "not the check failed, the time is over\n{}", log.outline());

    world.runyard(["session", "budget", "1", "--run-time", "none"]).await.expect_code(0);
    world.runyard(["session", "retry", "1"]).await.expect_code(0);
    world.until("the check runs", || !inside.running(&checks).is_empty()).await;
    // All runs of the session count for its own budget.
    world.runyard(["session", "budget", "1", "--time", "7s"]).await.expect_code(0);
    world.until("the check is gone again", || inside.running(&checks).is_empty()).await;
    world.until_idle("1").await;
    let log = world.log("1").await;
    assert_eq!(log.step("2"), "failed(budget)");
    assert!(why(&log, "execute_step").contains("session budget r/1 --time"), "{}", why(&log, "execute_step"));
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_failures_are_tried_again_and_then_succeed() {
    let cut = |turn: Value| {
        let mut turn = turn;
        turn["cut"] = json!({ "after_blocks": 1, "how": "reset" });
        turn
    };
    let script = script(&[
        plan(TWO_STEPS),
        step_again("1", "Write one", &[turn("I write it.", &[write("one.txt", "1\n")]), turn("It is written.", &[])]),
        step("1", "Write one", &[json!({ "error": { "status": 529 } }), turn("Never said.", &[])]),
        step_again("2", "Write two", &[turn("I write it.", &[write("two.txt", "2\n")]), turn("It is written.", &[])]),
        step("2", "Write two", &[turn("I begin.", &[write("half.txt", "half\n")]), cut(turn("Never whole.", &[]))]),
    ]);
    let mut world = World::new(&script, &FILES).await;
    world.environment.push(("RUNYARD_RETRY_AGENT".into(), "0".into()));
    world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    let notes = log.of("note").map(|note| note.text("text")).filter(|text| text.contains("trying again"));
    let notes: Vec<_> = notes.collect();
    assert_eq!(notes.len(), 2, "{}", log.outline());
    assert!(notes[0].contains("overloaded") && notes[0].contains("trying again in 1 s (1 of 5)"), "{notes:?}");
    assert!(notes[1].contains("trying again in 1 s (1 of 5)"), "each action counts its own: {notes:?}");
    assert_eq!(log.runs("execute_step"), ["failed", "succeeded", "failed", "succeeded"], "{}", log.outline());
    assert!(log.iter().any(|event| event.is_step("1", "queued") && event.number() > first(&log, "failed").number()));
    log.assert_whole();
    let top = world.repository.pushed().pop().expect("a branch");
    let files = world.repository.git(["diff", "--name-only", "main", &top]);
    assert_eq!(files, "one.txt\ntwo.txt\n", "nothing of the attempt that was cut");
}

fn first<'a>(log: &'a Log, state: &str) -> &'a Event {
    log.iter().find(|event| event.is_run("execute_step", state)).expect("such a run")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_reached_is_asked_a_few_times() {
    let mut world = World::new(&script(&[plan(TWO_STEPS)]), &FILES).await;
    planned(&world).await;
    // Nothing listens where a listener was.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.environment.push(("ANTHROPIC_BASE_URL".into(), format!("http://{closed}")));
    world.environment.push(("RUNYARD_RETRY_AGENT".into(), "0".into()));
    world.environment.push(("RUNYARD_RETRY_TIMES".into(), "2".into()));
    let run = world.runyard(["session", "execute", "1", "all"]).await.expect_code(1);
    assert!(run.said().contains("tried 3 times"), "{}", run.said());
    let log = world.log("1").await;
    assert_eq!(log.runs("execute_step"), ["failed", "failed", "failed"], "{}", log.outline());
    assert_eq!((log.step("1"), log.step("2")), ("failed(error)".into(), "not_started".into()));
    let waits: Vec<_> = log.of("note").filter(|note| note.text("text").contains("trying again in")).collect();
    assert_eq!(waits.len(), 2, "each wait is told\n{}", log.outline());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_account_waits_for_its_reset_and_blocks_nobody() {
    let limited = json!({ "limit": { "resets_in": "1h", "times": 1 } });
    let world = World::new(
        &script(&[
            plan(TWO_STEPS),
            message("Anything", &[turn("Nothing.", &[])]),
            step_again("1", "Write one", &[turn("I write it.", &[write("one.txt", "1\n")]), turn("Done.", &[])]),
            step("1", "Write one", &[limited, turn("Never said.", &[])]),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    let mut world = world;
    world.environment.push(("RUNYARD_WORKERS".into(), "1".into()));
    let server = world.serve().await;
    planned(&world).await;
    world.runyard(["session", "execute", "1", "1"]).await.expect_code(0);
    let note = world.wait_for("1", "the limit is told", |event| event.text("text").contains("is lifted in")).await;
    assert!(
        note.text("text").contains("trying again in 59 min") || note.text("text").contains("trying again in 1 h"),
        "{}",
        note.text("text")
    );
    let queue = world.json(["session", "queue", "1", "--json"]).await;
    assert_eq!(queue[0]["state"], "queued", "{queue}");
    let due = queue[0]["not_before"].as_i64().expect("a time") - note.at();
    assert!((3_500_000_000..3_700_000_000).contains(&due), "an hour later: {due} µs");
    assert_eq!(asked(&world, "step 1"), 1, "the agent does not knock again by itself");
    let inside = world.inhabitants();
    world.until("no agent waits", || inside.running("claude").is_empty()).await;

    // The only worker is free for others.
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    // A person need not wait: stop takes it out, and a retry goes on.
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    assert_eq!(world.json(["session", "queue", "1", "--json"]).await, json!([]));
    world.runyard(["session", "execute", "1", "1", "--follow"]).await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    log.assert_whole();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stops_working_fails_the_step_at_once() {
    let mut world = World::new(&script(&[plan(TWO_STEPS), writes("1", "Write one", "one.txt", "1\n")]), &FILES).await;
    planned(&world).await;
    world.environment.push(("ANTHROPIC_API_KEY".into(), format!("{KEY}-no-longer")));
    let run = world.runyard(["session", "execute", "1", "1"]).await.expect_code(1);
    let refused = world.model.requests().iter().filter(|it| it.outcome == scripted_model::Outcome::WrongKey).count();
    assert!((1..=3).contains(&refused), "the agent's own retries are not waited for: {refused}\n{}", run.said());
    assert!(run.said().contains("ANTHROPIC_API_KEY") && run.said().contains("anthropic.key_file"), "{}", run.said());
    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.runs("execute_step")), ("failed(error)".into(), vec!["failed".to_owned()]));

    world.environment.pop();
    world.runyard(["session", "retry", "1"]).await.expect_code(0);
    assert_eq!(world.log("1").await.step("1"), "completed(changed)");
}

/// Waits until this attempt of the first action in the queue is at work.
async fn until_attempt(world: &World, attempt: i64) {
    let start = Instant::now();
    loop {
        let queue = world.json(["session", "queue", "1", "--json"]).await;
        if queue[0]["attempts"] == attempt && queue[0]["state"] == "running" {
            return;
        }
        assert!(start.elapsed() < product_tests::LIMIT, "attempt {attempt} never comes: {queue}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_kills_the_server_three_times_is_poison_and_blocks_nobody() {
    let mark = mark(3);
    let world = World::new(
        &script(&[
            plan(TWO_STEPS),
            step_again("1", "Write one", &[turn("I write it.", &[write("one.txt", "1\n")]), turn("Done.", &[])]),
            step(
                "1",
                "Write one",
                &[
                    turn(
                        "I begin.",
                        &[write("half.txt", "half\n"), bash(&format!("setsid sleep {mark} > /dev/null 2>&1 &"))],
                    ),
                    held("poison"),
                    turn("It is written.", &[]),
                ],
            ),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    planned(&world).await;
    world.runyard(["session", "execute", "1", "all", "--detach"]).await.expect_code(0);
    for attempt in 1..=3 {
        let server = world.serve().await;
        until_attempt(&world, attempt).await;
        server.killed().await;
    }
    let server = world.serve().await;
    world.wait_for("1", "the step fails", |event| event.is_step("1", "failed")).await;
    world.until_idle("1").await;
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!((log.step("1"), log.step("2")), ("failed(poison)".into(), "not_started".into()), "{}", log.outline());
    assert!(log.runs("execute_step").iter().all(|state| state == "failed"), "no run is left open\n{}", log.outline());
    assert!(why(&log, "execute_step").contains("runyard session retry r/1"), "{}", why(&log, "execute_step"));
    let inside = world.inhabitants();
    world.until("nothing of it runs", || inside.running("claude").is_empty() && inside.running(&mark).is_empty()).await;

    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    world.model.release("poison");
    world.runyard(["session", "retry", "1", "--follow"]).await.expect_code(0);
    assert_eq!(world.log("1").await.step("1"), "completed(changed)");
    server.killed().await;
}

/// When each run of each session began and ended.
async fn spans(world: &World, sessions: i64) -> Vec<(i64, i64, i64)> {
    let mut spans = Vec::new();
    for session in 1..=sessions {
        let log = world.log(&session.to_string()).await;
        for begun in log.of("run_state").filter(|event| event.text("state") == "running") {
            let over = log.of("run_state").find(|event| {
                event.text("run") == begun.text("run")
                    && matches!(event.text("state"), "succeeded" | "failed" | "stopped")
            });
            spans.push((begun.at(), over.expect("every run ended").at(), session));
        }
    }
    spans.sort_unstable();
    spans
}

async fn three_sessions(world: &World) -> Vec<Finished> {
    let mut running = Vec::new();
    for n in 1..=3 {
        running.push(world.run("Write two files", &["--one-shot", "--json"]));
        world.wait_for(&n.to_string(), "the session is there", |_| true).await;
    }
    world.model.release("all are there");
    let mut finished = Vec::new();
    for run in running {
        finished.push(run.ends().await.expect_code(0));
    }
    finished
}

fn waiting_to_begin() -> String {
    let mut plan = plan(TWO_STEPS);
    plan["turns"][0]["hold"] = json!({ "until": "all are there" });
    script(&[plan, writes("1", "Write one", "one.txt", "1\n"), writes("2", "Write two", "two.txt", "2\n")])
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_take_turns() {
    let mut world = World::new(&waiting_to_begin(), &FILES).await;
    world.environment.push(("RUNYARD_WORKERS".into(), "1".into()));
    let server = world.serve().await;
    three_sessions(&world).await;
    let order: Vec<i64> = spans(&world, 3).await.into_iter().map(|(_, _, session)| session).collect();
    // Who is new joins the line behind the one that is being served; from then on it goes round and round.
    assert_eq!(order, [1, 1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3]);
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_no_more_at_work_than_it_may() {
    let mut world = World::new(&waiting_to_begin(), &FILES).await;
    world.environment.push(("RUNYARD_WORKERS".into(), "3".into()));
    world.environment.push(("RUNYARD_PER_ACCOUNT".into(), "2".into()));
    let server = world.serve().await;
    three_sessions(&world).await;
    let spans = spans(&world, 3).await;
    assert_eq!(spans.len(), 12, "{spans:?}");
    let mut most = 0;
    for (at, ..) in &spans {
        let at_work: Vec<i64> = spans.iter().filter(|(from, to, _)| from <= at && at < to).map(|span| span.2).collect();
        most = most.max(at_work.len());
        assert!(at_work.len() <= 2, "{at_work:?} in {spans:?}");
        assert!(at_work.len() < 2 || at_work[0] != at_work[1], "a session does one thing at a time: {spans:?}");
    }
    assert_eq!(most, 2, "two are at work at once: {spans:?}");
    server.killed().await;
}
