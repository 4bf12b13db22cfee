//! An HTTP guest that has never heard of Tollgate, so that any host can run it.

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tollgate:metering/http", generate_all });
}
mod work;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        work::answer(&request, out);
    }
}

bindings::export!(Handler with_types_in bindings);
