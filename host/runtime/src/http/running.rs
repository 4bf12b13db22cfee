//! A guest at work on one request, polled wherever its response is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::arriving::Arriving;
use super::core::Core;
use super::exchange::Delivery;
use super::kept::Kept;
use crate::backoff::Trapped;
use crate::clock;
use crate::component::{Component, Pre};
use crate::gauge::Gauged;
use crate::guest::Guest;
use crate::stats::bump;
use crate::turn::Turn;

/// Of a trap in the log.
const TRAP_BYTES_MAX: usize = 8 << 10;

/// What a guest says first.
pub(super) type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// How a guest ended; empty while it runs.
#[derive(Debug, Default)]
pub(super) struct Ending(OnceLock<Ended>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Returned,
    Trapped,
    /// There was no place for it after all.
    NoPlace,
    /// Its component does nothing but trap; it is tried again after so many seconds.
    LeftAlone(u64),
    TimedOut,
    ClientGone,
}

impl Ending {
    pub(super) fn get(&self) -> Option<Ended> {
        self.0.get().copied()
    }

    /// True if the guest ended in another way than by returning.
    pub(super) fn broken(&self) -> bool {
        self.get().is_some_and(|ended| ended != Ended::Returned)
    }
}

/// The guest of one request, until it returns, traps or its time is up. Dropping it before that is what happens when
/// its client goes away.
pub(super) struct Running {
    delivery: Arc<Delivery>,
    /// None: it has ended.
    guest: Option<Gauged<GuestFuture>>,
    place: Option<InFlight>,
    turn: Turn,
    deadline: Instant,
    /// Made when the guest waits for something: most never do.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// With what is left, so that it outlives the reason of its end.
type GuestFuture = dyn Future<Output = (Left, wasmtime::Result<()>)> + Send;

/// What is left of a guest when it has ended.
pub(super) enum Left {
    /// Nobody uses it again.
    Store(#[expect(dead_code, reason = "dropping it is its use")] Store<Guest>),
    /// It may answer another request, if it ended in order.
    #[cfg(feature = "p3")]
    Kept(Kept),
}

impl Running {
    pub(super) fn new(
        delivery: Arc<Delivery>,
        kept: Option<Kept>,
        request: Request<Incoming>,
        head: oneshot::Sender<Head>,
    ) -> Self {
        let guest = Box::pin(work(delivery.clone(), kept, request, head));
        Self {
            guest: Some(Gauged { future: guest, gauge: delivery.gauge.clone() }),
            deadline: clock::deadline(delivery.shared().limits.request_timeout),
            delivery,
            place: None,
            turn: Turn::default(),
            sleep: None,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.guest.is_none()
    }

    /// True if nothing but the other guests of the thread keeps it from going on.
    pub(super) fn waits_for_turn(&self) -> bool {
        self.turn.waits()
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(guest) = &mut self.guest else { return Poll::Pending };
        if self.turn.poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.place.is_none() {
            match admit(&self.delivery) {
                Ok(place) => self.place = Some(place),
                Err(ended) => {
                    self.turn.over(cx, true);
                    return Poll::Ready(ended);
                }
            }
        }
        let polled = Pin::new(guest).poll(cx);
        self.turn.over(cx, polled.is_ready());
        polled.map(|(left, returned)| {
            let ended = classify(self.delivery.component(), returned);
            // First the reason, then the store: closing the guest's end of the body is what others notice.
            let _ = self.delivery.ending.0.set(ended);
            match left {
                #[cfg(feature = "p3")]
                Left::Kept(kept) if ended == Ended::Returned => {
                    self.delivery.core.kept.put(self.delivery.component(), kept);
                }
                left => drop(left),
            }
            ended
        })
    }

    fn end(&mut self, ended: Ended) {
        let stats = &self.delivery.shared().stats;
        match ended {
            Ended::Trapped => bump(&stats.traps),
            Ended::TimedOut => bump(&stats.timeouts),
            Ended::ClientGone => bump(&stats.clients_gone),
            Ended::NoPlace => bump(&stats.refused_full),
            Ended::LeftAlone(_) => bump(&stats.refused_trapping),
            Ended::Returned => {}
        }
        if self.place.is_some() {
            judge(self.delivery.component(), ended);
        }
        let _ = self.delivery.ending.0.set(ended);
        self.guest = None;
        self.delivery.gauge.flush();
        self.place = None;
    }
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let running = &mut *self;
        let ended = match running.poll_guest(cx) {
            Poll::Ready(ended) => ended,
            Poll::Pending => {
                let deadline = running.deadline;
                let sleep = running.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                Ended::TimedOut
            }
        };
        running.end(ended);
        Poll::Ready(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended() {
            self.end(Ended::ClientGone);
        }
    }
}

/// One of the places for guests, if there is one and the component is not left alone.
fn admit(delivery: &Delivery) -> Result<InFlight, Ended> {
    let place = InFlight::new(delivery.core.clone()).ok_or(Ended::NoPlace)?;
    // Last, so that who may try is also delivered.
    delivery.component().backoff.admit().map_err(|wait| Ended::LeftAlone(wait.as_secs() + 1))?;
    Ok(place)
}

async fn work(
    delivery: Arc<Delivery>,
    kept: Option<Kept>,
    request: Request<Incoming>,
    head: oneshot::Sender<Head>,
) -> (Left, wasmtime::Result<()>) {
    let room = delivery.shared().limits.body_bytes();
    let (too_large, counters) = (delivery.too_large.clone(), delivery.counters.clone());
    let request = request.map(|body| Arriving { body, room, too_large, counters });
    #[cfg(feature = "p3")]
    if let Pre::LaterHttp(pre) = &delivery.component().pre {
        return super::later::work(&delivery, pre, kept, request, head).await;
    }
    debug_assert!(kept.is_none(), "only instances of WASI 0.3 are kept");
    let mut store = delivery.component().http_store(delivery.core.meter.clone(), delivery.counters.clone());
    let returned = call(&delivery, &mut store, request, head).await;
    (Left::Store(store), returned)
}

async fn call(
    delivery: &Delivery,
    store: &mut Store<Guest>,
    request: Request<Arriving>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let Pre::Http(pre) = &delivery.component().pre else { wasmtime::bail!("not an http component") };
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(head)?;
    let proxy = pre.instantiate_async(&mut *store).await?;
    bump(&delivery.shared().stats.instances_created);
    delivery.begins();
    proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
}

/// What the end of one request says about its component.
fn judge(component: &Component, ended: Ended) {
    let (backoff, component) = (&component.backoff, component.spec.id.as_str());
    match ended {
        Ended::Trapped => {
            if let Trapped::Paused(long) = backoff.trapped() {
                let seconds = long.as_secs();
                tracing::error!(component, seconds, "this component only traps: its requests are refused for a while");
            }
        }
        Ended::Returned => {
            if backoff.answered() {
                tracing::info!(component, "this component answers again");
            }
        }
        Ended::TimedOut | Ended::NoPlace | Ended::LeftAlone(_) | Ended::ClientGone => backoff.undecided(),
    }
}

fn classify(component: &Component, returned: wasmtime::Result<()>) -> Ended {
    let Err(error) = returned else { return Ended::Returned };
    if error.downcast_ref::<I32Exit>().is_some_and(|exit| exit.0 == 0) {
        return Ended::Returned;
    }
    let component = &component.spec.id;
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

/// A place among the guests, for as long as it lives, also if the host panics under it.
struct InFlight(Arc<Core>);

impl InFlight {
    fn new(core: Arc<Core>) -> Option<Self> {
        let places = u64::from(core.shared.limits.concurrency);
        let before = core.shared.stats.in_flight.fetch_add(1, Relaxed);
        // Dropping it gives the place back.
        Some(Self(core)).filter(|_| before < places)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.shared.stats.in_flight.fetch_sub(1, Relaxed);
    }
}
