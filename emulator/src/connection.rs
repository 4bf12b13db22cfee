//! One TCP connection: its limits, and the ways a fault breaks it off.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use http_body::Frame;
use hyper::service::{Service as _, service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

/// Serves one connection until it ends; `place` is free again then.
pub(crate) fn serve(stream: TcpStream, router: Router, connections: &GracefulShutdown, place: OwnedSemaphorePermit) {
    let router = TowerToHyperService::new(router);
    let reset = Arc::new(AtomicBool::new(false));
    let line = Line { stream, reset: Arc::clone(&reset) };
    let service = service_fn(move |request| {
        let (answer, reset) = (router.call(request), Arc::clone(&reset));
        async move {
            let response = answer.await.unwrap_or_else(|never: Infallible| match never {});
            // An error here makes hyper close the connection without a byte.
            match response.extensions().get::<HangUp>() {
                Some(hang_up) => {
                    reset.store(*hang_up == HangUp::Reset, Ordering::Relaxed);
                    Err(*hang_up)
                }
                None => Ok(response),
            }
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX);
    let connection = connections.watch(http.serve_connection(TokioIo::new(line), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(place);
    });
}

/// Marks a response that is never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fault closes the connection")]
pub(crate) enum HangUp {
    /// The connection is closed.
    Close,
    /// It is reset.
    Reset,
}

impl HangUp {
    /// The response that stands for it.
    pub(crate) fn response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}

/// A body that ends after its first half.
pub(crate) struct Truncated {
    half: Option<Bytes>,
    /// Whether the half has had the time to leave: an error takes along what waits.
    sent: bool,
}

impl Truncated {
    pub(crate) fn new(mut whole: Bytes) -> Self {
        Self { half: Some(whole.split_to(whole.len() / 2)), sent: false }
    }
}

impl http_body::Body for Truncated {
    type Data = Bytes;
    type Error = HangUp;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HangUp>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if self.sent {
            return Poll::Ready(Some(Err(HangUp::Close)));
        }
        self.sent = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A connection that can be reset instead of closed.
struct Line {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // Failing to reset it still closes it.
        if self.reset.load(Ordering::Relaxed)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection cannot be reset");
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A head that has not come by then never will.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// What a head may measure, in bytes.
const HEAD_MAX: usize = 64 << 10;
