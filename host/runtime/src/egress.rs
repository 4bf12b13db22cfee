//! What leaves a guest for the network: nothing.
//!
//! Requests of a guest are answered with `HTTP-request-denied`. Sockets and name lookup need no line here: a `WasiCtx`
//! denies them unless somebody allows them, and nobody does. The credentials of the task are one request to a
//! link-local address away, so the default has to be closed.

use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Denies each request.
#[derive(Debug)]
pub(crate) struct Closed;

type Sent = Result<(http::Response<WasiBody>, Done), Error>;
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Closed {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        tracing::debug!("a guest's request to {} was denied", request.uri());
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
