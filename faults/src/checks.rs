//! What was promised, read out of a history and nothing else. The numbers are those of `docs/faults.md`.

mod lines;
mod sandboxes;

pub use sandboxes::{Overrun, Up};

use crate::{
    cases::{Case, Scenario},
    history::{End, Entry, What},
    play::{KEY, steps},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What did not hold, and how long sandboxes outlived their leases.
pub fn check(case: &Case, history: &[Entry]) -> (Vec<String>, Vec<Overrun>) {
    let mut wrong = Vec::new();
    let overruns = sandboxes::overruns(history);
    for overrun in &overruns {
        if overrun.by > overrun.up.limit() {
            wrong.push(format!("I6: a sandbox outlived its lease by {} ms ({:?})", overrun.by.as_millis(), overrun.up));
        }
    }
    fenced(history, &mut wrong);
    stopped(history, &mut wrong);
    for (at, _, report) in reports(history) {
        if report.to_string().contains(KEY) {
            wrong.push(format!("I8: at {at} ms an agent had the key"));
        }
    }
    let end = history.iter().rev().find_map(|entry| match &entry.what {
        What::End(end) => Some(end),
        _ => None,
    });
    let Some(end) = end else {
        if case.scenario == Scenario::Alone {
            alone(history, &mut wrong);
        } else {
            wrong.push("I10: it never came to its end".to_owned());
        }
        return (wrong, overruns);
    };
    kept(end, history, &mut wrong);
    once(case, end, history, &mut wrong);
    if case.scenario == Scenario::Poison {
        given_up(case, end, history, &mut wrong);
    }
    lines::check(end, history, &mut wrong);
    wrong.extend(end.leaks.iter().map(|file| format!("I8: the key is in {file}")));
    wrong.extend(end.leftovers.iter().map(|left| format!("I14: left over: {left}")));
    (wrong, overruns)
}

pub(crate) fn kind(event: &Value) -> &str {
    text(&event["payload"], "type")
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Reports of agents with the time and the life of the server whose way out they took.
pub(crate) fn reports(history: &[Entry]) -> impl Iterator<Item = (u64, usize, &Value)> {
    history.iter().filter_map(|entry| match &entry.what {
        What::Reported { life, report } => Some((entry.at, *life, report)),
        _ => None,
    })
}

/// I1: what was seen or acknowledged is still there, the same; the log is whole.
fn kept(end: &End, history: &[Entry], wrong: &mut Vec<String>) {
    for (event, number) in end.log.iter().zip(1_u64..) {
        if event["number"] != number {
            wrong.push(format!("I1: event {} stands at place {number} of the log", event["number"]));
        }
    }
    let mut viewers: BTreeMap<usize, u64> = BTreeMap::new();
    for entry in history {
        match &entry.what {
            What::Seen { viewer, event } => {
                let number = event["number"].as_u64().unwrap_or(0);
                let place = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
                // Those that came after the log was read at the end are not in it.
                if place < end.log.len() && end.log[place] != *event {
                    wrong.push(format!("I1: event {number} was seen and is another one now: {event}"));
                }
                if let Some(before) = viewers.insert(*viewer, number)
                    && number != before + 1
                {
                    wrong.push(format!("I7: viewer {viewer} saw event {number} after {before}"));
                }
            }
            What::Asked { command, answer: Some(answer), .. } if answer["reply"].is_object() => {
                let reply = &answer["reply"];
                match text(command, "command") {
                    _ if text(reply, "reply") == "created" => {
                        let number = &reply["value"]["session"]["number"];
                        if *number != end.session["session"]["number"] {
                            wrong.push(format!("I1: session {number} was acknowledged and is gone"));
                        }
                    }
                    _ if command.to_string().contains("\"answer\"") && text(reply, "reply") == "done" => {
                        let heard = end
                            .log
                            .iter()
                            .any(|event| kind(event) == "answer" && event["payload"]["answer"].is_object());
                        if !heard && command.to_string().contains("Which colour") {
                            wrong.push("I1: an answer was acknowledged and is not in the log".to_owned());
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Which step an agent's prompt is about.
pub(crate) fn step_of(report: &Value) -> Option<String> {
    let (_, rest) = text(report, "prompt").split_once("Execute step ")?;
    Some(rest.split(':').next()?.to_owned())
}

/// I2 and I5: each step is done once, and published once.
fn once(case: &Case, end: &End, history: &[Entry], wrong: &mut Vec<String>) {
    let wanted = steps(case);
    let mut completed: BTreeMap<String, usize> = BTreeMap::new();
    for event in end.log.iter().filter(|event| kind(event) == "step_state") {
        if text(&event["payload"], "state") == "completed" {
            *completed.entry(text(&event["payload"], "number").to_owned()).or_default() += 1;
        }
    }
    if completed.len() != wanted || completed.values().any(|times| *times != 1) {
        wrong.push(format!("I2: steps were completed {completed:?} times, and there are {wanted}"));
    }
    let mut succeeded: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: BTreeMap<&str, &str> = BTreeMap::new();
    for event in end.log.iter().filter(|event| kind(event) == "run_state") {
        let payload = &event["payload"];
        open.insert(text(payload, "run"), text(payload, "state"));
        if text(payload, "state") == "succeeded" {
            *succeeded.entry(text(payload, "action")).or_default() += 1;
        }
    }
    for (action, times) in succeeded.into_iter().filter(|(_, times)| *times > 1) {
        wrong.push(format!("I2: action {action} succeeded {times} times"));
    }
    for (run, state) in open.into_iter().filter(|(_, state)| matches!(*state, "running" | "waiting")) {
        wrong.push(format!("I10: run {run} is {state} for ever"));
    }

    // An agent that begins a step which somebody saw completed.
    let mut done: BTreeMap<String, u64> = BTreeMap::new();
    for entry in history {
        match &entry.what {
            What::Seen { event, .. }
                if kind(event) == "step_state" && text(&event["payload"], "state") == "completed" =>
            {
                done.entry(text(&event["payload"], "number").to_owned()).or_insert(entry.at);
            }
            What::Reported { report, .. } if report["event"] == "start" => {
                if let Some(step) = step_of(report)
                    && let Some(at) = done.get(&step)
                {
                    wrong.push(format!("I2: step {step} began at {} ms and was completed at {at} ms", entry.at));
                }
            }
            _ => {}
        }
    }

    let changes = if case.scenario == Scenario::OneShot { 1 } else { wanted };
    if end.branches.len() != changes {
        let names: Vec<_> = end.branches.iter().map(|(name, _)| name).collect();
        wrong.push(format!("I5: {changes} branches were to be, there are {names:?}"));
    }
    if end.pull_requests.len() != changes {
        wrong.push(format!("I5: {changes} pull requests were to be, there are {}", end.pull_requests.len()));
    }
    let heads: BTreeSet<&str> = end.pull_requests.iter().map(|line| text(&line["pull_request"], "head")).collect();
    if heads.len() != end.pull_requests.len() {
        wrong.push("I5: two pull requests have one branch".to_owned());
    }
    if let Some((branch, commits)) = end.branches.last() {
        for step in 1..=wanted {
            let mark = format!("Runyard-Step: {step}");
            let times = commits.iter().filter(|text| text.lines().any(|line| line == mark)).count();
            if times != 1 {
                wrong.push(format!("I2: step {step} has {times} commits on {branch}"));
            }
        }
        for (name, content) in [("one.txt", "1"), ("two.txt", "2"), ("three.txt", "3")].into_iter().take(wanted) {
            let found = end.files.iter().find(|(file, _)| file == name).map(|(_, text)| text.lines().next());
            if found != Some(Some(content)) {
                wrong.push(format!("I2: {name} on {branch} holds {found:?}"));
            }
        }
    }
    let revised = end.comments.iter().filter(|comment| comment.to_string().contains("Revised in ")).count();
    if case.scenario == Scenario::Review && revised != 1 {
        wrong.push(format!("I5: the revision was told {revised} times"));
    }
}

/// I3: a session has one agent at a time, so once a later one has said something an earlier one's way out is closed.
fn fenced(history: &[Entry], wrong: &mut Vec<String>) {
    let mut agents: Vec<&str> = Vec::new();
    for (at, life, report) in reports(history) {
        let agent = text(report, "agent");
        match agents.iter().position(|known| *known == agent) {
            None => agents.push(agent),
            Some(place) if place + 1 < agents.len() => {
                wrong.push(format!(
                    "I3: at {at} ms {agent} still spoke through life {life}, after its successor: {report}"
                ));
            }
            Some(_) => {}
        }
    }
}

/// I4: what was lost three times is given up, not later and not earlier.
fn given_up(case: &Case, end: &End, history: &[Entry], wrong: &mut Vec<String>) {
    let is_poison = |event: &Value| text(&event["payload"], "reason") == "poison";
    if !end.log.iter().any(is_poison) {
        wrong.push("I4: what was lost again and again was never given up".to_owned());
        return;
    }
    let seen = history.iter().position(|entry| matches!(&entry.what, What::Seen { event, .. } if is_poison(event)));
    let before = &history[..seen.unwrap_or(history.len())];
    let lost = before.iter().filter(|entry| matches!(entry.what, What::Died { .. })).count();
    if lost != 3 {
        wrong.push(format!("I4: it was given up after {lost} losses ({})", case.replay()));
    }
}

/// I11: what was stopped does nothing more.
fn stopped(history: &[Entry], wrong: &mut Vec<String>) {
    let limit = 5_000 + u64::try_from(crate::cases::PATIENCE.as_millis()).unwrap_or(0);
    let acknowledged = history.iter().find(|entry| match &entry.what {
        What::Asked { answer: Some(answer), .. } => {
            answer["reply"]["reply"] == "stopped" && answer["reply"]["value"]["running"] == "2"
        }
        _ => false,
    });
    let Some(acknowledged) = acknowledged else { return };
    let at = acknowledged.at;
    let before: BTreeSet<&str> = reports(history)
        .filter(|(when, _, report)| *when < at && report["event"] == "start")
        .map(|(_, _, report)| text(report, "agent"))
        .collect();
    for (when, _, report) in reports(history) {
        if when > at + limit && before.contains(text(report, "agent")) {
            wrong.push(format!("I11: {} ms after a stop an agent says {report}", when - at));
        }
    }
    let mut living: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for entry in history {
        if let What::Sandbox { sandbox, more, .. } = &entry.what {
            let was = living.insert(sandbox, (entry.at, *more));
            // The processes of the stop are those that are there when it is acknowledged.
            if let Some((since, count)) = was
                && count > 0
                && since <= at
                && entry.at > at + limit
            {
                wrong.push(format!("I11: processes of {sandbox} lived {} ms after a stop", entry.at - at));
            }
        }
    }
}

/// I6 with nobody left: all sandboxes end by themselves.
fn alone(history: &[Entry], wrong: &mut Vec<String>) {
    let mut living: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in history {
        if let What::Sandbox { sandbox, all, .. } = &entry.what {
            living.insert(sandbox, *all);
        }
    }
    if living.is_empty() {
        wrong.push("harness: there was never a sandbox".to_owned());
    }
    for (sandbox, all) in living.into_iter().filter(|(_, all)| *all > 0) {
        wrong.push(format!("I6: {all} processes of {sandbox} never end"));
    }
}
