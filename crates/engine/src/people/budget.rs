//! What a session may use.

use crate::{Problem, ProblemCode, Reply, halt::in_words, shared::Shared};
use domain::{Actor, Budget, EventPayload, SessionNumber};
use std::time::Duration;
use store::{Fence, Write};

/// Sets the budgets of a session and of its runs.
pub(super) async fn set(
    shared: &Shared,
    by: Actor,
    session: SessionNumber,
    budget: Budget,
    run_budget: Budget,
) -> Result<Reply, Problem> {
    for Budget { cost, tokens, seconds } in [budget, run_budget] {
        if cost.is_some_and(|cost| cost.0 <= 0) || tokens.is_some_and(|tokens| tokens <= 0) || seconds == Some(0) {
            return Err(Problem::new(ProblemCode::BadRequest, "a budget is more than nothing")
                .mend("stop the session to stop the work")
                .command(format!("`runyard session stop {session}` stops the work")));
        }
    }
    let session = shared.session(session).await?;
    if (session.budget, session.run_budget) == (budget, run_budget) {
        return Ok(Reply::Done);
    }
    let text = format!("Set the budget of the session to {}, and of each run to {}.", words(budget), words(run_budget));
    let event = EventPayload::Message { from: by, run: None, text };
    let write = Write::Budget { session: budget, run: run_budget };
    shared.store.commit(session.id, Fence::Open, &[write], &[event], shared.now()).await?;
    Ok(Reply::Done)
}

fn words(budget: Budget) -> String {
    let parts = [
        budget.cost.map(|cost| cost.to_string()),
        budget.tokens.map(|tokens| format!("{tokens} tokens")),
        budget.seconds.map(|seconds| in_words(Duration::from_secs(seconds))),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no limit".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::MicroUsd;

    #[test]
    fn a_budget_is_said_by_its_limits() {
        assert_eq!(words(Budget::default()), "no limit");
        let all = Budget { cost: Some(MicroUsd(2_500_000)), tokens: Some(500), seconds: Some(5400) };
        assert_eq!(words(all), "$2.50, 500 tokens, 1 h 30 min");
    }
}
