//! An HTTP guest of WASI 0.3 that does, by path, what a test of the host needs. The paths are in tests/guests/README.md.

mod metering {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tollgate:metering/imports", generate_all });
}

use std::sync::atomic::{AtomicU32, Ordering};

use metering::tollgate::metering::{counter, usage};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::{wit_bindgen as bindgen, wit_future, wit_stream};

/// Requests to `/count` that this instance has seen.
static SEEN: AtomicU32 = AtomicU32::new(0);

struct Handler;

impl wasip3::exports::http::handler::Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let number = query.split_once('=').and_then(|(_, text)| text.parse().ok()).unwrap_or(1);
        match path {
            "/add" => Ok(text(add(number))),
            "/count" => Ok(text(format!("{} {}", add(number), SEEN.fetch_add(1, Ordering::Relaxed) + 1))),
            "/commit" => Ok(text(format!("{} {:?}", add(number), usage::commit()))),
            "/echo" => Ok(echo(request)),
            "/stream" => Ok(stream(number)),
            "/later" => Ok(later(number)),
            "/authority" => Ok(text(format!("{:?} {:?}", request.get_scheme(), request.get_authority()))),
            "/egress" => Ok(text(egress(query).await)),
            "/file" => {
                Ok(text(format!("{:?}", std::fs::read("/etc/passwd").map(|_| "read").map_err(|error| error.kind()))))
            }
            "/env" => Ok(text(format!("{:?}", std::env::vars().collect::<Vec<_>>()))),
            "/loop" => loop {
                std::hint::black_box(add(0));
            },
            "/trap-after-add" => {
                add(number);
                std::process::abort()
            }
            "/error" => Err(ErrorCode::InternalError(None)),
            other => Ok(text(format!("no route {other}"))),
        }
    }
}

wasip3::http::service::export!(Handler);

fn add(units: u32) -> String {
    let outcome = usage::dimension("images").map(|dimension| counter::add(dimension, units));
    outcome.map_or_else(|refused| format!("{refused:?}"), |outcome| format!("{outcome:?}"))
}

fn respond(body: impl AsyncFnOnce(&mut wasip3::wit_bindgen::StreamWriter<u8>) + 'static) -> Response {
    let (mut writer, reader) = wit_stream::new();
    let (done, trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(Fields::new(), Some(reader), trailers);
    bindgen::spawn_local(async move {
        body(&mut writer).await;
        drop(writer);
        drop(done);
    });
    response
}

fn text(text: String) -> Response {
    respond(async move |writer| {
        writer.write_all(text.into_bytes()).await;
    })
}

/// The body of the request, as it comes.
fn echo(request: Request) -> Response {
    let (_, done) = wit_future::new(|| Ok(()));
    let (mut body, _) = Request::consume_body(request, done);
    respond(async move |writer| {
        loop {
            let (status, part) = body.read(Vec::with_capacity(4096)).await;
            if part.is_empty() || !writer.write_all(part).await.is_empty() {
                break;
            }
            if !matches!(status, wasip3::wit_bindgen::StreamResult::Complete(_)) {
                break;
            }
        }
    })
}

/// One unit, one chunk, and so on.
fn stream(chunks: u32) -> Response {
    respond(async move |writer| {
        for _ in 0..chunks {
            add(1);
            writer.write_all(vec![b'x'; 1000]).await;
        }
    })
}

/// Units that are counted after the response is complete.
fn later(units: u32) -> Response {
    let response = text("see you later".to_owned());
    bindgen::spawn_local(async move {
        wasip3::clocks::monotonic_clock::wait_for(1_000_000).await;
        add(units);
    });
    response
}

/// `?AUTHORITY`: asks another server for `/`.
async fn egress(authority: &str) -> String {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _) = Request::new(Fields::new(), None, trailers, None);
    let made = request.set_method(&Method::Get).is_ok()
        && request.set_scheme(Some(&Scheme::Http)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some("/")).is_ok();
    match client::send(request).await {
        Ok(response) => format!("{made} {}", response.get_status_code()),
        Err(code) => format!("refused: {code:?}"),
    }
}
