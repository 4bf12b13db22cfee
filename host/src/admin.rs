//! What the operator can ask a running host: `/healthz`, `/readyz`, `/metrics`, `/usage`, on a port of its own. Read-only but
//! for `/usage/settle`, which is for those who can read the ledger's folder.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::watch;
use tollgate_runtime::stats::Stats;

use crate::entitlement::Grant;
use crate::meter::Handle;
use crate::product::manifest::ProductName;
use crate::usage::Access;

mod guard;
mod metrics;
mod usage;

/// How far the process is. Shared by the life of the process, which sets it, and the admin port, which shows it.
#[derive(Clone, Debug)]
pub struct Status {
    shared: Arc<watch::Sender<Shown>>,
}

#[derive(Clone, Debug)]
struct Shown {
    phase: Phase,
    product: ProductName,
    listing: String,
    rotation_s: Option<u64>,
    meter: Option<Handle>,
    access: Option<Access>,
    stats: Option<Arc<Stats>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    /// Before AWS has said yes.
    Asking,
    /// Granted; the product is being compiled.
    Loading,
    Ready,
    Stopping,
}

impl Status {
    /// Nothing is known yet but what the product is called.
    pub fn starting(product: &ProductName, listing: &str) -> Self {
        let shown = Shown {
            phase: Phase::Asking,
            product: product.clone(),
            listing: listing.to_owned(),
            rotation_s: None,
            meter: None,
            access: None,
            stats: None,
        };
        Self { shared: Arc::new(watch::Sender::new(shown)) }
    }

    /// AWS has said yes.
    pub fn granted(&self, grant: &Grant) {
        let rotation_s = grant.rotation();
        self.shared.send_modify(|shown| (shown.phase, shown.rotation_s) = (Phase::Loading, rotation_s));
    }

    /// The runtime exists; its numbers can be shown.
    pub fn running(&self, stats: &Arc<Stats>) {
        self.shared.send_modify(|shown| shown.stats = Some(stats.clone()));
    }

    /// Readers of the ledger's folder can show that they are.
    pub fn opened(&self, access: Access) {
        self.shared.send_modify(|shown| shown.access = Some(access));
    }

    /// The meter exists; usage can be shown.
    pub fn metered(&self, meter: &Handle) {
        self.shared.send_modify(|shown| shown.meter = Some(meter.clone()));
    }

    /// The product answers.
    pub fn ready(&self) {
        self.shared.send_modify(|shown| shown.phase = Phase::Ready);
    }

    /// The product takes no new work.
    pub fn stopping(&self) {
        self.shared.send_modify(|shown| shown.phase = Phase::Stopping);
    }

    fn now(&self) -> Shown {
        self.shared.borrow().clone()
    }
}

/// Answers on `listener` for the life of the process; says at which address.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(listener: TcpListener, status: Status) -> std::io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(status.clone())
        .merge(usage::routes(status))
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        // axum serves until the process ends; a failing connection is not an error of it.
        let _ = axum::serve(listener, routes).await;
    });
    Ok(address)
}

/// 200 while the product answers and may be sold, 503 with the reason otherwise.
async fn readyz(State(status): State<Status>) -> Response {
    #[derive(Serialize)]
    struct Readiness {
        phase: Phase,
        standing: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'static str>,
    }
    let shown = status.now();
    let snapshot = match &shown.meter {
        Some(meter) => meter.snapshot().await,
        None => None,
    };
    let standing = snapshot.as_ref().map(|snapshot| snapshot.standing);
    let low = snapshot.is_some_and(|snapshot| snapshot.space_low);
    let why = low.then_some("the disk of the ledger is almost full");
    let ready = shown.phase == Phase::Ready && standing.is_some_and(|standing| standing != "stopping");
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Readiness { phase: shown.phase, standing, why })).into_response()
}

async fn metrics(State(status): State<Status>) -> Response {
    let shown = status.now();
    let snapshot = match &shown.meter {
        Some(meter) => meter.snapshot().await,
        None => None,
    };
    match metrics::text(&shown, snapshot.as_ref()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
