//! Holds each part of a response until the usage counted up to it is on disk.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::body::{BodyError, ResponseBody};
use super::running::Ending;
use crate::gauge::Gauge;
use crate::meter::{Counters, Measure, Stopped};

/// A response body between guest and client.
pub(super) struct Held {
    body: HyperOutgoingBody,
    /// The next step for the client, and the commit it waits for.
    held: Option<(Option<Frame<Bytes>>, CommitFuture)>,
    counters: Counters,
    gauge: Arc<Gauge>,
    ending: Arc<Ending>,
    /// Bytes that are missing to the length in the head, if there is one.
    missing: Option<u64>,
    /// Tells the guest's task to let it finish. Dropped instead: the client is gone, and so is the guest.
    complete: Option<oneshot::Sender<()>>,
}

type CommitFuture = Pin<Box<dyn Future<Output = Result<(), Stopped>> + Send>>;

/// Wraps the body of a guest's response, of so many bytes if its head says so. `complete` is the guest's stay of execution.
pub(super) fn hold(
    response: Response<HyperOutgoingBody>,
    bodiless: bool,
    missing: Option<u64>,
    counters: Counters,
    gauge: Arc<Gauge>,
    ending: Arc<Ending>,
    complete: Option<oneshot::Sender<()>>,
) -> Response<ResponseBody> {
    let ends_here = bodiless || response.body().is_end_stream() || missing == Some(0);
    response.map(|body| {
        let mut held = Held { body, held: None, counters, gauge, ending, missing, complete };
        if ends_here {
            // Nobody may ask for the body, so the end is now.
            held.completed();
        }
        ResponseBody::Held(Box::new(held))
    })
}

impl Held {
    fn completed(&mut self) {
        if let Some(complete) = self.complete.take() {
            let _ = complete.send(());
        }
    }

    /// Counts what the guest produced and begins to make it durable.
    fn take(&mut self, frame: Option<Frame<Bytes>>) {
        let bytes = frame.as_ref().and_then(Frame::data_ref).map_or(0, |data| u64::try_from(data.len()).unwrap_or(0));
        self.counters.measure(Measure::ResponseBytes, bytes);
        self.missing = self.missing.map(|missing| missing.saturating_sub(bytes));
        if frame.is_none() || self.missing == Some(0) {
            self.gauge.end_response();
        } else {
            self.gauge.flush();
        }
        let counters = self.counters.clone();
        self.held = Some((frame, Box::pin(async move { counters.commit().await })));
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some((_, commit)) = &mut self.held {
                let durable = ready!(commit.as_mut().poll(cx));
                let frame = self.held.take().and_then(|(frame, _)| frame);
                durable?;
                // With a length in the head, nobody asks again after the last byte.
                if frame.is_none() || self.missing == Some(0) {
                    self.completed();
                }
                return Poll::Ready(frame.map(Ok));
            }
            if self.complete.is_none() && self.missing != Some(0) {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => self.take(Some(frame)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // A guest that is no more closes its body too; only one that finished it has sent all.
                None if self.ending.broken() && self.missing != Some(0) => {
                    return Poll::Ready(Some(Err(BodyError::Broken)));
                }
                None => self.take(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
