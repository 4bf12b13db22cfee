//! SIGTERM and SIGINT as a value that turns true once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// True from the first of the two signals on. The orchestrator sends SIGKILL itself if we take too long.
pub(super) fn watch() -> std::io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        sender.send_replace(true);
        // Dropping the sender would read as a second change to those who wait for one.
        sender.closed().await;
    });
    Ok(receiver)
}
