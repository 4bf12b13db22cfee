//! The one proxy that is taken: a tunnel that the operator names, in which TLS stays between this process and AWS.

use std::fmt;

use aws_smithy_http_client::proxy::ProxyConfig;

/// Where a proxy takes `CONNECT`: `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy(String);

/// Not the address of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a proxy such as \"http://proxy.internal:3128\": http, a host, a port, and nothing else")]
pub struct NotAProxy;

impl Proxy {
    /// Takes a URL of scheme, host and port.
    ///
    /// # Errors
    /// [`NotAProxy`]: anything more or less. A name and a password would stand in every listing of the container's
    /// variables, and TLS up to the proxy would need roots of the buyer's.
    pub fn parse(text: &str) -> Result<Self, NotAProxy> {
        let uri: hyper::Uri = text.parse().map_err(|_| NotAProxy)?;
        let plain = uri.scheme_str() == Some("http") && matches!(text.matches('/').count(), 2 | 3) && uri.path() == "/";
        let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@'));
        let authority = authority.filter(|authority| !authority.host().is_empty());
        let port = authority.and_then(hyper::http::uri::Authority::port_u16).filter(|port| *port > 0);
        if port.is_none() || uri.query().is_some() || text.contains('#') {
            return Err(NotAProxy);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// Only for `https://`: what is not TLS never goes through a proxy.
    pub(super) fn config(&self) -> Result<ProxyConfig, anyhow::Error> {
        Ok(ProxyConfig::https(self.0.as_str())?)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_nothing_else() {
        for text in ["http://proxy.internal:3128", "http://10.0.0.1:8080/", "http://[fd00::1]:3128"] {
            assert_eq!(Proxy::parse(text).unwrap().to_string(), text.trim_end_matches('/'));
        }
        for text in [
            "",
            "proxy.internal:3128",
            "http://proxy.internal",
            "http://proxy.internal:0",
            "http://proxy.internal:99999",
            "https://proxy.internal:3128",
            "socks5://proxy.internal:1080",
            "http://user:password@proxy.internal:3128",
            "http://proxy.internal:3128/path",
            "http://proxy.internal:3128//",
            "http://proxy.internal:3128/?q",
            "http://proxy.internal:3128#x",
            "http://:3128",
        ] {
            assert_eq!(Proxy::parse(text), Err(NotAProxy), "{text:?}");
        }
    }
}
