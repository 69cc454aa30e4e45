//! What sessions teach: noted by the agent in the exchange in which it happened, kept when the run succeeds.
//!
//! Everything in a learning was written by an agent that worked in a repository, so it is treated as written by an enemy:
//! bounded, cleaned, shown as text, and told to other agents as a note with its origin, never as part of their
//! instructions, and not before a person looked at it.

mod fitting;

pub(crate) use fitting::{Evidence, MANIFESTS, about, fitting};

use crate::{
    actions::has_planned,
    context::Context,
    converse::{OwnTools, Talk},
    halt::Halt,
    prompt,
};
use agent::{OwnCall, ToolSpec};
use async_trait::async_trait;
use domain::{
    EventPayload, Knowledge, KnowledgeId, KnowledgeKind, KnowledgeRef, Learning, LearningState, Moment, NoteLevel,
    Piece, RunId,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use store::Write;

/// The name of the tool that notes a learning.
pub(crate) const TOOL: &str = "note_learning";

/// So many learnings a run teaches at most.
const MOST_OF_A_RUN: usize = 3;

/// So many learnings of an account wait for a person at most; what is taught beyond is not kept.
pub(crate) const MOST_PROPOSED: usize = 200;

/// So many learnings an account has at most.
pub(crate) const MOST: usize = 1000;

/// A learning as the agent noted it, before its run succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Draft {
    moment: Moment,
    pattern: String,
    solution: String,
    applies_to: Vec<String>,
}

/// The beginning of the keys under which the notes of a run are kept.
fn prefix(run: RunId) -> String {
    format!("learned:{run}:")
}

/// Asks in an exchange for what the occasion teaches: offers the tool beside those that the exchange has anyhow, and says
/// so at the end of its prompt.
pub(crate) fn asked_for(context: &Arc<Context>, run: RunId, moment: Moment, talk: Talk) -> Talk {
    let Talk { mut tools, own, prompt, .. } = talk.clone();
    tools.push(Teaching::tool());
    let own = Arc::new(Teaching { context: context.clone(), run, moment, beside: own });
    Talk { tools, own, prompt: format!("{prompt}{}", prompt::learn(moment)), ..talk }
}

/// The tool, beside those that an exchange has anyhow.
struct Teaching {
    context: Arc<Context>,
    run: RunId,
    moment: Moment,
    beside: Arc<dyn OwnTools>,
}

impl Teaching {
    /// The tool, as the agent is told of it.
    fn tool() -> ToolSpec {
        let text = |most: usize, what: &str| json!({ "type": "string", "maxLength": most, "description": what });
        ToolSpec {
            name: TOOL.to_owned(),
            description: "Notes what this taught, for later sessions on this repository. People of the team read it before other agents do.".to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "pattern": text(Learning::LONGEST_PATTERN, "what one runs into, so that it is recognised: one sentence"),
                    "solution": text(Learning::LONGEST_SOLUTION, "what to do then, with names of files and commands"),
                    "applies_to": {
                        "type": "array",
                        "maxItems": Learning::MOST_SUBJECTS,
                        "items": { "type": "string", "maxLength": Learning::LONGEST_SUBJECT },
                        "description": "files (`*` stands for anything), frameworks and commands that it is about"
                    }
                },
                "required": ["pattern", "solution"],
                "additionalProperties": false
            }),
        }
    }

    async fn note(&self, call: &OwnCall) -> Result<String, String> {
        let draft = read(&call.input, self.moment)?;
        let unread = |why: Halt| {
            tracing::warn!(session = %self.context.session.number, ?why, "failed to note a learning");
            "Runyard could not store it; go on without it".to_owned()
        };
        // The same call may come again, also after a crash: it is one note, whatever it said the last time.
        let key = format!("{}{}", prefix(self.run), call.tool_use_id);
        let known = noted(&self.context, self.run).await.map_err(unread)?;
        if !known.contains_key(&key) && known.len() >= MOST_OF_A_RUN {
            return Err(format!("{MOST_OF_A_RUN} learnings are as many as one run may note; go on with your work"));
        }
        let note = serde_json::to_value(&draft).map_err(|error| error.to_string())?;
        match self.context.commit(&[Write::Journal(key, note)], &[]).await {
            Ok(()) => Ok("Noted. Go on with your work; do not mention it.".to_owned()),
            Err(why) => Err(unread(why)),
        }
    }
}

#[async_trait]
impl OwnTools for Teaching {
    async fn call(&self, call: &OwnCall) -> Result<String, String> {
        if call.name == TOOL { self.note(call).await } else { self.beside.call(call).await }
    }
}

/// What the agent wrote, when it is within the limits.
fn read(input: &serde_json::Value, moment: Moment) -> Result<Draft, String> {
    let text = |name: &str, most: usize, lines: bool| -> Result<String, String> {
        let text = input.get(name).and_then(serde_json::Value::as_str).ok_or(format!("`{name}` must be a text"))?;
        bounded(name, text, most, lines)
    };
    let subjects = match input.get("applies_to") {
        None | Some(serde_json::Value::Null) => Vec::new(),
        Some(serde_json::Value::Array(all)) if all.len() <= Learning::MOST_SUBJECTS => all.clone(),
        Some(_) => return Err(format!("`applies_to` must be a list of at most {} texts", Learning::MOST_SUBJECTS)),
    };
    let subjects = subjects.iter().map(|subject| {
        let subject = subject.as_str().ok_or("`applies_to` must be a list of texts")?;
        bounded("applies_to", subject, Learning::LONGEST_SUBJECT, false)
    });
    Ok(Draft {
        moment,
        pattern: text("pattern", Learning::LONGEST_PATTERN, false)?,
        solution: text("solution", Learning::LONGEST_SOLUTION, true)?,
        applies_to: subjects.collect::<Result<_, String>>()?,
    })
}

/// The text without what nobody sees, when something is left and it is not too long. What is far too long is not even
/// looked at.
fn bounded(name: &str, text: &str, most: usize, lines: bool) -> Result<String, String> {
    let too_long = || format!("`{name}` must have at most {most} characters");
    if text.len() > most * 8 {
        return Err(too_long());
    }
    let text = visible(text, lines);
    match text.chars().count() {
        0 => Err(format!("`{name}` must not be empty")),
        count if count > most => Err(too_long()),
        _ => Ok(text),
    }
}

/// The text without control characters and those that nobody sees; on one line unless it may have several.
pub(crate) fn visible(text: &str, lines: bool) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\t'], " ");
    let text = if lines { text } else { text.replace('\n', " ") };
    let kept = |c: &char| *c == '\n' || !(c.is_control() || domain::is_invisible(*c));
    text.chars().filter(kept).collect::<String>().trim().to_owned()
}

async fn noted(context: &Context, run: RunId) -> Result<BTreeMap<String, Draft>, Halt> {
    let notes = context.shared.store.notes(context.session.id, &prefix(run)).await?;
    Ok(notes.into_iter().filter_map(|(key, note)| Some((key, serde_json::from_value(note).ok()?))).collect())
}

/// What the current run taught, to be written in the transaction in which it succeeds: all of it or nothing, and once.
/// Nothing about it makes a run fail: what cannot be kept the session says, what cannot be read the server's log.
pub(crate) async fn taught(context: &Context) -> (Vec<Write>, Vec<EventPayload>) {
    match taught_by(context).await {
        Ok(taught) => taught,
        Err(why) => {
            tracing::warn!(session = %context.session.number, ?why, "what a run taught was not read");
            (Vec::new(), Vec::new())
        }
    }
}

async fn taught_by(context: &Context) -> Result<(Vec<Write>, Vec<EventPayload>), Halt> {
    let Some(run) = context.run() else { return Ok((Vec::new(), Vec::new())) };
    let mut drafts = noted(context, run.id).await?;
    if drafts.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    // What was noted in the belief that it would come to this, and did not, taught nothing.
    let (changed, replanned) = (run.commit.is_some(), has_planned(context, run.id).await?);
    drafts.retain(|_, draft| match draft.moment {
        Moment::ErrorResolved | Moment::ChecksFixed => true,
        Moment::ReviewAddressed => changed,
        Moment::PlanCorrected => replanned,
    });
    let run = run.id;
    let (store, account) = (&context.shared.store, context.shared.account.id);
    let known = store.knowledge(account, KnowledgeKind::Learning).await?;
    let waiting =
        |known: &&Knowledge| matches!(&known.piece, Piece::Learning(it) if it.state == LearningState::Proposed);
    let (mut waiting, mut all) = (known.iter().filter(waiting).count(), known.len());
    let repository = context.repository().await?.name;
    let mut fresh: BTreeMap<String, Knowledge> = BTreeMap::new();
    let mut said: BTreeMap<Moment, Vec<KnowledgeRef>> = BTreeMap::new();
    let mut writes: BTreeMap<String, Write> = BTreeMap::new();
    let mut lost = 0;
    for draft in drafts.into_values() {
        let learning = Learning {
            pattern: draft.pattern,
            solution: draft.solution,
            applies_to: draft.applies_to,
            repositories: vec![repository.clone()],
            state: LearningState::Proposed,
        };
        let likeness = learning.likeness();
        let alike = |known: &&Knowledge| known.piece.likeness().as_ref() == Some(&likeness);
        let there = known.iter().find(alike).or_else(|| fresh.get(&likeness)).cloned();
        let learning = match there {
            Some(there) => there,
            None if waiting >= MOST_PROPOSED || all >= MOST => {
                lost += 1;
                continue;
            }
            None => {
                (waiting, all) = (waiting + 1, all + 1);
                let new = proposed(context, learning);
                fresh.insert(likeness.clone(), new.clone());
                new
            }
        };
        said.entry(draft.moment).or_default().push(KnowledgeRef::from(&learning));
        // In one order, so that two sessions that teach at once do not wait for each other.
        writes.insert(likeness, Write::Learn(Box::new(learning), run, draft.moment));
    }
    let mut events: Vec<EventPayload> =
        said.into_iter().map(|(moment, learned)| EventPayload::Learned { run, moment, learned }).collect();
    if lost > 0 {
        let text = format!(
            "{lost} learning(s) were not kept: {waiting} wait for a person, and there are {all} in all. Look through them in Settings → Learnings."
        );
        events.push(EventPayload::Note { level: NoteLevel::Warning, text });
    }
    Ok((writes.into_values().collect(), events))
}

fn proposed(context: &Context, learning: Learning) -> Knowledge {
    let now = context.shared.now();
    Knowledge {
        id: KnowledgeId::new(context.shared.mint.as_ref()),
        account: context.shared.account.id,
        owner: None,
        version: 1,
        piece: Piece::Learning(learning),
        author: None,
        created_at: now,
        changed_at: now,
        used: 0,
        used_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(input: &serde_json::Value) -> String {
        read(input, Moment::ChecksFixed).expect_err("refused")
    }

    #[test]
    fn what_is_not_within_the_limits_is_refused_with_the_limit() {
        let long = |count: usize| "x".repeat(count);
        let cases = [
            (json!({}), "`pattern` must be a text"),
            (json!({ "pattern": 7, "solution": "x" }), "`pattern` must be a text"),
            (json!({ "pattern": "\u{200b}\n\t\u{7}", "solution": "x" }), "`pattern` must not be empty"),
            (json!({ "pattern": long(301), "solution": "x" }), "`pattern` must have at most 300 characters"),
            (json!({ "pattern": "x", "solution": long(50_000_000) }), "`solution` must have at most 1500 characters"),
            (
                json!({ "pattern": "x", "solution": "x", "applies_to": "a" }),
                "`applies_to` must be a list of at most 8 texts",
            ),
            (
                json!({ "pattern": "x", "solution": "x", "applies_to": vec!["a"; 9] }),
                "`applies_to` must be a list of at most 8 texts",
            ),
            (json!({ "pattern": "x", "solution": "x", "applies_to": [{}] }), "`applies_to` must be a list of texts"),
            (
                json!({ "pattern": "x", "solution": "x", "applies_to": [long(81)] }),
                "`applies_to` must have at most 80 characters",
            ),
        ];
        for (input, expected) in cases {
            assert_eq!(refused(&input), expected);
        }
    }

    #[test]
    fn what_nobody_sees_is_taken_out_and_a_pattern_has_one_line() {
        let input = json!({ "pattern": " a\r\nb\u{202e}\u{1b}[31m ", "solution": "c\u{0}\r\n\u{2066}d\te", "applies_to": null });
        let draft = read(&input, Moment::ChecksFixed).expect("read");
        assert_eq!((draft.pattern.as_str(), draft.solution.as_str()), ("a b[31m", "c\nd e"));
        let most = json!({ "pattern": "ü".repeat(300), "solution": "\u{1f600}".repeat(1500), "applies_to": vec!["x".repeat(80); 8] });
        assert_eq!(read(&most, Moment::ChecksFixed).expect("the most that fits").applies_to.len(), 8);
    }
}
