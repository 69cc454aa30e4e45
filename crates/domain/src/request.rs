//! What waits for a person, durably: questions, permissions, choices.

use crate::{Refused, RequestId, RunId, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One possible answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What is chosen.
    pub label: String,
    /// What choosing it means.
    #[serde(default)]
    pub description: String,
}

/// One question of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// A short name of its subject.
    #[serde(default)]
    pub header: String,
    /// What may be chosen; a free answer is always possible.
    #[serde(default)]
    pub options: Vec<Choice>,
    /// True when several may be chosen.
    #[serde(default)]
    pub multi_select: bool,
}

/// What is asked of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RequestKind {
    /// The agent wants to know something.
    Question {
        /// One or more questions that belong together.
        questions: Vec<Question>,
        /// The agent's call that waits.
        tool_use_id: String,
    },
    /// The agent wants to do something that a person must allow.
    Permission {
        /// The tool.
        tool: String,
        /// What it would be called with.
        input: serde_json::Value,
        /// Why it needs a person.
        reason: String,
        /// The agent's call that waits.
        tool_use_id: String,
    },
    /// In manual pull-request mode: what becomes of the work so far.
    Publish {
        /// What may be chosen: `stacked_pr`, `same_branch`, `new_branch`, `cancel`, `create_pr`, `dismiss`.
        options: Vec<Choice>,
    },
}

/// What the person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The chosen labels or free text, by question.
    Answers {
        /// Question to answer.
        answers: BTreeMap<String, String>,
    },
    /// The call may run.
    Allow,
    /// The call must not run.
    Deny {
        /// Told to the agent.
        reason: String,
    },
    /// One of the offered options.
    Chosen {
        /// The option's label.
        option: String,
    },
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RequestState {
    /// Nobody answered yet.
    Open,
    /// The first valid answer won.
    Answered {
        /// Who answered.
        by: Option<UserId>,
        /// Over which way, such as `cli`.
        via: String,
        /// What was said.
        answer: Answer,
    },
    /// It no longer matters: the run was stopped or failed.
    Cancelled,
}

impl RequestState {
    /// The state after moving to `to`.
    pub fn next(self, to: Self) -> Result<Self, Refused> {
        match (&self, &to) {
            (Self::Open, Self::Answered { .. } | Self::Cancelled) => Ok(to),
            _ => Err(Refused::new("request", &self, &to)),
        }
    }
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Whose request it is.
    pub session: SessionId,
    /// The run that waits; none for a choice between runs.
    pub run: Option<RunId>,
    /// What is asked.
    pub kind: RequestKind,
    /// Where it stands.
    pub state: RequestState,
    /// When it was asked.
    pub asked_at: Timestamp,
}

impl RequestKind {
    /// Checks that `answer` answers this; the error is for the person.
    pub fn accepts(&self, answer: &Answer) -> Result<(), String> {
        match (self, answer) {
            (Self::Question { questions, .. }, Answer::Answers { answers }) => {
                if let Some(open) = questions
                    .iter()
                    .find(|question| answers.get(&question.question).is_none_or(|answer| answer.trim().is_empty()))
                {
                    return Err(format!("the question `{}` has no answer", open.question));
                }
                match answers.keys().find(|key| !questions.iter().any(|question| question.question == **key)) {
                    Some(unknown) => Err(format!("nobody asked `{unknown}`")),
                    None => Ok(()),
                }
            }
            (Self::Permission { .. }, Answer::Allow | Answer::Deny { .. }) => Ok(()),
            (Self::Publish { options }, Answer::Chosen { option }) => {
                if options.iter().any(|choice| choice.label == *option) {
                    Ok(())
                } else {
                    let labels: Vec<_> = options.iter().map(|choice| choice.label.as_str()).collect();
                    Err(format!("`{option}` is not offered: choose one of {}", labels.join(", ")))
                }
            }
            (Self::Question { .. }, _) => Err("a question wants an answer in words".to_owned()),
            (Self::Permission { .. }, _) => Err("a permission wants `allow` or `deny`".to_owned()),
            (Self::Publish { .. }, _) => Err("a choice wants one of its options".to_owned()),
        }
    }
}
