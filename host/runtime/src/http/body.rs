//! What the server sends after the head of a response.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::hold::Held;
use crate::meter::Stopped;

/// The body of a response.
pub(super) enum ResponseBody {
    /// A sentence of the server itself.
    Own(Option<Bytes>),
    /// All that a guest has said, on disk with its usage.
    Whole(Whole),
    /// What a guest is still saying.
    Held(Box<Held>),
}

/// Why a body ends before its end. The connection is closed, so that the client does not take a part for the whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the guest ended before its response")]
    Broken,
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Guest(#[from] wasmtime_wasi_http::Error),
}

/// A body that is known to its end.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) frames: VecDeque<Frame<Bytes>>,
}

impl Whole {
    pub(super) fn bytes(&self) -> u64 {
        let lengths = self.frames.iter().filter_map(Frame::data_ref).map(Bytes::len);
        lengths.map(|length| u64::try_from(length).unwrap_or(0)).sum()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Whole(whole) => Poll::Ready(whole.frames.pop_front().map(Ok)),
            Self::Held(held) => Pin::new(held).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_none(),
            Self::Whole(whole) => whole.frames.is_empty(),
            Self::Held(held) => held.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            // Trailers follow only a body of chunks.
            Self::Whole(whole) if whole.frames.iter().all(Frame::is_data) => SizeHint::with_exact(whole.bytes()),
            Self::Whole(_) => SizeHint::default(),
            Self::Held(held) => held.size_hint(),
        }
    }
}
