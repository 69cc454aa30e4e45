//! When the process is to end, and what came of it.

use super::{Core, Output, Timer};
use crate::{AgentEvent, Fault, Outcome, process::Exit};
use std::collections::BTreeSet;

impl Core {
    /// A timer is over.
    pub fn fire(&mut self, timer: Timer) -> Vec<Output> {
        let mut out = Vec::new();
        if !self.armed.remove(&timer) {
            return out;
        }
        match timer {
            Timer::Exit => self.kill(&mut out),
            Timer::FollowUp if self.nothing_deferred() => {
                self.evidence.nothing_deferred = true;
                self.closing = true;
                out.push(Output::CloseStdin);
            }
            Timer::FollowUp => {
                self.follow_up = false;
                self.undelivered.clear();
            }
            Timer::Background => {
                self.left_running = self.tasks.values().cloned().collect();
                self.tasks.clear();
            }
        }
        self.settle(&mut out);
        out
    }

    /// Nothing was heard for as long as silence is borne: an agent that hangs is ended, so that another resumes its
    /// conversation. One that has nothing to do may be silent.
    pub fn silent(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        if self.live && self.busy && !self.closing && !self.killed {
            self.evidence.fatal = Some(Fault::Stalled);
        }
        self.settle(&mut out);
        out
    }

    /// Standard input is closed, whoever closed it.
    pub fn input_closed(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        self.closing = true;
        self.settle(&mut out);
        out
    }

    /// The process has ended and all of its output was taken in.
    pub fn finish(mut self, exit: Exit) -> (Vec<AgentEvent>, Outcome) {
        let mut out = Vec::new();
        self.awake(&mut out);
        self.evidence.exit = exit;
        self.evidence.unfinished = self.busy && !self.evidence.results.is_empty();
        let open = self.ledger.close();
        if let Some(usage) = open {
            self.emit(AgentEvent::Usage { usage, booked: true }, &mut out);
        }
        let events = out.into_iter().filter_map(|output| match output {
            Output::Event(event) => Some(event),
            _ => None,
        });
        self.left_running.extend(self.tasks.into_values());
        let last = self.evidence.results.last();
        let outcome = Outcome {
            end: self.evidence.end(),
            text: last.map(|result| result.text.clone()).unwrap_or_default(),
            usage: self.ledger.booked(),
            cost_reported: open.is_none(),
            denials: self.evidence.denials(),
            interrupted: self.evidence.was_interrupted(),
            left_running: self.left_running,
            structured_output: last.and_then(|result| result.structured_output.clone()),
            version: self.version,
            session: self.session,
            stderr: self.evidence.stderr,
        };
        (events.collect(), outcome)
    }

    /// A deferred call was to be resumed and the agent does not seem to know of one: it only waits for more input.
    fn nothing_deferred(&self) -> bool {
        self.turn.prompt.is_none() && self.undelivered.is_empty() && self.ready && !self.begun
    }

    fn kill(&mut self, out: &mut Vec<Output>) {
        if !self.killed {
            self.killed = true;
            out.push(Output::Kill);
        }
    }

    /// Does what the state calls for: closing, killing, timers.
    pub(super) fn settle(&mut self, out: &mut Vec<Output>) {
        if !self.live {
            return;
        }
        if self.evidence.fatal.is_some() || self.evidence.put_off.is_some() {
            self.kill(out);
        }
        let idle = !self.busy && !self.evidence.results.is_empty() && self.requests.is_empty();
        let waits_for_turn = self.follow_up || !self.undelivered.is_empty();
        let mut want = BTreeSet::new();
        if self.killed {
        } else if self.closing {
            want.insert(Timer::Exit);
        } else if idle && (self.evidence.stopped || (!waits_for_turn && self.tasks.is_empty())) {
            self.closing = true;
            out.push(Output::CloseStdin);
            want.insert(Timer::Exit);
        } else if self.evidence.stopped {
            want.insert(Timer::Exit);
        } else if self.nothing_deferred() || (idle && waits_for_turn) {
            want.insert(Timer::FollowUp);
        } else if idle {
            want.insert(Timer::Background);
        }
        self.evidence.closed |= self.closing && !self.busy;
        out.extend(self.armed.difference(&want).copied().map(Output::Disarm));
        out.extend(want.difference(&self.armed).copied().map(Output::Arm));
        self.armed = want;
    }
}
