//! What the way out of a sandbox asks before each call: is the lease ours, is there money and time left?

use crate::{
    context::Context,
    halt::{Halt, chain, in_words},
    shared::Shared,
};
use async_trait::async_trait;
use domain::{
    Budget, EventPayload, Exceeded, Failure, Lease, Run, RunId, Session, SessionId, SessionNumber, Timestamp, Usage,
};
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};
use store::{Fence, Write};

/// How long an agent that used its money up may take to end by itself: its last answer may have been the one that it
/// was paid for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The longest wait for the account's limit that is left to the agent; for a longer one it gives its place to others.
const SHORT_WAIT: Duration = Duration::from_secs(15);

/// How often the time budget is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Where the time worked is noted: by a run, and by all runs of its session.
fn worked_key(run: RunId) -> String {
    format!("worked:{run}")
}
const SESSION_WORKED_KEY: &str = "worked";

/// The gate of one run.
pub(crate) struct RunGate {
    shared: Arc<Shared>,
    session: SessionId,
    number: SessionNumber,
    lease: Lease,
    run: RunId,
    state: Mutex<State>,
}

struct State {
    run_budget: Budget,
    session_budget: Budget,
    run: Usage,
    session: Usage,
    watch: Stopwatch,
    /// When the money or the tokens were found used up.
    used_up_at: Option<Duration>,
    /// True once a call was refused because of that.
    refused: bool,
    /// When the account's limit is lifted.
    limited_until: Option<Timestamp>,
}

/// Time worked, waits for people left out.
#[derive(Debug, Clone, Copy)]
struct Stopwatch {
    run_before: Duration,
    session_before: Duration,
    worked: Duration,
    running_since: Option<Duration>,
}

impl Stopwatch {
    fn worked(&self, now: Duration) -> Duration {
        self.worked + self.running_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn of_run(&self, now: Duration) -> Duration {
        self.run_before + self.worked(now)
    }

    fn of_session(&self, now: Duration) -> Duration {
        self.session_before + self.worked(now)
    }

    fn set_running(&mut self, runs: bool, now: Duration) {
        self.worked = self.worked(now);
        self.running_since = runs.then_some(now);
    }
}

/// A budget that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsedUp {
    of_run: bool,
    what: Exceeded,
    session: SessionNumber,
}

impl UsedUp {
    fn is_time(self) -> bool {
        matches!(self.what, Exceeded::Seconds(_))
    }

    pub fn halt(self) -> Halt {
        Halt::Failed { why: Failure::Budget, message: self.to_string() }
    }
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = match self.what {
            Exceeded::Cost(_) => "usd",
            Exceeded::Tokens(_) => "tokens",
            Exceeded::Seconds(_) => "time",
        };
        let (whose, run) = if self.of_run { ("this run", "run-") } else { ("the session", "") };
        let Self { what, session, .. } = self;
        write!(
            f,
            "{what} ({whose}); raise it with `runyard session budget {session} --{run}{flag} N`, then \
             `runyard session retry {session}`"
        )
    }
}

impl State {
    fn used_up(&self, session: SessionNumber, now: Duration) -> Option<UsedUp> {
        let run = self.run_budget.exceeded(&self.run, self.watch.of_run(now));
        let whole = || self.session_budget.exceeded(&self.session, self.watch.of_session(now));
        run.map(|what| UsedUp { of_run: true, what, session })
            .or_else(|| whole().map(|what| UsedUp { of_run: false, what, session }))
    }
}

impl RunGate {
    /// The gate of the run that is being worked on, its clock running.
    pub async fn open(context: &Context, run: &Run) -> Result<Arc<Self>, Halt> {
        let known = context.gate.lock().clone();
        if let Some(known) = known.filter(|gate| gate.run == run.id) {
            return Ok(known);
        }
        let before = async |key: &str| Ok::<_, Halt>(Duration::from_millis(context.journal(key).await?.unwrap_or(0)));
        let watch = Stopwatch {
            run_before: before(&worked_key(run.id)).await?,
            session_before: before(SESSION_WORKED_KEY).await?,
            worked: Duration::ZERO,
            running_since: Some(context.shared.clock.monotonic()),
        };
        let gate = Arc::new(Self {
            shared: context.shared.clone(),
            session: context.session.id,
            number: context.session.number,
            lease: context.lease,
            run: run.id,
            state: Mutex::new(State {
                run_budget: context.session.run_budget,
                session_budget: context.session.budget,
                run: run.usage,
                session: context.session.usage,
                watch,
                used_up_at: None,
                refused: false,
                limited_until: None,
            }),
        });
        *context.gate.lock() = Some(gate.clone());
        Ok(gate)
    }

    /// The budget that is used up, if one is.
    pub fn used_up(&self) -> Option<UsedUp> {
        let now = self.shared.clock.monotonic();
        self.state.lock().used_up(self.number, now)
    }

    /// Why the agent must be ended now, if it must.
    pub fn ends_agent(&self) -> Option<Halt> {
        let now = self.shared.clock.monotonic();
        let state = self.state.lock();
        if let Some(used_up) = state.used_up(self.number, now) {
            let waited = state.used_up_at.is_none_or(|since| now.saturating_sub(since) >= LAST_WORDS);
            return (used_up.is_time() || state.refused || waited).then(|| used_up.halt());
        }
        drop(state);
        self.limit()
    }

    /// A limit of the account that is not lifted soon.
    pub fn limit(&self) -> Option<Halt> {
        let wait = self.state.lock().limited_until?.since(self.shared.now());
        let message =
            format!("a limit of the account at the model's API is reached; it is lifted in {}", in_words(wait));
        Some(Halt::Transient { message, after: Some(wait) })
    }

    /// Completes when there is no time left.
    pub async fn time_is_over(&self) -> Halt {
        loop {
            if let Some(used_up) = self.used_up().filter(|used_up| used_up.is_time()) {
                return used_up.halt();
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Stops the clock while a person is waited for, and starts it again.
    pub fn set_working(&self, works: bool) {
        self.state.lock().watch.set_running(works, self.shared.clock.monotonic());
    }

    /// Takes over what a person allows now.
    pub fn set_budgets(&self, session: &Session) {
        let mut state = self.state.lock();
        (state.session_budget, state.run_budget) = (session.budget, session.run_budget);
    }

    /// Notes of how long was worked.
    pub fn worked(&self) -> [Write; 2] {
        let now = self.shared.clock.monotonic();
        let watch = self.state.lock().watch;
        let note =
            |key, worked: Duration| Write::Journal(key, u64::try_from(worked.as_millis()).unwrap_or(u64::MAX).into());
        [note(worked_key(self.run), watch.of_run(now)), note(SESSION_WORKED_KEY.to_owned(), watch.of_session(now))]
    }
}

#[async_trait]
impl egress::Gate for RunGate {
    async fn admit(&self, _request: &egress::Admission) -> Result<(), egress::Refusal> {
        match self.shared.store.lease(self.session).await {
            Ok(Some(lease)) if lease.owner == self.lease.owner && lease.epoch == self.lease.epoch => {}
            Ok(_) => return Err(egress::Refusal::Stale("this sandbox belongs to another server now".to_owned())),
            Err(error) => {
                tracing::warn!(error = chain(&error), "failed to check a lease; the call is put off");
                return Err(egress::Refusal::Unavailable("the lease could not be checked".to_owned()));
            }
        }
        let now = self.shared.clock.monotonic();
        let mut state = self.state.lock();
        match state.used_up(self.number, now) {
            Some(used_up) => {
                state.refused = true;
                Err(egress::Refusal::Budget(used_up.what.to_string()))
            }
            None => Ok(()),
        }
    }

    async fn spent(&self, spent: egress::Spent) {
        {
            let now = self.shared.clock.monotonic();
            let mut state = self.state.lock();
            state.run += spent.usage;
            state.session += spent.usage;
            if state.used_up_at.is_none() && state.used_up(self.number, now).is_some() {
                state.used_up_at = Some(now);
            }
        }
        let fence = Fence::Lease { owner: self.lease.owner, epoch: self.lease.epoch };
        let event = EventPayload::Usage { run: self.run, usage: spent.usage };
        let writes = [Write::Spend(self.run, spent.usage)];
        let now = self.shared.now();
        if let Err(error) = self.shared.store.commit(self.session, fence, &writes, &[event], now).await {
            tracing::warn!(error = chain(&error), usage = ?spent.usage, "failed to book what a call used");
        }
    }

    async fn note(&self, note: egress::Note) {
        tracing::debug!(session = %self.session, ?note, "the way out");
        if let egress::Note::Answered { call: egress::Call::Messages, status, again, .. } = note {
            self.state.lock().limited_until = if status == 429 { lifted_at(again, self.shared.now()) } else { None };
        }
    }
}

/// When a limit is lifted, if the agent is not to wait for that by itself.
fn lifted_at(again: egress::Again, now: Timestamp) -> Option<Timestamp> {
    let lifted = again.resets_at.into_iter().chain(again.after.map(|after| now.after(after))).max()?;
    (lifted.since(now) > SHORT_WAIT).then_some(lifted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::MicroUsd;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn state(run_budget: Budget, session_budget: Budget) -> State {
        State {
            run_budget,
            session_budget,
            run: Usage { cost: MicroUsd(10), ..Usage::default() },
            session: Usage { cost: MicroUsd(100), ..Usage::default() },
            watch: Stopwatch {
                run_before: seconds(5),
                session_before: seconds(50),
                worked: Duration::ZERO,
                running_since: Some(seconds(1000)),
            },
            used_up_at: None,
            refused: false,
            limited_until: None,
        }
    }

    #[test]
    fn earlier_work_counts_and_a_wait_for_a_person_does_not() {
        let mut watch = state(Budget::default(), Budget::default()).watch;
        assert_eq!((watch.of_run(seconds(1002)), watch.of_session(seconds(1002))), (seconds(7), seconds(52)));
        watch.set_running(false, seconds(1002));
        watch.set_running(false, seconds(1500));
        assert_eq!(watch.of_run(seconds(2000)), seconds(7));
        watch.set_running(true, seconds(2000));
        assert_eq!(watch.of_session(seconds(2001)), seconds(53));
    }

    #[test]
    fn a_used_up_budget_names_whose_it_is_and_the_mend() {
        let number = SessionNumber(7);
        let said = |run, session| state(run, session).used_up(number, seconds(1000)).map(|used_up| used_up.to_string());
        let cost = |micros| Budget { cost: Some(MicroUsd(micros)), ..Budget::default() };
        assert_eq!(said(cost(11), cost(101)), None);
        insta::assert_snapshot!(said(cost(10), cost(100)).expect("used up"), @"the budget of $0.0001 is spent (this run); raise it with `runyard session budget r/7 --run-usd N`, then `runyard session retry r/7`");
        insta::assert_snapshot!(said(cost(11), cost(100)).expect("used up"), @"the budget of $0.0001 is spent (the session); raise it with `runyard session budget r/7 --usd N`, then `runyard session retry r/7`");
        let time = Budget { seconds: Some(50), ..Budget::default() };
        insta::assert_snapshot!(said(Budget::default(), time).expect("used up"), @"the time budget of 50 s is over (the session); raise it with `runyard session budget r/7 --time N`, then `runyard session retry r/7`");
    }

    #[test]
    fn only_a_long_wait_for_a_limit_is_ours() {
        let now = Timestamp(1_000_000_000);
        let again = |after: u64, resets: Option<u64>| egress::Again {
            after: Some(seconds(after)),
            resets_at: resets.map(|resets| now.after(seconds(resets))),
        };
        assert_eq!(lifted_at(again(3, None), now), None);
        assert_eq!(lifted_at(again(60, None), now), Some(now.after(seconds(60))));
        assert_eq!(lifted_at(again(60, Some(3600)), now), Some(now.after(seconds(3600))));
        assert_eq!(lifted_at(egress::Again::default(), now), None);
    }
}
