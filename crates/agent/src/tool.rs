//! How a tool call is shown: its kind, one line, and its data cut to size.

use domain::ToolKind;
use serde_json::Value;

/// The most of a call's input or result that goes into an event, in bytes.
pub const MAX_SHOWN: usize = 16 << 10;
const MAX_TITLE: usize = 200;

/// What kind of thing the tool does.
pub fn kind(tool: &str) -> ToolKind {
    match tool {
        "Read" | "NotebookRead" | "TaskOutput" | "BashOutput" => ToolKind::Read,
        "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => ToolKind::Edit,
        "Grep" | "Glob" | "LS" => ToolKind::Search,
        "Bash" | "KillShell" | "TaskStop" => ToolKind::Execute,
        "Task" | "Agent" | "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskGet" | "TaskList" | "ExitPlanMode" => {
            ToolKind::Think
        }
        "WebFetch" | "WebSearch" => ToolKind::Fetch,
        _ => ToolKind::Other,
    }
}

/// One line for people.
pub fn title(tool: &str, input: &Value) -> String {
    let field = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let text = match tool {
        "Bash" => field("command").map(str::to_owned),
        "Read" | "Edit" | "Write" | "MultiEdit" => field("file_path").map(|path| format!("{tool} {path}")),
        "NotebookEdit" | "NotebookRead" => field("notebook_path").map(|path| format!("{tool} {path}")),
        "Grep" | "Glob" => field("pattern").map(|pattern| match field("path") {
            Some(path) => format!("{tool} {pattern} in {path}"),
            None => format!("{tool} {pattern}"),
        }),
        "Task" | "Agent" => field("description").map(|what| format!("Sub-agent: {what}")),
        "WebFetch" => field("url").map(|url| format!("Fetch {url}")),
        "WebSearch" => field("query").map(|query| format!("Search the web for {query}")),
        "TaskCreate" | "TaskUpdate" => field("subject").map(|subject| format!("To do: {subject}")),
        "AskUserQuestion" => input.pointer("/questions/0/question").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    one_line(&text.unwrap_or_else(|| match tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
        Some((server, name)) => format!("{name} ({server})"),
        None => tool.to_owned(),
    }))
}

fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first: String =
        lines.next().unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let more = lines.next().is_some();
    if let Some((end, _)) = first.char_indices().nth(MAX_TITLE) {
        // A word is shown whole or not at all: half a secret would not be found.
        let end = first[..end].rfind(' ').unwrap_or(0);
        format!("{} …", first[..end].trim_end()).trim_start().to_owned()
    } else if more {
        format!("{first} …")
    } else {
        first
    }
}

/// `text` cut to [`MAX_SHOWN`], with what is missing said.
pub fn cut_text(text: &str) -> String {
    cut_to(text, MAX_SHOWN)
}

/// `text` cut to `limit` bytes, with what is missing said. What is secret in it must be gone by now: its half would not
/// be found any more.
pub fn cut_to(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let keep = text.floor_char_boundary(limit.saturating_sub(40));
    format!("{}… ({} bytes more)", &text[..keep], text.len() - keep)
}

/// `value` with its texts cut until it takes no more than [`MAX_SHOWN`] as JSON, or its JSON as a cut text.
pub fn cut_value(value: &Value) -> Value {
    let size = |value: &Value| value.to_string().len();
    if size(value) <= MAX_SHOWN {
        return value.clone();
    }
    for limit in [4096, 1024, 256] {
        let cut = cut_texts(value, limit);
        if size(&cut) <= MAX_SHOWN {
            return cut;
        }
    }
    Value::String(cut_to(&value.to_string(), MAX_SHOWN / 2))
}

fn cut_texts(value: &Value, limit: usize) -> Value {
    match value {
        Value::String(text) => Value::String(cut_to(text, limit)),
        Value::Array(items) => items.iter().map(|item| cut_texts(item, limit)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), cut_texts(field, limit))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn titles_are_one_line_that_says_what_is_done() {
        let cases = [
            ("Bash", json!({"command": "cargo test\nls"}), "cargo test …"),
            ("Bash", json!({"command": "printf '\u{1b}[31m'"}), "printf ' [31m'"),
            ("Write", json!({"file_path": "/code/a.rs", "content": "x"}), "Write /code/a.rs"),
            ("Grep", json!({"pattern": "fn main", "path": "src"}), "Grep fn main in src"),
            ("mcp__runyard__submit_plan", json!({}), "submit_plan (runyard)"),
            ("Task", json!({"description": "look around"}), "Sub-agent: look around"),
            ("Bash", json!({"command": 7}), "Bash"),
            ("Novel", json!(null), "Novel"),
        ];
        for (tool, input, expected) in cases {
            assert_eq!(title(tool, &input), expected);
        }
        let words = title("Bash", &json!({"command": "é ".repeat(5000)}));
        assert_eq!(words.chars().count(), MAX_TITLE + 1, "{words}");
        assert_eq!(title("Bash", &json!({"command": format!("echo {}", "é".repeat(5000))})), "echo …");
    }

    #[test]
    fn what_is_shown_is_never_larger_than_its_limit() {
        let long = "ä".repeat(100_000);
        assert!(cut_text(&long).len() <= MAX_SHOWN);
        let cut = cut_value(&json!({"content": long, "file_path": "/code/x"}));
        assert!(cut.to_string().len() <= MAX_SHOWN);
        assert_eq!(cut["file_path"], "/code/x");
        let many: Value = (0..50_000).map(|n| json!(n)).collect();
        assert!(cut_value(&many).to_string().len() <= MAX_SHOWN);
    }
}
