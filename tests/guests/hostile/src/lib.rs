//! An HTTP guest that tries, by path, whatever the walls of the host are for. The first segment of the path is the route
//! of the component and is left out; the rest is in tests/guests/README.md.

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tollgate:metering/http", generate_all });
}
mod books;
#[allow(dead_code, reason = "shared with meter-http")]
#[path = "../../meter-http/src/exchange.rs"]
mod exchange;
mod flood;
mod grow;
mod reach;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use exchange::Exchange;

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let exchange = Exchange::new(request, out);
        let request = &exchange.request;
        let path = request.path().trim_start_matches('/');
        let text = match path.split_once('/').map_or("", |(_, rest)| rest) {
            "ok" => "ok".to_owned(),
            "get" => reach::get(request),
            "follow" => reach::follow(request),
            "connect" => reach::connect(request),
            "send" => reach::send(request),
            "listen" => reach::listen(),
            "resolve" => reach::resolve(request),
            "env" => reach::env(),
            "read" => reach::read(request),
            "write" => reach::write(request),
            "link" => reach::link(request),
            "add" => books::add(request),
            "add-then-trap" => books::add_then_trap(request),
            "add-then-loop" => books::add_then_loop(request),
            "dimension" => books::dimension(request),
            "long-key" => books::long_key(request),
            "tag-sets" => books::tag_sets(request),
            "numbers" => books::numbers(),
            "loop" => grow::spin(),
            "sleep" => grow::sleep(),
            "memory" => grow::memory(),
            "stack" => grow::stack(),
            "handles" => grow::handles(request),
            "fields" => grow::fields(),
            "random" => grow::random(request),
            "trap" => std::process::abort(),
            "panic" => panic!("{}", request.get("text").unwrap_or("as asked")),
            "exit" => std::process::exit(3),
            "log" => flood::log(request),
            "log-line" => flood::line(request),
            "log-hostile" => flood::hostile(),
            "flood" => return flood::answer(exchange),
            "headers" => return flood::headers(exchange),
            "swallow" => flood::swallow(request),
            "no-response" => return,
            other => format!("no route {other}"),
        };
        exchange.reply(&text);
    }
}

bindings::export!(Handler with_types_in bindings);
