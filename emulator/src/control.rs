//! The control API under `/_tollgate/`: whoever tests a client moves the clock, starts tasks, switches subscriptions,
//! plans faults and reads the truth. JSON in and out; mistakes are 400 with `{"error": "..."}`.

mod agreements;
mod bill;
mod calls;
mod changes;
mod clock;
mod faults;
mod guard;
mod products;
mod subscriptions;
mod tasks;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{FromRequestParts, rejection::QueryRejection},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post, put},
};
use http::{StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::Shared;

pub(crate) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let router = table().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router.layer(axum::middleware::from_fn_with_state(Arc::clone(shared), guard::guard))
}

/// Every path and what answers it; `openapi.json` describes the same.
fn table() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        ("/_tollgate/agreements", get(agreements::list).post(agreements::agree)),
        ("/_tollgate/assertions", post(bill::check)),
        ("/_tollgate/bill", get(bill::bill)),
        ("/_tollgate/calls", get(calls::calls)),
        ("/_tollgate/changes", get(changes::changes)),
        ("/_tollgate/clock", get(clock::clock).post(clock::turn)),
        ("/_tollgate/faults", get(faults::list).post(faults::plan).delete(faults::clear)),
        ("/_tollgate/faults/{id}", delete(faults::remove)),
        ("/_tollgate/invoices", get(bill::invoices)),
        ("/_tollgate/keys/{product_code}", get(products::keys)),
        ("/_tollgate/openapi.json", get(openapi)),
        ("/_tollgate/products", get(products::list)),
        ("/_tollgate/products/{product_code}", put(products::put)),
        ("/_tollgate/registration-tokens", post(agreements::registration_token)),
        ("/_tollgate/subscriptions", get(subscriptions::list)),
        ("/_tollgate/subscriptions/{product_code}", put(subscriptions::put)),
        ("/_tollgate/tasks", post(tasks::start)),
        ("/_tollgate/tasks/{id}", delete(tasks::end)),
        ("/_tollgate/truth", get(bill::truth)),
    ]
}

/// What this API is, for machines.
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

const OPENAPI: &str = include_str!("control/openapi.json");

type Reply = Result<Json<Value>, Refusal>;

/// A request of the control API that is not done, and why.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    /// Something in the request is wrong.
    fn bad(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why: why.into() }
    }

    /// There is no such thing.
    fn unknown(what: &str, name: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, why: format!("no {what} {name:?}") }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.why }))).into_response()
    }
}

/// The parameters of a query; a wrong one is a [`Refusal`] like any other.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut http::request::Parts, state: &S) -> Result<Self, Refusal> {
        let asked = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        asked.map(|query| Self(query.0)).map_err(|error: QueryRejection| Refusal::bad(error.body_text()))
    }
}

/// In which form an export is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Csv,
    #[default]
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    #[serde(default)]
    format: Format,
}

/// A file of rows.
fn csv_response(name: &str, rows: Result<String, csv::Error>) -> Result<Response, Refusal> {
    let rows = rows.map_err(|error| Refusal::bad(error.to_string()))?;
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, rows).into_response())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
}

impl Shared {
    /// Waits until `enough` holds, for at most `wait_s` seconds, or until the emulator stops.
    async fn wait<T>(&self, mut watched: watch::Receiver<T>, wait_s: u64, enough: impl FnMut(&T) -> bool) {
        let mut closing = self.closing.subscribe();
        let until = async {
            tokio::select! {
                _ = watched.wait_for(enough) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        };
        // Out of time is an answer as well: what there is now.
        let _ = tokio::time::timeout(Duration::from_secs(wait_s.min(WAIT_MAX_S)), until).await;
    }
}

/// Longer polls are asked again by the client.
const WAIT_MAX_S: u64 = 60;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_path_and_no_other() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<&str> = description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> = table().into_iter().map(|(path, _)| path).collect();
        assert_eq!(described, routed);
    }
}
