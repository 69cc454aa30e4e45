use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// The one hook callback that is registered.
const CALLBACK: &str = "runyard-pre-tool-use";

/// The first line: hooks on all tools, and this host as a tool server.
pub(crate) fn initialize(id: &str, server: Option<&str>, hook_timeout: Duration) -> Value {
    let hooks = json!({"PreToolUse": [{"hookCallbackIds": [CALLBACK], "timeout": hook_timeout.as_secs()}]});
    let servers: Vec<&str> = server.into_iter().collect();
    request(id, &json!({"subtype": "initialize", "hooks": hooks, "sdkMcpServers": servers}))
}

pub(crate) fn interrupt(id: &str) -> Value {
    request(id, &json!({"subtype": "interrupt"}))
}

pub(crate) fn user_message(uuid: Uuid, text: &str) -> Value {
    json!({
        "type": "user",
        "message": {"role": "user", "content": text},
        "parent_tool_use_id": null,
        "uuid": uuid,
    })
}

pub(crate) fn hook_allow(id: &str, updated_input: Option<&Value>) -> Value {
    let mut decision = json!({"hookEventName": "PreToolUse", "permissionDecision": "allow"});
    if let Some(input) = updated_input {
        decision["updatedInput"] = input.clone();
    }
    answer(id, &json!({"continue": true, "hookSpecificOutput": decision}))
}

pub(crate) fn hook_deny(id: &str, reason: &str) -> Value {
    hook_decision(id, "deny", reason)
}

pub(crate) fn hook_defer(id: &str) -> Value {
    hook_decision(id, "defer", "a person decides")
}

fn hook_decision(id: &str, decision: &str, reason: &str) -> Value {
    let decision = json!({
        "hookEventName": "PreToolUse",
        "permissionDecision": decision,
        "permissionDecisionReason": reason,
    });
    answer(id, &json!({"continue": true, "hookSpecificOutput": decision}))
}

/// `input` is what will run: an answer without it fails closed.
pub(crate) fn permission_allow(id: &str, input: &Value) -> Value {
    answer(id, &json!({"behavior": "allow", "updatedInput": input}))
}

pub(crate) fn permission_deny(id: &str, reason: &str, interrupt: bool) -> Value {
    let mut decision = json!({"behavior": "deny", "message": reason});
    if interrupt {
        decision["interrupt"] = Value::Bool(true);
    }
    answer(id, &decision)
}

pub(crate) fn mcp_answer(id: &str, message: &Value) -> Value {
    answer(id, &json!({"mcp_response": message}))
}

pub(crate) fn unsupported(id: &str, subtype: &str) -> Value {
    json!({
        "type": "control_response",
        "response": {"subtype": "error", "request_id": id, "error": format!("unsupported request `{subtype}`")},
    })
}

fn request(id: &str, request: &Value) -> Value {
    json!({"type": "control_request", "request_id": id, "request": request})
}

fn answer(id: &str, response: &Value) -> Value {
    json!({"type": "control_response", "response": {"subtype": "success", "request_id": id, "response": response}})
}
