//! The host as a tool server of the agent: the part of the Model Context Protocol that its client uses.

use crate::ToolSpec;
use serde_json::{Value, json};

/// The server's name; tools appear as `mcp__runyard__NAME`.
pub const SERVER: &str = "runyard";

/// What is to be done about a message of the client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction {
    /// This JSON-RPC message answers it.
    Answer(Value),
    /// A tool is called; [`called`] makes the answer.
    Call { id: Value, name: String, arguments: Value, tool_use_id: Option<String> },
}

pub(crate) fn react(message: &Value, tools: &[ToolSpec]) -> Reaction {
    let id = message.get("id").cloned().unwrap_or(Value::Null);
    let params = &message["params"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"].as_str().unwrap_or("2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": SERVER, "version": env!("CARGO_PKG_VERSION")},
        }),
        "tools/list" => json!({"tools": tools.iter().map(describe).collect::<Vec<_>>()}),
        "tools/call" => {
            let name = params["name"].as_str().unwrap_or_default();
            if tools.iter().any(|tool| tool.name == name) {
                return Reaction::Call {
                    id,
                    name: name.to_owned(),
                    arguments: params["arguments"].clone(),
                    tool_use_id: params["_meta"]["claudecode/toolUseId"].as_str().map(str::to_owned),
                };
            }
            return Reaction::Answer(error(&id, -32602, &format!("there is no tool `{name}`")));
        }
        // A notification has no answer of its own; the transport still wants one.
        method if method == "ping" || method.starts_with("notifications/") => json!({}),
        method => return Reaction::Answer(error(&id, -32601, &format!("there is no method `{method}`"))),
    };
    Reaction::Answer(json!({"jsonrpc": "2.0", "id": id_or_zero(&id), "result": result}))
}

pub(crate) fn called(id: &Value, outcome: &Result<String, String>) -> Value {
    let (text, is_error) = match outcome {
        Ok(text) => (text, false),
        Err(text) => (text, true),
    };
    let result = json!({"content": [{"type": "text", "text": text}], "isError": is_error});
    json!({"jsonrpc": "2.0", "id": id_or_zero(id), "result": result})
}

fn describe(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema})
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id_or_zero(id), "error": {"code": code, "message": message}})
}

fn id_or_zero(id: &Value) -> Value {
    if id.is_null() { json!(0) } else { id.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<ToolSpec> {
        vec![ToolSpec {
            name: "submit_plan".into(),
            description: "Hands the plan in".into(),
            input_schema: json!({"type": "object"}),
        }]
    }

    #[test]
    fn the_client_gets_what_it_asks_for() {
        let ask = |message: Value| match react(&message, &tools()) {
            Reaction::Answer(answer) => answer,
            call @ Reaction::Call { .. } => panic!("{call:?}"),
        };
        let hello = ask(
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}),
        );
        assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
        let list = ask(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
        assert_eq!(list["result"]["tools"][0]["name"], "submit_plan");
        assert_eq!(list["id"], 1);
        assert_eq!(ask(json!({"method": "notifications/initialized"}))["result"], json!({}));
        assert_eq!(ask(json!({"id": 3, "method": "resources/list"}))["error"]["code"], -32601);
        assert_eq!(ask(json!({"id": 4, "method": "tools/call", "params": {"name": "rm"}}))["error"]["code"], -32602);
        assert_eq!(ask(json!("nonsense"))["error"]["code"], -32601);
    }

    #[test]
    fn a_failed_call_is_told_to_the_agent_as_its_result() {
        let call = json!({"id": 2, "method": "tools/call", "params": {"name": "submit_plan", "arguments": {"a": 1},
            "_meta": {"claudecode/toolUseId": "toolu_1"}}});
        let Reaction::Call { id, arguments, tool_use_id, .. } = react(&call, &tools()) else { panic!("no call") };
        assert_eq!((arguments, tool_use_id.as_deref()), (json!({"a": 1}), Some("toolu_1")));
        let answer = called(&id, &Err("line 3: no steps".into()));
        assert_eq!(answer["result"]["isError"], true);
        assert_eq!(answer["result"]["content"][0]["text"], "line 3: no steps");
    }
}
