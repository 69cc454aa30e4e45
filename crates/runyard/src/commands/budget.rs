//! `runyard session budget`.

use super::{resolve, unexpected};
use crate::{
    app::App,
    cli::{Limit, Limits, SessionArg},
    connect::Connection,
    exit::Failure,
    live, render,
};
use domain::Budget;
use engine::{Command, Reply};
use std::time::Duration;

/// Sets the limits that are given, and shows all.
pub async fn budget(
    app: &mut App,
    connection: &Connection,
    session: Option<SessionArg>,
    limits: Limits,
) -> Result<(), Failure> {
    let client = &connection.client;
    let number = resolve(connection, session).await?;
    let session = live::session(client, number).await?.session;
    let budget = Budget {
        cost: Limit::or(limits.usd, session.budget.cost),
        tokens: Limit::or(limits.tokens, session.budget.tokens),
        seconds: Limit::or(limits.time, session.budget.seconds),
    };
    let run_budget = Budget {
        cost: Limit::or(limits.run_usd, session.run_budget.cost),
        tokens: Limit::or(limits.run_tokens, session.run_budget.tokens),
        seconds: Limit::or(limits.run_time, session.run_budget.seconds),
    };
    if (budget, run_budget) != (session.budget, session.run_budget) {
        match client.call(Command::Budget { session: number, budget, run_budget }).await? {
            Reply::Done => {}
            other => return Err(unexpected(&other)),
        }
    }
    let used = format!("{} and {} tokens", session.usage.cost, session.usage.tokens());
    app.screen.line(format!("{number} may use {}; it has used {used}", words(budget)));
    app.screen.line(format!("each run may use {}", words(run_budget)));
    Ok(())
}

fn words(budget: Budget) -> String {
    let parts = [
        budget.cost.map(|cost| cost.to_string()),
        budget.tokens.map(|tokens| format!("{tokens} tokens")),
        budget.seconds.map(|seconds| format!("{} of work", render::span(Duration::from_secs(seconds)))),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "as much as it needs".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays_and_none_takes_it_away() {
        assert_eq!(Limit::or(None, Some(3)), Some(3));
        assert_eq!(Limit::or(Some(Limit::To(4)), Some(3)), Some(4));
        assert_eq!(Limit::or(Some(Limit::None), Some(3)), None);
    }

    #[test]
    fn limits_are_said_in_one_line() {
        assert_eq!(words(Budget::default()), "as much as it needs");
        let some = Budget { tokens: Some(500), seconds: Some(5400), cost: None };
        assert_eq!(words(some), "500 tokens, 1h 30m of work");
    }
}
