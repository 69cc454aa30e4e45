//! What people make of single steps.

use super::{
    error::{Code, Failure},
    session::Session,
    session_mutations::{done, edit},
    session_parts::Runbook,
};
use async_graphql::{Context, Enum, Object, Result};
use domain::SessionNumber;
use engine::{Command, Edit, StepPlace as Place};

/// A place for a step, in the numbers before the move.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub enum StepPlace {
    /// Before the one that stands before it on its level.
    Up,
    /// After the one that stands after it on its level.
    Down,
    /// Before another step, on that one's level.
    Before,
    /// After another step and its substeps, on that one's level.
    After,
    /// As the last substep of another step.
    Into,
    /// As the last top-level step.
    End,
}

fn place(place: StepPlace, of: Option<String>) -> Result<Place, Failure> {
    let wrong = |told: &str| Failure::new(Code::BadRequest, told).field("of");
    Ok(match (place, of) {
        (StepPlace::Before, Some(of)) => Place::Before(of),
        (StepPlace::After, Some(of)) => Place::After(of),
        (StepPlace::Into, Some(of)) => Place::Into(of),
        (StepPlace::Up, None) => Place::Up,
        (StepPlace::Down, None) => Place::Down,
        (StepPlace::End, None) => Place::End,
        (StepPlace::Before | StepPlace::After | StepPlace::Into, None) => {
            return Err(wrong("name the step that this place is about"));
        }
        (StepPlace::Up | StepPlace::Down | StepPlace::End, Some(_)) => {
            return Err(wrong("this place is about no other step"));
        }
    })
}

/// What people make of single steps.
#[derive(Debug, Default)]
pub struct StepMutations;

#[Object]
impl StepMutations {
    /// Puts a step with its substeps in another place; steps are renumbered, and each keeps its state. `of` names the other
    /// step for `BEFORE`, `AFTER` and `INTO`. Fails with `CONFLICT` when there is a newer version than the one that was
    /// seen, and for steps that are done or at work.
    async fn move_step(
        &self,
        ctx: &Context<'_>,
        session: i64,
        expected_version: i64,
        step: String,
        to: StepPlace,
        of: Option<String>,
    ) -> Result<Runbook> {
        let to = place(to, of)?;
        edit(ctx, session, expected_version, Edit::Move { step, to }).await
    }

    /// Says that a step is not done, and why; what comes after it goes on as if it were. Fails with `CONFLICT` when there is
    /// a newer version than the one that was seen, if one is given.
    async fn skip_step(
        &self,
        ctx: &Context<'_>,
        session: i64,
        step: String,
        reason: String,
        expected_version: Option<i64>,
    ) -> Result<Session> {
        if reason.trim().is_empty() {
            let told = "the reason is empty";
            return Err(Failure::new(Code::BadRequest, told)
                .mend("say why the step is not done")
                .field("reason")
                .into());
        }
        let session_number = SessionNumber(session);
        let command = Command::SkipStep { session: session_number, step, reason, expected: expected_version };
        done(ctx, session, command).await
    }

    /// Says that a step that was skipped is to be done after all. Fails with `CONFLICT` as `skipStep` does.
    async fn unskip_step(
        &self,
        ctx: &Context<'_>,
        session: i64,
        step: String,
        expected_version: Option<i64>,
    ) -> Result<Session> {
        let session_number = SessionNumber(session);
        done(ctx, session, Command::UnskipStep { session: session_number, step, expected: expected_version }).await
    }
}
