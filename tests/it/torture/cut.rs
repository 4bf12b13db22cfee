//! A line to the emulator that can break in the middle of a reply: what a proxy, a load balancer or a dying machine of AWS
//! does. Everything else passes as it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A page that something between us and AWS puts in place of the reply.
const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Break {
    /// The reply ends in the middle.
    Truncated,
    /// 200, and not the reply.
    Page,
}

#[derive(Default)]
struct State {
    planned: Vec<Break>,
    /// The client token of each record whose reply was spoilt.
    spoilt: Vec<String>,
    counted: BTreeMap<Break, u64>,
}

pub(super) struct Line {
    /// Where hosts find the emulator.
    pub(super) origin: String,
    state: Arc<Mutex<State>>,
}

impl Line {
    pub(super) async fn to(emulator: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, emulator, shared.clone()));
            }
        });
        Self { origin, state }
    }

    /// Spoils the reply to the next usage record.
    pub(super) fn plan(&self, what: Break) {
        self.state.lock().unwrap().planned.push(what);
    }

    pub(super) fn clear(&self) {
        self.state.lock().unwrap().planned.clear();
    }

    pub(super) fn spoilt(&self) -> Vec<String> {
        self.state.lock().unwrap().spoilt.clone()
    }

    pub(super) fn counted(&self) -> BTreeMap<Break, u64> {
        self.state.lock().unwrap().counted.clone()
    }
}

/// Until either side ends.
async fn relay(client: TcpStream, emulator: SocketAddr, state: Arc<Mutex<State>>) {
    let Ok(server) = TcpStream::connect(emulator).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let request = Mutex::new(Vec::new());
    let up = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
            let new = &bytes[..length];
            {
                let mut request = request.lock().unwrap();
                if new.starts_with(b"POST ") || new.starts_with(b"GET ") {
                    request.clear();
                }
                request.extend_from_slice(new);
            }
            if to_server.write_all(new).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            let spoilt = state.lock().unwrap().spoil(&request.lock().unwrap());
            let (bytes, last): (&[u8], bool) = match spoilt {
                Some(Break::Truncated) => (&bytes[..length - length.min(12)], true),
                Some(Break::Page) => (PAGE, true),
                None => (&bytes[..length], false),
            };
            if to_client.write_all(bytes).await.is_err() || last {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

impl State {
    fn spoil(&mut self, request: &[u8]) -> Option<Break> {
        let text = String::from_utf8_lossy(request);
        if self.planned.is_empty() || !text.starts_with("POST / ") || !text.contains("\"UsageDimension\"") {
            return None;
        }
        let token = text.split_once("\"ClientToken\":\"")?.1.split('"').next()?;
        let what = self.planned.remove(0);
        self.spoilt.push(token.to_owned());
        *self.counted.entry(what).or_default() += 1;
        Some(what)
    }
}
