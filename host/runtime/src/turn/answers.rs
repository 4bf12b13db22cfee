//! Answers of a thread that leave together.
//!
//! A client that sleeps is woken by the first byte it gets, which costs the kernel more than the rest of a small answer.
//! If each answer left when its guest returns, one client of many requests would wake and sleep again for each of them.

use std::task::{Context, Poll, Waker};

/// The answers that wait, and who lets them go.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Vec<Waker>,
    /// How often answers have left.
    departures: u64,
    porter: Option<Waker>,
}

/// The place of one answer among the others.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// What it came after, and its number among those that wait.
    taken: Option<(u64, usize)>,
}

impl Answers {
    /// Ready when the answer may leave.
    pub(super) fn poll(&mut self, place: &mut Place, cx: &Context<'_>) -> Poll<()> {
        match place.taken {
            Some((departures, _)) if departures != self.departures => return Poll::Ready(()),
            // Whoever polls this may do so many times before it is woken.
            Some((_, number)) => self.waiting[number].clone_from(cx.waker()),
            None => {
                place.taken = Some((self.departures, self.waiting.len()));
                self.waiting.push(cx.waker().clone());
                if self.waiting.len() == 1 {
                    self.call();
                }
            }
        }
        Poll::Pending
    }

    /// Wakes the porter, if there is something for him to do.
    pub(super) fn call(&self) {
        if !self.waiting.is_empty()
            && let Some(porter) = &self.porter
        {
            porter.wake_by_ref();
        }
    }

    pub(super) fn set_porter(&mut self, cx: &Context<'_>) {
        self.porter = Some(cx.waker().clone());
    }

    /// All that wait, to be woken.
    pub(super) fn depart(&mut self) -> Vec<Waker> {
        self.departures = self.departures.wrapping_add(1);
        std::mem::take(&mut self.waiting)
    }
}
