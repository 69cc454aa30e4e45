//! The repository's own script that readies a sandbox.

use crate::{
    context::Context,
    halt::{Halt, chain},
    process::Job,
    workspace::Place,
};
use domain::{CommitId, NoteLevel};
use sandbox::ExitReason;
use store::Write;

/// Where it is looked for; the first that exists is run.
const PATHS: [&str; 2] = [".runyard/scripts/pre-execution.sh", ".aviator/scripts/pre-execution.sh"];

/// Largest script in bytes.
const LARGEST: u64 = 1 << 20;

/// Runs the script of the commit that the workspace is on, once per sandbox or before every step, and says what came
/// of it. A script that fails does not stop the step.
pub(crate) async fn run(context: &Context, place: &Place, commit: &CommitId) -> Result<(), Halt> {
    let settings = &context.shared.settings;
    let key = if settings.pre_execution_every_step {
        format!("pre-execution:{}:{}", context.run_id()?, place.record.id)
    } else {
        format!("pre-execution:{}", place.record.id)
    };
    if context.journal::<bool>(&key).await?.is_some() {
        return Ok(());
    }
    let mut found = None;
    for path in PATHS {
        match place.mirror.file_at(commit, path, LARGEST).await {
            Ok(Some(_)) => {
                found = Some(path);
                break;
            }
            Ok(None) => {}
            // A link in its place is not followed.
            Err(error) => context.note(NoteLevel::Warning, format!("{path} was not run: {}", chain(&error))).await?,
        }
    }
    if let Some(path) = found {
        let argv = ["/bin/bash", path];
        let limit = 1 << 20;
        let job = Job { purpose: "script", argv: &argv, time: settings.pre_execution_timeout, limit, shown: true };
        let finished = place.run(context, &job).await?.finished;
        // Before anything is cut off: half a secret would not be found.
        let redactor = context.shared.keys.known.redactor();
        let stdout = redactor.redact_text(&String::from_utf8_lossy(&finished.stdout));
        let stderr = redactor.redact_text(&String::from_utf8_lossy(&finished.stderr));
        let (level, text) = match (finished.status.reason, finished.status.code) {
            (ExitReason::Exited, Some(0)) => {
                (NoteLevel::Info, format!("✅ {path} succeeded.\n{}", first(&stdout, 2000)))
            }
            (ExitReason::TimedOut, _) => (
                NoteLevel::Warning,
                format!(
                    "⚠️ {path} was killed after {} s; the step goes on.\n{}\n{}",
                    settings.pre_execution_timeout.as_secs(),
                    first(&stdout, 1000),
                    first(&stderr, 1000)
                ),
            ),
            (_, code) => (
                NoteLevel::Warning,
                format!(
                    "⚠️ {path} failed with exit code {}{}; the step goes on.\n{}\n{}",
                    code.map_or_else(|| "none".to_owned(), |code| code.to_string()),
                    finished
                        .reached
                        .words()
                        .map_or_else(String::new, |what| format!(" after it ran into the sandbox's limit of {what}")),
                    first(&stdout, 1000),
                    first(&stderr, 1000)
                ),
            ),
        };
        context.note(level, text.trim_end()).await?;
    }
    context.commit(&[Write::Journal(key, true.into())], &[]).await
}

/// The first `limit` characters.
fn first(text: &str, limit: usize) -> String {
    text.trim_end().chars().take(limit).collect()
}
