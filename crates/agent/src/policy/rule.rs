use super::shell::{Command, Script};
use std::{fmt, str::FromStr};

/// Tools that a rule can name, besides `mcp__…`.
const TOOLS: [&str; 18] = [
    "Bash",
    "Read",
    "Write",
    "Edit",
    "MultiEdit",
    "Glob",
    "Grep",
    "Task",
    "WebSearch",
    "WebFetch",
    "NotebookEdit",
    "TodoWrite",
    "KillShell",
    "ExitPlanMode",
    "TaskOutput",
    "Skill",
    "EnterWorktree",
    "Workflow",
];

/// One entry of a list: `Tool`, `Bash(command)`, `Bash(prefix:*)`, `mcp__server` or `mcp__server__tool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Tool(String),
    Exact(String),
    Prefix(String),
    Server(String),
    ServerTool(String),
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a tool rule: {why}")]
pub struct InvalidRule {
    /// What was read.
    pub text: String,
    /// What is wrong, and how it should be.
    pub why: String,
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let text = text.trim();
        let invalid = |why: &str| InvalidRule { text: text.to_owned(), why: why.to_owned() };
        if let Some(rest) = text.strip_prefix("mcp__") {
            let name = |part: &str| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            };
            return match rest.split_once("__") {
                Some((server, tool)) if name(server) && name(tool) => Ok(Self(Kind::ServerTool(text.to_owned()))),
                None if name(rest) => Ok(Self(Kind::Server(rest.to_owned()))),
                _ => Err(invalid("write `mcp__server` or `mcp__server__tool`, without `*`")),
            };
        }
        if let Some(inner) = text.strip_prefix("Bash(").and_then(|rest| rest.strip_suffix(')')) {
            let (command, kind): (_, fn(String) -> Kind) = match inner.strip_suffix(":*") {
                Some(prefix) => (prefix, Kind::Prefix),
                None => (inner, Kind::Exact),
            };
            if command.trim().is_empty() || command.contains('*') {
                return Err(invalid("write `Bash(command)` or `Bash(prefix:*)`, with no other `*`"));
            }
            return Ok(Self(kind(command.split_whitespace().collect::<Vec<_>>().join(" "))));
        }
        if TOOLS.contains(&canonical(text)) {
            return Ok(Self(Kind::Tool(canonical(text).to_owned())));
        }
        Err(invalid(&format!("there is no such tool; choose one of {}", TOOLS.join(", "))))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tool(name) | Kind::ServerTool(name) => f.write_str(name),
            Kind::Exact(command) => write!(f, "Bash({command})"),
            Kind::Prefix(prefix) => write!(f, "Bash({prefix}:*)"),
            Kind::Server(server) => write!(f, "mcp__{server}"),
        }
    }
}

impl Rule {
    /// Whether any part of a call is what this rule names: for what is to be stopped.
    pub(super) fn touches(&self, tool: &str, script: Option<&Script>) -> bool {
        self.names(tool) || script.is_some_and(|script| script.everything().any(|command| self.fits(command)))
    }

    fn names(&self, tool: &str) -> bool {
        match &self.0 {
            Kind::Tool(name) => name == canonical(tool),
            Kind::Server(server) => tool
                .strip_prefix("mcp__")
                .and_then(|rest| rest.strip_prefix(server.as_str()))
                .is_some_and(|rest| rest.starts_with("__")),
            Kind::ServerTool(name) => name == tool,
            Kind::Exact(_) | Kind::Prefix(_) => false,
        }
    }

    fn fits(&self, command: &Command) -> bool {
        match &self.0 {
            Kind::Exact(exact) => command.text() == *exact,
            Kind::Prefix(prefix) => command
                .text()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
            _ => false,
        }
    }
}

/// Whether the list names all of a call: for what is to be let through.
pub(super) fn covers_all(rules: &[Rule], tool: &str, script: Option<&Script>) -> bool {
    if rules.iter().any(|rule| rule.names(tool)) {
        return true;
    }
    let Some(script) = script else { return false };
    script.plain()
        && !script.commands().is_empty()
        && script.commands().iter().all(|command| {
            command.harmless_redirects()
                && command.assignments().is_empty()
                && rules.iter().any(|rule| rule.fits(command))
        })
}

/// The name under which the reference lists a tool.
fn canonical(tool: &str) -> &str {
    match tool {
        "Agent" => "Task",
        "TaskCreate" | "TaskUpdate" | "TaskGet" | "TaskList" => "TodoWrite",
        "TaskStop" => "KillShell",
        "BashOutput" => "TaskOutput",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_shown_alike_and_mistakes_are_named() {
        for text in ["Read", "Bash", "Bash(npm run build)", "Bash(pytest:*)", "mcp__github", "mcp__git-hub__list_prs"] {
            assert_eq!(text.parse::<Rule>().expect(text).to_string(), text);
        }
        for text in ["", "Bahs", "Bash()", "Bash(:*)", "Bash(a*b)", "mcp__", "mcp__a__*", "mcp__*", "Read(x)"] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
        assert!("Raed".parse::<Rule>().expect_err("wrong").to_string().contains("Read"));
    }
}
