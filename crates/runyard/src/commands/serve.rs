//! `runyard serve`.

use crate::{
    app::{App, Workers},
    connect::{Embedded, lock_for_serve},
    exit::{Exit, Failure},
};
use tokio::signal::unix::{SignalKind, signal};

/// Keeps workers up until Ctrl-C or SIGTERM. What runs then is handed back: the next server carries on.
pub async fn serve(app: &mut App) -> Result<Exit, Failure> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Failure::environment(format!("failed to listen for signals: {error}")))?;
    let lock = lock_for_serve(app).await?;
    let server = Embedded::start(app, lock, Workers::Run).await?;
    let (pid, dir) = (std::process::id(), app.config.data_dir.display());
    let text = format!("serving {dir} with {} workers (process {pid}); Ctrl-C stops", app.config.values.workers.0);
    app.screen.line(text);
    tokio::select! {
        _ = app.interrupts.recv() => {}
        _ = terminate.recv() => {}
        failure = server.superseded() => {
            server.stop().await;
            return Err(failure);
        }
    }
    app.screen.note("stopping; what runs carries on with the next server (Ctrl-C again quits at once)");
    tokio::select! {
        () = server.stop() => Ok(Exit::Done),
        _ = app.interrupts.recv() => Ok(Exit::Stopped),
    }
}
