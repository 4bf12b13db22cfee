//! The user's wish to stop: ctrl-c or SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

use crate::trouble::{Result, Trouble};

/// Returns when the user wants to stop.
///
/// # Errors
/// The signals cannot be caught.
pub async fn wait() -> Result<()> {
    let caught = |error: std::io::Error| Trouble::new(format!("cannot catch signals: {error}"), "", "");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(caught)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(caught)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Runs `work` until it ends or the user wants to stop; then it is dropped, and with it all that it started.
///
/// # Errors
/// Those of `work`, or [`Trouble::interrupted`].
pub async fn or<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = work => result,
        stopped = wait() => stopped.and_then(|()| Err(Trouble::interrupted())),
    }
}
