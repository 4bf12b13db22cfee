//! What a guest must not be able to do, or must be able to survive.

use std::hint::black_box;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{Fields, OutgoingRequest, Scheme};
use crate::exchange::{Exchange, Request};
use crate::metering;

/// `?dim=KEY&n=UNITS`: adds, then traps.
pub fn trap_after_add(request: &Request) -> String {
    black_box(metering::add(request));
    std::process::abort();
}

/// Never ends.
pub fn spin() -> String {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// `?rounds=N`: computes, and answers with the result.
pub fn compute(request: &Request) -> String {
    let turns =
        (0..request.number("rounds", 1)).fold(1_u64, |sum, round| black_box(sum.rotate_left(5) ^ u64::from(round)));
    turns.to_string()
}

/// `?mib=N`: takes and touches that much memory.
pub fn big_alloc(request: &Request) -> String {
    let mib = request.number("mib", 4096);
    let mut taken = Vec::new();
    for _ in 0..mib {
        taken.push(black_box(vec![1_u8; 1024 * 1024]));
    }
    format!("{} MiB", taken.len())
}

/// `?lines=N`: writes to both streams, then panics.
pub fn panic_log(request: &Request) -> String {
    log(request);
    panic!("the guest panics as asked");
}

/// `?lines=N&text=TEXT`: writes lines to both streams, and an end without a line break.
pub fn log(request: &Request) -> String {
    let lines = request.number("lines", 1);
    let text = request.get("text").unwrap_or("line");
    for line in 0..lines {
        println!("out {text} {line}");
        eprintln!("err {text} {line}");
    }
    print!("out unfinished");
    eprint!("err unfinished");
    format!("{lines} lines")
}

/// What the guest sees of the host: its arguments and variables, one a line.
pub fn env() -> String {
    let arguments = std::env::args().map(|argument| format!("argument {argument}\n"));
    let variables = std::env::vars().map(|(name, value)| format!("{name}={value}\n"));
    arguments.chain(variables).collect()
}

pub fn file() -> String {
    match std::fs::read("/etc/passwd") {
        Ok(bytes) => format!("read {} bytes", bytes.len()),
        Err(error) => format!("refused: {:?}", error.kind()),
    }
}

/// `?to=ADDRESS`: connects. A connection that is refused by the peer is told apart from one refused by the host.
pub fn socket(request: &Request) -> String {
    match TcpStream::connect(request.get("to").unwrap_or("127.0.0.1:9")) {
        Ok(_) => "connected".to_owned(),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => "tried".to_owned(),
        Err(error) => format!("refused: {:?}", error.kind()),
    }
}

/// `?to=AUTHORITY&path=PATH`: asks another server, over HTTP without TLS.
pub fn egress(request: &Request) -> String {
    let outgoing = OutgoingRequest::new(Fields::new());
    outgoing.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    outgoing.set_authority(Some(request.get("to").unwrap_or("169.254.170.2"))).expect("an authority");
    outgoing.set_path_with_query(Some(request.get("path").unwrap_or("/"))).expect("a path");
    let pending = match outgoing_handler::handle(outgoing, None) {
        Ok(pending) => pending,
        Err(code) => return format!("refused: {code:?}"),
    };
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(Ok(response))) => format!("status {}", response.status()),
        Some(Ok(Err(code))) => format!("refused: {code:?}"),
        Some(Err(())) | None => "no answer".to_owned(),
    }
}

/// `?n=COUNT`: holds that many resources of the host.
pub fn handles(request: &Request) -> String {
    let held: Vec<Fields> = (0..request.number("n", 1_000_000)).map(|_| Fields::new()).collect();
    format!("{} handles", held.len())
}

/// `?n=COUNT&size=BYTES`: answers with that many header fields of that size.
pub fn headers(exchange: Exchange) {
    let fields = Fields::new();
    let value = vec![b'v'; usize::try_from(exchange.request.number("size", 16)).expect("a size")];
    for index in 0..exchange.request.number("n", 1) {
        if let Err(error) = fields.append(&format!("x-test-{index}"), &value) {
            return exchange.reply(&format!("refused: {error:?}"));
        }
    }
    exchange.stream(200, fields, |_, _| {});
}

/// How many requests this instance has seen.
pub fn instance() -> String {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    format!("request {} of this instance", SEEN.fetch_add(1, Ordering::Relaxed) + 1)
}
