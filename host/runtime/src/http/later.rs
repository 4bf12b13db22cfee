//! A request for a component of WASI 0.3: `wasi:http/handler`.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::{Error, WasiHttpView};

use super::arriving::Arriving;
use super::exchange::Delivery;
use super::kept::Kept;
use super::running::{Head, Left};
use crate::guest::Guest;
use crate::stats::bump;

/// Parts of a response that may wait for the client; one more, and the guest waits.
const FRAMES_MAX: usize = 4;

/// Has the request answered by the instance that waits for it, or by a new one.
pub(super) async fn work(
    delivery: &Delivery,
    pre: &ServicePre<Guest>,
    kept: Option<Kept>,
    request: Request<Arriving>,
    head: oneshot::Sender<Head>,
) -> (Left, wasmtime::Result<()>) {
    let mut kept = match kept {
        Some(kept) => kept,
        None => {
            let counters = delivery.counters.clone();
            let mut store = delivery.component().http_store(delivery.core.meter.clone(), counters.clone());
            match pre.instantiate_async(&mut store).await {
                Ok(service) => {
                    bump(&delivery.shared().stats.instances_created);
                    Kept::new(store, service, counters)
                }
                Err(error) => return (Left::Store(store), Err(error)),
            }
        }
    };
    delivery.begins();
    let returned = call(&mut kept.store, &kept.service, request, head).await;
    (Left::Kept(kept), returned)
}

/// Delivers the request, and goes on until the response is over and the component has nothing left to do.
async fn call(
    store: &mut Store<Guest>,
    service: &Service,
    request: Request<Arriving>,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    // What the guest makes of the request's body concerns nobody but the guest.
    let (request, _) = p3::Request::from_http(store.data_mut().http().hooks, absolute(request)?);
    store
        .run_concurrent(async |accessor| {
            match service.handle(accessor, request).await? {
                Ok(response) => {
                    let response = accessor.with(|store| response.into_http(store, async { Ok(()) }))?;
                    let (parts, mut body) = response.into_parts();
                    let (frames, passed) = mpsc::channel(FRAMES_MAX);
                    let _ = head.send(Ok(http::Response::from_parts(parts, Passed(passed).boxed_unsync())));
                    while let Some(frame) = body.frame().await {
                        // Nobody wants the rest: the guest learns it by the end of its stream.
                        if frames.send(frame).await.is_err() {
                            break;
                        }
                    }
                }
                Err(code) => drop(head.send(Err(ErrorCode::InternalError(Some(format!("{code:?}")))))),
            }
            std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await?
}

/// The request with the scheme and authority that a guest is told, which in HTTP/1.1 are elsewhere.
fn absolute(request: Request<Arriving>) -> wasmtime::Result<Request<Arriving>> {
    let (mut parts, body) = request.into_parts();
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    if uri.authority.is_none() {
        let host = parts.headers.get(header::HOST).map_or(&b""[..], |host| host.as_bytes());
        uri.authority = Some(Authority::try_from(host)?);
    }
    uri.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    parts.uri = Uri::from_parts(uri)?;
    Ok(Request::from_parts(parts, body))
}

/// The body of a response, part by part as the guest made it.
struct Passed(mpsc::Receiver<Result<Frame<Bytes>, Error>>);

impl Body for Passed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(cx)
    }
}
