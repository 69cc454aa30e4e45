use crate::{
    event::micro_usd,
    wire::{StreamEvent, Tokens, TurnResult},
};
use domain::{MicroUsd, Usage};

/// The books of one process: the agent reports running totals, which start at zero in each process.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    total: Usage,
    booked: Usage,
    /// Seen in streams and not in a total yet.
    provisional: Usage,
    current: Tokens,
}

impl Ledger {
    /// What a message used, once it is known.
    pub(super) fn stream(&mut self, event: &StreamEvent) -> Option<Usage> {
        match event {
            StreamEvent::MessageStart { usage, .. } => {
                self.current = *usage;
                None
            }
            StreamEvent::MessageDelta { output } => {
                let tokens = std::mem::take(&mut self.current);
                let output = output.unwrap_or(tokens.output);
                let usage = usage(Tokens { output, ..tokens }, MicroUsd(0));
                self.provisional += usage;
                (usage.tokens() > 0).then_some(usage)
            }
            _ => None,
        }
    }

    /// What came on top of the last result.
    pub(super) fn result(&mut self, result: &TurnResult) -> Option<Usage> {
        let now = usage(result.totals, micro_usd(result.total_cost_usd));
        let more = now.since(&self.total);
        self.total = now;
        self.provisional = Usage::default();
        self.booked += more;
        (more != Usage::default()).then_some(more)
    }

    /// Books what no result has told: its cost is unknown.
    pub(super) fn close(&mut self) -> Option<Usage> {
        let open = std::mem::take(&mut self.provisional);
        self.booked += open;
        (open.tokens() > 0).then_some(open)
    }

    pub(super) fn booked(&self) -> Usage {
        self.booked
    }
}

fn usage(tokens: Tokens, cost: MicroUsd) -> Usage {
    Usage {
        input: tokens.input,
        output: tokens.output,
        cache_read: tokens.cache_read,
        cache_write: tokens.cache_write,
        cost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_booked_once_and_what_no_total_tells_is_booked_at_the_end() {
        let mut ledger = Ledger::default();
        let totals = |input: i64, dollars: f64| TurnResult {
            totals: Tokens { input, ..Tokens::default() },
            total_cost_usd: dollars,
            ..TurnResult::default()
        };
        let start = StreamEvent::MessageStart {
            message: "m".into(),
            usage: Tokens { input: 10, output: 1, ..Tokens::default() },
        };
        assert_eq!(ledger.stream(&start), None);
        let early = ledger.stream(&StreamEvent::MessageDelta { output: Some(5) }).expect("an early sign");
        assert_eq!((early.input, early.output), (10, 5));
        assert_eq!(ledger.result(&totals(10, 0.01)).expect("more").cost, MicroUsd(10_000));
        assert_eq!(ledger.result(&totals(30, 0.03)).expect("more").input, 20);
        assert_eq!(ledger.result(&totals(30, 0.03)), None);
        ledger.stream(&start);
        ledger.stream(&StreamEvent::MessageDelta { output: Some(5) });
        assert_eq!(ledger.close().expect("open").tokens(), 15);
        assert_eq!((ledger.booked().input, ledger.booked().cost), (40, MicroUsd(30_000)));
    }
}
