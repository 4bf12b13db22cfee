//! One request: from the routes through a guest to a response.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::Shared;
use super::arriving::Arriving;
use super::hold::{ResponseBody, hold};
use super::refusal::Refusal;
use crate::backoff::Trapped;
use crate::clock;
use crate::component::{Component, Pre};
use crate::gauge::{Gauge, Gauged};
use crate::guest::Guest;
use crate::meter::{Counters, Measure};
use crate::stats::{Stats, bump};

/// Of a trap in the log.
const TRAP_BYTES_MAX: usize = 8 << 10;

type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// How a guest ended; empty while it runs.
#[derive(Debug, Default)]
pub(super) struct Ending(OnceLock<Ended>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Returned,
    Trapped,
    /// There was no place for it after all.
    NoPlace,
    TimedOut,
    ClientGone,
}

impl Ending {
    /// True if the guest ended in another way than by returning.
    pub(super) fn broken(&self) -> bool {
        self.0.get().is_some_and(|&ended| ended != Ended::Returned)
    }
}

/// Answers one request, by a guest if nothing stands against it.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<ResponseBody> {
    let admitted = admit(&shared, &request);
    match admitted {
        Ok((component, permit)) => deliver(&shared, component, permit, request).await,
        Err(refusal) => refusal.response(),
    }
}

fn admit(shared: &Shared, request: &Request<Incoming>) -> Result<(Component, OwnedSemaphorePermit), Refusal> {
    let component = shared.routes.choose(request.uri().path()).ok_or(Refusal::NoRoute)?;
    if request.uri().authority().is_none() && !names_host(request.headers()) {
        return Err(Refusal::NoHost);
    }
    if request.body().size_hint().lower() > shared.limits.body_bytes() {
        return Err(Refusal::TooLarge);
    }
    if shared.meter.stopped() {
        bump(&shared.stats.refused_stopped);
        return Err(Refusal::Stopped);
    }
    let Ok(permit) = shared.guests.clone().try_acquire_owned() else {
        bump(&shared.stats.refused_full);
        return Err(Refusal::Full);
    };
    // Last, so that who may try is also delivered.
    if let Err(wait) = component.backoff.admit() {
        bump(&shared.stats.refused_trapping);
        return Err(Refusal::Trapping(wait.as_secs() + 1));
    }
    Ok((component.clone(), permit))
}

fn names_host(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).is_some_and(|host| host.to_str().is_ok_and(|host| !host.is_empty()))
}

/// What the task of a guest and the response of the server share.
struct Delivery {
    shared: Arc<Shared>,
    component: Component,
    counters: Counters,
    gauge: Arc<Gauge>,
    ending: Arc<Ending>,
    too_large: Arc<AtomicBool>,
    /// False for paths that the manifest excludes.
    counted: bool,
}

async fn deliver(
    shared: &Arc<Shared>,
    component: Component,
    permit: OwnedSemaphorePermit,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let counters = shared.meter.instance(component.spec.index);
    let delivery = Arc::new(Delivery {
        gauge: Arc::new(Gauge::new(counters.clone(), component.carry.clone())),
        counted: !component.spec.uncounted.iter().any(|path| path == request.uri().path()),
        shared: shared.clone(),
        component,
        counters,
        ending: Arc::default(),
        too_large: Arc::default(),
    });
    let head_only = request.method() == Method::HEAD;
    let (head_in, head) = oneshot::channel();
    // Dropped by hyper together with this future or with the body when the client goes away.
    let (complete, client) = oneshot::channel();
    let task = delivery.clone();
    tokio::spawn(async move { task.run(permit, request, head_in, client).await });
    let head = head.await;
    delivery.respond(head, head_only, complete).await
}

impl Delivery {
    /// The task of the guest: runs it until it returns, traps, its time is up, or its client is gone.
    async fn run(
        &self,
        permit: OwnedSemaphorePermit,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
        client: oneshot::Receiver<()>,
    ) {
        let stats = &self.shared.stats;
        let in_flight = InFlight::new(stats);
        let deadline = clock::deadline(self.shared.limits.request_timeout);
        let mut store = self.component.http_store(self.shared.meter.clone(), self.counters.clone());
        let guest = Gauged { future: Box::pin(self.guest(&mut store, request, head)), gauge: self.gauge.clone() };
        let gone = async {
            if client.await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            biased;
            () = gone => Ended::ClientGone,
            () = tokio::time::sleep_until(deadline) => Ended::TimedOut,
            returned = guest => self.classify(returned),
        };
        match ended {
            Ended::Trapped => bump(&stats.traps),
            Ended::TimedOut => bump(&stats.timeouts),
            Ended::ClientGone => bump(&stats.clients_gone),
            Ended::NoPlace => bump(&stats.refused_full),
            Ended::Returned => {}
        }
        self.judge(ended);
        // First the reason, then the store: closing the guest's end of the body is what others notice.
        let _ = self.ending.0.set(ended);
        drop(store);
        self.gauge.flush();
        drop(in_flight);
        // An answer no longer waits for this; if it fails, the next one that does will say so.
        let _ = self.counters.commit().await;
        drop(permit);
    }

    async fn guest(
        &self,
        store: &mut Store<Guest>,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
    ) -> wasmtime::Result<()> {
        let Pre::Http(pre) = &self.component.pre else { wasmtime::bail!("not an http component") };
        let pre: &ProxyPre<Guest> = pre;
        let room = self.shared.limits.body_bytes();
        let (too_large, counters) = (self.too_large.clone(), self.counters.clone());
        let request = request.map(|body| Arriving { body, room, too_large, counters });
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(head)?;
        let proxy = pre.instantiate_async(&mut *store).await?;
        bump(&self.shared.stats.instances_created);
        if self.counted {
            self.counters.measure(Measure::Requests, 1);
        }
        proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
    }

    /// What the end of one request says about its component.
    fn judge(&self, ended: Ended) {
        let (backoff, component) = (&self.component.backoff, self.component.spec.id.as_str());
        match ended {
            Ended::Trapped => {
                if let Trapped::Paused(long) = backoff.trapped() {
                    let seconds = long.as_secs();
                    tracing::error!(
                        component,
                        seconds,
                        "this component only traps: its requests are refused for a while"
                    );
                }
            }
            Ended::Returned => {
                if backoff.answered() {
                    tracing::info!(component, "this component answers again");
                }
            }
            Ended::TimedOut | Ended::NoPlace | Ended::ClientGone => backoff.undecided(),
        }
    }

    fn classify(&self, returned: wasmtime::Result<()>) -> Ended {
        let Err(error) = returned else { return Ended::Returned };
        if error.downcast_ref::<I32Exit>().is_some_and(|exit| exit.0 == 0) {
            return Ended::Returned;
        }
        let component = &self.component.spec.id;
        if error.is::<PoolConcurrencyLimitError>() {
            tracing::warn!("component \"{component}\": no place in the pool of instances: {error:#}");
            return Ended::NoPlace;
        }
        // Names in the backtrace are the guest's own words: bounded, like all that it writes.
        let mut detail = format!("{error:?}");
        detail.truncate(detail.floor_char_boundary(TRAP_BYTES_MAX));
        tracing::error!("component \"{component}\" trapped; this request fails, others go on: {detail}");
        Ended::Trapped
    }

    /// Turns what the guest said, or that it said nothing, into a response; in each case after its usage is on disk.
    async fn respond(
        &self,
        head: Result<Head, oneshot::error::RecvError>,
        head_only: bool,
        complete: oneshot::Sender<()>,
    ) -> Response<ResponseBody> {
        let answered = matches!(head, Ok(Ok(_)));
        let response = match head {
            _ if self.too_large.load(Relaxed) => Err(Refusal::TooLarge),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => {
                tracing::warn!("component \"{}\" answered with an error: {code:?}", self.component.spec.id);
                Err(Refusal::Failed)
            }
            Err(_) => Err(self.without_response()),
        };
        if let Ok(response) = &response
            && self.counted
            && response.status().is_success()
        {
            self.counters.measure(Measure::ResponsesOk, 1);
        }
        let bodiless = head_only || response.as_ref().is_ok_and(|response| without_body(response.status()));
        if answered && !bodiless {
            self.gauge.flush()
        } else {
            self.gauge.end_response()
        }
        if self.counters.commit().await.is_err() {
            return Refusal::Stopped.response();
        }
        let (counters, gauge) = (self.counters.clone(), self.gauge.clone());
        match response {
            Ok(response) => hold(response, bodiless, counters, gauge, self.ending.clone(), complete),
            Err(refusal) => {
                // A guest that answered with an error may finish its work; one whose request is cut off may not.
                if refusal != Refusal::TooLarge {
                    let _ = complete.send(());
                }
                refusal.response()
            }
        }
    }

    fn without_response(&self) -> Refusal {
        match self.ending.0.get() {
            Some(Ended::TimedOut) => Refusal::TooSlow,
            Some(Ended::NoPlace) => Refusal::Full,
            Some(Ended::Returned) => {
                tracing::error!("component \"{}\" returned without a response", self.component.spec.id);
                bump(&self.shared.stats.traps);
                Refusal::Failed
            }
            _ => Refusal::Failed,
        }
    }
}

/// Counts a guest as running for as long as it lives, also if the host panics under it.
struct InFlight<'a>(&'a Stats);

impl<'a> InFlight<'a> {
    fn new(stats: &'a Stats) -> Self {
        stats.in_flight.fetch_add(1, Relaxed);
        Self(stats)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

fn without_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}
