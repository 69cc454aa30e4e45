//! The sandbox of a session and the tree in it.

use crate::{
    context::Context,
    gate::RunGate,
    halt::{Halt, chain},
    process,
};
use bytes::Bytes;
use domain::{EventPayload, NoteLevel, SandboxId, SandboxRecord, SandboxState};
use forge::{Forge, Mirror};
use sandbox::{Sandbox, SandboxSpec, Workspace};
use secrets::Secret;
use std::{path::Path, sync::Arc};
use store::Write;

/// The loopback port on which the agent finds the Messages API inside.
pub(crate) const MODEL_PORT: u16 = 8080;

/// The name of its socket in the egress directory.
const MODEL_SOCKET: &str = "model.sock";

/// Where the mirror's objects are inside.
const OBJECTS_INSIDE: &str = "/mirror/objects";

/// The sandbox of a session while one run works in it. Its way out is open as long as this lives.
pub(crate) struct Place {
    pub sandbox: Arc<dyn Sandbox>,
    pub record: SandboxRecord,
    pub mirror: Mirror,
    /// What stands for the key inside.
    pub surrogate: Secret,
    pub gate: Arc<RunGate>,
    _way_out: egress::Listener,
}

/// Connects to the session's sandbox if it is on this machine. One whose lease ran out is started again on what it left:
/// its workspace and the agent's home are as they were, its processes are gone.
pub(crate) async fn adopt(context: &Context) -> Result<Option<SandboxRecord>, Halt> {
    let shared = &context.shared;
    for record in shared.store.sandboxes(context.session.id).await? {
        if record.host != shared.host {
            continue;
        }
        let provider: Option<sandbox::Record> = serde_json::from_value(record.provider.clone()).ok();
        let alive = match (&provider, record.state) {
            (Some(provider), SandboxState::Ready) => shared.provider.adopt(provider, context.sandbox_lease()).await,
            _ => Err(sandbox::Error::Invalid("it was never finished".to_owned())),
        };
        let alive = match alive {
            Err(sandbox::Error::Gone { .. }) => revive(context, &record).await,
            alive => alive.map(|sandbox| (sandbox, record.clone())),
        };
        match alive {
            Ok((sandbox, record)) => {
                *context.sandbox.lock() = Some(sandbox);
                process::end_strays(context).await?;
                return Ok(Some(record));
            }
            Err(error @ sandbox::Error::StaleEpoch { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::info!(session = %context.session.number, error = chain(&error), "the session's sandbox is gone");
                // Who was overtaken while it looked may find the next owner's, which was started again meanwhile.
                context.still_held().await?;
                forget(context, record, provider.as_ref()).await?;
            }
        }
    }
    Ok(None)
}

/// The session's sandbox on this machine if it still lives; it is held from then on.
pub(crate) async fn living(context: &Context) -> Result<Option<Arc<dyn Sandbox>>, Halt> {
    let shared = &context.shared;
    for record in shared.store.sandboxes(context.session.id).await? {
        if record.host != shared.host || record.state != SandboxState::Ready {
            continue;
        }
        let Ok(provider) = serde_json::from_value::<sandbox::Record>(record.provider) else { continue };
        if let Ok(sandbox) = shared.provider.adopt(&provider, context.sandbox_lease()).await {
            *context.sandbox.lock() = Some(sandbox.clone());
            return Ok(Some(sandbox));
        }
    }
    Ok(None)
}

/// Starts a sandbox that ended on the workspace that it left.
async fn revive(
    context: &Context,
    record: &SandboxRecord,
) -> Result<(Arc<dyn Sandbox>, SandboxRecord), sandbox::Error> {
    let lost = |why: String| sandbox::Error::Gone { reason: why };
    let shared = &context.shared;
    let mirror = mirror_of(context).await.map_err(|halt| lost(format!("{halt:?}")))?;
    let spec = spec_of(context, mirror.as_ref(), record.id).await.map_err(|halt| lost(format!("{halt:?}")))?;
    let sandbox = shared.provider.create(spec).await?;
    if !sandbox.continued() {
        shared.provider.destroy(sandbox.record()).await?;
        return Err(lost("its workspace is not there any more".to_owned()));
    }
    let mut record = record.clone();
    record.provider = serde_json::to_value(sandbox.record()).map_err(|error| lost(error.to_string()))?;
    let detail = format!("{}; started again on the workspace that it left", record.id);
    let event = EventPayload::SandboxState { state: SandboxState::Ready, detail };
    let noted = context.commit(&[Write::PutSandbox(record.clone())], &[event]).await;
    noted.map_err(|halt| lost(format!("{halt:?}")))?;
    Ok((sandbox, record))
}

/// The mirror that a sandbox is filled from; a simulated one is not.
async fn mirror_of(context: &Context) -> Result<Option<Mirror>, Halt> {
    #[cfg(feature = "simulation")]
    if context.shared.script.is_some() {
        return Ok(None);
    }
    let (repository, shared) = (context.repository().await?, &context.shared);
    Ok(Some(shared.forge.mirror(&repository, &shared.mirror_dir(repository.id)).await?))
}

/// Removes what is left of a sandbox and says so on record.
async fn forget(context: &Context, mut record: SandboxRecord, provider: Option<&sandbox::Record>) -> Result<(), Halt> {
    match provider {
        Some(provider) => match context.shared.provider.destroy(provider).await {
            // The data directory was moved: what that record names is not ours to remove.
            Err(sandbox::Error::Invalid(_)) => context.shared.provider.destroy_unrecorded(record.id).await?,
            other => other?,
        },
        None => context.shared.provider.destroy_unrecorded(record.id).await?,
    }
    record.state = SandboxState::Destroyed;
    faultpoint::crash_point!("crash-sandbox-forgotten");
    context.commit(&[Write::PutSandbox(record)], &[]).await
}

/// The session's sandbox, made when there is none, with its way out open for the current run.
pub(crate) async fn acquire(context: &Context) -> Result<Place, Halt> {
    let shared = &context.shared;
    let key = shared.keys.model_key(shared.account.id).await.map_err(|problem| Halt::failed(problem.to_string()))?;
    let key = key.ok_or_else(|| Halt::failed("there is no key for the Messages API; set ANTHROPIC_API_KEY"))?;
    let mirror = context.mirror().await?;
    let held = context.sandbox.lock().clone();
    let adopted = match held {
        Some(sandbox) => find_record(context, sandbox.as_ref()).await?,
        None => adopt(context).await?,
    };
    let record = match adopted {
        Some(record) => record,
        None => create(context, Some(&mirror)).await?,
    };
    let sandbox = context.sandbox.lock().clone().ok_or_else(|| Halt::transient("the sandbox is gone"))?;
    let run = context.run().ok_or_else(|| Halt::failed("there is no run to work on"))?;
    // The same stand-in for the sandbox's whole life: an adopted agent has it in its environment.
    let journal_key = format!("surrogate:{}", record.id);
    let surrogate = if let Some(text) = context.journal::<String>(&journal_key).await? {
        Secret::new(text)
    } else {
        let fresh = secrets::surrogate(&key, &mut rand::rng());
        context.commit(&[Write::Journal(journal_key, fresh.expose().into())], &[]).await?;
        fresh
    };
    let gate = RunGate::open(context, &run).await?;
    let upstream = egress::Upstream::new(&shared.settings.agent.base_url, egress::Limits::default())
        .map_err(|error| Halt::failed(chain(&error)))?;
    let route = egress::Route {
        upstream,
        key,
        surrogate: surrogate.clone(),
        gate: gate.clone(),
        known: shared.keys.known.clone(),
        prices: egress::PriceTable::default(),
    };
    let uid = match sandbox.record() {
        sandbox::Record::Local(local) => local.uid,
        _ => return Err(Halt::failed("this kind of sandbox has no way out yet")),
    };
    faultpoint::crash_point!("crash-way-out-intended");
    let way_out = egress::Listener::serve(sandbox.egress_dir().join(MODEL_SOCKET), uid, route)
        .map_err(|error| Halt::failed(chain(&error)))?;
    faultpoint::crash_point!("crash-way-out-open");
    Ok(Place { sandbox, record, mirror, surrogate, gate, _way_out: way_out })
}

async fn find_record(context: &Context, sandbox: &dyn Sandbox) -> Result<Option<SandboxRecord>, Halt> {
    let wanted = serde_json::to_value(sandbox.record()).unwrap_or_default();
    let rows = context.shared.store.sandboxes(context.session.id).await?;
    Ok(rows.into_iter().find(|row| row.provider == wanted))
}

/// Makes the session's sandbox, bare when there is no mirror to fill it from.
pub(crate) async fn create(context: &Context, mirror: Option<&Mirror>) -> Result<SandboxRecord, Halt> {
    let shared = &context.shared;
    let now = shared.now();
    let mut record = SandboxRecord {
        id: SandboxId::new(shared.mint.as_ref()),
        session: context.session.id,
        host: shared.host,
        state: SandboxState::Creating,
        base: context.session.base.clone(),
        provider: serde_json::Value::Null,
        created_at: now,
        used_at: now,
    };
    context.commit(&[Write::PutSandbox(record.clone())], &[]).await?;
    faultpoint::crash_point!("crash-sandbox-intended");
    let spec = spec_of(context, mirror, record.id).await?;
    let sandbox = context.unless_let_go(async { Ok(shared.provider.create(spec).await?) }).await?;
    faultpoint::crash_point!("crash-sandbox-made");
    record.state = SandboxState::Ready;
    record.provider = serde_json::to_value(sandbox.record()).map_err(|error| Halt::failed(error.to_string()))?;
    let workspace = match sandbox.workspace() {
        Workspace::Overlay => "workspace: a layer over the base commit",
        Workspace::Plain => "workspace: a plain checkout (no overlay can be mounted here)",
    };
    *context.sandbox.lock() = Some(sandbox);
    let mut events =
        vec![EventPayload::SandboxState { state: SandboxState::Ready, detail: format!("{}; {workspace}", record.id) }];
    let open = open_limits(shared.provider.limits().await);
    if !open.is_empty() {
        let text = format!("These limits of the sandbox do not hold on this machine: {}.", open.join("; "));
        events.push(EventPayload::Note { level: NoteLevel::Warning, text });
    }
    context.commit(&[Write::PutSandbox(record.clone())], &events).await?;
    Ok(record)
}

/// What a session's sandbox is made of.
async fn spec_of(context: &Context, mirror: Option<&Mirror>, id: SandboxId) -> Result<SandboxSpec, Halt> {
    let shared = &context.shared;
    let bare = SandboxSpec::new(id, context.sandbox_lease());
    let Some(mirror) = mirror else { return Ok(bare) };
    let base_dir = shared.bases_dir(context.session.repository).join(context.session.base.as_str());
    let base = {
        let _lock = shared.lock_mirror(context.session.repository).await;
        mirror.base_checkout(&context.session.base, &base_dir, Path::new(OBJECTS_INSIDE)).await?
    };
    Ok(SandboxSpec {
        mirror: Some(mirror.git_dir()),
        base: Some(base),
        forwards: vec![(MODEL_PORT, MODEL_SOCKET.to_owned())],
        ..bare
    })
}

/// Limits that the machine cannot hold, in words, from [`sandbox::Provider::limits`].
fn open_limits(report: sandbox::Report) -> Vec<String> {
    report
        .checks
        .into_iter()
        .filter(|check| check.status != sandbox::Status::Ok)
        .map(|check| format!("{} ({})", check.name, check.detail))
        .collect()
}

impl Place {
    /// Writes a file of ours into the sandbox.
    pub async fn write(&self, path: &str, bytes: impl Into<Bytes>) -> Result<(), Halt> {
        Ok(self.sandbox.write_file(path, bytes.into(), 0o600).await?)
    }
}
