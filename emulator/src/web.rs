//! The web page: static files in the binary. It reads and writes only the control API, like any other client.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderName, header};

use crate::server::Shared;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    let file = |router: Router<Arc<Shared>>, file: &'static File| {
        router.route(file.path, get(move || async move { response(file) }))
    };
    FILES.iter().fold(Router::new(), file)
}

struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

fn response(file: &File) -> Response {
    let headers: [(HeaderName, &str); 6] = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The next version of the emulator listens on the same port.
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    (headers, file.text).into_response()
}

/// Only files of this origin; nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    File { path: "/", content_type: "text/html; charset=utf-8", text: include_str!("web/index.html") },
    File { path: "/web/api.js", content_type: JAVASCRIPT, text: include_str!("web/api.js") },
    File { path: "/web/bill.js", content_type: JAVASCRIPT, text: include_str!("web/bill.js") },
    File { path: "/web/calls.js", content_type: JAVASCRIPT, text: include_str!("web/calls.js") },
    File { path: "/web/clock.js", content_type: JAVASCRIPT, text: include_str!("web/clock.js") },
    File { path: "/web/faults.js", content_type: JAVASCRIPT, text: include_str!("web/faults.js") },
    File { path: "/web/icon.svg", content_type: "image/svg+xml", text: include_str!("web/icon.svg") },
    File { path: "/web/keys.js", content_type: JAVASCRIPT, text: include_str!("web/keys.js") },
    File { path: "/web/main.js", content_type: JAVASCRIPT, text: include_str!("web/main.js") },
    File { path: "/web/style.css", content_type: "text/css; charset=utf-8", text: include_str!("web/style.css") },
    File { path: "/web/subscriptions.js", content_type: JAVASCRIPT, text: include_str!("web/subscriptions.js") },
    File { path: "/web/text.js", content_type: JAVASCRIPT, text: include_str!("web/text.js") },
    File { path: "/web/usage.js", content_type: JAVASCRIPT, text: include_str!("web/usage.js") },
];
