//! The log of calls, by long poll or as a file.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Refusal, csv_response};
use crate::{export, server::Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_s: u64,
    #[serde(default)]
    format: Format,
}

/// The calls after a number; with `wait_s`, waits that long for the first. As CSV: all of them, not a page.
pub(super) async fn calls(State(shared): State<Arc<Shared>>, Asked(query): Asked<Query>) -> Result<Response, Refusal> {
    shared.wait(shared.calls.subscribe(), query.wait_s, |last| *last > query.after).await;
    let page = if query.format == Format::Csv { usize::MAX } else { PAGE_MAX };
    let (calls, dropped, newest) = {
        let service = shared.service();
        (service.truth.after(query.after, page), service.truth.dropped(), service.truth.newest())
    };
    if query.format == Format::Csv {
        let values: Vec<Value> = calls.iter().map(|call| json!(call)).collect();
        return csv_response("calls", export::calls(&values));
    }
    let last = query.after.max(dropped) + u64::try_from(calls.len()).unwrap_or(u64::MAX);
    let last = if calls.is_empty() { query.after } else { last };
    // Calls stay the text they are kept as: a page of them is not worth a thousand maps.
    #[derive(serde::Serialize)]
    struct Page {
        calls: Vec<Box<serde_json::value::RawValue>>,
        dropped: u64,
        last: u64,
        newest: u64,
    }
    Ok(Json(Page { calls, dropped, last, newest }).into_response())
}

const PAGE_MAX: usize = 1_000;
