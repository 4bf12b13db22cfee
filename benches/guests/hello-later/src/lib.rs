//! An HTTP guest of WASI 0.3 that has never heard of Tollgate, so that any host can run it.

mod work;

use wasip3::http::types::{ErrorCode, Request, Response};

struct Handler;

impl wasip3::exports::http::handler::Guest for Handler {
    async fn handle(_: Request) -> Result<Response, ErrorCode> {
        Ok(work::answer())
    }
}

wasip3::http::service::export!(Handler);
