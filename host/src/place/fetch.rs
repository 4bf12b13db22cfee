//! One small GET to a metadata service: plain HTTP/1.1 to an address, not to a name.
//!
//! No DNS, no proxy, no redirect, no environment: nothing a buyer sets can lead the request elsewhere. What comes may be
//! secret, so neither the text nor the buffer it came in outlives its last owner.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use zeroize::{Zeroize as _, Zeroizing};

/// No document of a metadata service is near this size.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// One request to a metadata service.
#[derive(Debug)]
pub(crate) struct Fetch<'a> {
    /// Where the service listens.
    pub(crate) address: SocketAddr,
    /// Path and query.
    pub(crate) path: &'a str,
    /// For the whole exchange.
    pub(crate) timeout: Duration,
}

impl Fetch<'_> {
    /// Sends the request and returns the body of a reply with status 200.
    pub(crate) async fn text(&self) -> anyhow::Result<Zeroizing<String>> {
        let what = || format!("GET http://{}{}", self.address, self.path);
        match tokio::time::timeout(self.timeout, self.exchange()).await {
            Ok(result) => result.with_context(what),
            Err(_) => bail!("{}: no reply within {:?}", what(), self.timeout),
        }
    }

    async fn exchange(&self) -> anyhow::Result<Zeroizing<String>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(self.path).header("host", self.address.to_string());
        let reply = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), BODY_BYTES_MAX).collect().await;
        connection.abort();
        // Then nobody but `body` has the buffer of the connection.
        let _ = connection.await;
        let body = body.map_err(|error| anyhow::anyhow!("unreadable reply: {error}"))?.to_bytes();
        let text = String::from_utf8(body.to_vec()).map(Zeroizing::new);
        if let Ok(mut buffer) = body.try_into_mut() {
            buffer.as_mut().zeroize();
        }
        if status != 200 {
            bail!("status {status}");
        }
        // The error has the bytes; they are no secret that AWS hands out.
        text.map_err(|_| anyhow::anyhow!("the reply is not UTF-8"))
    }
}
