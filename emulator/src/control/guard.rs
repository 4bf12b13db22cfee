//! Who may use the control API from a browser: the emulator's own page, and nobody else's. A page from elsewhere can
//! make a browser send requests to localhost, or give its own name the address 127.0.0.1; programs that are no browser
//! are let in, since whoever can run one here needs no emulator to do harm.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, header};

use super::Refusal;
use crate::server::Shared;

/// Lets a request through, or answers 403; tells those who wait when something was changed.
pub(super) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Err(why) = judge(request.headers(), reads, &shared.host_names) {
        return Refusal { status: StatusCode::FORBIDDEN, why: why.to_owned() }.into_response();
    }
    let response = next.run(request).await;
    if reads {
        return response;
    }
    shared.tell_of_change();
    match shared.kept().await {
        Ok(()) => response,
        Err(lost) => Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, why: lost.to_string() }.into_response(),
    }
}

fn judge(headers: &HeaderMap, reads: bool, host_names: &[String]) -> Result<(), &'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    if !is_ours(name_of(host), host_names) {
        return Err("the control API does not answer to this Host; name it with --host-name if it is yours");
    }
    if reads {
        // No header of ours lets another origin read the answer.
        return Ok(());
    }
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err("another site cannot change the emulator");
    }
    match text(header::ORIGIN.as_str()) {
        Some(origin) if origin.strip_prefix("http://") != Some(host) => {
            Err("another origin cannot change the emulator")
        }
        _ => Ok(()),
    }
}

/// Whether nobody outside can make a name resolve to this machine: an address, a name without a dot as in a compose
/// file, or one under a domain that is reserved for inside use.
fn is_ours(name: &str, host_names: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let inside = name.rsplit('.').next().is_some_and(|top| INSIDE.contains(&top));
    !name.is_empty() && (address || inside || !name.contains('.') || host_names.contains(&name))
}

/// A Host header without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// RFC 6761, RFC 6762, and the private-use domain of ICANN.
const INSIDE: &[&str] = &["internal", "local", "localhost", "test"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, headers: &[(&'static str, &'static str)]) -> Result<(), &'static str> {
        let pairs = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        judge(&pairs.collect(), method == "GET", &["emulator.example.com".to_owned()])
    }

    #[test]
    fn a_page_from_elsewhere_changes_nothing() {
        let ours = ("host", "127.0.0.1:4566");
        assert!(check("POST", &[ours]).is_ok());
        assert!(check("POST", &[ours, ("origin", "http://127.0.0.1:4566"), ("sec-fetch-site", "same-origin")]).is_ok());
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:8080"),
            ("origin", "https://127.0.0.1:4566"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(check("POST", &[ours, (name, value)]).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_name_that_somebody_could_point_here_is_not_answered() {
        for host in [
            "localhost",
            "localhost:4566",
            "[::1]:4566",
            "10.0.0.7",
            "emulator:4566",
            "a.internal",
            "Emulator.Example.Com",
        ] {
            assert!(is_ours(name_of(host), &["emulator.example.com".to_owned()]), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:4566", "", "localhost.evil.example"] {
            assert!(!is_ours(name_of(host), &[]), "{host}");
            assert!(check("GET", &[]).is_err());
        }
    }
}
