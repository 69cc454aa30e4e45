//! What the model knows of the world.

/// Steps of the session, executed in order on one branch with one pull request.
pub const STEPS: usize = 2;

/// A server in one of its lives: a restarted one has another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Which server.
    pub server: u8,
    /// Which life.
    pub life: u8,
}

/// As [`domain::Lease`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// Who holds it.
    pub owner: Option<Owner>,
    /// Rises with every holder and every take-over.
    pub epoch: u8,
    /// Rises while the holder lives.
    pub beat: u8,
}

/// A commit: made twice for one run it may differ, since the agent's tree may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit {
    /// The run.
    pub run: u8,
    /// The epoch under which it was made.
    pub by: u8,
}

/// As [`domain::ActionState`], without what waits for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionState {
    /// It waits for its turn.
    Queued,
    /// A worker holds it.
    Running,
    /// It is over.
    Done,
    /// It was taken out of the queue.
    Removed,
}

/// The row that asks to execute a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action {
    /// Where it stands.
    pub state: ActionState,
    /// How often it was claimed.
    pub attempts: u8,
    /// How many of these ended in good order.
    pub handed_back: u8,
}

/// As [`domain::StepState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepState {
    /// It left the queue unstarted.
    NotStarted,
    /// It waits for its turn.
    Queued,
    /// A run works on it.
    InProgress,
    /// It is done.
    Completed,
    /// Too many attempts were lost.
    Poisoned,
}

/// As [`domain::RunState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunState {
    /// It works.
    Running,
    /// It did its work.
    Succeeded,
    /// It did not.
    Failed,
}

/// One attempt at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Its step.
    pub step: u8,
    /// Where it stands.
    pub state: RunState,
    /// The commit that its work became.
    pub commit: Option<Commit>,
}

/// The branch and its pull request, as we know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Change {
    /// The newest commit.
    pub head: Option<Commit>,
    /// What was pushed last.
    pub pushed: Option<Commit>,
    /// Whether its pull request has a number.
    pub pull_request: bool,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// The session's lease.
    pub lease: Lease,
    /// The queue, in order.
    pub actions: [Action; STEPS],
    /// The steps.
    pub steps: [StepState; STEPS],
    /// All runs, oldest first.
    pub runs: Vec<Run>,
    /// The session's change.
    pub change: Change,
}

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Connect to the sandbox that the session may have here.
    Adopt,
    /// Begin a run or go on with one.
    Begin,
    /// Start the agent in the sandbox, made when there is none.
    Start,
    /// Have a call of the agent admitted by the way out.
    Ask,
    /// Let the admitted call go.
    Send,
    /// Note the commit before it is pushed.
    Note,
    /// Read the change that is to be pushed.
    Read,
    /// Push it, from where it is expected.
    Push,
    /// Note that it was pushed.
    NotePush,
    /// Open the pull request, or find it.
    Open,
    /// Note its number.
    NotePullRequest,
    /// End run, step and action.
    Finish,
    /// End the action: only with [`super::Planted::TwoTransactions`].
    FinishAction,
    /// Give the action up: too many attempts were lost.
    GiveUp,
    /// Put the action back after a passing failure.
    Retry,
    /// Give the lease back.
    Release,
}

/// A worker at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work {
    /// The step.
    pub step: u8,
    /// The epoch that it was given.
    pub epoch: u8,
    /// What it does next.
    pub at: Point,
    /// The run.
    pub run: Option<u8>,
    /// Whether it drives a sandbox that was there before.
    pub adopted: bool,
    /// The change as it read it.
    pub change: Change,
}

/// A server with one worker and one janitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// Which of its lives.
    pub life: u8,
    /// Whether it lives.
    pub up: bool,
    /// What its worker does.
    pub work: Option<Work>,
    /// The lease that its janitor watches, as it saw it.
    pub watch: Option<Lease>,
}

/// The sandbox of the session on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sandbox {
    /// Whether it lives.
    pub alive: bool,
    /// The highest epoch that it saw.
    pub epoch: u8,
    /// The run whose agent is in it.
    pub run: Option<u8>,
}

/// Where pull requests live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Forge {
    /// The commit of the branch.
    pub branch: Option<Commit>,
    /// How many pull requests the change has.
    pub pull_requests: u8,
}

/// Faults that may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Faults {
    /// Crashes and pauses past the lease, together.
    pub stops: u8,
    /// Calls that fail, or that succeed unheard.
    pub hiccups: u8,
}

/// What only the observer sees: counts from the beginning, and what is true of the last act alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ghost {
    /// A write was taken under an epoch below one that had acted.
    pub stale_write: bool,
    /// A sandbox obeyed an epoch below one that it had seen.
    pub stale_drive: bool,
    /// A call was admitted under an epoch that was not the lease's.
    pub stale_call: bool,
    /// A push moved the branch to what is on no record, or back.
    pub wrong_push: bool,
    /// The holder of the lease found the branch where it did not expect it.
    pub holder_refused: bool,
    /// A lease was taken whose beat had risen since it was looked at.
    pub rash: bool,
    /// A call that was admitted in time left late.
    pub late_call: bool,
    /// How often each action was claimed.
    pub claims: [u8; STEPS],
    /// How often it was claimed to be worked on, not to be given up.
    pub worked: [u8; STEPS],
    /// How often its attempt ended in good order.
    pub ended: [u8; STEPS],
    /// A push by who no longer held the lease moved the branch.
    pub late_push: bool,
    /// A write by who no longer held the lease was refused.
    pub fenced: bool,
    /// A worker went on in a sandbox that another one had left.
    pub carried_on: bool,
}

impl Ghost {
    /// What is counted, without what was true of one act.
    #[must_use]
    pub fn counts(self) -> Self {
        let Self { claims, worked, ended, .. } = self;
        Self { claims, worked, ended, ..Self::default() }
    }
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The store.
    pub record: Record,
    /// The servers.
    pub servers: Vec<Server>,
    /// The sandbox of each host.
    pub sandboxes: Vec<Sandbox>,
    /// The forge.
    pub forge: Forge,
    /// What may still go wrong.
    pub faults: Faults,
    /// What only the observer sees.
    pub ghost: Ghost,
}
