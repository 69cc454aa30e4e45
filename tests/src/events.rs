//! A session's event log, as `runyard session log --json` prints it.

use serde_json::Value;
use std::ops::Deref;

/// One event.
#[derive(Debug, Clone)]
pub struct Event(Value);

impl Event {
    /// Reads one line.
    pub fn parse(line: &str) -> Self {
        let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("no event: {error}: {line}"));
        Self(value)
    }

    /// Its number in the session.
    pub fn number(&self) -> i64 {
        self.0["number"].as_i64().expect("a number")
    }

    /// When it was written, in microseconds since 1970.
    pub fn at(&self) -> i64 {
        self.0["at"].as_i64().expect("a time")
    }

    /// What kind of event it is, such as `step_state`.
    pub fn kind(&self) -> &str {
        self.0["payload"]["type"].as_str().expect("a type")
    }

    /// A field of the payload, `null` when it is not there.
    pub fn field(&self, name: &str) -> &Value {
        &self.0["payload"][name]
    }

    /// A field that holds text, empty when it does not.
    pub fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_default()
    }

    /// Whether it says that the step with this number came into this state.
    pub fn is_step(&self, number: &str, state: &str) -> bool {
        self.kind() == "step_state" && self.text("number") == number && self.text("state") == state
    }

    /// Whether it says that a run of this kind of action came into this state.
    pub fn is_run(&self, action: &str, state: &str) -> bool {
        self.kind() == "run_state" && self.text("action_kind") == action && self.text("state") == state
    }
}

/// All events of a session.
#[derive(Debug)]
pub struct Log(Vec<Event>);

impl Log {
    /// Reads what `runyard session log --json` printed.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().map(Event::parse).collect())
    }

    /// Events of one kind.
    pub fn of(&self, kind: &'static str) -> impl Iterator<Item = &Event> {
        self.0.iter().filter(move |event| event.kind() == kind)
    }

    /// The last state of the step with this number, with its reason: `completed(changed)`, `failed(check)`.
    pub fn step(&self, number: &str) -> String {
        let last = self.of("step_state").filter(|event| event.text("number") == number).last();
        let last = last.unwrap_or_else(|| panic!("no event of step {number}"));
        match last.text("reason") {
            "" => last.text("state").to_owned(),
            reason => format!("{}({reason})", last.text("state")),
        }
    }

    /// Last states of all runs of one kind of action, in order of their first event.
    pub fn runs(&self, action: &str) -> Vec<String> {
        let mut runs: Vec<(&str, &str)> = Vec::new();
        for event in self.of("run_state").filter(|event| event.text("action_kind") == action) {
            match runs.iter_mut().find(|(run, _)| *run == event.text("run")) {
                Some((_, state)) => *state = event.text("state"),
                None => runs.push((event.text("run"), event.text("state"))),
            }
        }
        runs.into_iter().map(|(_, state)| state.to_owned()).collect()
    }

    /// Numbers run 1, 2, 3 … without a gap, and time does not go back.
    pub fn assert_whole(&self) {
        for (at, event) in self.0.iter().enumerate() {
            assert_eq!(event.number(), i64::try_from(at + 1).expect("a number"), "a gap or a double in the log");
        }
    }

    /// What a person would want to see of it when a test fails.
    pub fn outline(&self) -> String {
        let line = |event: &Event| match event.kind() {
            "text" | "output" | "usage" => None,
            kind => {
                let mut payload = event.0["payload"].to_string();
                payload.truncate(payload.char_indices().nth(400).map_or(payload.len(), |(at, _)| at));
                Some(format!("{:>4} {kind} {payload}", event.number()))
            }
        };
        self.0.iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Deref for Log {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.0
    }
}
