//! An HTTP guest that does, by path, whatever a test of the host needs, good or bad. The paths are in tests/guests/README.md.
//!
//! It is generated from the contract's `http` world and nothing else: no SDK, so that it can also pass numbers no SDK would.

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tollgate:metering/http", generate_all });
}
mod abuse;
mod exchange;
mod metering;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use exchange::Exchange;

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let exchange = Exchange::new(request, out);
        let text = match exchange.request.path() {
            "/healthz" => "ok".to_owned(),
            "/add" => metering::add(&exchange.request),
            "/add-number" => metering::add_number(&exchange.request),
            "/tags" => metering::tags(&exchange.request),
            "/tagged" => metering::tagged(&exchange.request),
            "/tagged-number" => metering::tagged_number(&exchange.request),
            "/commit" => metering::commit(&exchange.request),
            "/unknown" => metering::unknown(),
            "/grant" => metering::grant(),
            "/standing" => metering::standing(),
            "/standings" => metering::standings(&exchange.request),
            "/attest" => metering::attest(&exchange.request),
            "/stream" => return metering::stream(exchange),
            "/hold" => metering::hold(&exchange.request),
            "/compute" => abuse::compute(&exchange.request),
            "/trap-after-add" => abuse::trap_after_add(&exchange.request),
            "/loop" => abuse::spin(),
            "/big-alloc" => abuse::big_alloc(&exchange.request),
            "/panic-log" => abuse::panic_log(&exchange.request),
            "/log" => abuse::log(&exchange.request),
            "/env" => abuse::env(),
            "/file" => abuse::file(),
            "/socket" => abuse::socket(&exchange.request),
            "/egress" => abuse::egress(&exchange.request),
            "/handles" => abuse::handles(&exchange.request),
            "/headers" => return abuse::headers(exchange),
            "/no-response" => return,
            "/echo" => return exchange.echo(),
            "/status" => return exchange.status(),
            "/instance" => abuse::instance(),
            other => format!("no route {other}"),
        };
        exchange.reply(&text);
    }
}

bindings::export!(Handler with_types_in bindings);
