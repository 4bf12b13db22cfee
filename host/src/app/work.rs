//! The product at work, until it is asked to stop or the meter can go on no longer.

use std::net::TcpListener;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollgate_runtime::command::{self, RunError};
use tollgate_runtime::component::Component;
use tollgate_runtime::http::Server;
use tollgate_runtime::meter::Meter;

use super::ports::Ports;
use super::{ending, internal, stopped};
use crate::admin::Status;
use crate::clock::Clock;
use crate::exit::{Done, Exit, Why};
use crate::meter::{End, Handle};

/// The part of the grace period that is kept for the last records, at most.
const LAST_RECORDS: Duration = Duration::from_secs(10);
/// Codes of guests from here on are ours.
const OWN_CODES: i32 = 64;

/// What runs beside the product.
pub(super) struct Work {
    pub(super) keeping: JoinHandle<End>,
    pub(super) handle: Handle,
    pub(super) meter: Meter,
    pub(super) status: Status,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) grace: Duration,
    pub(super) final_send: Duration,
    pub(super) clock: Clock,
    pub(super) admin: std::net::SocketAddr,
}

impl Work {
    /// Answers requests until a signal; then lets running ones end, seals and sends.
    pub(super) async fn serve(mut self, server: &Server, ports: Ports) -> Result<Done, Exit> {
        let listener: TcpListener = ports.open()?;
        let listen = listener.local_addr().map_err(internal)?;
        tracing::info!(%listen, admin = %self.admin, "ready");
        self.status.ready();
        let (drain, draining) = watch::channel(false);
        {
            let serving = server.serve(listener, draining);
            tokio::pin!(serving);
            tokio::select! {
                end = &mut self.keeping => return Self::ended_early(end),
                served = &mut serving => return Err(internal(served.err().unwrap_or_else(|| std::io::Error::other("the server ended")))),
                () = stopped(self.stop.clone()) => {}
            }
            self.status.stopping();
            drain.send_replace(true);
            let patience = self.grace.saturating_sub(LAST_RECORDS.min(self.grace / 2));
            tokio::select! {
                end = &mut self.keeping => return Self::ended_early(end),
                ended = tokio::time::timeout(patience, serving) => if ended.is_err() {
                    tracing::warn!("requests were still running at the end of the grace period and are cut off");
                },
            }
        }
        let deadline_ms = self.deadline_ms(self.grace.min(LAST_RECORDS).max(self.grace / 2));
        self.finish(deadline_ms).await?;
        Ok(Done::Served)
    }

    /// Runs a command to its end, then seals and sends.
    pub(super) async fn run(mut self, component: &Component, args: &[String]) -> Result<Done, Exit> {
        tracing::info!(admin = %self.admin, "ready");
        self.status.ready();
        let args: Vec<String> = [component.spec().id.clone()].into_iter().chain(args.iter().cloned()).collect();
        let ran = tokio::select! {
            end = &mut self.keeping => return Self::ended_early(end),
            ran = command::run(component, &self.meter, &args, self.stop.clone()) => ran,
        };
        self.status.stopping();
        let wait = if *self.stop.borrow() { self.grace.min(self.final_send) } else { self.final_send };
        let deadline_ms = self.deadline_ms(wait);
        let sent = self.finish(deadline_ms).await;
        match ran {
            // What the guest says comes first: a failed run is not repaired by sent usage.
            Ok(0) => sent.map(|()| Done::Command(0)),
            Ok(code) if (1..OWN_CODES).contains(&code) => Ok(Done::Command(u8::try_from(code).unwrap_or(1))),
            Ok(code) => Err(Exit::new(
                Why::Command,
                format!("component \"{}\" ended with code {code}", component.spec().id),
                "codes from 64 up are the host's own, so the component's is told here",
                "see the component's own output",
            )),
            Err(error) => Err(failed(&error, sent)),
        }
    }

    fn deadline_ms(&self, wait: Duration) -> u64 {
        self.clock.now_ms().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }

    /// Seals the running hour and sends what is unsent.
    async fn finish(self, deadline_ms: u64) -> Result<(), Exit> {
        drop(self.meter);
        self.handle.finish(deadline_ms).await;
        ending::of_meter(self.keeping.await)
    }

    fn ended_early(end: Result<End, tokio::task::JoinError>) -> Result<Done, Exit> {
        match ending::of_meter(end) {
            Ok(()) => Err(Exit::internal(&anyhow::anyhow!("the meter ended while the product was running"))),
            Err(exit) => Err(exit),
        }
    }
}

fn failed(error: &RunError, sent: Result<(), Exit>) -> Exit {
    match (error, sent) {
        // The component was stopped because of what happened to the meter.
        (RunError::Stopped { .. }, Err(exit)) => exit,
        (RunError::Start { .. } | RunError::NotACommand { .. }, _) => {
            Exit::new(Why::Product, error.to_string(), "", "")
        }
        _ => {
            Exit::new(Why::Command, error.to_string(), "", "see the component's own output; its usage is in the ledger")
        }
    }
}
