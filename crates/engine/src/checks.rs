//! Evidence: the check blocks of a step, run after its agent.

use crate::{
    context::Context,
    halt::Halt,
    process::{Done, Job},
    tree::told,
    workspace::Place,
};
use domain::{CheckOutcome, CommitId, EventPayload, NoteLevel};
use runbook::{Block, Document, Expect};
use sandbox::ExitReason;
use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

/// Longest log of a check that is kept, in bytes.
const LOG_LIMIT: usize = 16 << 20;

/// How much of a log's end people and the agent are shown, in bytes.
pub(crate) const TAIL: usize = 4 * 1024;

/// One check to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub name: String,
    pub script: String,
    pub directory: Option<String>,
    pub environment: Vec<(String, String)>,
    pub timeout: Option<Duration>,
    pub expect: Option<Expect>,
}

impl Check {
    /// The checks among `blocks`, with the document's variables in their environment.
    pub fn of(document: &Document, blocks: &[&Block]) -> Result<Vec<Self>, Halt> {
        let variables = document.variable_values(&std::collections::BTreeMap::new());
        let mut checks = Vec::new();
        for block in blocks {
            let Some(runnable) = block.runnable() else { continue };
            if runnable.runtime != "bash" {
                return Err(Halt::failed(format!(
                    "the check at line {} is in {}; checks are written in bash",
                    block.position.line, runnable.runtime
                )));
            }
            let attributes = &runnable.attributes;
            let first_line = block.body.lines().find(|line| !line.trim().is_empty()).unwrap_or("check").trim();
            let mut environment: Vec<_> = variables.clone().into_iter().collect();
            environment.extend(attributes.env.clone());
            checks.push(Self {
                name: attributes.name.clone().unwrap_or_else(|| first_line.chars().take(60).collect()),
                script: block.body.clone(),
                directory: attributes.cwd.clone(),
                environment,
                timeout: attributes.timeout.or(document.front_matter().timeout),
                expect: attributes.expect.clone(),
            });
        }
        Ok(checks)
    }
}

/// Runs all checks in order, each to its end. One that changes a file of the repository or of the work fails; files that
/// they leave behind, such as caches and reports, are removed in the end.
pub(crate) async fn run(
    context: &Context,
    place: &Place,
    checks: &[Check],
    base: &CommitId,
) -> Result<Vec<CheckOutcome>, Halt> {
    let mut outcomes = Vec::new();
    if checks.is_empty() {
        return Ok(outcomes);
    }
    let mut before = place.changes(context, base).await?;
    let mut left = BTreeSet::new();
    for check in checks {
        let mut outcome = run_one(context, place, check).await?;
        let after = place.changes(context, base).await?;
        if let Some(new) = before.only_added(&after) {
            // What one check left is for the next to change: it is no part of what the checks are about.
            left.extend(new);
        } else {
            outcome.killed = Some("it changed files of the repository, which a check must not do".to_owned());
            outcome.exit_code = None;
            before = after;
        }
        let step = context.run().and_then(|run| run.step);
        let event = EventPayload::CheckResult { run: context.run_id()?, step, outcome: outcome.clone() };
        context.commit(&[], &[event]).await?;
        faultpoint::crash_point!("crash-check-done");
        outcomes.push(outcome);
    }
    if !left.is_empty() {
        let left: Vec<String> = left.into_iter().collect();
        place.remove(context, &left).await?;
        let text = format!("Files that checks left behind are not part of the work and were removed: {}.", told(&left));
        context.note(NoteLevel::Info, text).await?;
    }
    Ok(outcomes)
}

async fn run_one(context: &Context, place: &Place, check: &Check) -> Result<CheckOutcome, Halt> {
    let time = check.timeout.unwrap_or(context.shared.settings.check_timeout);
    let mut argv = vec!["/usr/bin/env".to_owned()];
    argv.extend(check.environment.iter().map(|(name, value)| format!("{name}={value}")));
    if let Some(directory) = &check.directory {
        argv.push(format!("--chdir={directory}"));
    }
    argv.extend(["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"].map(str::to_owned));
    argv.push(check.script.clone());
    let started = context.shared.clock.monotonic();
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let job = Job { purpose: "check", argv: &words, time, limit: LOG_LIMIT, shown: true };
    let Done { finished, log } = place.run(context, &job).await?;
    let took = context.shared.clock.monotonic().saturating_sub(started);
    let killed = match finished.status.reason {
        ExitReason::Exited => None,
        ExitReason::TimedOut => Some(format!("timed out after {} s", time.as_secs())),
        ExitReason::OutputQuota => Some("it wrote more than its output quota".to_owned()),
        ExitReason::SpoolFailed => Some("its output could not be kept: the server's disk is full".to_owned()),
        ExitReason::DiskQuota => Some("its sandbox kept more on disk than it may".to_owned()),
        ExitReason::HostDiskFull => Some("the server's disk is nearly full".to_owned()),
        ExitReason::Killed => Some("it was killed".to_owned()),
    };
    let text = String::from_utf8_lossy(&log).into_owned();
    let exit_code = if killed.is_none() { judged(finished.status.code, check.expect.as_ref(), &text) } else { None };
    let killed = match (killed, exit_code, finished.status.code) {
        (None, None, Some(0)) => Some("its output does not hold what it expects".to_owned()),
        // What failed for want of something says so; what got by without it is fine.
        (None, code, ended) if code != Some(0) => finished.reached.words().map(|what| {
            let ended = ended.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            format!("it ran into the sandbox's limit of {what}, and ended with {ended}")
        }),
        (killed, _, _) => killed,
    };
    let exit_code = exit_code.filter(|_| killed.is_none());
    Ok(CheckOutcome {
        name: check.name.clone(),
        command: check.script.clone(),
        exit_code,
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        killed,
        tail: tail(&text),
        log: context.put_blob(log).await?,
    })
}

/// The exit code that people see: what was expected counts as 0.
fn judged(code: Option<i32>, expect: Option<&Expect>, output: &str) -> Option<i32> {
    match (code, expect) {
        (Some(code), Some(Expect::Exit(wanted))) if code == i32::from(*wanted) => Some(0),
        (Some(0), Some(Expect::Exit(wanted))) => Some(i32::from(*wanted).max(1)),
        (Some(0), Some(Expect::Output(wanted))) if !output.contains(wanted.as_str()) => None,
        (code, _) => code,
    }
}

/// The end of a log, whole lines where possible.
fn tail(text: &str) -> String {
    if text.len() <= TAIL {
        return text.to_owned();
    }
    let mut start = text.len() - TAIL;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let rest = &text[start..];
    rest.split_once('\n').map_or(rest, |(_, whole)| whole).to_owned()
}

/// What the agent is told about checks that failed.
pub(crate) fn report(outcomes: &[CheckOutcome]) -> String {
    let mut text =
        "These checks failed after your work. Mend the code (not the checks) so that they pass.\n".to_owned();
    for outcome in outcomes.iter().filter(|outcome| !outcome.passed()) {
        let how = match (&outcome.killed, outcome.exit_code) {
            (Some(why), _) => why.clone(),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => "killed".to_owned(),
        };
        let _ = write!(
            text,
            "\n## {} — {how}\n\n```\n{}\n```\n\nThe end of its log:\n\n```\n{}\n```\n",
            outcome.name,
            outcome.command.trim_end(),
            outcome.tail.trim_end()
        );
    }
    text
}

/// Says that a check failed and names it.
pub(crate) fn failure(outcomes: &[CheckOutcome]) -> Option<String> {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let first = failed.first()?;
    let how = first.killed.clone().unwrap_or_else(|| format!("exit code {}", first.exit_code.unwrap_or(-1)));
    let more = if failed.len() > 1 { format!(", and {} more", failed.len() - 1) } else { String::new() };
    Some(format!("the check `{}` failed ({how}){more}", first.name))
}

/// Tells people how many checks there are, before they run.
pub(crate) async fn announce(context: &Context, checks: &[Check]) -> Result<(), Halt> {
    if checks.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    context.note(NoteLevel::Info, format!("Running {} check(s): {}.", checks.len(), names.join(", "))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_decides() {
        assert_eq!(judged(Some(3), Some(&Expect::Exit(3)), ""), Some(0));
        assert_eq!(judged(Some(0), Some(&Expect::Exit(3)), ""), Some(3));
        assert_eq!(judged(Some(0), Some(&Expect::Output("ok".into())), "all ok"), Some(0));
        assert_eq!(judged(Some(0), Some(&Expect::Output("ok".into())), "bad"), None);
        assert_eq!(judged(Some(2), None, ""), Some(2));
    }

    #[test]
    fn a_tail_is_short_and_starts_with_a_whole_line() {
        let long = (0..2000).map(|n| format!("línea {n}")).collect::<Vec<_>>().join("\n") + "\n";
        let end = tail(&long);
        assert!(end.len() <= TAIL && end.starts_with("línea") && end.ends_with("línea 1999\n"));
        assert_eq!(tail("short"), "short");
    }
}
