//! One exchange with the agent, whatever crashes in between: started once, adopted when its server died, resumed when
//! its process is gone.

mod host;
mod pieces;
mod shown;

pub(crate) use host::{EngineHost, NoTools, OwnTools, tool_use_of};

use crate::{
    briefing, carried,
    context::Context,
    halt::{Halt, chain},
    home::{self, CODE, HOME},
    learnings, pre_execution, prompt, stack,
    workspace::{MODEL_PORT, Place},
};
use agent::{
    Conversation, DriveError, End, Fault, Launch, Outcome, Phase, Resume, Settings, StdinLine, ToolSpec, Turn,
    UserMessage, process::SandboxExec,
};
use domain::{
    ActionState, Actor, CommitId, EventPayload, ExecId, Failure, MicroUsd, NoteLevel, RequestState, RunId, SandboxId,
};
use sandbox::{ExecSpec, Stdin};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use store::{ExecRow, StoreError, Write};
use uuid::Uuid;

/// Where the agent's program is inside a sandbox.
pub(crate) const CLAUDE_INSIDE: &str = "/opt/claude/claude";

const INSTRUCTIONS: &str = "/home/agent/instructions.md";

/// Most output of one agent process, in bytes.
const OUTPUT_QUOTA: u64 = 1 << 30;

/// How long an agent that was told to stop may take before everything in its sandbox is killed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How often the time budget is looked at.
const BUDGET_TICK: Duration = Duration::from_millis(500);

/// How long an agent whose call waits for a person may take to defer it when the server goes down.
const DEFER_GRACE: Duration = Duration::from_secs(8);

/// What is said to the agent, and as what.
#[derive(Clone)]
pub(crate) struct Talk {
    /// Names the exchange within its run, so that it is not held twice.
    pub stage: String,
    pub phase: Phase,
    pub agent_session: Uuid,
    /// Put the workspace on this commit before, when the exchange has not begun.
    pub on: Option<CommitId>,
    pub prompt: String,
    pub tools: Vec<ToolSpec>,
    pub own: Arc<dyn OwnTools>,
}

/// What is on record of an exchange.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stage {
    /// The process that holds it, the newest one.
    exec: ExecId,
    sandbox: SandboxId,
    /// The prompt's id: the agent runs a message once, however often it is sent.
    prompt: Uuid,
    /// How it ended.
    outcome: Option<Outcome>,
    /// A tool of ours that the agent called when it was not offered.
    #[serde(default)]
    missed: Option<String>,
}

fn stage_key(run: RunId, stage: &str) -> String {
    format!("stage:{run}:{stage}")
}

/// True when the exchange began, in this life of the server or an earlier one.
pub(crate) async fn has_begun(context: &Context, run: RunId, stage: &str) -> Result<bool, Halt> {
    Ok(context.journal::<Stage>(&stage_key(run, stage)).await?.is_some())
}

/// Says something to the agent and waits until it is done. What it did is in the events and in the workspace.
pub(crate) async fn talk(context: &Arc<Context>, place: &Place, talk: Talk) -> Result<Outcome, Halt> {
    let run = context.run_id()?;
    let key = stage_key(run, &talk.stage);
    loop {
        let known: Option<Stage> = context.journal(&key).await?;
        let outcome = match known {
            Some(Stage { outcome: Some(outcome), .. }) if !matches!(outcome.end, End::Deferred { .. }) => {
                return judged(context, place, outcome);
            }
            Some(stage)
                if stage.outcome.is_none() && stage.sandbox == place.record.id && is_there(place, stage.exec).await =>
            {
                carry_on(context, place, &talk, &stage).await?
            }
            known => {
                if let Some(used_up) = place.gate.used_up() {
                    return Err(used_up.halt());
                }
                launch(context, place, &talk, &key, known).await?
            }
        };
        match &outcome.end {
            End::Deferred { call } => rest_until_answered(context, place, &call.tool_use_id).await?,
            End::Failed { fault: Fault::NothingDeferred, .. } => {
                return Err(Halt::transient("the agent's conversation no longer waits for the answer"));
            }
            _ => return judged(context, place, outcome),
        }
    }
}

/// The same, for exchanges that may end without a call of our tool: a process that takes up a call that waited for a
/// person asks the model before our tools are offered to it, so what it wanted to call then is called afterwards.
pub(crate) async fn talk_until_heard(context: &Arc<Context>, place: &Place, what: Talk) -> Result<Outcome, Halt> {
    let first = talk(context, place, what.clone()).await?;
    let stage: Option<Stage> = context.journal(&stage_key(context.run_id()?, &what.stage)).await?;
    // One that this exchange does not offer will not be there later either.
    // Nor is another exchange held for a learning.
    let offered = |tool: &String| *tool != learnings::TOOL && what.tools.iter().any(|spec| spec.name == *tool);
    let Some(tool) = stage.and_then(|stage| stage.missed).filter(offered) else { return Ok(first) };
    let again = Talk { stage: format!("{}-again", what.stage), on: None, prompt: prompt::tool_is_there(&tool), ..what };
    talk(context, place, again).await
}

async fn is_there(place: &Place, exec: ExecId) -> bool {
    place.sandbox.list().await.is_ok_and(|list| list.iter().any(|known| known.id == exec))
}

/// Says truthfully what an outcome means for the run.
fn judged(context: &Context, place: &Place, outcome: Outcome) -> Result<Outcome, Halt> {
    context.check()?;
    match &outcome.end {
        End::Completed => Ok(outcome),
        _ if let Some(used_up) = place.gate.used_up() => Err(used_up.halt()),
        End::Interrupted => Err(Halt::failed("the agent was interrupted")),
        End::Deferred { .. } => Err(Halt::transient("the agent's call still waits for a decision")),
        End::Failed { fault: Fault::RateLimit { .. }, .. } if let Some(limit) = place.gate.limit() => Err(limit),
        End::Failed { fault, message } if fault.transient() => {
            let after = match fault {
                Fault::RateLimit { resets_at: Some(at) } => Some(at.since(context.shared.now())),
                _ => None,
            };
            Err(Halt::Transient { message: message.clone(), after })
        }
        End::Failed { fault: Fault::Budget, message } => {
            Err(Halt::Failed { why: Failure::Budget, message: message.clone() })
        }
        End::Failed { fault: Fault::Auth, message } => {
            Err(Halt::failed(format!("{message}; check ANTHROPIC_API_KEY (or anthropic.key_file) and retry")))
        }
        End::Failed { message, .. } => Err(Halt::failed(message.clone())),
    }
}

/// Starts a process for the exchange: the first one, or one that takes over where another was lost or put to rest.
async fn launch(
    context: &Arc<Context>,
    place: &Place,
    talk: &Talk,
    key: &str,
    known: Option<Stage>,
) -> Result<Outcome, Halt> {
    let run = context.run_id()?;
    let deferred = known.as_ref().and_then(|stage| match &stage.outcome {
        Some(Outcome { end: End::Deferred { call }, .. }) => Some(call.clone()),
        _ => None,
    });
    match &known {
        None => {
            if let Some(commit) = &talk.on {
                place.prepare(context, commit).await?;
            }
        }
        Some(stage) if stage.sandbox != place.record.id => restore(context, place, talk).await?,
        Some(_) => {}
    }
    if known.as_ref().is_some_and(|stage| stage.outcome.is_none()) {
        forget_questions(context).await?;
    }
    let cut_off = known.as_ref().is_some_and(|stage| stage.outcome.is_none() && stage.sandbox == place.record.id);
    let lived = home::ready(context, place, talk.agent_session, cut_off).await?;
    let conversation = match (&deferred, &lived) {
        (Some(call), Some(lived)) => {
            Conversation::ResumeDeferred { transcript: lived.path.clone(), tool: call.tool.clone() }
        }
        (None, Some(lived)) => Conversation::Resume(lived.path.clone()),
        (_, None) => Conversation::New(talk.agent_session),
    };
    trust_program(context).await?;
    let resumes_call = matches!(conversation, Conversation::ResumeDeferred { .. });
    let launch = launch_of(context, place, talk, conversation).await?;
    let id = ExecId::new(context.shared.mint.as_ref());
    let prompt = known.as_ref().map_or_else(|| context.shared.mint.uuid(), |stage| stage.prompt);
    let stage = Stage { exec: id, sandbox: place.record.id, prompt, outcome: None, missed: None };
    let row = ExecRow {
        id,
        run,
        sandbox: place.record.id,
        purpose: "agent".to_owned(),
        consumed: 0,
        ended: None,
        created_at: context.shared.now(),
    };
    let value = serde_json::to_value(&stage).map_err(|error| Halt::failed(error.to_string()))?;
    context.commit(&[Write::AddExec(row), Write::Journal(key.to_owned(), value)], &[]).await?;
    faultpoint::crash_point!("crash-exec-intended");
    let spec = ExecSpec {
        env: launch.env(),
        cwd: CODE.to_owned(),
        stdin: Stdin::Pipe,
        output_quota: OUTPUT_QUOTA,
        ..ExecSpec::new(id, launch.argv())
    };
    let exec = context.unless_let_go(async { Ok(place.sandbox.exec(spec).await?) }).await?;
    faultpoint::crash_point!("crash-exec-started");
    let lost = match (&known, &lived) {
        (Some(stage), Some(lived)) if stage.outcome.is_none() => agent::note_on_lost_call(&lived.transcript),
        _ => None,
    };
    let text = match lost {
        Some(note) => format!("{note}\n\n{}", talk.prompt),
        None => talk.prompt.clone(),
    };
    // A prompt that the conversation has seen is not run again under its old id.
    let uuid = if known.is_some() && lived.is_some() { context.shared.mint.uuid() } else { prompt };
    let turn = Turn {
        prompt: (!resumes_call).then_some(UserMessage { uuid, text }),
        tools: talk.tools.clone(),
        settings: settings(context),
        resume: None,
    };
    Box::pin(drive(context, place, talk, stage, exec, turn)).await
}

/// Fails when the agent's program is not the one that was trusted.
async fn trust_program(context: &Context) -> Result<(), Halt> {
    let program = context.shared.program.clone();
    let verified = tokio::task::spawn_blocking(move || program.verify()).await;
    let verified = verified.map_err(|error| Halt::failed(format!("the agent's program was not checked: {error}")))?;
    let digest = verified.map_err(|why| Halt::failed(chain(&why)))?;
    tracing::debug!(%digest, "the agent's program is the one that is trusted");
    Ok(())
}

/// Takes back what a process that is lost asked: nobody waits for the answer. Its successor asks again.
async fn forget_questions(context: &Context) -> Result<(), Halt> {
    let run = context.run_id()?;
    let requests = context.shared.store.requests(context.session.id).await?;
    for request in requests.iter().filter(|it| it.run == Some(run) && it.state == RequestState::Open) {
        let write = Write::Request(request.id, RequestState::Cancelled);
        let event = EventPayload::Answer { request: request.id, from: Actor::System, answer: None };
        match context.try_commit(&[write], &[event]).await {
            // An answer came at this moment: the successor gets it when it asks the same.
            Ok(()) | Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Follows a process that another server (or an earlier life of this one) started, from where its record ends.
async fn carry_on(context: &Arc<Context>, place: &Place, talk: &Talk, stage: &Stage) -> Result<Outcome, Halt> {
    let store = &context.shared.store;
    let consumed = store
        .execs(context.run_id()?)
        .await?
        .into_iter()
        .find(|row| row.id == stage.exec)
        .map_or(0, |row| row.consumed);
    let journal = store
        .stdin_journal(stage.exec)
        .await?
        .into_iter()
        .map(|line| StdinLine { seq: u64::try_from(line.seq).unwrap_or(0), key: line.key, line: line.line })
        .collect();
    faultpoint::crash_point!("crash-attach-intended");
    let exec = place.sandbox.attach(stage.exec, 0).await?;
    faultpoint::crash_point!("crash-attached");
    let turn = Turn {
        prompt: Some(UserMessage { uuid: stage.prompt, text: talk.prompt.clone() }),
        tools: talk.tools.clone(),
        settings: settings(context),
        resume: Some(Resume {
            consumed: consumed.saturating_sub(u64::from(faultpoint::planted!("planted-attach-off-by-one"))),
            journal,
        }),
    };
    Box::pin(drive(context, place, talk, stage.clone(), exec, turn)).await
}

fn settings(context: &Context) -> Settings {
    let settings = &context.shared.settings;
    Settings { hold: settings.hold, silence: settings.silence, exit_grace: STOP_GRACE, ..Settings::default() }
}

async fn launch_of(context: &Context, place: &Place, talk: &Talk, conversation: Conversation) -> Result<Launch, Halt> {
    let base_url = format!("http://127.0.0.1:{MODEL_PORT}");
    let mut launch = Launch::new(CLAUDE_INSIDE, talk.phase, conversation, HOME, base_url, place.surrogate.expose());
    launch.max_retries = context.shared.settings.agent.retries;
    launch.one_shot = context.session.mode == domain::Mode::OneShot;
    launch.model.clone_from(&context.shared.settings.agent.model);
    launch.max_budget = context.session.run_budget.cost.or(context.session.budget.cost).map(|MicroUsd(cost)| {
        // The way out counts with our prices and is the authority; this is the second belt.
        MicroUsd(cost.saturating_mul(2))
    });
    let mut instructions = briefing::of_run(context, &place.mirror, talk.phase).await?.into_bytes();
    // What the repository says to agents counts as its base branch has it, never as the agent's own branch does.
    match place.mirror.file_at(&context.session.base, "CLAUDE.md", 1 << 20).await {
        Ok(Some(bytes)) => {
            instructions.extend_from_slice(prompt::REPOSITORY_SAYS.as_bytes());
            instructions.extend(bytes);
        }
        Ok(None) => {}
        Err(error) => context.note(NoteLevel::Warning, format!("CLAUDE.md was not read: {}", chain(&error))).await?,
    }
    if !instructions.is_empty() {
        place.write(INSTRUCTIONS, instructions).await?;
        launch.instructions = Some(INSTRUCTIONS.to_owned());
    }
    Ok(launch)
}

/// Puts a new sandbox where the lost one was: on the tree that was kept when the run was put to rest, else on its base.
async fn restore(context: &Context, place: &Place, talk: &Talk) -> Result<(), Halt> {
    let Some(run) = context.run() else { return Ok(()) };
    let kept = carried::kept_of(&context.shared, &context.session, &place.mirror, run.id).await?;
    let base = run.base.or_else(|| talk.on.clone());
    if let Some(commit) = kept.as_ref().or(base.as_ref()) {
        place.prepare(context, commit).await?;
    }
    match base {
        Some(base) if talk.phase == Phase::Execute => pre_execution::run(context, place, &base).await,
        _ => Ok(()),
    }
}

/// Drives the process to its end and archives what it leaves.
async fn drive(
    context: &Arc<Context>,
    place: &Place,
    talk: &Talk,
    stage: Stage,
    exec: sandbox::Exec,
    turn: Turn,
) -> Result<Outcome, Halt> {
    let host =
        EngineHost::new(context.clone(), talk, stage.exec, turn.resume.as_ref().map_or(0, |resume| resume.consumed));
    let (control, inbox) = agent::control();
    let process = exec.control();
    let driving = agent::drive(Box::new(SandboxExec::new(exec)), turn, &host, inbox);
    tokio::pin!(driving);
    let mut halt: Option<Halt> = None;
    let mut patience = STOP_GRACE + Duration::from_secs(1);
    let mut tick = tokio::time::interval(BUDGET_TICK);
    let result = loop {
        tokio::select! {
            result = &mut driving => break result,
            why = context.must_let_go(), if halt.is_none() => {
                match why {
                    Halt::Stopped => { control.stop(); }
                    // Only a call that waits for a person is worth the time: it is put to rest in good order.
                    Halt::GoingDown if host.waits_for_person() => patience = DEFER_GRACE,
                    why => return Err(why),
                }
                halt = Some(why);
            }
            _ = tick.tick(), if halt.is_none() => {
                if let Some(why) = place.gate.ends_agent() {
                    control.stop();
                    halt = Some(why);
                }
            }
            () = tokio::time::sleep(patience), if halt.is_some() => {
                return Err(halt.unwrap_or(Halt::Stopped));
            }
        }
    };
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => return Err(halt.unwrap_or_else(|| host.halt().unwrap_or_else(|| drive_failed(&error)))),
    };
    if !matches!(outcome.end, End::Deferred { .. }) {
        host.forget_resting().await?;
    }
    faultpoint::crash_point!("crash-agent-ended");
    tell_of_limits(context, &process).await?;
    let stage = Stage { missed: host.missed(), ..stage };
    archive(context, place, talk, stage, &outcome).await?;
    faultpoint::crash_point!("crash-agent-archived");
    match halt {
        Some(Halt::GoingDown) if matches!(outcome.end, End::Deferred { .. }) => Ok(outcome),
        Some(halt) => Err(halt),
        None => Ok(outcome),
    }
}

/// Says which limits of the sandbox were reached while the agent worked: what it started was refused something or killed,
/// and the agent may have made nothing of it.
async fn tell_of_limits(context: &Context, process: &sandbox::ExecControl) -> Result<(), Halt> {
    let Ok(status) = process.wait().await else { return Ok(()) };
    let Some(what) = process.reached(&status).words() else { return Ok(()) };
    let text = format!("The sandbox's limit of {what} was reached while the agent worked.");
    context.note(NoteLevel::Warning, text).await
}

fn drive_failed(error: &DriveError) -> Halt {
    Halt::transient(chain(error))
}

/// Keeps the conversation's transcript and notes how the process ended, in one transaction.
async fn archive(context: &Context, place: &Place, talk: &Talk, stage: Stage, outcome: &Outcome) -> Result<(), Halt> {
    let run = context.run_id()?;
    let mut writes = Vec::new();
    if let Some(transcript) = home::transcript(place, talk.agent_session).await {
        let hash = context.put_blob(transcript).await?;
        writes.push(Write::Transcript(talk.agent_session, hash));
    }
    if matches!(outcome.end, End::Deferred { .. }) && talk.phase == Phase::Execute {
        // Also when this server goes down: who goes on may have to do so in another sandbox.
        context.undisturbed(stack::keep_unfinished_tree(context, place)).await;
    }
    let exec = stage.exec;
    let stage = Stage { outcome: Some(outcome.clone()), ..stage };
    let value = serde_json::to_value(&stage).map_err(|error| Halt::failed(error.to_string()))?;
    writes.push(Write::Journal(stage_key(run, &talk.stage), value));
    let consumed =
        context.shared.store.execs(run).await?.into_iter().find(|row| row.id == exec).map_or(0, |row| row.consumed);
    let ended = Some(domain::TurnEnd::from(&outcome.end)).map(|end| format!("{end:?}"));
    writes.push(Write::ExecProgress { id: exec, consumed, ended });
    context.commit(&writes, &[]).await?;
    if let Err(error) = place.sandbox.forget(exec).await {
        tracing::debug!(error = chain(&error), "failed to forget an exec");
    }
    Ok(())
}

/// Puts the action to rest until a person answers; goes on at once when they just did.
async fn rest_until_answered(context: &Context, place: &Place, tool_use_id: &str) -> Result<(), Halt> {
    if is_answered(context, tool_use_id).await? {
        return Ok(());
    }
    let rest = Write::Action {
        id: context.action.id,
        from: ActionState::Running,
        to: ActionState::Waiting,
        not_before: None,
        handed_back: true,
    };
    let mut record = place.record.clone();
    record.used_at = context.shared.now();
    context.commit(&[rest, Write::PutSandbox(record)], &[]).await?;
    faultpoint::crash_point!("crash-put-to-rest");
    // An answer that came between saw a running action and did not wake it.
    if is_answered(context, tool_use_id).await? {
        let wake = Write::Action {
            id: context.action.id,
            from: ActionState::Waiting,
            to: ActionState::Queued,
            not_before: Some(context.shared.now()),
            handed_back: false,
        };
        // Refused when the answer came after all and woke it.
        let _ = context.commit(&[wake], &[]).await;
    }
    Err(Halt::Waiting)
}

async fn is_answered(context: &Context, tool_use_id: &str) -> Result<bool, Halt> {
    let requests = context.shared.store.requests(context.session.id).await?;
    Ok(requests.iter().any(|request| {
        tool_use_of(request) == Some(tool_use_id) && matches!(request.state, RequestState::Answered { .. })
    }))
}
