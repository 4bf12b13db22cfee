//! Bodies of outgoing requests and of their answers: held to their length, and the answers to their pace.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::clock;

/// The body of a request of a guest.
pub(super) struct Leaving {
    pub(super) body: WasiBody,
    /// Bytes that may still follow.
    pub(super) room: u64,
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
        match self.room.checked_sub(length(&frame)) {
            Some(room) => self.room = room,
            None => return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None)))),
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
pub(super) struct Arriving {
    body: Incoming,
    room: u64,
    /// From one part of the body to the next, or to its end.
    pause: Duration,
    due: Pin<Box<Sleep>>,
    /// Gives the request's place away when the guest is done with the answer.
    _permit: OwnedSemaphorePermit,
}

impl Arriving {
    pub(super) fn new(body: Incoming, room: u64, pause: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self { body, room, pause, due: Box::pin(tokio::time::sleep(pause)), _permit: permit }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx)? {
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                ready!(self.due.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
        };
        match self.room.checked_sub(length(&frame)) {
            Some(room) => self.room = room,
            None => return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None)))),
        }
        let due = clock::deadline(self.pause);
        self.due.as_mut().reset(due);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}
