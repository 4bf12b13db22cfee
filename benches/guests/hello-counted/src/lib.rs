//! The same guest, counting one unit a request as the SDK does: it asks for the number of its dimension, then adds. `/tagged/TEAM`
//! counts in the bucket of that team.

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tollgate:metering/http", generate_all });
}
#[path = "../../hello/src/work.rs"]
mod work;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::tollgate::metering::{counter, usage};
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let number = usage::dimension("images").expect("a dimension of the product");
        let outcome = match work::path(&request).strip_prefix("/tagged/") {
            Some(team) => {
                let tags = usage::tags(&[("team".to_owned(), team.to_owned())]).expect("room for one more");
                counter::add_tagged(number, tags, 1)
            }
            None => counter::add(number, 1),
        };
        if outcome == counter::Outcome::Counted {
            work::answer(&request, out);
        }
    }
}

bindings::export!(Handler with_types_in bindings);
