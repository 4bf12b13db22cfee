//! From an origin to a connection: one lookup, every address checked, and a checked one is dialled.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::address::{self, Forbidden};
use super::origin::Origin;

/// For the lookup, and again for each address.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses that are tried, in the order of the resolver.
const DIALS_MAX: usize = 3;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDialled {
    #[error("the request has no origin")]
    NoOrigin,
    #[error("the name cannot be looked up: {0}")]
    Lookup(io::Error),
    #[error("the lookup took over {} s", LOOKUP_TIMEOUT.as_secs())]
    LookupTimeout,
    #[error("the name has no address")]
    NoAddress,
    #[error("{ip} is {}", .why.name())]
    Forbidden { ip: std::net::IpAddr, why: Forbidden },
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no connection within {} s", DIAL_TIMEOUT.as_secs())]
    ConnectTimeout,
}

/// Makes the connections of hyper's pool. A pooled one leads where the check said, so it needs no other.
#[derive(Clone, Debug)]
pub(super) struct Dialler;

impl Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = NotDialled;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NotDialled>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotDialled>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move {
            let origin = Origin::of(&uri).ok_or(NotDialled::NoOrigin)?;
            let addresses = checked(lookup(&origin).await?)?;
            dial(&addresses).await.map(TokioIo::new)
        })
    }
}

async fn lookup(origin: &Origin) -> Result<Vec<SocketAddr>, NotDialled> {
    // A bracketed address is not looked up, so it may keep its brackets only here.
    let host = origin.host().trim_start_matches('[').trim_end_matches(']');
    match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, origin.port()))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(NotDialled::Lookup(error)),
        Err(_) => Err(NotDialled::LookupTimeout),
    }
}

/// All of them, or none: a name that also leads inside is not to be trusted with the rest.
fn checked(addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NotDialled> {
    if addresses.is_empty() {
        return Err(NotDialled::NoAddress);
    }
    match addresses.iter().find_map(|address| Some((address.ip(), address::forbidden(address.ip())?))) {
        Some((ip, why)) => Err(NotDialled::Forbidden { ip, why }),
        None => Ok(addresses),
    }
}

async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, NotDialled> {
    let mut last = NotDialled::NoAddress;
    for address in addresses.iter().take(DIALS_MAX) {
        match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small requests should not wait for an acknowledgement; without it they are only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = NotDialled::Connect(error),
            Err(_) => last = NotDialled::ConnectTimeout,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str]) -> String {
        let addresses = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 80)).collect();
        match checked(addresses) {
            Ok(open) => format!("{} open", open.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn one_forbidden_address_closes_the_name() {
        assert_eq!(check(&["1.1.1.1", "2606:4700::1111"]), "2 open");
        assert_eq!(check(&["1.1.1.1", "169.254.170.2"]), "169.254.170.2 is metadata or credentials of the platform");
        assert_eq!(check(&["fd00:ec2::254", "1.1.1.1"]), "fd00:ec2::254 is metadata or credentials of the platform");
        assert_eq!(check(&[]), "the name has no address");
    }
}
