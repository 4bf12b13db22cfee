//! Attempts to reach what is not the guest's: other servers, sockets, files, variables. Each answers what came of it.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::exchange::Request;

/// `?url=URL&method=METHOD&send=BYTES&connect_ms=MS`: one request. `refused: CODE`, or status and the length of the body.
pub fn get(request: &Request) -> String {
    let url = request.get("url").expect("a url");
    let connect_ms = request.get("connect_ms").map(|_| request.number("connect_ms", 0));
    match ask(url, request.get("method"), request.number("send", 0), connect_ms) {
        Ok(response) => format!("{} {}", response.status(), length(&response)),
        Err(code) => refused(&code),
    }
}

/// `?url=URL`: follows redirects as a client would, each by a request of its own.
pub fn follow(request: &Request) -> String {
    let mut url = request.get("url").expect("a url").to_owned();
    let mut steps = Vec::new();
    loop {
        let response = match ask(&url, None, 0, None) {
            Ok(response) => response,
            Err(code) => {
                steps.push(refused(&code));
                return steps.join(", ");
            }
        };
        steps.push(response.status().to_string());
        let next = response.headers().get("location");
        match next.first() {
            Some(next) if steps.len() < 5 => url = String::from_utf8_lossy(next).into_owned(),
            _ => return steps.join(", "),
        }
    }
}

fn ask(url: &str, method: Option<&str>, send: u32, connect_ms: Option<u32>) -> Result<IncomingResponse, ErrorCode> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let outgoing = OutgoingRequest::new(Fields::new());
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match method {
        None => Method::Get,
        Some("CONNECT") => Method::Connect,
        Some("POST") => Method::Post,
        Some(other) => Method::Other(other.to_owned()),
    };
    let set = outgoing.set_method(&method).and_then(|()| outgoing.set_scheme(Some(&scheme)));
    let set = set
        .and_then(|()| outgoing.set_authority(Some(authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(path)));
    if set.is_err() {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let body = outgoing.body().expect("the body is taken once");
    let options = connect_ms.map(|ms| {
        let options = RequestOptions::new();
        options.set_connect_timeout(Some(u64::from(ms) * 1_000_000)).expect("the host takes it");
        options
    });
    let pending = outgoing_handler::handle(outgoing, options)?;
    if send > 0 {
        let stream = body.write().expect("the stream is taken once");
        let part = [b'x'; 4096];
        for _ in 0..send.div_ceil(4096) {
            if stream.blocking_write_and_flush(&part).is_err() {
                break;
            }
        }
        drop(stream);
    }
    // The other side may have ended before.
    drop(OutgoingBody::finish(body, None));
    pending.subscribe().block();
    pending.get().expect("it is ready").expect("it is taken once")
}

/// Reads a body to its end. The code, if it has none.
fn length(response: &IncomingResponse) -> String {
    let body = response.consume().expect("the body is consumed once");
    let stream = body.stream().expect("the stream is taken once");
    let mut length = 0;
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(part) => length += part.len(),
            Err(StreamError::Closed) => return format!("{length} bytes"),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = crate::bindings::wasi::http::types::http_error_code(&error);
                return code.map_or_else(|| "broken".to_owned(), |code| refused(&code));
            }
        }
    }
}

fn refused(code: &ErrorCode) -> String {
    format!("refused: {code:?}")
}

fn sorted<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "reached".to_owned(),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => "tried".to_owned(),
        Err(error) => format!("refused: {:?}", error.kind()),
    }
}

/// `?to=ADDRESS`: a TCP connection.
pub fn connect(request: &Request) -> String {
    sorted(TcpStream::connect(request.get("to").expect("an address")))
}

/// `?to=ADDRESS`: a datagram.
pub fn send(request: &Request) -> String {
    let to = request.get("to").expect("an address");
    sorted(UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"datagram", to)))
}

pub fn listen() -> String {
    sorted(TcpListener::bind("0.0.0.0:0"))
}

/// `?name=NAME`: looks it up.
pub fn resolve(request: &Request) -> String {
    sorted((request.get("name").expect("a name"), 80).to_socket_addrs())
}

/// Arguments and variables, one a line.
pub fn env() -> String {
    let arguments = std::env::args().map(|argument| format!("argument {argument}\n"));
    let variables = std::env::vars().map(|(name, value)| format!("{name}={value}\n"));
    arguments.chain(variables).collect()
}

/// `?path=PATH`.
pub fn read(request: &Request) -> String {
    match std::fs::read_to_string(request.get("path").expect("a path")) {
        Ok(text) => format!("read: {text}"),
        Err(error) => format!("refused: {:?}", error.kind()),
    }
}

/// `?path=PATH`.
pub fn write(request: &Request) -> String {
    sorted(std::fs::write(request.get("path").expect("a path"), "written by a guest"))
}

/// `?to=PATH&path=PATH`: makes a symbolic link at `path`, then reads through it.
pub fn link(request: &Request) -> String {
    let (to, path) = (request.get("to").expect("a target"), request.get("path").expect("a path"));
    #[allow(deprecated, reason = "the only way to a symbolic link that std has on WASI")]
    let made = std::fs::soft_link(to, path);
    format!("link {}, {}", sorted(made), read(request))
}
