//! The end of a one-shot, and a person's choice in manual mode.

use super::{done, succeed};
use crate::{
    begin::{Start, begin},
    context::Context,
    halt::Halt,
    publish,
    stack::{self, NEXT_BRANCH, NextBranch},
};
use domain::{Actor, Answer, ChangeState, EventPayload, Mode, PrMode, RequestKind, RequestState};
use store::Write;

/// Makes a one-shot's pull requests ready, or does what a person chose.
pub(super) async fn finish(context: &Context) -> Result<(), Halt> {
    if context.session.pr_mode == PrMode::Manual {
        return as_chosen(context).await;
    }
    begin_run(context).await?;
    let mut events = Vec::new();
    if context.session.mode == Mode::OneShot {
        let numbers = publish::make_ready(context).await?;
        let text = match numbers.as_slice() {
            [] => "Everything is done; nothing had to be changed.".to_owned(),
            numbers => {
                let list: Vec<_> = numbers.iter().map(|number| format!("#{number}")).collect();
                format!("Everything is done. Ready for review: {}.", list.join(", "))
            }
        };
        events.push(EventPayload::Message { from: Actor::System, run: None, text });
    }
    succeed(context, Vec::new(), events).await
}

async fn begin_run(context: &Context) -> Result<(), Halt> {
    let start = Start {
        step: None,
        agent_session: context.session.agent_session,
        base: context.tip().await?,
        version: Some(context.session.version),
    };
    begin(context, start).await.map(drop)
}

async fn as_chosen(context: &Context) -> Result<(), Halt> {
    let requests = context.shared.store.requests(context.session.id).await?;
    let chosen = requests.iter().rev().filter(|request| matches!(request.kind, RequestKind::Publish { .. })).find_map(
        |request| match &request.state {
            RequestState::Answered { answer: Answer::Chosen { option }, .. } => Some(option.as_str()),
            _ => None,
        },
    );
    let next = match chosen {
        Some("create_pr" | "stacked_pr" | "new_branch") => NextBranch::OnTop,
        Some("fresh") => NextBranch::Fresh,
        _ => NextBranch::Same,
    };
    let value = serde_json::to_value(next).map_err(|error| Halt::failed(error.to_string()))?;
    let note = Write::Journal(NEXT_BRANCH.to_owned(), value);
    if !matches!(chosen, Some("create_pr" | "stacked_pr")) {
        return context.commit(&[note, done(context)], &[]).await;
    }
    begin_run(context).await?;
    open(context).await?;
    succeed(context, vec![note], Vec::new()).await
}

/// Opens the pull request of the newest change, and of those below that have none.
async fn open(context: &Context) -> Result<(), Halt> {
    let shared = &context.shared;
    let mirror = context.mirror().await?;
    for change in shared.store.changes(context.session.id).await? {
        if change.state == ChangeState::Branch && change.head != change.base {
            let change = stack::push(context, &mirror, change).await?;
            publish::open_pull_request(context, &mirror, change, false).await?;
        }
    }
    Ok(())
}
