//! Where a guest may send requests: a scheme, a host and a port, compared exactly.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use super::address;

/// One place in the list of a component's manifest, such as `https://api.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    tls: bool,
    /// A name in lower case, or an address as the standard library writes it, IPv6 in brackets.
    host: String,
    port: u16,
}

/// Why a text is no origin. Each message says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOrigin {
    /// Neither of the two schemes.
    #[error("it does not begin with https:// or http://")]
    Scheme,
    /// More than scheme, host and port.
    #[error("it is more than a scheme, a host and a port: write it without path, query, user name and trailing slash")]
    More,
    /// A `*`.
    #[error("wildcards are not supported: name each host")]
    Wildcard,
    /// No host that a resolver would take, or one that some would read as a number.
    #[error("its host is not a name such as api.example.com in ASCII, nor an address")]
    Host,
    /// An address, or a name, that a guest never reaches.
    #[error("it is {0}, which guests never reach")]
    Forbidden(&'static str),
    /// Not a port.
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

impl Origin {
    /// Takes an origin as a manifest writes it.
    ///
    /// # Errors
    ///
    /// [`NotAnOrigin`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let (tls, authority) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(authority), _) => (true, authority),
            (_, Some(authority)) => (false, authority),
            _ => return Err(NotAnOrigin::Scheme),
        };
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(NotAnOrigin::More);
        }
        if authority.contains('*') {
            return Err(NotAnOrigin::Wildcard);
        }
        let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[after_bracket..].find(':') {
            None => (authority, if tls { 443 } else { 80 }),
            Some(at) => {
                let digits = &authority[after_bracket + at + 1..];
                let port = digits.parse().ok().filter(|port| *port != 0 && digits.bytes().all(|b| b.is_ascii_digit()));
                (&authority[..after_bracket + at], port.ok_or(NotAnOrigin::Port)?)
            }
        };
        Ok(Self { tls, host: host_of(host)?, port })
    }

    /// The origin of a request. None: it has none, or names a host in a way that nobody may.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        // The whole authority and not its host, so that user names and odd ports are refused and not overlooked.
        Self::parse(&format!("http{}://{}", if tls { "s" } else { "" }, uri.authority()?)).ok()
    }

    /// Whether requests go over TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host, IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.tls { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

fn host_of(host: &str) -> Result<String, NotAnOrigin> {
    let literal = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => Some(IpAddr::V6(inner.parse().map_err(|_| NotAnOrigin::Host)?)),
        None => host.parse().ok().map(IpAddr::V4),
    };
    if let Some(ip) = literal {
        return match (address::forbidden(ip), ip) {
            (Some(why), _) => Err(NotAnOrigin::Forbidden(why.name())),
            (None, IpAddr::V4(ip)) => Ok(ip.to_string()),
            (None, IpAddr::V6(ip)) => Ok(format!("[{ip}]")),
        };
    }
    let name = host.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    // What ends in a number is an address to some parsers: 2852039166, 0xa9.254.0251.254, 169.254.43518.
    let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if name.len() > 253 || number || !name.split('.').all(label) {
        return Err(NotAnOrigin::Host);
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Err(NotAnOrigin::Forbidden(address::Forbidden::Loopback.name()));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        Origin::parse(text).map_or_else(|error| format!("no: {error}"), |origin| origin.to_string())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let table = [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.example.com:443", "https://api.example.com"),
            ("http://api.example.com:8080", "http://api.example.com:8080"),
            ("https://1.1.1.1", "https://1.1.1.1"),
            ("https://[2606:4700:0::1111]:8443", "https://[2606:4700::1111]:8443"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ];
        for (text, expected) in table {
            assert_eq!(check(text), expected);
        }
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        let texts = [
            "api.example.com",
            "ftp://api.example.com",
            "https://",
            "https://a.example/",
            "https://a.example/path",
            "https://user@a.example",
            "https://a.example?q",
            "https://*.example.com",
            "https://a..example",
            "https://a.example.",
            "https://-a.example",
            "https://bücher.example",
            "https://a.example:0",
            "https://a.example:65536",
            "https://a.example:+80",
            "https://a.example:",
            "https://2852039166",
            "https://0xa9fea9fe",
            "https://0251.0376.0251.0376",
            "https://169.254.43518",
            "https://169.254.169.254",
            "https://169.254.170.2",
            "https://[::ffff:169.254.170.2]",
            "https://[fd00:ec2::23]",
            "https://localhost",
            "https://x.localhost",
            "https://127.1",
            "https://[::1",
            "https://[fe80::1%25eth0]",
            "https://10.0.0.1",
        ];
        let lines: Vec<String> = texts.iter().map(|text| format!("{text} {}", check(text))).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        api.example.com no: it does not begin with https:// or http://
        ftp://api.example.com no: it does not begin with https:// or http://
        https:// no: its host is not a name such as api.example.com in ASCII, nor an address
        https://a.example/ no: it is more than a scheme, a host and a port: write it without path, query, user name and trailing slash
        https://a.example/path no: it is more than a scheme, a host and a port: write it without path, query, user name and trailing slash
        https://user@a.example no: it is more than a scheme, a host and a port: write it without path, query, user name and trailing slash
        https://a.example?q no: it is more than a scheme, a host and a port: write it without path, query, user name and trailing slash
        https://*.example.com no: wildcards are not supported: name each host
        https://a..example no: its host is not a name such as api.example.com in ASCII, nor an address
        https://a.example. no: its host is not a name such as api.example.com in ASCII, nor an address
        https://-a.example no: its host is not a name such as api.example.com in ASCII, nor an address
        https://bücher.example no: its host is not a name such as api.example.com in ASCII, nor an address
        https://a.example:0 no: its port is not a number from 1 to 65535
        https://a.example:65536 no: its port is not a number from 1 to 65535
        https://a.example:+80 no: its port is not a number from 1 to 65535
        https://a.example: no: its port is not a number from 1 to 65535
        https://2852039166 no: its host is not a name such as api.example.com in ASCII, nor an address
        https://0xa9fea9fe no: its host is not a name such as api.example.com in ASCII, nor an address
        https://0251.0376.0251.0376 no: its host is not a name such as api.example.com in ASCII, nor an address
        https://169.254.43518 no: its host is not a name such as api.example.com in ASCII, nor an address
        https://169.254.169.254 no: it is metadata or credentials of the platform, which guests never reach
        https://169.254.170.2 no: it is metadata or credentials of the platform, which guests never reach
        https://[::ffff:169.254.170.2] no: it is metadata or credentials of the platform, which guests never reach
        https://[fd00:ec2::23] no: it is metadata or credentials of the platform, which guests never reach
        https://localhost no: it is loopback, which guests never reach
        https://x.localhost no: it is loopback, which guests never reach
        https://127.1 no: its host is not a name such as api.example.com in ASCII, nor an address
        https://[::1 no: its port is not a number from 1 to 65535
        https://[fe80::1%25eth0] no: its host is not a name such as api.example.com in ASCII, nor an address
        https://10.0.0.1 no: it is private, which guests never reach
        ");
    }

    #[test]
    fn the_origin_of_a_request_is_read_as_strictly() {
        let of =
            |text: &str| text.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri)).map(|origin| origin.to_string());
        assert_eq!(of("https://A.example/path?q").as_deref(), Some("https://a.example"));
        assert_eq!(of("http://a.example:443/").as_deref(), Some("http://a.example:443"));
        for refused in
            ["https://user@a.example/", "https://a.example./", "ws://a.example/", "/path", "http://2852039166/"]
        {
            assert_eq!(of(refused), None, "{refused}");
        }
    }
}
