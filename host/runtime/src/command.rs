//! Runs a component that has a main function.

use std::time::Duration;

use tokio::sync::watch;
use wasmtime_wasi::I32Exit;

use crate::component::{Component, Pre, Run};
use crate::gauge::{Gauge, Gauged};
use crate::guest::Guest;
use crate::meter::{Counters, Meter, Stopped};
use crate::stats::bump;

/// How often usage of a running command becomes durable.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// Why a command ended without an exit code of its own. Its usage up to then is on disk, but for [`RunError::Stopped`].
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The component is not a command.
    #[error("component \"{id}\" answers requests and cannot be run as a command. Say run = \"http\" in the manifest")]
    NotACommand {
        /// The component.
        id: String,
    },
    /// It could not be started.
    #[error(
        "component \"{id}\" could not be started: {detail}. Likely cause: more memory at start than [limits] allow"
    )]
    Start {
        /// The component.
        id: String,
        /// What the engine says.
        detail: String,
    },
    /// It broke the rules of WebAssembly or panicked.
    #[error("component \"{id}\" trapped, a fault of the component; what it counted before stays counted: {detail}")]
    Trap {
        /// The component.
        id: String,
        /// What the engine says, with a backtrace.
        detail: String,
    },
    /// The caller asked it to end.
    #[error("component \"{id}\" was stopped before it was finished")]
    Interrupted {
        /// The component.
        id: String,
    },
    /// Its usage cannot be recorded any more, so it may not go on.
    #[error("component \"{id}\" was stopped: {0}", Stopped)]
    Stopped {
        /// The component.
        id: String,
    },
}

/// Runs the command to its end and says its exit code.
///
/// `args` begin with the name of the program. Streams are those of the process. What it counts is committed each
/// second, and before this function returns. `stop` turning true (not merely closing) ends it at its next yield.
///
/// # Errors
///
/// See [`RunError`].
pub async fn run(
    component: &Component,
    meter: &Meter,
    args: &[String],
    mut stop: watch::Receiver<bool>,
) -> Result<i32, RunError> {
    let id = component.spec.id.clone();
    if component.run() != Run::Command {
        return Err(RunError::NotACommand { id });
    }
    let counters = meter.instance(component.spec.index);
    let gauge = std::sync::Arc::new(Gauge::new(counters.clone(), component.carry.clone()));
    let mut store = component.command_store(std::sync::Arc::new(meter.clone()), counters.clone(), args);
    bump(&component.runtime.stats.instances_created);
    let guest = Gauged { future: Box::pin(main(&component.pre, &mut store, &id)), gauge: gauge.clone() };
    let interrupted = async {
        if stop.wait_for(|&stop| stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = guest => ended,
        Stopped = commit_often(&counters, &gauge) => Err(RunError::Stopped { id: id.clone() }),
        () = interrupted => Err(RunError::Interrupted { id: id.clone() }),
    };
    if matches!(ended, Err(RunError::Trap { .. })) {
        bump(&component.runtime.stats.traps);
    }
    gauge.end_response();
    let durable = counters.commit().await;
    let code = ended?;
    durable.map_err(|Stopped| RunError::Stopped { id })?;
    Ok(code)
}

async fn main(pre: &Pre, store: &mut wasmtime::Store<Guest>, id: &str) -> Result<i32, RunError> {
    let start = |error: wasmtime::Error| RunError::Start { id: id.to_string(), detail: format!("{error:#}") };
    let returned = match pre {
        Pre::Command(pre) => {
            let command = pre.instantiate_async(&mut *store).await.map_err(start)?;
            command.wasi_cli_run().call_run(&mut *store).await
        }
        #[cfg(feature = "p3")]
        Pre::LaterCommand(pre) => {
            let command = pre.instantiate_async(&mut *store).await.map_err(start)?;
            let ran = store.run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await).await;
            ran.and_then(|returned| returned)
        }
        _ => return Err(RunError::NotACommand { id: id.to_string() }),
    };
    match returned {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(RunError::Trap { id: id.to_string(), detail: format!("{}\n{error}", error.root_cause()) }),
        },
    }
}

/// Ends only when usage can no longer be recorded.
async fn commit_often(counters: &Counters, gauge: &Gauge) -> Stopped {
    let mut due = tokio::time::interval(COMMIT_EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        gauge.flush();
        if let Err(stopped) = counters.commit().await {
            return stopped;
        }
    }
}

#[cfg(test)]
mod tests;
