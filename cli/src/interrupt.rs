//! The user's wish to stop: ctrl-c or SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

use crate::trouble::{Result, Trouble};

/// From this call on the signals are caught; the future ends when the user wants to stop. Call it before telling anybody
/// that there is something to stop.
///
/// # Errors
/// The signals cannot be caught.
pub fn wish() -> Result<impl Future<Output = ()>> {
    let caught = |error: std::io::Error| Trouble::new(format!("cannot catch signals: {error}"), "", "");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(caught)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(caught)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Runs `work` until it ends or the user wants to stop; then it is dropped, and with it all that it started.
///
/// # Errors
/// Those of `work`, or [`Trouble::interrupted`].
pub async fn or<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let stop = wish()?;
    tokio::select! {
        result = work => result,
        () = stop => Err(Trouble::interrupted()),
    }
}
