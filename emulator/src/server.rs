//! The HTTP shell: one listener for the AWS API, STS, the control API and the metadata endpoints. It decides nothing; it
//! only holds an answer or breaks a connection off when a fault says so.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    response::Response,
    routing::any,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{Semaphore, watch};

use crate::clock::Stamp;
use crate::{
    account::{NewTask, Platform, Task},
    clock::Clock,
    connection::{self, HangUp, Truncated},
    control, instance,
    jwt::KeyError,
    metadata,
    options::Options,
    service::{Answer, Delivery, Moment, Service, uuid},
    sigv4::{Received, Times},
    state::{Keeper, Lost, StateError},
    web,
    wire::{self, Reply},
};

/// An emulator whose port is bound; [`Emulator::serve`] answers.
#[derive(Debug)]
pub struct Emulator {
    listener: TcpListener,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Emulator {
    /// Binds `addr` (port 0 takes a free one) and generates version 1 of the signing key of each product without keys.
    ///
    /// # Errors
    /// When the address cannot be bound or a key cannot be made.
    pub fn bind(addr: impl ToSocketAddrs, options: Options) -> Result<Self, BindError> {
        let listener = TcpListener::bind(addr).map_err(BindError::Listen)?;
        listener.set_nonblocking(true).map_err(BindError::Listen)?;
        let addr = listener.local_addr().map_err(BindError::Listen)?;
        let clock = Clock::starting_at(options.start_s, options.wire_clock);
        let (account, region) = (options.account.clone(), options.region.clone());
        let node = NewTask { platform: Platform::NodeRole, account, region, permits: None };
        let node = Task::new(node, &entropy(), clock.now_ms());
        let mut service = Service::new(options);
        let mut keeper = Keeper::open(&mut service, &clock).map_err(BindError::State)?;
        service.start().map_err(BindError::Key)?;
        service.tasks.add(node.clone());
        // Nothing waits for these lines, but every later one follows them.
        drop(keeper.keep(&mut service, &clock));
        let shared = Shared {
            clock,
            node,
            sessions: instance::Sessions::new(&entropy()),
            host_names: service.options.host_names.clone(),
            keeper: Mutex::new(keeper),
            calls: watch::Sender::new(service.truth.newest()),
            service: Mutex::new(service),
            changes: watch::Sender::new(1),
            closing: watch::Sender::new(false),
        };
        Ok(Self { listener, addr, shared: Arc::new(shared) })
    }

    /// The address that was bound.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `shutdown` is done, then lets running calls end, within five seconds.
    ///
    /// # Errors
    /// When the listener cannot be handed to the runtime, or the state cannot be written.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let router = router(Arc::clone(&self.shared));
        let connections = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (mut shutdown, mut lost) = (pin!(shutdown), pin!(self.shared.keeper().lost()));
        let mut ended = Ok(());
        loop {
            // Whoever is one too many waits in the listener's queue.
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
                listener.accept().await.map(|(stream, _)| (stream, place))
            };
            let accepted = tokio::select! {
                accepted = accepted => accepted,
                () = &mut shutdown => break,
                lost = &mut lost => {
                    ended = Err(io::Error::other(lost));
                    break;
                }
            };
            match accepted {
                Ok((stream, place)) => connection::serve(stream, router.clone(), &connections, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors: only closing connections help.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        self.shared.closing.send_replace(true);
        if tokio::time::timeout(DRAIN_MAX, connections.shutdown()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        // The file is free for another emulator once this returns.
        self.shared.keeper().close();
        ended
    }
}

/// Why an emulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A signing key could not be made.
    #[error("cannot make the signing key of a product")]
    Key(#[source] KeyError),
    /// Choose another address or port.
    #[error("cannot listen")]
    Listen(#[source] io::Error),
    /// The file of the state cannot be used: its own reason says what to do.
    #[error("cannot use the state")]
    State(#[source] StateError),
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// The instance whose metadata stands at the root.
    pub(crate) node: Task,
    pub(crate) sessions: instance::Sessions,
    service: Mutex<Service>,
    pub(crate) host_names: Vec<String>,
    keeper: Mutex<Keeper>,
    /// Counts what happens: calls, and changes by the control API.
    pub(crate) changes: watch::Sender<u64>,
    /// The number of the last call.
    pub(crate) calls: watch::Sender<u64>,
    /// Whether the emulator stops, so that nobody waits on.
    pub(crate) closing: watch::Sender<bool>,
}

impl Shared {
    /// Returns when all that was changed so far is on disk, if it is to be kept. Nothing is acknowledged before.
    pub(crate) async fn kept(&self) -> Result<(), Lost> {
        let kept = {
            let mut service = self.service();
            self.keeper().keep(&mut service, &self.clock)
        };
        kept.await
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for something to happen.
    pub(crate) fn tell_of_change(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// The state. A handler that panicked leaves it usable: each call changes it as its last step.
    pub(crate) fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bytes for ids and credentials; without any from the system they are all zero, which shows at once.
pub(crate) fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::error!("the system gives no randomness");
    }
    bytes
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", any(aws))
        .merge(control::routes(&shared))
        .merge(instance::routes())
        .merge(web::routes())
        .merge(metadata::routes())
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

/// `POST /`: one call of the AWS API or of STS.
async fn aws(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return unknown(State(shared)).await;
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, read(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return error.response(&shared),
        Err(_) => return BodyError::Late.response(&shared),
    };
    let answer = decide(&shared, &parts, &body);
    // Two calls may get here out of order; the number must not go back.
    shared.calls.send_if_modified(|last| {
        let newer = answer.seq.is_some_and(|seq| seq > *last);
        *last = answer.seq.unwrap_or_default().max(*last);
        newer
    });
    shared.tell_of_change();
    if shared.kept().await.is_err() {
        return HangUp::Close.response();
    }
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    let stamp = shared.clock.stamp().skewed(answer.date_skew_s);
    match answer.delivery {
        Delivery::Dropped => HangUp::Close.response(),
        Delivery::Reset => HangUp::Reset.response(),
        Delivery::Truncated => truncated(http_response(&answer.reply, stamp), &answer.reply),
        Delivery::Whole => http_response(&answer.reply, stamp),
    }
}

fn decide(shared: &Shared, parts: &Parts, body: &Bytes) -> Answer {
    let Parts { uri, headers, .. } = parts;
    let times = Times { signing_ms: shared.clock.signing_ms(), wire_ms: shared.clock.wire_ms() };
    let moment = Moment { now_ms: shared.clock.now_ms(), times, entropy: entropy() };
    let form = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(FORM.as_bytes()));
    if form && !headers.contains_key("x-amz-target") {
        return shared.service().assume_role(body, &moment);
    }
    let query = uri.query().unwrap_or_default();
    let received = Received { method: "POST", path: uri.path(), query, headers, body };
    shared.service().answer(received, &moment)
}

/// What is neither the service nor anything beside it.
async fn unknown(State(shared): State<Arc<Shared>>) -> Response {
    let reply = Reply::common("UnknownOperationException", "The requested operation is not known.");
    http_response(&Reply { status: 404, ..reply }, shared.clock.stamp())
}

/// Why a body is no use.
enum BodyError {
    Broken,
    Late,
    TooLarge,
}

impl BodyError {
    /// The answer to it, after which the connection is closed.
    fn response(&self, shared: &Shared) -> Response {
        let (status, code, message) = match self {
            Self::Broken => (400, "SerializationException", "The body of the request cannot be read."),
            Self::Late => (408, "RequestTimeoutException", "The body of the request did not arrive in time."),
            Self::TooLarge => (413, "RequestEntityTooLargeException", "A request must be less than 1 MB."),
        };
        let reply = Reply { status, ..Reply::common(code, message) };
        let mut response = http_response(&reply, shared.clock.stamp());
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// Reads a body. Of one that is too large the rest is thrown away, so that its sender can read the answer.
async fn read(mut body: Body) -> Result<Bytes, BodyError> {
    let (mut whole, mut length) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        // Trailers say nothing here.
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > DISCARD_MAX {
            return Err(BodyError::TooLarge);
        }
        if length <= BODY_MAX {
            whole.extend_from_slice(&data);
        }
    }
    if length <= BODY_MAX { Ok(whole.freeze()) } else { Err(BodyError::TooLarge) }
}

/// The HTTP form of a reply.
fn http_response(reply: &Reply, stamp: Stamp) -> Response {
    let (kind, body) = content(reply);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(code) = reply.code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    if let Ok(id) = HeaderValue::try_from(uuid(&entropy::<16>(), 0)) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(date) = http_date(stamp.date_ms) {
        headers.insert(header::DATE, date);
    }
    // AWS sends no such header. A host in development moves its clocks as this one is moved; by it the host sees that a
    // response comes from a clock that it does not follow yet.
    headers.insert(CLOCK_VERSION, HeaderValue::from(stamp.version));
    response
}

fn content(reply: &Reply) -> (&'static str, String) {
    match &reply.body {
        wire::Body::Html(text) => ("text/html", (*text).to_owned()),
        wire::Body::Json(body) => ("application/x-amz-json-1.1", body.to_string()),
        wire::Body::Xml(text) => ("text/xml", text.clone()),
    }
}

/// The same response, whose body ends in the middle of what its length promises.
fn truncated(response: Response, reply: &Reply) -> Response {
    let (mut parts, _) = response.into_parts();
    let body = content(reply).1;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, Body::new(Truncated::new(Bytes::from(body))))
}

fn http_date(unix_ms: u64) -> Option<HeaderValue> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::try_from(text).ok()
}

const CLOCK_VERSION: &str = "x-tollgate-clock";
const FORM: &str = "application/x-www-form-urlencoded";
/// AWS takes at most 1 MB.
const BODY_MAX: usize = 1 << 20;
/// So much of a body that is too large is read before the connection is closed.
const DISCARD_MAX: usize = 16 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
const DRAIN_MAX: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: usize = 900;
