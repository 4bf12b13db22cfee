//! The same guest, counting one unit a request as the SDK does: it asks for the number of its dimension, then adds.

mod metering {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tollgate:metering/imports", generate_all });
}
#[path = "../../hello-later/src/work.rs"]
mod work;

use metering::tollgate::metering::{counter, usage};
use wasip3::http::types::{ErrorCode, Request, Response};

struct Handler;

impl wasip3::exports::http::handler::Guest for Handler {
    async fn handle(_: Request) -> Result<Response, ErrorCode> {
        let number = usage::dimension("images").expect("a dimension of the product");
        match counter::add(number, 1) {
            counter::Outcome::Counted => Ok(work::answer()),
            _ => Err(ErrorCode::InternalError(None)),
        }
    }
}

wasip3::http::service::export!(Handler);
