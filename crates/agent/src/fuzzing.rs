//! What must hold for any input: the bodies of the fuzz targets, also run as tests. Not part of the public face.

mod host;
mod script;

use crate::{
    AgentEvent, Core, End, Outcome, Output, Resume, StdinLine, Turn,
    process::Exit,
    wire::{Lines, Split},
};
use host::{Judge, turn};
use std::collections::HashSet;

/// Reads `output` as what an agent wrote, cut into pieces as `cuts` says, and answers whatever it asks.
///
/// Nothing makes it panic; events, answers and outcome are the same for any cutting; a server that takes over after any
/// piece answers nothing a second time and comes to the same outcome.
pub fn stream_any(output: &[u8], cuts: &[u8]) {
    let (whole, cut) = (Life::new(turn()).read(output, &[]), Life::new(turn()).read(output, cuts));
    assert_eq!(cut.lines.consumed(), whole.lines.consumed());
    assert_eq!(cut.sent, whole.sent, "it matters how the output is cut");
    let went_on = whole.went_on;
    let (events, outcome) = whole.end();
    assert_eq!(cut.end(), (events, outcome.clone()), "it matters how the output is cut");
    take_over(output, cuts, &outcome, went_on);
}

/// Does what `script` says with the machine: lines of an agent, decisions, timers, ends. The checks of [`Judge`] hold
/// after each step.
pub fn machine_any(script: &[u8]) {
    script::run(script);
}

/// What a search may start with, besides recordings.
pub fn stream_seeds() -> Vec<Vec<u8>> {
    script::lines_of_each_kind().map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

/// One server's time with a process.
struct Life {
    core: Core,
    lines: Lines,
    judge: Judge,
    events: Vec<AgentEvent>,
    sent: Vec<StdinLine>,
    at: u64,
    /// The agent wrote more after its input was closed.
    went_on: bool,
}

impl Life {
    fn new(turn: Turn) -> Self {
        let mut core = Core::new(turn);
        let first = core.start();
        let mut life = Self {
            core,
            lines: Lines::default(),
            judge: Judge::default(),
            events: Vec::new(),
            sent: Vec::new(),
            at: 0,
            went_on: false,
        };
        life.act(first);
        life
    }

    fn read(mut self, output: &[u8], cuts: &[u8]) -> Self {
        let mut rest = output;
        let mut sizes = cuts.iter().cycle();
        while !rest.is_empty() {
            let size = sizes.next().map_or(usize::MAX, |size| usize::from(*size) + 1).min(rest.len());
            let (piece, after) = rest.split_at(size);
            self.piece(piece);
            rest = after;
        }
        self
    }

    fn piece(&mut self, piece: &[u8]) {
        self.at += piece.len() as u64;
        for split in self.lines.stdout(piece, self.at) {
            self.split(split);
        }
        assert!(self.lines.consumed() <= self.at);
    }

    fn split(&mut self, split: Split) {
        self.went_on |= self.judge.closed;
        let out = match split {
            Split::Line { raw, end } => self.core.stdout(&raw, end),
            Split::Dropped { end } => self.core.dropped(end),
        };
        self.act(out);
    }

    /// Does what the machine wants, and answers at once.
    fn act(&mut self, out: Vec<Output>) {
        let mut open = std::collections::VecDeque::from(out);
        while let Some(output) = open.pop_front() {
            self.judge.see(&output);
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Send(line) => self.sent.push(line),
                Output::Judge { request, call } => open.extend(self.core.judged(&request, host::verdict(&call))),
                Output::Ask { request, ask } => open.extend(self.core.decided(&request, host::decision(&ask))),
                Output::Call { request, call } => open.extend(self.core.called(&request, host::result(&call))),
                _ => {}
            }
        }
    }

    fn end(mut self) -> (Vec<AgentEvent>, Outcome) {
        if let Some(last) = self.lines.finish() {
            self.split(last);
        }
        let exit = Exit { code: Some(0), ..Exit::default() };
        let (last, outcome) = self.core.finish(exit);
        self.events.extend(last);
        self.judge.end(&self.events, &outcome);
        (self.events, outcome)
    }
}

/// A second server takes over after the first pieces.
fn take_over(output: &[u8], cuts: &[u8], expected: &Outcome, went_on: bool) {
    let Some(half) = cuts.first().map(|cut| output.len() * usize::from(*cut) / 256) else { return };
    let mut first = Life::new(turn());
    first.piece(&output[..half]);
    let resume = Resume { consumed: first.lines.consumed(), journal: first.sent.clone() };
    let mut second = Life::new(Turn { resume: Some(resume), ..turn() });
    second.piece(output);
    let mut keys = HashSet::new();
    for line in first.sent.iter().chain(&second.sent) {
        assert!(keys.insert(&line.key), "`{}` was sent by both servers", line.key);
    }
    let (_, outcome) = second.end();
    assert_eq!((outcome.usage, &outcome.denials), (expected.usage, &expected.denials));
    // That the first server closed the input is known to that server alone, so the second may take work that nobody
    // asked for as a sign that the agent did not finish; never the other way round.
    if went_on {
        assert!(outcome.end != End::Completed || expected.end == End::Completed);
    } else {
        assert_eq!(&outcome, expected, "a server that took over came to another outcome");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn recordings() -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/claude-code");
        let mut cases: Vec<_> =
            std::fs::read_dir(folder).expect("the recordings").map(|case| case.expect("a case").path()).collect();
        cases.sort();
        cases.iter().filter_map(|case| std::fs::read(case.join("stdout.jsonl")).ok()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_script_keeps_the_promises(script in prop::collection::vec(any::<u8>(), 0..300)) {
            machine_any(&script);
        }

        #[test]
        fn any_lines_are_survived(
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::option::weighted(0.3, any::<u8>())), 0..30),
            cuts in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let seeds = stream_seeds();
            let mut output = Vec::new();
            for (seed, at, value) in picks {
                let mut line = seeds[seed.index(seeds.len())].clone();
                if let Some(value) = value {
                    let at = at.index(line.len());
                    line[at] = value;
                }
                output.extend(line);
            }
            stream_any(&output, &cuts);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn spoiled_recordings_are_survived(
            case in any::<prop::sample::Index>(),
            spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cuts in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let recordings = recordings();
            let mut output = recordings[case.index(recordings.len())].clone();
            for (at, value) in spoil.iter().filter(|_| !output.is_empty()).collect::<Vec<_>>() {
                let at = at.index(output.len());
                output[at] = *value;
            }
            stream_any(&output, &cuts);
        }
    }
}
