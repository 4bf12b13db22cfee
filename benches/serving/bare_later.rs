//! The bare server for components of WASI 0.3: each instance answers one request at a time, and so many in all. What such
//! an instance costs whoever serves it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::uri::{Authority, Parts, PathAndQuery, Scheme, Uri};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tollgate_cli::trouble::Result;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::{WasiHttpView, p3};

use super::bare::{State, engine};
use super::{failed, native};

/// Requests of one instance, as under `wasmtime serve`.
const REQUESTS: u32 = 128;

/// An instance, and how many requests it has answered.
struct Kept {
    store: Store<State>,
    service: Service,
    answered: u32,
}

pub(crate) fn serve(address: &str, component: &Path) -> Result<()> {
    let pre = Arc::new(prepare(component).map_err(|error| failed("cannot load the component", error))?);
    native::each_core(address, move |listener| {
        let pre = pre.clone();
        async move {
            let (kept, local) = (Rc::<RefCell<Vec<Kept>>>::default(), tokio::task::LocalSet::new());
            let accepting = async {
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let (pre, kept, _) = (pre.clone(), kept.clone(), stream.set_nodelay(true));
                    let service = service_fn(move |request| {
                        let (pre, kept) = (pre.clone(), kept.clone());
                        async move { answer(&pre, &kept, request).await }
                    });
                    let _task =
                        tokio::task::spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            };
            local.run_until(accepting).await
        }
    })
}

fn prepare(component: &Path) -> wasmtime::Result<ServicePre<State>> {
    let engine = engine(true)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    let component = Component::from_file(&engine, component)?;
    component.initialize_copy_on_write_image()?;
    ServicePre::new(linker.instantiate_pre(&component)?)
}

async fn answer(
    pre: &ServicePre<State>,
    all: &RefCell<Vec<Kept>>,
    request: Request<Incoming>,
) -> wasmtime::Result<Response<Full<Bytes>>> {
    let waiting = all.borrow_mut().pop();
    let mut kept = match waiting {
        Some(kept) => kept,
        None => {
            let mut store = Store::new(pre.engine(), State::new());
            let service = pre.instantiate_async(&mut store).await?;
            Kept { store, service, answered: 0 }
        }
    };
    let (request, _) = p3::Request::from_http(kept.store.data_mut().http().hooks, absolute(request)?);
    let service = &kept.service;
    let answered = kept.store.run_concurrent(async |accessor| {
        let response = service.handle(accessor, request).await??;
        let response = accessor.with(|store| response.into_http(store, async { Ok(()) }))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        Ok::<_, wasmtime::Error>(Response::from_parts(head, Full::new(body)))
    });
    let response = answered.await??;
    kept.answered += 1;
    if kept.answered < REQUESTS {
        all.borrow_mut().push(kept);
    }
    Ok(response)
}

/// With the scheme and authority that a guest is told.
fn absolute(request: Request<Incoming>) -> wasmtime::Result<Request<Incoming>> {
    let (mut head, body) = request.into_parts();
    let host = head.headers.get("host").map_or(&b""[..], |host| host.as_bytes());
    let mut uri = Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(Authority::try_from(host)?);
    uri.path_and_query = head.uri.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
    head.uri = Uri::from_parts(uri)?;
    Ok(Request::from_parts(head, body))
}
