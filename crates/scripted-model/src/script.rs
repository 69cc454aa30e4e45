//! Reading and checking a script file.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use serde_saphyr::Spanned;

use crate::format::{Block, Conversation, File, Item, Tool};
use crate::template::{Template, strings};

/// A checked script: what the model says, to whom, and what goes wrong.
///
/// ```
/// let script = scripted_model::Script::parse(r#"
/// conversations:
///   - name: greeting
///     when: { prompt_contains: "Add a greeting" }
///     capture: { file: "in (\\S+)" }
///     turns:
///       - say: I write ${file}.
///         tool: { name: Write, input: { file_path: "${file}", content: "hello\n" } }
///       - error: { status: 529, times: 1 }
///       - if: { result_is_error: true }
///         then: [ { say: "It failed: ${last_tool_result}" } ]
///         else: [ { say: Done. } ]
/// "#).unwrap();
/// assert_eq!(script.conversation_names(), ["greeting"]);
/// ```
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) file: Arc<File>,
}

/// Why a script cannot be used. The text names the line.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file that was asked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not YAML, an unknown key, or a value of the wrong shape.
    #[error("{0}")]
    Syntax(String),
    /// Well-formed, but it cannot mean what it says.
    #[error("line {line}: {problem}")]
    Meaning {
        /// Line of the conversation or turn, from 1.
        line: u64,
        /// What is wrong and how to mend it.
        problem: String,
    },
}

/// Names that every template may use without a `capture`.
pub(crate) const BUILT_IN: [&str; 3] = ["prompt", "last_tool_result", "session_id"];

impl Script {
    /// Reads a script from YAML text.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let file: File = serde_saphyr::from_str(text).map_err(|e| ScriptError::Syntax(e.to_string()))?;
        for conversation in &file.conversations {
            check_conversation(conversation)?;
        }
        Ok(Self { file: Arc::new(file) })
    }

    /// Reads a script file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScriptError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScriptError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Names of the conversations, in the order in which they are tried.
    pub fn conversation_names(&self) -> Vec<&str> {
        self.file.conversations.iter().map(|c| c.value.name.as_str()).collect()
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        Self::parse(text)
    }
}

/// Line of a conversation or an item, from 1.
pub(crate) fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.defined.line()
}

impl Item {
    pub(crate) fn has_answer(&self) -> bool {
        self.think.is_some()
            || self.say.is_some()
            || self.tool.is_some()
            || !self.tools.is_empty()
            || !self.blocks.is_empty()
    }

    fn has_branches(&self) -> bool {
        self.then.is_some() || self.otherwise.is_some()
    }

    fn all_tools(&self) -> impl Iterator<Item = &Tool> {
        self.tool.iter().chain(&self.tools).chain(self.blocks.iter().filter_map(|block| block.value.tool.as_ref()))
    }

    fn all_templates(&self) -> impl Iterator<Item = &Template> {
        let blocks = self.blocks.iter().flat_map(|block| block.value.think.iter().chain(&block.value.say));
        self.think.iter().chain(&self.say).chain(blocks)
    }
}

fn check_conversation(conversation: &Spanned<Conversation>) -> Result<(), ScriptError> {
    if conversation.value.turns.is_empty() {
        return Err(wrong(line(conversation), format!("conversation `{}` has no turns", conversation.value.name)));
    }
    let mut names: Vec<&str> = BUILT_IN.to_vec();
    names.extend(conversation.value.capture.keys().map(String::as_str));
    check_items(&conversation.value.turns, &mut names)
}

fn check_items<'a>(items: &'a [Spanned<Item>], names: &mut Vec<&'a str>) -> Result<(), ScriptError> {
    for item in items {
        names.extend(item.value.capture.keys().map(String::as_str));
        check_item(item, names)?;
        for branch in [&item.value.then, &item.value.otherwise].into_iter().flatten() {
            check_items(branch, names)?;
        }
    }
    Ok(())
}

fn check_item(item: &Spanned<Item>, names: &[&str]) -> Result<(), ScriptError> {
    let at = line(item);
    let turn = &item.value;
    let fatal = [
        turn.error.as_ref().map(|_| "error"),
        turn.limit.as_ref().map(|_| "limit"),
        turn.cut.as_ref().map(|_| "cut"),
        turn.malformed.as_ref().map(|_| "malformed"),
    ];
    let fatal: Vec<&str> = fatal.into_iter().flatten().collect();
    let in_answer = turn.cut.is_some() || turn.malformed.is_some() || turn.stall.is_some() || turn.hold.is_some();

    if turn.has_branches() && turn.condition.is_none() {
        return Err(wrong(at, "`then` and `else` need an `if`"));
    }
    if turn.has_branches() && (turn.has_answer() || !fatal.is_empty() || in_answer) {
        return Err(wrong(at, "a turn with `then` or `else` says nothing itself; put its answer into the branch"));
    }
    if fatal.len() > 1 {
        return Err(wrong(at, format!("`{}` and `{}` exclude each other; write two turns", fatal[0], fatal[1])));
    }
    if !turn.has_answer() && in_answer {
        return Err(wrong(
            at,
            "`cut`, `malformed`, `stall` and `hold` happen inside an answer; add `say`, `think` or `tool`",
        ));
    }
    if !turn.has_answer() && !turn.has_branches() && fatal.is_empty() {
        return Err(wrong(
            at,
            "the turn is empty; give it `say`, `think`, `tool`, `tools`, `blocks`, `error` or `limit`",
        ));
    }
    if !turn.blocks.is_empty()
        && (turn.think.is_some() || turn.say.is_some() || turn.tool.is_some() || !turn.tools.is_empty())
    {
        return Err(wrong(at, "`blocks` fixes the order of the whole answer; move `think`, `say` and `tool` into it"));
    }
    if turn.repeat.is_some() && turn.say.is_none() {
        return Err(wrong(at, "`repeat` repeats `say`, which is missing"));
    }
    if turn.chunk == Some(0) {
        return Err(wrong(at, "`chunk` is the number of characters in a delta, from 1"));
    }
    for block in &turn.blocks {
        check_block(block)?;
    }
    for template in turn.all_templates() {
        check_names(at, template, names)?;
    }
    for tool in turn.all_tools() {
        if !matches!(tool.input, Value::Object(_)) {
            return Err(wrong(at, format!("the input of tool `{}` must be a mapping", tool.name)));
        }
        strings(&tool.input, &mut |text| {
            let template = Template::parse(text).map_err(|problem| wrong(at, problem))?;
            check_names(at, &template, names)
        })?;
    }
    Ok(())
}

fn check_block(block: &Spanned<Block>) -> Result<(), ScriptError> {
    let Block { think, say, tool } = &block.value;
    let kinds = usize::from(think.is_some()) + usize::from(say.is_some()) + usize::from(tool.is_some());
    if kinds == 1 { Ok(()) } else { Err(wrong(line(block), "a block is exactly one of `think`, `say` and `tool`")) }
}

fn check_names(at: u64, template: &Template, names: &[&str]) -> Result<(), ScriptError> {
    template.names().find(|name| !names.contains(name)).map_or(Ok(()), |name| {
        let known = names.join(", ");
        Err(wrong(
            at,
            format!("`${{{name}}}` is not captured before this turn; known: {known}; `$${{` writes `${{` itself"),
        ))
    })
}

fn wrong(line: u64, problem: impl Into<String>) -> ScriptError {
    ScriptError::Meaning { line, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Script::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let text = "conversations:\n  - name: a\n    turns:\n      - say: hi\n      - sya: ho\n";
        let refusal = refusal(text);
        assert!(refusal.contains("sya") && refusal.contains("line 5"), "{refusal}");
    }

    #[test]
    fn a_bad_regex_or_duration_names_its_line() {
        let bad_regex = refusal("conversations:\n  - name: a\n    capture:\n      x: '('\n    turns: [{say: hi}]\n");
        assert!(bad_regex.contains("line 4") && bad_regex.contains("regular expression"), "{bad_regex}");
        let bad_span = refusal("conversations:\n  - name: a\n    turns:\n      - say: x\n        delay: 3 weeks\n");
        assert!(bad_span.contains("line 5") && bad_span.contains("200ms"), "{bad_span}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_line_and_mend() {
        let head = "conversations:\n  - name: a\n    turns:\n      - say: first\n";
        for (turn, words) in [
            ("delay: 1s", "the turn is empty"),
            ("say: ${nothing}", "`${nothing}` is not captured"),
            ("tool: {name: Bash, input: {command: 'echo ${PATH}'}}", "`$${`"),
            ("tool: {name: Bash, input: ls}", "must be a mapping"),
            ("cut: {after_blocks: 1}", "inside an answer"),
            ("then: [{say: x}]", "need an `if`"),
            ("{ error: {status: 500}, limit: {resets_in: 1h} }", "exclude each other"),
            ("blocks: [{say: a, think: b}]", "exactly one"),
        ] {
            let refusal = refusal(&format!("{head}      - {turn}\n"));
            assert!(refusal.starts_with("line 5: ") && refusal.contains(words), "{turn}: {refusal}");
        }
    }

    #[test]
    fn a_capture_counts_from_its_own_turn_on() {
        let text = "conversations:\n- name: a\n  turns:\n  - say: hi\n  - capture: {sha: '[0-9a-f]{8}'}\n    say: got ${sha}\n  - say: still ${sha}\n";
        Script::parse(text).unwrap();
    }
}
