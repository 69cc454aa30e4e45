//! What the agent may do: pure decisions about one call.
//!
//! The walls are elsewhere (no network, no remote, no credential in the sandbox, changes of a planning turn discarded);
//! this is what keeps an honest agent on its way, and what a team's own rules say.

mod git;
mod read_only;
mod rule;
mod shell;

pub use rule::{InvalidRule, Rule};

use crate::{Verdict, mcp};
use rule::covers_all;
use serde_json::Value;
use shell::Script;

/// What an agent is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Planning and answering: looks, does not touch.
    Plan,
    /// Executing, revising, mending.
    Execute,
}

/// The rules of one phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// When not empty, everything else is blocked.
    pub allow: Vec<Rule>,
    /// Blocked, also when allowed above.
    pub deny: Vec<Rule>,
    /// A person decides.
    pub ask: Vec<Rule>,
}

/// A team's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// For planning and answering.
    pub plan: Rules,
    /// For everything else.
    pub execute: Rules,
}

const GIT_WRITE: &str = "Runyard commits and pushes for you; leave your work in the tree.";

impl Policy {
    /// Decides about a call of `tool` with `input`.
    pub fn judge(&self, phase: Phase, one_shot: bool, tool: &str, input: &Value) -> Verdict {
        let rules = match phase {
            Phase::Plan => &self.plan,
            Phase::Execute => &self.execute,
        };
        if tool
            .strip_prefix("mcp__")
            .and_then(|rest| rest.split_once("__"))
            .is_some_and(|(server, _)| server == mcp::SERVER)
        {
            return Verdict::Allow { updated_input: None };
        }
        if tool == "AskUserQuestion" {
            return if one_shot {
                deny("Nobody can be asked here: decide yourself, and write down what you assumed.")
            } else {
                Verdict::Person { reason: "the agent asks".to_owned() }
            };
        }
        let script = match tool {
            "Bash" => match input["command"].as_str() {
                Some(command) => Some(Script::read(command)),
                None => return deny("The call has no command."),
            },
            _ => None,
        };
        if script.as_ref().is_some_and(git::writes) {
            return deny(GIT_WRITE);
        }
        if let Some(rule) = rules.deny.iter().find(|rule| rule.touches(tool, script.as_ref())) {
            return deny(&format!("The rule `{rule}` forbids this."));
        }
        let allowed = covers_all(&rules.allow, tool, script.as_ref());
        if !rules.allow.is_empty() && !allowed {
            return deny("This is not on the list of what is allowed here.");
        }
        if phase == Phase::Plan
            && !allowed
            && let Some(reason) = no_reading(tool, script.as_ref())
        {
            return deny(&reason);
        }
        if let Some(rule) = rules.ask.iter().find(|rule| rule.touches(tool, script.as_ref())) {
            return if one_shot {
                deny("A person would have to allow this, and nobody can be asked here. Go on without it.")
            } else {
                Verdict::Person { reason: format!("the rule `{rule}` asks for approval") }
            };
        }
        Verdict::Allow { updated_input: None }
    }
}

/// Why a call does more than read, if it does.
fn no_reading(tool: &str, script: Option<&Script>) -> Option<String> {
    match (tool, script) {
        ("Bash", Some(script)) => {
            let why = read_only::refusal(script)?;
            Some(format!("Only reading commands run while planning: {why}."))
        }
        ("Read" | "Glob" | "Grep" | "TaskOutput", _) => None,
        (tool, _) if tool.starts_with("mcp__") => None,
        _ => Some(format!("{tool} is not available while planning: only look, then hand the plan in.")),
    }
}

fn deny(reason: &str) -> Verdict {
    Verdict::Deny { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(entries: &[&str]) -> Vec<Rule> {
        entries.iter().map(|entry| entry.parse().expect("a rule")).collect()
    }

    fn bash(policy: &Policy, phase: Phase, command: &str) -> &'static str {
        name(&policy.judge(phase, false, "Bash", &json!({"command": command})))
    }

    fn name(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Allow { .. } => "allow",
            Verdict::Deny { .. } => "deny",
            Verdict::Person { .. } => "person",
        }
    }

    #[test]
    fn planning_reads_and_execution_works() {
        let none = Policy::default();
        let cases = [
            ("Read", json!({"file_path": "/code/a"}), "allow", "allow"),
            ("Write", json!({"file_path": "/code/a"}), "deny", "allow"),
            ("Edit", json!({}), "deny", "allow"),
            ("Bash", json!({"command": "ls -la"}), "allow", "allow"),
            ("Bash", json!({"command": "cargo test"}), "deny", "allow"),
            ("Bash", json!({"command": "git push"}), "deny", "deny"),
            ("Bash", json!({}), "deny", "deny"),
            ("mcp__runyard__submit_plan", json!({}), "allow", "allow"),
            ("AskUserQuestion", json!({}), "person", "person"),
        ];
        for (tool, input, plan, execute) in cases {
            assert_eq!(name(&none.judge(Phase::Plan, false, tool, &input)), plan, "planning {tool} {input}");
            assert_eq!(name(&none.judge(Phase::Execute, false, tool, &input)), execute, "executing {tool} {input}");
        }
        assert_eq!(name(&none.judge(Phase::Execute, true, "AskUserQuestion", &json!({}))), "deny");
    }

    #[test]
    fn allow_blocks_the_rest_and_deny_wins() {
        let policy = Policy {
            execute: Rules {
                allow: rules(&["Bash(npm run:*)", "Bash(make)", "Read"]),
                deny: rules(&["Bash(npm run deploy:*)"]),
                ask: rules(&["Bash(npm run e2e)"]),
            },
            ..Policy::default()
        };
        let cases = [
            ("npm run build", "allow"),
            ("npm run", "allow"),
            ("npm runner", "deny"),
            ("make", "allow"),
            ("make install", "deny"),
            ("npm run build && make", "allow"),
            ("npm run build && curl x", "deny"),
            ("npm run build; npm run deploy prod", "deny"),
            ("npm run build $(curl x)", "deny"),
            ("npm run build > /code/x", "deny"),
            ("npm run build 2>&1", "allow"),
            ("X=1 npm run build", "deny"),
            ("npm run e2e", "person"),
            ("npm run e2e:all", "allow"),
        ];
        for (command, expected) in cases {
            assert_eq!(bash(&policy, Phase::Execute, command), expected, "{command}");
        }
        assert_eq!(name(&policy.judge(Phase::Execute, false, "Write", &json!({}))), "deny");
        assert_eq!(
            name(&policy.judge(Phase::Execute, true, "Bash", &json!({"command": "npm run e2e"}))),
            "deny",
            "one-shot asks nobody"
        );
        assert_eq!(bash(&policy, Phase::Plan, "npm run build"), "deny", "the lists of the other phase do not count");
    }

    #[test]
    fn deny_sees_through_chains_and_wrappers() {
        let policy = Policy {
            execute: Rules { deny: rules(&["Bash(curl:*)", "WebFetch", "mcp__github", "Task"]), ..Rules::default() },
            ..Policy::default()
        };
        for command in
            ["curl x", "cd a && curl x", "echo $(curl x)", "env A=1 curl x", "sh -c 'curl x'", "ls | xargs curl"]
        {
            assert_eq!(bash(&policy, Phase::Execute, command), "deny", "{command}");
        }
        assert_eq!(bash(&policy, Phase::Execute, "echo curl"), "allow");
        let judge = |tool: &str| name(&policy.judge(Phase::Execute, false, tool, &json!({})));
        assert_eq!(judge("mcp__github__create_issue"), "deny");
        assert_eq!(judge("mcp__githubby__create_issue"), "allow");
        assert_eq!(judge("Agent"), "deny", "the sub-agent tool has two names");
    }
}
