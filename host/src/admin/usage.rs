//! The ledger at the admin port: shown, verified, exported; and settled, by those who may read its folder.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use hyper::body::{Bytes, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Status;
use super::guard::{self, Asker};
use crate::ledger::{self, ArchiveRow, Image};
use crate::meter::{Handle, Snapshot};
use crate::usage::{self, Asked, Settlement};

/// Exports and checks at once. Each holds a copy of the whole ledger in memory.
const AT_ONCE_MAX: usize = 1;
/// A settlement with its reason.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Lines are sent in pieces of about this many bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the client.
const PIECES_MAX: usize = 4;

#[derive(Clone)]
struct Shared {
    status: Status,
    readers: Arc<Semaphore>,
}

pub(super) fn routes(status: Status) -> Router {
    let shared = Shared { status, readers: Arc::new(Semaphore::new(AT_ONCE_MAX)) };
    Router::new()
        .route("/usage", get(json))
        .route("/usage/table", get(table))
        .route("/usage/verify", get(verify))
        .route("/usage/export", get(export))
        .route("/usage/settle", post(settle).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)))
        .with_state(shared)
}

/// Hours, dimensions and sums, for programs.
async fn json(State(shared): State<Shared>) -> Response {
    match snapshot(&shared).await {
        Some(snapshot) => Json(snapshot).into_response(),
        None => not_yet(),
    }
}

/// The same for people.
async fn table(State(shared): State<Shared>) -> Response {
    match snapshot(&shared).await {
        Some(snapshot) => usage::table(&snapshot.rows, &snapshot.totals).into_response(),
        None => not_yet(),
    }
}

/// 200 if every row is as it was written, 500 with the first that is not.
async fn verify(State(shared): State<Shared>) -> Response {
    let reading = match Reading::begin(&shared).await {
        Ok(reading) => reading,
        Err(refused) => return refused,
    };
    let checked = tokio::task::spawn_blocking(move || reading.verify()).await;
    match checked {
        Ok(Ok(text)) => text.into_response(),
        Ok(Err(problem)) => damaged(&problem),
        Err(error) => damaged(&error.to_string()),
    }
}

/// The ledger line by line. Of a damaged one its rows, and the problem in the first line.
async fn export(State(shared): State<Shared>) -> Response {
    let reading = match Reading::begin(&shared).await {
        Ok(reading) => reading,
        Err(refused) => return refused,
    };
    let (pieces, body) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || reading.export(Pieces { pieces, held: Vec::new() }));
    let kind = [(header::CONTENT_TYPE, "application/jsonl; charset=utf-8")];
    (kind, Body::new(Exported(body))).into_response()
}

/// Somebody reads the whole ledger: its rows as they were between two transactions, the archive page by page.
struct Reading {
    image: Image,
    meter: Handle,
    runtime: tokio::runtime::Handle,
    _place: OwnedSemaphorePermit,
}

impl Reading {
    async fn begin(shared: &Shared) -> Result<Self, Response> {
        let busy = "the ledger is being read by somebody else; ask again\n";
        let place = shared.readers.clone().try_acquire_owned();
        let _place = place.map_err(|_| (StatusCode::TOO_MANY_REQUESTS, busy).into_response())?;
        let meter = shared.status.now().meter.ok_or_else(not_yet)?;
        let image = meter.image().await.map_err(|problem| damaged(&problem))?;
        Ok(Self { image, meter, runtime: tokio::runtime::Handle::current(), _place })
    }

    fn verify(&self) -> Result<String, String> {
        let ledger = ledger::verify(&self.image, &mut |after| self.page(after))?;
        Ok(usage::verified(&ledger))
    }

    fn export(&self, mut to: Pieces) {
        // A client that went away has enough.
        let exported = usage::export(&self.image, &mut |after| self.page(after), &mut to);
        let _gone = exported.and_then(|_| to.flush());
    }

    fn page(&self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        self.runtime.block_on(self.meter.archived(after))
    }
}

/// The only thing at this port that changes something.
async fn settle(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Response {
    let shown = shared.status.now();
    if let Err(refusal) = guard::may_settle(Asker { peer, headers: &headers }, shown.access.as_ref()) {
        return (StatusCode::FORBIDDEN, format!("settle: {refusal}\n")).into_response();
    }
    let Json(asked) = match asked {
        Ok(asked) => asked,
        Err(error) => return (error.status(), format!("settle: {}\n", error.body_text())).into_response(),
    };
    let settlement = match Settlement::parse(asked) {
        Ok(settlement) => settlement,
        Err(wrong) => return (StatusCode::BAD_REQUEST, format!("settle: {wrong}\n")).into_response(),
    };
    let Some(meter) = shown.meter else { return not_yet() };
    match meter.settle(settlement.clone()).await {
        None => not_yet(),
        Some(Err(refused)) => (StatusCode::CONFLICT, format!("{refused}\n")).into_response(),
        Some(Ok(())) => settlement.done().into_response(),
    }
}

async fn snapshot(shared: &Shared) -> Option<Snapshot> {
    let meter: Handle = shared.status.now().meter?;
    meter.snapshot().await
}

fn not_yet() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the meter does not run; see /readyz\n").into_response()
}

fn damaged(problem: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("the ledger is damaged: {problem}\n")).into_response()
}

/// Collects lines to pieces of a body; waits while the client takes no more.
struct Pieces {
    pieces: mpsc::Sender<Bytes>,
    held: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let piece = std::mem::take(&mut self.held);
        self.pieces.blocking_send(piece.into()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

struct Exported(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Exported {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
