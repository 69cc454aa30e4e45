//! What really came of a process: an exit code of 0 and `subtype: success` are not enough.

use crate::{
    process::Exit,
    wire::{Retry, TurnResult},
};
use domain::{Timestamp, TurnEnd, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// How all that one process did ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The agent's last words.
    pub text: String,
    /// What was used and booked by [`AgentEvent::Usage`](crate::AgentEvent::Usage) events.
    pub usage: Usage,
    /// False when the process ended before it told the cost of all that it used.
    pub cost_reported: bool,
    /// Calls that did not run, whoever refused them.
    pub denials: Vec<Denial>,
    /// Whether any turn was interrupted, also when a later one was fine.
    pub interrupted: bool,
    /// Background work that was still going on.
    pub left_running: Vec<String>,
    /// What it has to show when structured output was asked for.
    pub structured_output: Option<Value>,
    /// The agent's version, once it said so.
    pub version: Option<String>,
    /// The conversation's id, once it said so.
    pub session: Option<String>,
    /// The end of standard error.
    pub stderr: String,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// It finished what it was asked.
    Completed,
    /// A call waits for a decision: resume the conversation with it, without a prompt.
    Deferred {
        /// The call.
        call: DeferredCall,
    },
    /// It was interrupted or stopped.
    Interrupted,
    /// It failed.
    Failed {
        /// What failed.
        fault: Fault,
        /// In words for people.
        message: String,
    },
}

impl From<&End> for TurnEnd {
    fn from(end: &End) -> Self {
        match end {
            End::Completed => Self::Completed,
            End::Deferred { .. } => Self::Deferred,
            End::Interrupted => Self::Interrupted,
            End::Failed { message, .. } => Self::Failed { message: message.clone() },
        }
    }
}

/// A call that waits in the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeferredCall {
    /// The agent's id of the call: the same when it is asked about again.
    pub tool_use_id: String,
    /// The tool.
    pub tool: String,
    /// What it would be called with.
    pub input: Value,
}

/// A call that did not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// The agent's id of the call.
    pub tool_use_id: String,
    /// The tool.
    pub tool: String,
    /// What it would have been called with.
    pub input: Value,
    /// True when this host said no (by policy or by a person), and the agent was told why.
    pub by_host: bool,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The model's API does not accept the key, or does not allow this to it.
    Auth,
    /// The account cannot pay.
    Billing,
    /// A limit of the account is reached.
    RateLimit {
        /// When it is lifted, if that was said: the agent tells it of subscriptions only. With an API key the headers of
        /// the API's answer say it, and only the way out sees them.
        resets_at: Option<Timestamp>,
    },
    /// The model's API has too much to do.
    Overloaded,
    /// The model's API failed, or could not be reached.
    Server,
    /// The model's API refuses the request as such.
    InvalidRequest,
    /// There is no such model, or not for this account.
    ModelNotFound,
    /// The conversation no longer fits.
    TooLong,
    /// The answer was longer than allowed, again and again.
    OutputLimit,
    /// The limit of turns was reached.
    MaxTurns,
    /// The budget was used up.
    Budget,
    /// The model's answer was cut off.
    Cut,
    /// The model refused.
    Refusal,
    /// A call was denied by somebody else than this host, so the work may be incomplete.
    Denied,
    /// The structured output that was asked for is missing.
    Unstructured,
    /// There is no such conversation to resume, or nothing readable is left of it.
    SessionUnknown,
    /// The conversation's id is taken.
    SessionInUse,
    /// No call was deferred in the conversation that was to be resumed.
    NothingDeferred,
    /// The command line or a settings file is wrong, or the agent did not understand what it was sent.
    BadLaunch,
    /// A tool server that it must have did not start.
    ToolServer {
        /// Its name.
        server: String,
    },
    /// It is of another version than the pinned one.
    Version {
        /// Its version.
        version: String,
    },
    /// It said more than can be kept in memory.
    Flood,
    /// It said nothing for longer than [`Settings::silence`](crate::Settings::silence).
    Stalled,
    /// It was killed from outside.
    Killed,
    /// Its surroundings ended it: a time limit, a quota.
    Enforced,
    /// It ended without a reason that it told.
    Crashed {
        /// What it returned.
        code: Option<i32>,
    },
}

impl Fault {
    /// True when the same thing may work later, without anybody changing anything.
    pub fn transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimit { .. }
                | Self::Overloaded
                | Self::Server
                | Self::Cut
                | Self::Stalled
                | Self::Killed
                | Self::Crashed { .. }
        )
    }

    /// The kinds by which `api_retry` lines and messages name errors of the API.
    pub(crate) fn from_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "authentication_failed" | "oauth_org_not_allowed" | "permission_error" => Self::Auth,
            "billing_error" => Self::Billing,
            "rate_limit" => Self::RateLimit { resets_at: None },
            "overloaded" => Self::Overloaded,
            "invalid_request" => Self::InvalidRequest,
            "model_not_found" => Self::ModelNotFound,
            "server_error" => Self::Server,
            "max_output_tokens" => Self::OutputLimit,
            _ => return None,
        })
    }

    fn from_status(status: u64) -> Option<Self> {
        Some(match status {
            401 | 403 => Self::Auth,
            402 => Self::Billing,
            404 => Self::ModelNotFound,
            413 => Self::TooLong,
            429 => Self::RateLimit { resets_at: None },
            529 => Self::Overloaded,
            400..500 => Self::InvalidRequest,
            500.. => Self::Server,
            _ => return None,
        })
    }

    /// True when asking again now cannot help, so the agent's own retries are a waste of time.
    pub(crate) fn hopeless(&self) -> bool {
        matches!(self, Self::Auth | Self::Billing | Self::InvalidRequest | Self::ModelNotFound)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth => f.write_str("the model's API does not accept the key"),
            Self::Billing => f.write_str("the account at the model's API cannot pay"),
            Self::RateLimit { .. } => f.write_str("a limit of the account at the model's API is reached"),
            Self::Overloaded => f.write_str("the model's API is overloaded"),
            Self::Server => f.write_str("the model's API failed"),
            Self::InvalidRequest => f.write_str("the model's API refuses the request"),
            Self::ModelNotFound => f.write_str("the model was not found"),
            Self::TooLong => f.write_str("the conversation has become too long"),
            Self::OutputLimit => f.write_str("the model's answer was too long"),
            Self::MaxTurns => f.write_str("the limit of turns is reached"),
            Self::Budget => f.write_str("the budget is used up"),
            Self::Cut => f.write_str("the model's answer was cut off"),
            Self::Refusal => f.write_str("the model refused"),
            Self::Denied => f.write_str("a call was denied, so the work may be incomplete"),
            Self::Unstructured => f.write_str("the answer has not the shape that was asked for"),
            Self::SessionUnknown => f.write_str("the conversation to resume was not found"),
            Self::SessionInUse => f.write_str("the conversation's id is in use"),
            Self::NothingDeferred => f.write_str("no call waits in the conversation"),
            Self::BadLaunch => f.write_str("the agent did not accept how it was started"),
            Self::ToolServer { server } => write!(f, "the tool server `{server}` did not start"),
            Self::Version { version } => {
                write!(f, "the agent's version is {version}, tested is {}", crate::PINNED)
            }
            Self::Flood => f.write_str("the agent said more than can be kept in memory"),
            Self::Stalled => f.write_str("the agent fell silent in the middle of its work"),
            Self::Killed => f.write_str("the agent was killed"),
            Self::Enforced => f.write_str("the agent was ended"),
            Self::Crashed { code: Some(code) } => write!(f, "the agent ended with code {code}"),
            Self::Crashed { code: None } => f.write_str("the agent ended without a result"),
        }
    }
}

/// All that is known when the process has ended.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) results: Vec<TurnResult>,
    /// True when there was work after the last result.
    pub(crate) unfinished: bool,
    pub(crate) exit: Exit,
    /// Calls that this host denied.
    pub(crate) denied_by_host: BTreeMap<String, String>,
    /// Calls that were reported as denied: id, tool, input.
    pub(crate) denied: Vec<(String, String, Value)>,
    pub(crate) last_retry: Option<Retry>,
    /// The error kind of the agent's last own message.
    pub(crate) error_kind: Option<String>,
    pub(crate) resets_at: Option<Timestamp>,
    pub(crate) stderr: String,
    /// Why this host ended it.
    pub(crate) fatal: Option<Fault>,
    /// A resumed call that was put off again, for which the process had to be killed.
    pub(crate) put_off: Option<DeferredCall>,
    /// This host was asked to stop it.
    pub(crate) stopped: bool,
    /// This host asked for an interruption.
    pub(crate) interrupted: bool,
    /// This host had nothing more to say, so killing it afterwards loses nothing.
    pub(crate) closed: bool,
    pub(crate) expect_structured: bool,
    /// A resumed agent did nothing until its input was closed.
    pub(crate) nothing_deferred: bool,
}

impl Evidence {
    /// All refusals, each call once.
    pub(crate) fn denials(&self) -> Vec<Denial> {
        let mut denials: Vec<Denial> = Vec::new();
        let reported = self.results.iter().flat_map(|result| &result.denials).chain(&self.denied);
        for (tool_use_id, tool, input) in reported {
            match denials.iter_mut().find(|denial| denial.tool_use_id == *tool_use_id) {
                Some(known) if known.input.is_null() => known.input = input.clone(),
                Some(_) => {}
                None => denials.push(Denial {
                    tool_use_id: tool_use_id.clone(),
                    tool: tool.clone(),
                    input: input.clone(),
                    by_host: self.denied_by_host.contains_key(tool_use_id),
                }),
            }
        }
        denials
    }

    pub(crate) fn was_interrupted(&self) -> bool {
        self.stopped || self.results.iter().any(aborted)
    }

    /// The truth (§6 of the contract).
    pub(crate) fn end(&self) -> End {
        if let Some(fault) = &self.fatal {
            return self.failed(fault.clone(), self.words());
        }
        if let Some(call) = &self.put_off {
            return End::Deferred { call: call.clone() };
        }
        if let Some(why) = &self.exit.enforced {
            return self.failed(Fault::Enforced, Some(why.clone()));
        }
        let Some(last) = self.results.last() else { return self.without_result() };
        // A turn that failed is not made good by a later one that only took note of a background task.
        if let Some(end) = self.results.iter().filter(|result| !aborted(result)).find_map(|result| self.fault(result)) {
            return end;
        }
        if aborted(last) || self.stopped {
            return End::Interrupted;
        }
        if let Some((id, tool, input)) = &last.deferred {
            let call = DeferredCall { tool_use_id: id.clone(), tool: tool.clone(), input: input.clone() };
            return End::Deferred { call };
        }
        if !self.closed && (self.exit.signal.is_some() || self.exit.code == Some(143)) {
            return self.failed(Fault::Killed, None);
        }
        if self.unfinished && !self.closed {
            return self.failed(Fault::Crashed { code: self.exit.code }, self.words());
        }
        if !self.closed && self.exit.code != Some(0) || self.exit.code.is_some_and(|code| code != 0) {
            return self.failed(Fault::Crashed { code: self.exit.code }, self.words());
        }
        if self.expect_structured && last.structured_output.is_none() {
            return self.failed(Fault::Unstructured, None);
        }
        if let Some(denial) = self.denials().iter().find(|denial| !denial.by_host) {
            let message = format!("{} ({})", Fault::Denied, crate::tool::title(&denial.tool, &denial.input));
            return End::Failed { fault: Fault::Denied, message };
        }
        End::Completed
    }

    fn without_result(&self) -> End {
        if self.stopped || self.interrupted {
            return End::Interrupted;
        }
        let said = |text: &str| self.stderr.contains(text);
        let fault = if said("already in use") {
            Fault::SessionInUse
        } else if said("No conversation found") {
            Fault::SessionUnknown
        } else if said("No deferred tool marker") || self.nothing_deferred {
            Fault::NothingDeferred
        } else if self.exit.signal.is_some() || self.exit.code == Some(143) {
            Fault::Killed
        } else if self.exit.code == Some(1) && !self.stderr.trim().is_empty() {
            Fault::BadLaunch
        } else {
            Fault::Crashed { code: self.exit.code }
        };
        let said = self.stderr.trim().lines().next().map(str::to_owned).filter(|line| !line.is_empty());
        self.failed(fault, said)
    }

    /// What is wrong with a result that was not interrupted, if anything.
    fn fault(&self, result: &TurnResult) -> Option<End> {
        let words = || {
            let text = if result.errors.is_empty() { result.text.clone() } else { result.errors.join("; ") };
            Some(text).filter(|text| !text.trim().is_empty())
        };
        let said = words().unwrap_or_default();
        let fault = match (result.subtype.as_str(), result.stop_reason.as_deref()) {
            ("error_max_turns", _) => Fault::MaxTurns,
            ("error_max_budget_usd", _) => Fault::Budget,
            ("error_max_structured_output_retries", _) => Fault::Unstructured,
            (_, Some("refusal")) => Fault::Refusal,
            _ if said.contains("No conversation found") => Fault::SessionUnknown,
            _ if result.terminal_reason.as_deref() == Some("prompt_too_long") => Fault::TooLong,
            _ if result.is_error => self.api_fault(result, &said),
            ("success", Some(_)) => return None,
            ("success", None) => Fault::Cut,
            _ => Fault::Crashed { code: self.exit.code },
        };
        Some(self.failed(fault, words().map(|words| plainly(&words).to_owned())))
    }

    fn api_fault(&self, result: &TurnResult, said: &str) -> Fault {
        if said.contains("credit balance") {
            return Fault::Billing;
        }
        if said.contains("rompt is too long") {
            return Fault::TooLong;
        }
        let kind = self.error_kind.as_deref().or(self.last_retry.as_ref().map(|retry| retry.error.as_str()));
        let by_kind = kind.and_then(Fault::from_kind);
        // A status says more than `server_error` and `invalid_request`, which stand for many of them.
        let by_status = result.api_error_status.and_then(Fault::from_status);
        match (by_kind, by_status) {
            (Some(Fault::Server | Fault::InvalidRequest) | None, Some(status)) => status,
            (Some(kind), _) => kind,
            (None, None) if said.contains("/login") => Fault::Auth,
            (None, None) => Fault::Crashed { code: self.exit.code },
        }
    }

    fn failed(&self, fault: Fault, words: Option<String>) -> End {
        let fault = match fault {
            Fault::RateLimit { .. } => Fault::RateLimit { resets_at: self.resets_at },
            other => other,
        };
        let message = match words {
            Some(words) => format!("{fault}: {words}"),
            None => fault.to_string(),
        };
        End::Failed { fault, message }
    }

    fn words(&self) -> Option<String> {
        let last = self.stderr.trim().lines().last().map(str::to_owned);
        last.filter(|line| !line.is_empty())
    }
}

/// What the way out said, without what Claude Code wraps around an API's error: a code, and advice about a server that is
/// ours. Words of others stay as they are.
fn plainly(said: &str) -> &str {
    let ours = said.split_once(" runyard: ").map_or(said, |(_, ours)| ours);
    ours.split_once(". This is a server-side issue").map_or(ours, |(reason, _)| reason)
}

fn aborted(result: &TurnResult) -> bool {
    matches!(result.terminal_reason.as_deref(), Some("aborted_streaming" | "aborted_tools"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> TurnResult {
        TurnResult { subtype: "success".into(), stop_reason: Some("end_turn".into()), ..TurnResult::default() }
    }

    fn evidence(results: Vec<TurnResult>) -> Evidence {
        Evidence { results, exit: Exit { code: Some(0), ..Exit::default() }, closed: true, ..Evidence::default() }
    }

    fn fault(evidence: &Evidence) -> Fault {
        match evidence.end() {
            End::Failed { fault, .. } => fault,
            end => panic!("{end:?}"),
        }
    }

    #[test]
    fn an_error_of_the_way_out_is_told_in_its_own_words() {
        let advice = "This is a server-side issue, usually temporary — try again in a moment.";
        let said = format!("API Error: 502 runyard: the Messages API cannot be reached: refused. {advice}");
        assert_eq!(plainly(&said), "the Messages API cannot be reached: refused");
        assert_eq!(plainly("API Error: 529 overloaded"), "API Error: 529 overloaded");
    }

    #[test]
    fn a_fine_result_is_done_only_when_nothing_else_speaks_against_it() {
        assert_eq!(evidence(vec![fine()]).end(), End::Completed);
        assert_eq!(fault(&evidence(vec![TurnResult { stop_reason: None, ..fine() }])), Fault::Cut);
        assert_eq!(
            fault(&Evidence { exit: Exit { code: Some(1), ..Exit::default() }, ..evidence(vec![fine()]) }),
            Fault::Crashed { code: Some(1) }
        );
        let killed = Exit { signal: Some(9), ..Exit::default() };
        assert_eq!(
            fault(&Evidence { exit: killed.clone(), closed: false, ..evidence(vec![fine()]) }),
            Fault::Killed,
            "killed from outside while more could have come"
        );
        assert_eq!(
            Evidence { exit: killed, ..evidence(vec![fine()]) }.end(),
            End::Completed,
            "killed by us, at the end"
        );
        assert_eq!(fault(&Evidence { expect_structured: true, ..evidence(vec![fine()]) }), Fault::Unstructured);
        assert_eq!(
            fault(&Evidence { unfinished: true, closed: false, ..evidence(vec![fine()]) }),
            Fault::Crashed { code: Some(0) }
        );
    }

    #[test]
    fn a_denial_by_this_host_is_told_apart_from_others() {
        let denied = TurnResult { denials: vec![("toolu_1".into(), "Bash".into(), Value::Null)], ..fine() };
        let foreign = evidence(vec![denied.clone()]);
        assert_eq!(fault(&foreign), Fault::Denied);
        let ours = Evidence { denied_by_host: [("toolu_1".into(), "no".into())].into(), ..evidence(vec![denied]) };
        assert_eq!(ours.end(), End::Completed);
        assert!(ours.denials()[0].by_host);
    }

    #[test]
    fn a_failed_turn_stays_failed_when_a_later_one_only_reports() {
        let failed = TurnResult { is_error: true, api_error_status: Some(529), text: "busy".into(), ..fine() };
        assert_eq!(fault(&evidence(vec![failed, fine()])), Fault::Overloaded);
        let aborted = TurnResult {
            subtype: "error_during_execution".into(),
            is_error: true,
            terminal_reason: Some("aborted_tools".into()),
            ..fine()
        };
        assert_eq!(evidence(vec![fine(), aborted.clone()]).end(), End::Interrupted);
        let redirected = evidence(vec![aborted, fine()]);
        assert_eq!(redirected.end(), End::Completed);
        assert!(redirected.was_interrupted());
    }

    #[test]
    fn standard_error_names_what_no_event_did() {
        let ended = |stderr: &str| Evidence {
            exit: Exit { code: Some(1), ..Exit::default() },
            stderr: stderr.into(),
            ..Evidence::default()
        };
        assert_eq!(fault(&ended("Error: Session ID x is already in use.")), Fault::SessionInUse);
        assert_eq!(fault(&ended("No deferred tool marker found in the resumed session.")), Fault::NothingDeferred);
        assert_eq!(fault(&ended("error: unknown option '--x'")), Fault::BadLaunch);
        assert_eq!(fault(&ended("")), Fault::Crashed { code: Some(1) });
    }
}
