//! I7: numbered lines of agents, as they are in the log.

use super::{kind, reports, step_of, text};
use crate::{
    history::{End, Entry},
    numbered,
};
use std::collections::BTreeMap;

/// Each agent's lines are a prefix of what it wrote, in order, each once and whole; those of the agent that completed a
/// step are all there.
pub(super) fn check(end: &End, history: &[Entry], wrong: &mut Vec<String>) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for event in end.log.iter().filter(|event| kind(event) == "message") {
        let said = text(&event["payload"], "text");
        let mut words = said.split(' ');
        if words.next() != Some("line") {
            continue;
        }
        let (Some(agent), Some(Ok(number))) = (words.next(), words.next().map(str::parse::<u64>)) else {
            wrong.push(format!("I7: a line is damaged: {said}"));
            continue;
        };
        if said != numbered(agent, number) {
            wrong.push(format!("I7: line {number} of {agent} is damaged: {said}"));
        }
        let before = seen.insert(agent.to_owned(), number).unwrap_or(0);
        if number != before + 1 {
            wrong.push(format!("I7: line {number} of {agent} comes after line {before}"));
        }
    }
    let wrote: BTreeMap<&str, u64> = reports(history)
        .filter(|(_, _, report)| report["event"] == "wrote")
        .map(|(_, _, report)| (text(report, "agent"), report["lines"].as_u64().unwrap_or(0)))
        .collect();
    // The last one that began a step completed it.
    let mut last: BTreeMap<String, &str> = BTreeMap::new();
    for (_, _, report) in reports(history).filter(|(_, _, report)| report["event"] == "start") {
        if let Some(step) = step_of(report) {
            last.insert(step, text(report, "agent"));
        }
    }
    for (step, agent) in last {
        let (written, found) = (wrote.get(agent).copied(), seen.get(agent).copied().unwrap_or(0));
        if written.is_some_and(|written| written != found) {
            wrong
                .push(format!("I7: {agent} completed step {step} and wrote {written:?} lines, {found} are in the log"));
        }
    }
}
