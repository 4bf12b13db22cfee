//! Who may change something through the admin port: a program on the same machine that can read the ledger's folder, and
//! no page in a browser there.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::usage::{Access, TOKEN};

/// Who asks, and how.
pub(super) struct Asker<'a> {
    pub(super) peer: SocketAddr,
    pub(super) headers: &'a HeaderMap,
}

/// Nothing, or why not.
pub(super) fn may_settle(asker: Asker<'_>, access: Option<&Access>) -> Result<(), &'static str> {
    let text = |name: &str| asker.headers.get(name).and_then(|value| value.to_str().ok());
    if !asker.peer.ip().to_canonical().is_loopback() {
        return Err("only from the machine itself: run `tollgate-host usage settle` beside the host");
    }
    // A name that somebody made lead here would make a browser send what it sends to that name.
    if !text(header::HOST.as_str()).is_some_and(is_loopback_name) {
        return Err("the Host header has to be a loopback address or localhost");
    }
    // Only browsers say where they come from.
    if asker.headers.contains_key(header::ORIGIN) || asker.headers.contains_key("sec-fetch-site") {
        return Err("not from a browser");
    }
    let kind = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err("the Content-Type has to be application/json");
    }
    let Some(access) = access else { return Err("the ledger is not open yet") };
    match text(TOKEN) {
        Some(token) if access.shown(token) => Ok(()),
        _ => Err("the header Tollgate-Token has to be the second line of the file `admin` in the folder of the ledger"),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn check(peer: &str, changed: &[(&str, Option<&str>)]) -> &'static str {
        let access = Access::new("127.0.0.1:9080".parse().unwrap(), [7; 32]);
        let token = access.token.to_string();
        let mut headers = HeaderMap::new();
        let given =
            [("host", Some("127.0.0.1:9080")), ("content-type", Some("application/json")), (TOKEN, Some(&token))];
        for (name, value) in given.iter().chain(changed) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            match value {
                Some(value) => headers.insert(name, HeaderValue::from_str(value).unwrap()),
                None => headers.remove(name),
            };
        }
        match may_settle(Asker { peer: peer.parse().unwrap(), headers: &headers }, Some(&access)) {
            Ok(()) => "may",
            Err(why) => why,
        }
    }

    #[test]
    fn only_a_program_on_this_machine_that_can_read_the_token_may_settle() {
        let local = "127.0.0.1:5000";
        let said = [
            check(local, &[]),
            check("[::ffff:127.0.0.1]:5000", &[("host", Some("localhost:9080"))]),
            check("[::1]:5000", &[("host", Some("[::1]:9080"))]),
            check("10.0.0.7:5000", &[]),
            check(local, &[("host", Some("tollgate.example:9080"))]),
            check(local, &[("host", Some("127.0.0.1.example"))]),
            check(local, &[("host", None)]),
            check(local, &[("origin", Some("http://127.0.0.1:9080"))]),
            check(local, &[("sec-fetch-site", Some("same-origin"))]),
            check(local, &[("content-type", Some("text/plain"))]),
            check(local, &[("content-type", None)]),
            check(local, &[(TOKEN, None)]),
            check(local, &[(TOKEN, Some("0707"))]),
        ];
        insta::assert_snapshot!(said.join("\n"), @r"
        may
        may
        may
        only from the machine itself: run `tollgate-host usage settle` beside the host
        the Host header has to be a loopback address or localhost
        the Host header has to be a loopback address or localhost
        the Host header has to be a loopback address or localhost
        not from a browser
        not from a browser
        the Content-Type has to be application/json
        the Content-Type has to be application/json
        the header Tollgate-Token has to be the second line of the file `admin` in the folder of the ledger
        the header Tollgate-Token has to be the second line of the file `admin` in the folder of the ledger
        ");
    }
}
