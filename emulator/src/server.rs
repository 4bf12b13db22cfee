//! The HTTP shell: one listener for the AWS API, the control API and the ECS endpoints. It decides nothing; it only
//! holds an answer or closes a connection when a fault says so.

use std::{
    convert::Infallible,
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
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use hyper::service::{Service as _, service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpStream, sync::watch};

use crate::{
    clock::Clock,
    control,
    jwt::KeyError,
    metadata,
    options::Options,
    service::{Moment, Service, uuid},
    sigv4::Received,
    wire::Reply,
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
    pub fn bind(addr: impl ToSocketAddrs, mut options: Options) -> Result<Self, BindError> {
        let listener = TcpListener::bind(addr).map_err(BindError::Listen)?;
        listener.set_nonblocking(true).map_err(BindError::Listen)?;
        let addr = listener.local_addr().map_err(BindError::Listen)?;
        for product in options.products.values_mut().filter(|product| !product.has_keys()) {
            product.generate_keys([1]).map_err(BindError::Key)?;
        }
        let shared = Shared {
            clock: Clock::starting_at(options.start_s),
            service: Mutex::new(Service::new(options)),
            calls: watch::Sender::new(0),
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
    /// When the listener cannot be handed to the runtime.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let router = router(Arc::clone(&self.shared));
        let connections = GracefulShutdown::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => serve_connection(stream, router.clone(), &connections),
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
        Ok(())
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
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    service: Mutex<Service>,
    /// The number of the last call.
    pub(crate) calls: watch::Sender<u64>,
    /// Whether the emulator stops, so that nobody waits on.
    pub(crate) closing: watch::Sender<bool>,
}

impl Shared {
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
        .route("/", post(aws))
        .merge(control::routes())
        .merge(metadata::routes())
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

fn serve_connection(stream: TcpStream, router: Router, connections: &GracefulShutdown) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let answer = router.call(request);
        async move {
            let response = answer.await.unwrap_or_else(|never: Infallible| match never {});
            // An error here makes hyper close the connection without a byte.
            if response.extensions().get::<HangUp>().is_some() { Err(HangUp) } else { Ok(response) }
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new());
    let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}

/// `POST /`: one call of the AWS API.
async fn aws(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let moment = Moment { now_ms: shared.clock.now_ms(), signing_ms: shared.clock.signing_ms(), entropy: entropy() };
    let query = uri.query().unwrap_or_default();
    let received = Received { method: "POST", path: uri.path(), query, headers: &headers, body: &body };
    let answer = shared.service().answer(received, &moment);
    // Two calls may get here out of order; the number must not go back.
    shared.calls.send_if_modified(|last| {
        let newer = answer.seq > *last;
        *last = answer.seq.max(*last);
        newer
    });
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    answer.reply.map_or_else(hang_up, |reply| http_response(&reply, shared.clock.now_ms()))
}

/// Marks a response that is never sent.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a fault closes the connection")]
struct HangUp;

fn hang_up() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

/// The HTTP form of a reply. Its `Date` is the emulator's clock, which clients may take for the time at AWS.
fn http_response(reply: &Reply, now_ms: u64) -> Response {
    let mut response = Response::new(Body::from(reply.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Some(code) = reply.code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    if let Ok(id) = HeaderValue::try_from(uuid(entropy())) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(date) = http_date(now_ms) {
        headers.insert(header::DATE, date);
    }
    response
}

fn http_date(unix_ms: u64) -> Option<HeaderValue> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::try_from(text).ok()
}

/// AWS takes at most 1 MB.
const BODY_MAX: usize = 1 << 20;
const DRAIN_MAX: Duration = Duration::from_secs(5);
