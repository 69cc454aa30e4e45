//! A program in the place of Claude Code: it speaks as much of its stream-json contract as the engine needs, does what the
//! other end of the Messages API tells it (`faults::sink`), and reports there what it did, so that a history exists that
//! the product had no hand in.
//!
//! Every message that it writes is numbered and holds letters of several bytes; some lines are written in two pieces with
//! a pause inside a letter.

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How often a report is tried again while no server holds the other end.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).cloned()
    };
    let transcript = match (after("--resume"), after("--session-id")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(id)) => PathBuf::from(format!("/home/agent/.claude/projects/-code/{id}.jsonl")),
        (None, None) => return ExitCode::FAILURE,
    };
    let session = transcript.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (send, input) = channel();
    thread::spawn(move || {
        for line in BufReader::new(std::io::stdin()).lines() {
            let Ok(line) = line else { break };
            if send.send(serde_json::from_str::<Value>(&line).unwrap_or_default()).is_err() {
                break;
            }
        }
    });
    let mut agent = Agent { name: name(), session, transcript, input, prompt: None, calls: 0, ready: false };
    match agent.live() {
        Ok(()) | Err(End::InputClosed) => ExitCode::SUCCESS,
        Err(End::Interrupted) => {
            agent.wait_for_end();
            ExitCode::FAILURE
        }
        Err(End::Failed) => ExitCode::FAILURE,
    }
}

/// Why it stops before it is done.
enum End {
    InputClosed,
    Interrupted,
    Failed,
}

struct Agent {
    /// Tells this process from every other one.
    name: String,
    session: String,
    transcript: PathBuf,
    input: Receiver<Value>,
    prompt: Option<String>,
    calls: u32,
    ready: bool,
}

fn name() -> String {
    let mut bytes = [0; 6];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).ok();
    format!("{:012x}", bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
}

impl Agent {
    fn live(&mut self) -> Result<(), End> {
        while !self.ready {
            self.hear()?;
        }
        if let Some(deferred) = self.deferred() {
            self.init()?;
            let rest = self.ask(&deferred["call"], &deferred["ask"], &deferred["orders"])?;
            return if rest { self.work(&deferred["orders"], true) } else { Ok(()) };
        }
        while self.prompt.is_none() {
            self.hear()?;
        }
        self.init()?;
        let prompt = self.prompt.clone().unwrap_or_default();
        self.note(&json!({"type": "user", "message": {"role": "user", "content": prompt}}));
        let orders = self.report(&json!({"event": "start", "prompt": prompt}))?;
        self.work(&orders, false)
    }

    /// Does what it is told, from its beginning or from the question on.
    fn work(&mut self, orders: &Value, asked: bool) -> Result<(), End> {
        let count = |name: &str| orders[name].as_u64().unwrap_or(0);
        if !asked {
            for number in 1..=count("lines") {
                self.line(number, orders)?;
            }
            self.report(&json!({"event": "wrote", "lines": count("lines")}))?;
            if orders["echo"] == true {
                let heard = self.call(&json!({"event": "echo"}), plain)?;
                say(&self.message(&format!("msg_{}_echo", self.name), &json!({"type": "text", "text": heard})))?;
                self.report(&json!({"event": "heard", "text": heard}))?;
            }
            for file in orders["write"].as_array().into_iter().flatten() {
                self.write(file[0].as_str().unwrap_or_default(), file[1].as_str().unwrap_or_default())?;
            }
            if let Some(mark) = orders["leave"].as_str() {
                let left =
                    Command::new("setsid").args(["sleep", mark]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                left.map_err(|_| End::Failed)?;
            }
            if orders["crash"] == true {
                return Err(End::Failed);
            }
            if orders["hang"] == true {
                self.report(&json!({"event": "hangs"}))?;
                loop {
                    self.hear()?;
                }
            }
            if orders["ask"].is_string() {
                let call = self.call_id();
                if !self.ask(&json!(call), &orders["ask"], orders)? {
                    return Ok(());
                }
            }
        }
        if let Some(plan) = orders["submit"].as_str() {
            self.submit(plan)?;
        }
        self.report(&json!({"event": "end"}))?;
        self.result(&json!({"subtype": "success", "stop_reason": "end_turn", "terminal_reason": "completed"}))?;
        self.wait_for_end();
        Ok(())
    }

    /// One numbered message, now and then in two pieces.
    fn line(&mut self, number: u64, orders: &Value) -> Result<(), End> {
        let text = numbered(&self.name, number);
        let id = format!("msg_{}_{number}", self.name);
        let line = self.message(&id, &json!({"type": "text", "text": text})).to_string() + "\n";
        let torn = orders["torn"].as_u64().unwrap_or(0);
        if torn > 0 && number.is_multiple_of(torn) {
            let inside = line.find('\u{1d11e}').map_or(line.len() / 2, |at| at + 2);
            out(&line.as_bytes()[..inside])?;
            thread::sleep(Duration::from_millis(orders["pause"].as_u64().unwrap_or(0)));
            out(&line.as_bytes()[inside..])?;
        } else {
            out(line.as_bytes())?;
        }
        thread::sleep(Duration::from_millis(orders["pace"].as_u64().unwrap_or(0)));
        Ok(())
    }

    fn message(&self, id: &str, block: &Value) -> Value {
        json!({"type": "assistant", "session_id": self.session, "parent_tool_use_id": null,
            "message": {"id": id, "model": "scripted", "role": "assistant", "content": [block], "stop_reason": null}})
    }

    fn init(&mut self) -> Result<(), End> {
        say(&json!({"type": "system", "subtype": "init", "session_id": self.session, "cwd": "/code",
            "claude_code_version": "2.1.197", "model": "scripted", "tools": ["Bash", "Write"],
            "mcp_servers": [{"name": "runyard", "status": "connected"}]}))
    }

    /// Writes a file once the host allows it.
    fn write(&mut self, path: &str, content: &str) -> Result<(), End> {
        let call = self.call_id();
        let input = json!({"file_path": format!("/code/{path}"), "content": content});
        let allowed = self.judged(&json!(call), "Write", &input)?;
        let ok = allowed["permissionDecision"] == "allow" && fs::write(format!("/code/{path}"), content).is_ok();
        self.tool(&call, "Write", &input, ok)
    }

    fn tool(&mut self, call: &str, name: &str, input: &Value, ok: bool) -> Result<(), End> {
        let id = format!("msg_{}_{call}", self.name);
        let used = self.message(&id, &json!({"type": "tool_use", "id": call, "name": name, "input": input}));
        self.note(&used);
        say(&used)?;
        let done = json!({"type": "user", "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call, "content": if ok { "done" } else { "failed" }, "is_error": !ok}]}});
        self.note(&done);
        say(&done)
    }

    /// Asks the person. False when the call was put off: the process is to end then.
    fn ask(&mut self, call: &Value, question: &Value, orders: &Value) -> Result<bool, End> {
        let input = json!({"questions": [{"question": question, "header": "Choice", "multiSelect": false,
            "options": [{"label": "red", "description": "r"}, {"label": "blue", "description": "b"}]}]});
        if self.asked_by_itself(call) {
            let id = format!("msg_{}_ask", self.name);
            let block = json!({"type": "tool_use", "id": call, "name": "AskUserQuestion", "input": input});
            let events = [
                json!({"type": "message_start", "message": {"id": id, "usage": {}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": block}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_stop"}),
            ];
            for event in events {
                say(&json!({"type": "stream_event", "session_id": self.session, "parent_tool_use_id": null,
                    "event": event}))?;
            }
        }
        let decision = self.judged(call, "AskUserQuestion", &input)?;
        let name = call.as_str().unwrap_or_default().to_owned();
        if decision["permissionDecision"] == "defer" {
            self.note(&json!({"type": "scripted-deferred", "call": call, "ask": question, "orders": orders}));
            self.result(
                &json!({"subtype": "success", "stop_reason": "tool_deferred", "terminal_reason": "tool_deferred",
                "deferred_tool_use": {"id": call, "name": "AskUserQuestion", "input": input}}),
            )?;
            self.wait_for_end();
            return Ok(false);
        }
        let answer = decision["updatedInput"]["answers"][question.as_str().unwrap_or_default()].clone();
        self.note(&json!({"type": "scripted-answered"}));
        self.report(&json!({"event": "answered", "answer": answer}))?;
        self.tool(&name, "AskUserQuestion", &input, answer.is_string())?;
        Ok(true)
    }

    /// Whether a call is this process's own, and not one that was put off by an earlier one.
    fn asked_by_itself(&self, call: &Value) -> bool {
        call.as_str().is_some_and(|call| call.contains(&self.name))
    }

    /// The question that the last process of this conversation left open.
    fn deferred(&self) -> Option<Value> {
        let text = fs::read_to_string(&self.transcript).ok()?;
        let last = serde_json::from_str::<Value>(text.lines().last()?).ok()?;
        (last["type"] == "scripted-deferred").then_some(last)
    }

    /// Hands a plan in through the host's tool.
    fn submit(&mut self, plan: &str) -> Result<(), End> {
        let call = self.call_id();
        let arguments = json!({"runbook": plan});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
            "name": "submit_plan", "arguments": arguments, "_meta": {"claudecode/toolUseId": call}}});
        let answer = self.request(&json!({"subtype": "mcp_message", "server_name": "runyard", "message": message}))?;
        let ok = answer["mcp_response"]["result"]["isError"] == false;
        self.tool(&call, "mcp__runyard__submit_plan", &arguments, ok)
    }

    fn judged(&mut self, call: &Value, tool: &str, input: &Value) -> Result<Value, End> {
        let hook =
            json!({"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input, "tool_use_id": call});
        let request = json!({"subtype": "hook_callback", "callback_id": "runyard-pre-tool-use", "input": hook,
            "tool_use_id": call});
        Ok(self.request(&request)?["hookSpecificOutput"].clone())
    }

    /// Asks the host and waits for its answer.
    fn request(&mut self, request: &Value) -> Result<Value, End> {
        let id = format!("req-{}-{}", self.name, self.calls);
        self.calls += 1;
        say(&json!({"type": "control_request", "request_id": id, "request": request}))?;
        loop {
            let heard = self.hear()?;
            if heard["type"] == "control_response" && heard["response"]["request_id"] == id.as_str() {
                return Ok(heard["response"]["response"].clone());
            }
        }
    }

    /// Takes in one line of the host.
    fn hear(&mut self) -> Result<Value, End> {
        let line = self.input.recv().map_err(|_| End::InputClosed)?;
        let answer = |id: &Value| json!({"type": "control_response", "response": {"subtype": "success", "request_id": id, "response": {}}});
        match (line["type"].as_str(), line["request"]["subtype"].as_str()) {
            (Some("control_request"), Some("interrupt")) => {
                say(&answer(&line["request_id"]))?;
                self.result(&json!({"subtype": "error_during_execution", "is_error": true,
                    "terminal_reason": "aborted_tools", "stop_reason": null}))?;
                return Err(End::Interrupted);
            }
            (Some("control_request"), _) => {
                say(&answer(&line["request_id"]))?;
                self.ready = true;
            }
            (Some("user"), _) => {
                if self.prompt.is_none() {
                    self.prompt = line["message"]["content"].as_str().map(str::to_owned);
                }
                let mut echo = line.clone();
                echo["isReplay"] = json!(true);
                say(&echo)?;
            }
            _ => {}
        }
        Ok(line)
    }

    fn wait_for_end(&mut self) {
        while self.input.recv().is_ok() {}
    }

    fn call_id(&mut self) -> String {
        self.calls += 1;
        format!("toolu_{}_{}", self.name, self.calls)
    }

    fn result(&mut self, more: &Value) -> Result<(), End> {
        let usage = json!({"inputTokens": 10, "outputTokens": 5, "costUSD": 0.001});
        let mut result = json!({"type": "result", "is_error": false, "num_turns": 1, "result": "Done.",
            "total_cost_usd": 0.001, "usage": {}, "modelUsage": {"scripted": usage}, "permission_denials": [],
            "session_id": self.session});
        for (name, value) in more.as_object().into_iter().flatten() {
            result[name] = value.clone();
        }
        say(&result)
    }

    /// Adds a line to the conversation's transcript.
    fn note(&self, line: &Value) {
        if let Some(folder) = self.transcript.parent() {
            fs::create_dir_all(folder).ok();
        }
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.transcript);
        file.and_then(|mut file| file.write_all((line.to_string() + "\n").as_bytes())).ok();
    }

    /// Tells the other end of the way out something; what it answers.
    fn report(&self, report: &Value) -> Result<Value, End> {
        let answer = self.call(report, message)?;
        serde_json::from_str(&answer).map_err(|_| End::Failed)
    }

    /// The same; what is read out of the answer.
    fn call(&self, report: &Value, read: fn(&str) -> Option<String>) -> Result<String, End> {
        let mut report = report.clone();
        report["agent"] = json!(self.name);
        let body = json!({"model": "scripted", "max_tokens": 1, "messages": [
            {"role": "user", "content": report.to_string()}]})
        .to_string();
        for _ in 0..TRIES {
            if let Some(answer) = post(&body).and_then(|body| read(&body)) {
                return Ok(answer);
            }
            thread::sleep(PAUSE);
        }
        Err(End::Failed)
    }
}

/// The text of a numbered message: `faults::checks` knows it too.
fn numbered(agent: &str, number: u64) -> String {
    faults::numbered(agent, number)
}

fn say(line: &Value) -> Result<(), End> {
    out((line.to_string() + "\n").as_bytes())
}

fn out(bytes: &[u8]) -> Result<(), End> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|_| End::Failed)
}

/// The text of a message.
fn message(body: &str) -> Option<String> {
    // Whole or in chunks: the document is between the outer braces.
    let document = body.get(body.find('{')?..=body.rfind('}')?)?;
    let document: Value = serde_json::from_str(document).ok()?;
    document["content"][0]["text"].as_str().map(str::to_owned)
}

/// What comes in chunks, put together.
fn plain(body: &str) -> Option<String> {
    let (mut whole, mut rest) = (String::new(), body);
    loop {
        let (length, after) = rest.split_once("\r\n")?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.push_str(after.get(..length)?);
        rest = after.get(length + 2..)?;
    }
}

/// One call of the Messages API; the body of the answer.
fn post(body: &str) -> Option<String> {
    let key = std::env::var("ANTHROPIC_API_KEY").unwrap_or_default();
    let mut stream = TcpStream::connect("127.0.0.1:8080").ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200") {
        return None;
    }
    Some(body.to_owned())
}
