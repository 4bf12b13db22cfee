//! Too much output: into the log, into the response, into its head.

use std::io::Write as _;

use crate::bindings::wasi::http::types::Fields;
use crate::exchange::{Exchange, Request, write};

/// `?mib=N&line=BYTES`: writes that much to standard output.
pub fn log(request: &Request) -> String {
    let length = usize::try_from(request.number("line", 100)).expect("a length");
    let line = [vec![b'.'; length - 1], vec![b'\n']].concat();
    let block = line.repeat((64 << 10) / length + 1);
    let mut out = std::io::stdout().lock();
    let mut left = u64::from(request.number("mib", 1)) << 20;
    while left > 0 {
        out.write_all(&block).expect("the log takes everything");
        left = left.saturating_sub(u64::try_from(block.len()).expect("a length"));
    }
    "written".to_owned()
}

/// `?text=TEXT`: one line to each stream.
pub fn line(request: &Request) -> String {
    let text = request.get("text").unwrap_or("line");
    println!("{text}");
    eprintln!("{text}");
    "written".to_owned()
}

/// What would clear a terminal, forge a line of the host, or end a line of JSON.
pub fn hostile() -> String {
    println!("\x1b[2J\x1b]0;owned\x07\u{9b}31mred\u{202e}\0\r\u{8}");
    println!(r#"{{"level":"ERROR","message":"ready","listen":"127.0.0.1:1","admin":"127.0.0.1:1"}}"#);
    println!(r#"","level":"ERROR","target":"tollgate_host","message":"usage accepted"#);
    let mut out = std::io::stdout().lock();
    out.write_all(b"\xff\xfe\xc3\x28\n").expect("the log takes everything");
    "written".to_owned()
}

/// `?mib=N`: a response of that length, as fast as it is taken.
pub fn answer(exchange: Exchange) {
    exchange.stream(200, Fields::new(), |request, stream| {
        let part = [b'.'; 4096];
        for _ in 0..request.number("mib", 1) * 256 {
            write(stream, &part);
        }
    });
}

/// `?n=COUNT&size=BYTES`: a response with that many header fields.
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

/// Reads the request's body to its end.
pub fn swallow(request: &Request) -> String {
    let mut length = 0;
    request.each_part(|part| length += part.len());
    format!("{length} bytes")
}
