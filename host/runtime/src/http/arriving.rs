//! The body of a request on its way to the guest: measured, and held to its limit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::Error;

use crate::meter::{Counters, Measure};

pub(super) struct Arriving {
    pub(super) body: Incoming,
    /// Bytes that may still come.
    pub(super) room: u64,
    /// Set when the client sent more: the answer is then 413, whatever the guest makes of the error.
    pub(super) too_large: Arc<AtomicBool>,
    pub(super) counters: Counters,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.too_large.load(Relaxed) {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(Error::from)?;
        let bytes = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        match self.room.checked_sub(bytes) {
            Some(room) => self.room = room,
            None => {
                self.too_large.store(true, Relaxed);
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None))));
            }
        }
        self.counters.measure(Measure::RequestBytes, bytes);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
