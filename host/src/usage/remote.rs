//! The same questions to a running host, at its admin port.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{What, written};
use crate::exit::{Exit, Why};

/// A host answers within a moment; reading a large ledger takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The header in which the token of [`super::Access`] is shown.
pub(crate) const TOKEN: &str = "tollgate-token";

/// Asks the host at `address`, and passes on what it says.
pub(super) fn ask(address: SocketAddr, token: Option<&str>, what: &What, out: &mut dyn Write) -> Result<(), Exit> {
    let thread = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let thread = thread.map_err(|error| Exit::internal(&anyhow::Error::new(error)))?;
    let refused = |error: anyhow::Error| {
        Exit::new(
            Why::Locked,
            format!("the host at {address} does not answer: {error:#}"),
            "the host is starting, stopping or stuck, or listens elsewhere",
            "see TOLLGATE_ADMIN of the host; a stopped host's ledger is read with --ledger DIR",
        )
    };
    thread.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, exchange(address, request(address, token, what).map_err(refused)?));
        let reply = asked.await.context("no answer in time").and_then(|reply| reply).map_err(refused)?;
        let status = reply.status().as_u16();
        let mut body = reply.into_body();
        if status == 200 {
            let mut first = None;
            while let Some(frame) = body.frame().await {
                let frame = frame.context("the answer broke off").map_err(refused)?;
                let data = frame.into_data().unwrap_or_default();
                written(out.write_all(&data))?;
                first.get_or_insert(data);
            }
            return match first.filter(|_| *what == What::Export).and_then(|data| problem(&data)) {
                Some(problem) => Err(failed(500, &problem)),
                None => Ok(()),
            };
        }
        let said = body.collect().await.context("the answer broke off").map_err(refused)?.to_bytes();
        Err(failed(status, String::from_utf8_lossy(&said).trim_end()))
    })
}

/// What the first line of an export says about the ledger, if it is damaged.
fn problem(export: &[u8]) -> Option<String> {
    let line = export.split(|&byte| byte == b'\n').next()?;
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    line.get("problem")?.as_str().map(str::to_owned)
}

fn failed(status: u16, said: &str) -> Exit {
    let why = match status {
        // What /usage/verify and /usage/export say of a damaged ledger.
        500 => Why::Ledger,
        503 => Why::Locked,
        _ => Why::Configuration,
    };
    Exit::new(why, said, "", "")
}

fn request(address: SocketAddr, token: Option<&str>, what: &What) -> anyhow::Result<Request<Full<Bytes>>> {
    let (method, path, body) = match what {
        What::Show { json: true } => (Method::GET, "/usage", Bytes::new()),
        What::Show { json: false } => (Method::GET, "/usage/table", Bytes::new()),
        What::Verify => (Method::GET, "/usage/verify", Bytes::new()),
        What::Export => (Method::GET, "/usage/export", Bytes::new()),
        What::Settle(settlement) => {
            (Method::POST, "/usage/settle", Bytes::from(serde_json::to_vec(&settlement.asked())?))
        }
    };
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    if let (What::Settle(_), Some(token)) = (what, token) {
        request = request.header(TOKEN, token).header("content-type", "application/json");
    }
    Ok(request.body(Full::new(body))?)
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
