//! One request and its response.

use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

/// `blocking-write-and-flush` takes no more at once.
const WRITE_MAX: usize = 4096;

pub struct Exchange {
    pub request: Request,
    out: ResponseOutparam,
}

pub struct Request {
    path: String,
    query: Vec<(String, String)>,
    inner: IncomingRequest,
}

impl Exchange {
    pub fn new(inner: IncomingRequest, out: ResponseOutparam) -> Self {
        let target = inner.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decode(key), decode(value)))
            .collect();
        Self { request: Request { path: path.to_owned(), query, inner }, out }
    }

    pub fn reply(self, text: &str) {
        self.stream(200, Fields::new(), |_, stream| write(stream, text.as_bytes()));
    }

    /// Sends the request's body back, part by part.
    pub fn echo(self) {
        self.stream(200, Fields::new(), |request, stream| request.each_part(|part| write(stream, part)));
    }

    /// Answers with the status `code` and no body.
    pub fn status(self) {
        let code = u16::try_from(self.request.number("code", 200)).expect("a status");
        self.stream(code, Fields::new(), |_, _| {});
    }

    /// Sends the head of the response, then lets `body` write.
    pub fn stream(self, status: u16, headers: Fields, body: impl FnOnce(&Request, &OutputStream)) {
        let response = OutgoingResponse::new(headers);
        response.set_status_code(status).expect("a status");
        let outgoing = response.body().expect("the body is taken once");
        ResponseOutparam::set(self.out, Ok(response));
        let stream = outgoing.write().expect("the stream is taken once");
        body(&self.request, &stream);
        drop(stream);
        // The other side may be gone; that is its business.
        drop(OutgoingBody::finish(outgoing, None));
    }
}

impl Request {
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// A number of the query, or `default`.
    pub fn number(&self, key: &str, default: u32) -> u32 {
        self.get(key).map_or(default, |value| value.parse().expect("a number"))
    }

    /// Reads the body to its end.
    pub fn each_part(&self, mut take: impl FnMut(&[u8])) {
        let body = self.inner.consume().expect("the body is consumed once");
        let stream: InputStream = body.stream().expect("the stream is taken once");
        loop {
            match stream.blocking_read(64 * 1024) {
                Ok(part) => take(&part),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => panic!("request body: {}", error.to_debug_string()),
            }
        }
        drop(stream);
        drop(IncomingBody::finish(body));
    }
}

/// Writes and flushes, so that the host sees these bytes before the guest goes on. A reader that is gone ends the guest's work.
pub fn write(stream: &OutputStream, bytes: &[u8]) {
    for part in bytes.chunks(WRITE_MAX) {
        if let Err(error) = stream.blocking_write_and_flush(part) {
            panic!("response body: {error:?}");
        }
    }
}

/// Undoes percent encoding; what is no valid escape stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| {
                tail.get(..2)
                    .and_then(|hex| std::str::from_utf8(hex).ok())
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
