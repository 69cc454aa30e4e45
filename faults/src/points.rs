//! The points of the product, and which kind of case comes to each.

use crate::cases::Scenario::{self, Asks, OneShot, Review, Stacked, Stopped, Trouble};

/// One point.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Its name in the code.
    pub name: &'static str,
    /// The kinds of case that come to it.
    pub scenarios: &'static [Scenario],
    /// A case comes to it about this often.
    pub times: u64,
    /// What has to be survived before, so that it is reached at all.
    pub after: Option<&'static str>,
}

const fn point(name: &'static str, scenarios: &'static [Scenario], times: u64) -> Point {
    Point { name, scenarios, times, after: None }
}

const fn after(name: &'static str, before: &'static str) -> Point {
    Point { name, scenarios: &[Stacked], times: 1, after: Some(before) }
}

const ANY: &[Scenario] = &[Stacked, OneShot, Asks, Stopped, Review, Trouble];
const WORK: &[Scenario] = &[Stacked, OneShot];

/// All of them. A test compares this list with the code.
pub const POINTS: &[Point] = &[
    // What was accepted.
    point("crash-migration-begun", WORK, 1),
    point("crash-migration-done", WORK, 1),
    point("crash-session-accepted", WORK, 1),
    point("crash-session-created", ANY, 1),
    point("crash-transaction-written", ANY, 120),
    point("crash-transaction-done", ANY, 120),
    // Claim and lease.
    point("crash-claim-written", ANY, 4),
    point("crash-action-claimed", ANY, 4),
    point("crash-run-begun", ANY, 4),
    point("crash-beat-due", ANY, 6),
    point("crash-beat-noted", ANY, 6),
    point("crash-sandbox-renewed", WORK, 4),
    point("crash-lease-kept", ANY, 4),
    point("crash-lease-released", ANY, 4),
    // The sandbox and its way out.
    point("crash-sandbox-intended", WORK, 1),
    point("crash-sandbox-recorded", WORK, 1),
    point("crash-sandbox-launched", WORK, 1),
    point("crash-sandbox-made", WORK, 1),
    point("crash-way-out-intended", WORK, 4),
    point("crash-way-out-open", WORK, 4),
    point("crash-workspace-prepared", WORK, 3),
    after("crash-sandbox-forgotten", "crash-sandbox-made"),
    point("crash-sandbox-ended", WORK, 1),
    point("crash-sandbox-removed", WORK, 1),
    point("crash-sandbox-taken-down", WORK, 1),
    // The agent.
    point("crash-exec-intended", ANY, 4),
    point("crash-exec-started", ANY, 4),
    after("crash-attach-intended", "crash-output-stored"),
    after("crash-attached", "crash-output-stored"),
    point("crash-line-journaled", ANY, 12),
    point("crash-output-taken", ANY, 20),
    point("crash-output-blob", ANY, 20),
    point("crash-output-stored", ANY, 20),
    point("crash-agent-ended", ANY, 4),
    point("crash-agent-archived", ANY, 4),
    // From the tree to the pull request.
    point("crash-check-done", WORK, 3),
    point("crash-export-begun", WORK, 3),
    point("crash-exported", WORK, 3),
    point("crash-import-checked", WORK, 3),
    point("crash-import-handed-over", WORK, 3),
    point("crash-proposal-imported", WORK, 3),
    point("crash-commit-kept", WORK, 6),
    point("crash-commit-made", WORK, 3),
    point("crash-commit-noted", WORK, 3),
    point("crash-push-intended", WORK, 3),
    point("crash-pushed", WORK, 3),
    point("crash-push-noted", WORK, 3),
    point("crash-pull-request-intended", &[Stacked], 3),
    point("crash-pull-request-opened", &[Stacked], 3),
    point("crash-pull-request-noted", &[Stacked], 3),
    point("crash-pull-request-made-ready", &[OneShot], 1),
    point("crash-before-the-end", ANY, 4),
    point("crash-after-the-end", ANY, 4),
    // People.
    point("crash-question-asked", &[Asks], 1),
    point("crash-put-to-rest", &[Asks], 1),
    point("crash-answer-accepted", &[Asks], 1),
    point("crash-answer-stored", &[Asks], 1),
    point("crash-answer-heard", &[Asks], 1),
    point("crash-stop-accepted", &[Stopped], 1),
    point("crash-stop-requested", &[Stopped], 1),
    point("crash-stop-heard", &[Stopped], 1),
    point("crash-stop-killed", &[Stopped], 1),
    point("crash-message-stored", &[Review], 1),
    point("crash-merge-commit-made", &[Review], 1),
    point("crash-merge-commit-noted", &[Review], 1),
    point("crash-revision-told", &[Review], 1),
    point("crash-merged", &[Review], 2),
    // Trying again later.
    point("crash-retry-intended", &[Trouble], 1),
    point("crash-retry-noted", &[Trouble], 1),
];

/// The points that fail. What they stand for is in docs/faults.md.
pub const ERRORS: &[&str] = &[
    "fail-commit",
    "fail-commit-answer",
    "fail-claim-answer",
    "fail-blob",
    "fail-push",
    "fail-push-answer",
    "fail-open-answer",
    "fail-sandbox-create",
];

/// A point by name.
pub fn named(name: &str) -> Option<&'static Point> {
    POINTS.iter().find(|point| point.name == name)
}
