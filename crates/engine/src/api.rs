//! What people can ask of Runyard, and what they get: the same for the command line, the control socket and, later,
//! GraphQL and REST.

use crate::{
    PullRequestLine, PullRequestView, SessionLine, SessionView,
    asked::{Edit, LearningFilter, NewKnowledge, NewSession, Overview, PullRequestRef, Selection},
};
use domain::{
    Answer, AuditEntry, AuditFilter, AuditMark, AuditVerdict, Budget, CommitId, Event, Knowledge, KnowledgeId,
    KnowledgeKind, Piece, RequestId, RunbookVersion, SecretId, Session, SessionNumber, Timestamp,
};
use serde::{Deserialize, Serialize};
use store::AuditPage;

/// Something that a person asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Registers a repository on disk. Answers with [`Reply::Repository`].
    AddRepository {
        /// Its name; the folder's when none is given.
        name: Option<String>,
        /// Its absolute path.
        path: String,
    },
    /// All repositories. Answers with [`Reply::Repositories`].
    Repositories,
    /// Makes a session and queues its planning. Answers with [`Reply::Created`].
    CreateSession(NewSession),
    /// Sessions, newest first. Answers with [`Reply::Sessions`].
    Sessions {
        /// Archived ones instead of the others.
        archived: bool,
        /// All of them.
        all: bool,
        /// At most this many.
        limit: i64,
        /// Only those with numbers below this one, for paging.
        #[serde(default)]
        before: Option<SessionNumber>,
        /// Only those of the repository with this name.
        #[serde(default)]
        repository: Option<String>,
        /// Only those that this finds: words, and `state:`, `author:`, `repo:` and `branch:` before others.
        #[serde(default)]
        search: Option<String>,
    },
    /// Sessions of one repository with everything about them, newest first. Answers with [`Reply::Overview`].
    Overview(Overview),
    /// A session as it is now. Answers with [`Reply::Session`].
    Session {
        /// Which one.
        session: SessionNumber,
    },
    /// Events above a number, at once. Answers with [`Reply::Events`].
    Events {
        /// Which session.
        session: SessionNumber,
        /// The last number that the caller saw.
        after: i64,
        /// At most this many.
        limit: i64,
    },
    /// Events above a number that match. Answers with [`Reply::Found`].
    FindEvents {
        /// Which session.
        session: SessionNumber,
        /// The number up to which the caller has looked.
        after: i64,
        /// At most this many.
        limit: i64,
        /// What they must have.
        matching: crate::EventFilter,
    },
    /// A part of what a process wrote. Answers with [`Reply::Output`].
    Output {
        /// Which session.
        session: SessionNumber,
        /// Which exec.
        exec: domain::ExecId,
        /// From this offset.
        from: u64,
        /// At most so many bytes.
        most: u64,
    },
    /// Says something to a session: a question, a wish for the plan. Answers with [`Reply::Queued`].
    Message {
        /// Which session.
        session: SessionNumber,
        /// What.
        text: String,
    },
    /// Says what is wanted next: the agent goes on with the newest open pull request, or with the plan when there is none.
    /// Answers with [`Reply::Queued`].
    FollowUp {
        /// Which session.
        session: SessionNumber,
        /// What is wanted.
        text: String,
        /// More labels of every pull request.
        labels: Vec<String>,
        /// Replaces what the first pull request's body begins with; an empty one takes it away.
        description: Option<String>,
        /// The version of the runbook that the person saw; refused when there is another one.
        expected: Option<i64>,
    },
    /// The text of the specification that came with a session's request. Answers with [`Reply::Text`].
    Spec {
        /// Which session.
        session: SessionNumber,
    },
    /// Executes steps; what stands between is taken along. Answers with [`Reply::Queued`].
    Execute {
        /// Which session.
        session: SessionNumber,
        /// Which steps.
        what: Selection,
    },
    /// Stops what runs and empties the queue of steps. Answers with [`Reply::Stopped`].
    Stop {
        /// Which session.
        session: SessionNumber,
    },
    /// Executes the step that failed, or plans again when planning failed. Answers with [`Reply::Queued`].
    Retry {
        /// Which session.
        session: SessionNumber,
        /// Told to the agent on top, for the steps.
        message: Option<String>,
    },
    /// Answers what waits for a person. Answers with [`Reply::Done`].
    Answer {
        /// Which session.
        session: SessionNumber,
        /// Which request; the oldest open one when none is given.
        request: Option<RequestId>,
        /// What is answered.
        answer: Answer,
    },
    /// Changes the runbook. Answers with [`Reply::Version`].
    Edit {
        /// Which session.
        session: SessionNumber,
        /// The version that the person saw; refused when there is a newer one.
        expected: i64,
        /// What is changed.
        edit: Edit,
    },
    /// Makes an older version the newest again, under a new number. Answers with [`Reply::Version`].
    Restore {
        /// Which session.
        session: SessionNumber,
        /// The older version.
        version: i64,
    },
    /// All versions, oldest first. Answers with [`Reply::Versions`].
    Versions {
        /// Which session.
        session: SessionNumber,
    },
    /// Takes back a completed step by a new commit. Answers with [`Reply::Queued`].
    Revert {
        /// Which session.
        session: SessionNumber,
        /// The step's number.
        step: String,
    },
    /// Marks a step as done by a person, such as a `[MANUAL]` one. Answers with [`Reply::Done`].
    MarkDone {
        /// Which session.
        session: SessionNumber,
        /// The step's number.
        step: String,
    },
    /// Says that a step is not done, and why; what comes after it goes on as if it were. Answers with [`Reply::Done`].
    SkipStep {
        /// Which session.
        session: SessionNumber,
        /// The step's number.
        step: String,
        /// Why.
        reason: String,
        /// The version of the runbook whose number it is; refused when there is a newer one.
        #[serde(default)]
        expected: Option<i64>,
    },
    /// Says that a step that was skipped is to be done after all. Answers with [`Reply::Done`].
    UnskipStep {
        /// Which session.
        session: SessionNumber,
        /// The step's number.
        step: String,
        /// The version of the runbook whose number it is; refused when there is a newer one.
        #[serde(default)]
        expected: Option<i64>,
    },
    /// Takes an action that did not start out of the queue. Answers with [`Reply::Done`].
    Cancel {
        /// Which session.
        session: SessionNumber,
        /// The action.
        action: domain::ActionId,
    },
    /// Sets what a session and each of its runs may use; it counts at once, also for what is running. Answers with
    /// [`Reply::Done`].
    Budget {
        /// Which session.
        session: SessionNumber,
        /// What the session may use in all.
        budget: Budget,
        /// What each of its runs may use.
        run_budget: Budget,
    },
    /// Makes a session that begins with another one's newest plan. Answers with [`Reply::Created`].
    Clone {
        /// Which session.
        session: SessionNumber,
        /// Its title; the other one's with ` (copy)` when none is given.
        title: Option<String>,
    },
    /// Calls a session something else. Answers with [`Reply::Done`].
    Rename {
        /// Which session.
        session: SessionNumber,
        /// What it is called from now on.
        title: String,
    },
    /// Puts a session away, or takes it out again. Answers with [`Reply::Done`].
    Archive {
        /// Which session.
        session: SessionNumber,
        /// Away or out.
        archived: bool,
    },
    /// The diff of a session's work: all of it, of one step's last run, or of one run. Answers with [`Reply::Text`].
    Diff {
        /// Which session.
        session: SessionNumber,
        /// The step's number.
        step: Option<String>,
    },
    /// Pull requests of the repositories, newest first. Answers with [`Reply::PullRequests`].
    PullRequests {
        /// Only those of one session.
        session: Option<SessionNumber>,
        /// Only those of the repository with this name or path.
        repository: Option<String>,
    },
    /// One pull request with everything about it. Answers with [`Reply::PullRequest`].
    PullRequest {
        /// Which one.
        pull_request: PullRequestRef,
    },
    /// The diff of a pull request. Answers with [`Reply::Text`].
    PullRequestDiff {
        /// Which one.
        pull_request: PullRequestRef,
    },
    /// Comments on a pull request, or on a line of it. Answers with [`Reply::Done`].
    PullRequestComment {
        /// Which one.
        pull_request: PullRequestRef,
        /// What is said.
        body: String,
        /// The file and the line in the new version, for a review thread.
        line: Option<(String, i64)>,
    },
    /// Takes the mark of a draft off a pull request, so that it can be merged. Answers with [`Reply::Done`].
    PullRequestReady {
        /// Which one.
        pull_request: PullRequestRef,
    },
    /// Hands all unresolved review threads and the given words to the agent. Answers with [`Reply::Queued`].
    PullRequestRevise {
        /// Which one.
        pull_request: PullRequestRef,
        /// Told on top.
        instructions: Option<String>,
    },
    /// All stored secrets, without their values. Answers with [`Reply::Secrets`].
    Secrets,
    /// Stores a secret. The caller seals the value, which so never travels. Answers with [`Reply::Done`].
    PutSecret {
        /// Its id, to which the value is sealed.
        id: SecretId,
        /// Its name.
        name: String,
        /// The envelope, in hexadecimal.
        sealed: String,
        /// Gives one that is there another value; else there must be none.
        replace: bool,
    },
    /// Removes a stored secret. Answers with [`Reply::Done`].
    RemoveSecret {
        /// Its name.
        name: String,
    },
    /// Seals all stored secrets under the keyring's current key. Answers with [`Reply::Resealed`].
    ResealSecrets,
    /// What the team knows of one kind, as far as the asker may see it; personas with the default ones first. Answers with
    /// [`Reply::Knowledge`].
    Knowledge {
        /// The kind.
        kind: KnowledgeKind,
    },
    /// Learnings. Answers with [`Reply::Learnings`].
    Learnings(LearningFilter),
    /// Adds something that the team knows. Answers with [`Reply::Piece`].
    AddKnowledge(NewKnowledge),
    /// Changes something that the team knows. Answers with [`Reply::Piece`].
    ChangeKnowledge {
        /// Which.
        id: KnowledgeId,
        /// The version that the person saw; refused when there is another one.
        expected: i64,
        /// Whether it is the asker's own, which only they see.
        own: bool,
        /// What it says from now on.
        piece: Piece,
    },
    /// Removes something that the team knows. Answers with [`Reply::Done`].
    RemoveKnowledge {
        /// Which.
        id: KnowledgeId,
        /// The version that the person saw; refused when there is another one.
        expected: i64,
        /// Whether it is the asker's own, which only they see.
        own: bool,
    },
    /// Gives a session another persona, from its next run on. Answers with [`Reply::Done`].
    SwitchPersona {
        /// Which session.
        session: SessionNumber,
        /// The persona's id or name; none: the default ones.
        persona: Option<String>,
    },
    /// Entries of the audit log. Answers with [`Reply::Audit`].
    Audit {
        /// Which ones.
        #[serde(default)]
        filter: AuditFilter,
        /// From where on.
        page: AuditPage,
        /// At most this many.
        limit: i64,
    },
    /// Looks along the whole audit log. Answers with [`Reply::AuditVerdict`].
    VerifyAudit {
        /// An entry that was noted elsewhere.
        noted: Option<AuditMark>,
    },
    /// Merges a pull request. Answers with [`Reply::Merged`].
    Merge {
        /// Which one.
        pull_request: PullRequestRef,
        /// One commit instead of all.
        squash: bool,
    },
}

/// What a person gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "value", rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// A repository.
    Repository(domain::Repository),
    /// Repositories by name.
    Repositories(Vec<domain::Repository>),
    /// The new session; `warnings` say what the person should know (such as uncommitted work that is left out).
    Created {
        /// The session.
        session: Box<Session>,
        /// For the person.
        warnings: Vec<String>,
    },
    /// Sessions with how far they are.
    Sessions(Vec<SessionLine>),
    /// Sessions with everything about them.
    Overview(Vec<SessionView>),
    /// A session as it is now.
    Session(Box<SessionView>),
    /// Events in order.
    Events(Vec<Event>),
    /// Events that match, in order, and how far the log was looked through.
    Found {
        /// Those that were found.
        events: Vec<Event>,
        /// The number of the last event that was looked at: ask on from there.
        reached: i64,
        /// True when there are more to look at.
        more: bool,
    },
    /// A part of what a process wrote.
    Output(crate::OutputPart),
    /// What was put into the queue, in order: for steps their numbers, else the action's kind.
    Queued(Vec<String>),
    /// What was stopped; nothing when nothing ran.
    Stopped {
        /// The step or the action that ran.
        running: Option<String>,
        /// Steps that were taken out of the queue.
        removed: Vec<String>,
    },
    /// The newest version of the runbook.
    Version(Box<RunbookVersion>),
    /// All versions, oldest first.
    Versions(Vec<RunbookVersion>),
    /// Plain text.
    Text(String),
    /// Pull requests.
    PullRequests(Vec<PullRequestLine>),
    /// One pull request.
    PullRequest(Box<PullRequestView>),
    /// What the team knows of one kind.
    Knowledge(Vec<Knowledge>),
    /// Learnings.
    Learnings(crate::Learnings),
    /// One thing that the team knows.
    Piece(Box<Knowledge>),
    /// Stored secrets by name.
    Secrets(Vec<SecretLine>),
    /// How many secrets were sealed anew, and how many are still sealed under an old key.
    Resealed {
        /// Sealed anew.
        sealed: usize,
        /// Still under an old key.
        left: usize,
    },
    /// Entries of the audit log.
    Audit(Vec<AuditEntry>),
    /// What came of looking along the audit log.
    AuditVerdict(AuditVerdict),
    /// The commit that the merge made, and what was done to the pull requests above.
    Merged {
        /// The commit on the base branch.
        commit: CommitId,
        /// For the person.
        notes: Vec<String>,
    },
}

/// A stored secret in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretLine {
    /// Its id.
    pub id: SecretId,
    /// Its name.
    pub name: String,
    /// The id of the key under which it is sealed.
    pub key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its value was given last.
    pub changed_at: Timestamp,
}
