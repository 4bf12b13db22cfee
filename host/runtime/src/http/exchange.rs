//! One request: from the routes through a guest to a response.
//!
//! The guest runs where its response is waited for. When it has returned by the time its answer could leave, which most do,
//! all that it said and used is made durable at once, and leaves. Else it goes on as a task of its own beside its response.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::oneshot;
use tokio::task::coop::unconstrained;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::Shared;
use super::body::{ResponseBody, Whole};
use super::core::Core;
use super::hold::hold;
use super::refusal::Refusal;
use super::running::{Ended, Ending, Head, Running};
use crate::component::Component;
use crate::gauge::Gauge;
use crate::meter::{Counters, Measure};
use crate::stats::bump;
use crate::turn;

/// Answers one request, by a guest if nothing stands against it.
pub(super) async fn answer(core: Arc<Core>, request: Request<Incoming>) -> Response<ResponseBody> {
    match admit(&core.shared, &request) {
        Ok(component) => deliver(core, component, request).await,
        Err(refusal) => refusal.response(),
    }
}

/// The number of the component that is to answer.
fn admit(shared: &Shared, request: &Request<Incoming>) -> Result<usize, Refusal> {
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
    // A place is taken when it is this one's turn; who comes while there is none need not wait for that.
    let taken = shared.stats.in_flight.load(Relaxed) >= u64::from(shared.limits.concurrency);
    if taken || turn::crowded() {
        bump(&shared.stats.refused_full);
        return Err(Refusal::Full);
    }
    Ok(component)
}

fn names_host(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).is_some_and(|host| host.to_str().is_ok_and(|host| !host.is_empty()))
}

/// What a guest and its response share.
pub(super) struct Delivery {
    pub(super) core: Arc<Core>,
    component: usize,
    pub(super) counters: Counters,
    pub(super) gauge: Arc<Gauge>,
    pub(super) ending: Arc<Ending>,
    pub(super) too_large: Arc<AtomicBool>,
    /// False for paths that the manifest excludes.
    counted: bool,
}

async fn deliver(core: Arc<Core>, number: usize, request: Request<Incoming>) -> Response<ResponseBody> {
    let component = core.shared.routes.component(number);
    let (counters, kept) = core.instance(component);
    let delivery = Arc::new(Delivery {
        gauge: Arc::new(Gauge::new(counters.clone(), component.carry.clone())),
        counted: !component.spec.uncounted.iter().any(|path| path == request.uri().path()),
        component: number,
        counters,
        ending: Arc::default(),
        too_large: Arc::default(),
        core,
    });
    let head_only = request.method() == Method::HEAD;
    let (head_in, mut head) = oneshot::channel();
    // Dropped by hyper together with this future when the client goes away.
    let mut running = Running::new(delivery.clone(), kept, request, head_in);
    let head = poll_fn(|cx| {
        // It closes the other end of `head` at its end.
        let _ended = running.ended() || Pin::new(&mut running).poll(cx).is_ready();
        Pin::new(&mut head).poll(cx)
    });
    let head = head.await;
    if !running.ended() {
        finish_soon(&mut running).await;
    }
    if running.ended() {
        return delivery.respond_whole(head, head_only).await;
    }
    let (complete, client) = oneshot::channel();
    let alive = delivery.core.alive();
    let going_on = go_on(delivery.clone(), running, client);
    tokio::spawn(async move {
        going_on.await;
        // Draining waits for it.
        drop(alive);
    });
    delivery.respond(head, head_only, complete).await
}

/// Lets a guest go on until it ends or other answers leave: one that only has to hand over its body ends before them, and
/// is spared a task and a commit for each part. One that waits for its turn has not gone on; it was only not run.
async fn finish_soon(running: &mut Running) {
    let mut others = pin!(turn::together());
    poll_fn(|cx| match Pin::new(&mut *running).poll(cx) {
        Poll::Pending if !running.waits_for_turn() => others.as_mut().poll(cx),
        polled => polled,
    })
    .await;
}

/// Lets a guest finish that has given its head. `client` breaks off when the client goes away with the body.
async fn go_on(delivery: Arc<Delivery>, mut running: Running, mut client: oneshot::Receiver<()>) {
    let mut watched = true;
    poll_fn(|cx| {
        if watched {
            match Pin::new(&mut client).poll(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => watched = false,
                Poll::Pending => {}
            }
        }
        Pin::new(&mut running).poll(cx)
    })
    .await;
    drop(running);
    // An answer no longer waits for this; if it fails, the next one that does will say so.
    let _ = delivery.counters.commit().await;
}

impl Delivery {
    pub(super) fn shared(&self) -> &Shared {
        &self.core.shared
    }

    pub(super) fn component(&self) -> &Component {
        self.core.shared.routes.component(self.component)
    }

    /// An instance has the request.
    pub(super) fn begins(&self) {
        if self.counted {
            self.counters.measure(Measure::Requests, 1);
        }
    }

    /// Answers with all that a guest has said, after all its usage is on disk.
    async fn respond_whole(&self, head: Received, head_only: bool) -> Response<ResponseBody> {
        let response = match self.said(head) {
            Ok(response) if !without_body(&response, head_only) => self.gather(response).await,
            Ok(response) => {
                self.count_answer(&response);
                Ok(self.hold(response, true, None))
            }
            Err(refusal) => Err(refusal),
        };
        self.gauge.end_response();
        // A commit lets many go at a time by itself.
        if !self.counters.dirty() {
            turn::together().await;
        }
        if self.counters.commit().await.is_err() {
            return Refusal::Stopped.response();
        }
        response.unwrap_or_else(Refusal::response)
    }

    /// Takes the body of a guest that has ended: nothing more is coming, so nothing waits here. Half an answer is none:
    /// as nothing of it has left, the client can be told.
    async fn gather(&self, response: Response<HyperOutgoingBody>) -> Result<Response<ResponseBody>, Refusal> {
        let length = content_length(&response);
        let (head, mut body) = response.into_parts();
        let mut whole = Whole::default();
        while let Some(frame) = unconstrained(body.frame()).await {
            whole.frames.push_back(frame.map_err(|error| {
                tracing::warn!("component \"{}\" broke off its answer: {error}", self.component().spec.id);
                Refusal::Failed
            })?);
        }
        let bytes = whole.bytes();
        // A guest that is no more closes its body too; only one that finished it has sent all.
        if self.ending.broken() && length.is_none_or(|length| bytes < length) {
            return Err(Refusal::Failed);
        }
        let response = Response::from_parts(head, ResponseBody::Whole(whole));
        self.count_answer(&response);
        self.counters.measure(Measure::ResponseBytes, bytes);
        Ok(response)
    }

    /// Turns what a guest said that goes on, or that it said nothing, into a response; after its usage is on disk.
    async fn respond(&self, head: Received, head_only: bool, complete: oneshot::Sender<()>) -> Response<ResponseBody> {
        let response = self.said(head);
        let bodiless = response.as_ref().map_or(true, |response| without_body(response, head_only));
        if let Ok(response) = &response {
            self.count_answer(response);
        }
        if bodiless {
            self.gauge.end_response()
        } else {
            self.gauge.flush()
        }
        if self.counters.commit().await.is_err() {
            return Refusal::Stopped.response();
        }
        match response {
            Ok(response) => self.hold(response, bodiless, Some(complete)),
            Err(refusal) => {
                // A guest that answered with an error may finish its work; one whose request is cut off may not.
                if refusal != Refusal::TooLarge {
                    let _ = complete.send(());
                }
                refusal.response()
            }
        }
    }

    fn hold(
        &self,
        response: Response<HyperOutgoingBody>,
        bodiless: bool,
        complete: Option<oneshot::Sender<()>>,
    ) -> Response<ResponseBody> {
        let missing = content_length(&response);
        let (counters, gauge, ending) = (self.counters.clone(), self.gauge.clone(), self.ending.clone());
        hold(response, bodiless, missing, counters, gauge, ending, complete)
    }

    fn said(&self, head: Received) -> Result<Response<HyperOutgoingBody>, Refusal> {
        match head {
            _ if self.too_large.load(Relaxed) => Err(Refusal::TooLarge),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => {
                tracing::warn!("component \"{}\" answered with an error: {code:?}", self.component().spec.id);
                Err(Refusal::Failed)
            }
            Err(_) => Err(self.without_response()),
        }
    }

    fn count_answer<B>(&self, response: &Response<B>) {
        if self.counted && response.status().is_success() {
            self.counters.measure(Measure::ResponsesOk, 1);
        }
    }

    fn without_response(&self) -> Refusal {
        match self.ending.get() {
            Some(Ended::TimedOut) => Refusal::TooSlow,
            Some(Ended::NoPlace) => Refusal::Full,
            Some(Ended::LeftAlone(seconds)) => Refusal::Trapping(seconds),
            Some(Ended::Returned) => {
                tracing::error!("component \"{}\" returned without a response", self.component().spec.id);
                bump(&self.shared().stats.traps);
                Refusal::Failed
            }
            _ => Refusal::Failed,
        }
    }
}

/// A head, or that there is none.
type Received = Result<Head, oneshot::error::RecvError>;

fn content_length(response: &Response<HyperOutgoingBody>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn without_body(response: &Response<HyperOutgoingBody>, head_only: bool) -> bool {
    head_only || response.status() == StatusCode::NO_CONTENT || response.status() == StatusCode::NOT_MODIFIED
}
