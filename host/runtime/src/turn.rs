//! Shares the thread of a server among its guests.
//!
//! A guest runs as soon as its request is there, for as long as the thread has not been among guests for too long. Then
//! others wait in a row until sockets have been looked at again, so that who comes meanwhile is heard: he may have to be told
//! that it is too much. A guest that computes for long steps aside at its epoch and waits in a row of its own: each gets its
//! time, and none holds up the quick ones. The rows have the thread in turns: the quick one for three laps, the other for a
//! short one.
//!
//! Answers that wait for nothing else leave together, when all guests that are here have run or the lap is over.
//!
//! Only a thread that has [`Lanes`] does so. Elsewhere a guest always has its turn, and steps aside as tasks of tokio do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use answers::{Answers, Place};

use crate::clock::Stopwatch;

mod answers;

/// How long a thread is among guests before it looks at its sockets.
const LAP: Duration = Duration::from_millis(4);
/// A lap of those that compute for long. Shorter: for so long nobody else on the thread is answered.
const LONG_LAP: Duration = Duration::from_millis(2);
/// Laps of the quick row before the other row has one.
const QUICK_LAPS: u32 = 3;
/// Once the first in the row has waited for so long, there are more requests than can be answered.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    static LANES: RefCell<Option<Lanes>> = const { RefCell::new(None) };
}

/// The two rows of a thread.
#[derive(Debug)]
struct Lanes {
    /// Since the sockets were last looked at.
    lap: Stopwatch,
    quick: Row,
    long: Row,
    /// Laps since one of the long row; zero: this one is.
    quick_laps: u32,
    /// Set by a guest that was interrupted by its epoch.
    interrupted: bool,
    /// Something waits for the next lap.
    armed: bool,
    pacer: Option<Waker>,
    next: u64,
    answers: Answers,
}

#[derive(Debug, Default)]
struct Row {
    waiting: VecDeque<Waiting>,
    /// Whose turn it is, until he comes.
    called: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    waker: Waker,
    since: Stopwatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Quick,
    Long,
}

/// Opens the lanes of this thread, and keeps them going for as long as it is polled. Poll it first after the sockets.
pub(crate) async fn pace() {
    LANES.with_borrow_mut(|lanes| *lanes = Some(Lanes::new()));
    std::future::poll_fn(|cx| {
        with(|lanes| {
            lanes.pacer = Some(cx.waker().clone());
            if std::mem::take(&mut lanes.armed) {
                lanes.next_lap();
            }
        });
        Poll::<()>::Pending
    })
    .await;
}

/// Lets the answers of this thread go, for as long as it is polled. A task of its own: it has its turn behind all that are
/// about to run a guest.
pub(crate) async fn porter() {
    std::future::poll_fn(|cx| {
        let leaving = with(|lanes| {
            lanes.answers.set_porter(cx);
            if lanes.goes_on() { Vec::new() } else { lanes.answers.depart() }
        });
        leaving.into_iter().flatten().for_each(Waker::wake);
        Poll::<()>::Pending
    })
    .await;
}

/// Waits until the answers of this thread that are ready now leave, which is as soon as no guest is about to run.
pub(crate) async fn together() {
    let mut place = Place::default();
    std::future::poll_fn(|cx| with(|lanes| lanes.answers.poll(&mut place, cx)).unwrap_or(Poll::Ready(()))).await;
}

/// The thread slept, so its sockets were looked at a moment ago.
pub(crate) fn awake() {
    with(|lanes| lanes.lap = Stopwatch::start());
}

/// True if one request more would wait for too long.
pub(crate) fn crowded() -> bool {
    with(|lanes| lanes.quick.waiting.front().is_some_and(|first| first.since.elapsed() > PATIENCE)).unwrap_or(false)
}

/// What a guest waits for whose epoch has come.
pub(crate) fn step_aside() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    if with(|_| ()).is_none() {
        // The yield of wasmtime itself may be rescheduled before anything else on the thread.
        return Box::pin(tokio::task::yield_now());
    }
    let mut stepped = false;
    Box::pin(std::future::poll_fn(move |_| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        // Nobody is woken here: the guest's turn is.
        with(|lanes| lanes.interrupted = true);
        Poll::Pending
    }))
}

/// The place of one guest among the others of its thread.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    waits: Option<(Lane, u64)>,
}

impl Turn {
    /// Ready when the guest may run. Then poll it, and say by [`Turn::over`] that it has been.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        with(|lanes| match self.waits {
            Some((lane, number)) if lanes.row(lane).comes(number, cx) => {
                self.waits = None;
                Poll::Ready(())
            }
            Some(_) => Poll::Pending,
            None if lanes.quick.is_empty() && lanes.lap.elapsed() < LAP => Poll::Ready(()),
            None => {
                self.waits = Some((Lane::Quick, lanes.wait(Lane::Quick, cx)));
                Poll::Pending
            }
        })
        .unwrap_or(Poll::Ready(()))
    }

    /// True if others come first.
    pub(crate) fn waits(&self) -> bool {
        self.waits.is_some()
    }

    /// The guest has run, and wants to run again or not.
    pub(crate) fn over(&mut self, cx: &Context<'_>, ended: bool) {
        with(|lanes| {
            if std::mem::take(&mut lanes.interrupted) && !ended {
                self.waits = Some((Lane::Long, lanes.wait(Lane::Long, cx)));
            }
            lanes.pass_on();
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((lane, number)) = self.waits {
            with(|lanes| {
                lanes.row(lane).leaves(number);
                lanes.pass_on();
            });
        }
    }
}

/// None: this thread has no lanes. What happens inside wakes tasks, but never polls or drops one.
fn with<T>(act: impl FnOnce(&mut Lanes) -> T) -> Option<T> {
    // At the end of a thread guests may be dropped after its lanes.
    LANES.try_with(|lanes| lanes.borrow_mut().as_mut().map(act)).ok().flatten()
}

impl Lanes {
    fn new() -> Self {
        let (quick, long) = <(Row, Row)>::default();
        let (lap, answers) = (Stopwatch::start(), Answers::default());
        Self { lap, quick, long, quick_laps: 1, interrupted: false, armed: false, pacer: None, next: 0, answers }
    }

    fn row(&mut self, lane: Lane) -> &mut Row {
        match lane {
            Lane::Quick => &mut self.quick,
            Lane::Long => &mut self.long,
        }
    }

    fn wait(&mut self, lane: Lane, cx: &Context<'_>) -> u64 {
        self.next += 1;
        let waiting = Waiting { number: self.next, waker: cx.waker().clone(), since: Stopwatch::start() };
        self.row(lane).waiting.push_back(waiting);
        self.arm();
        self.next
    }

    fn arm(&mut self) {
        if !std::mem::replace(&mut self.armed, true)
            && let Some(pacer) = &self.pacer
        {
            pacer.wake_by_ref();
        }
    }

    /// Calls the first of a row; the others of it follow while there is time. The rows in turns, if somebody waits in both.
    fn next_lap(&mut self) {
        self.lap = Stopwatch::start();
        let long = !self.long.waiting.is_empty() && (self.quick.is_empty() || self.quick_laps >= QUICK_LAPS);
        self.quick_laps = if long { 0 } else { self.quick_laps.saturating_add(1) };
        if long {
            self.long.call()
        } else {
            self.quick.call()
        }
        if !self.quick.waiting.is_empty() || !self.long.waiting.is_empty() {
            self.arm();
        }
    }

    /// True if a guest of the quick row comes in this lap.
    fn goes_on(&self) -> bool {
        self.quick.called.is_some() && self.lap.elapsed() < LAP
    }

    /// Calls the next of the row that has this lap, or leaves it to the next lap.
    fn pass_on(&mut self) {
        let (row, lap) = if self.quick_laps == 0 { (&mut self.long, LONG_LAP) } else { (&mut self.quick, LAP) };
        if self.lap.elapsed() < lap && !row.waiting.is_empty() {
            row.call();
            return;
        }
        self.answers.call();
        if !self.quick.waiting.is_empty() || !self.long.waiting.is_empty() {
            self.arm();
        }
    }
}

impl Row {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.called.is_none()
    }

    /// Calls the first, unless somebody is called already.
    fn call(&mut self) {
        if self.called.is_none()
            && let Some(first) = self.waiting.pop_front()
        {
            self.called = Some(first.number);
            first.waker.wake();
        }
    }

    /// True if this one was called.
    fn comes(&mut self, number: u64, cx: &Context<'_>) -> bool {
        if self.called == Some(number) {
            self.called = None;
            return true;
        }
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.number == number) {
            waiting.waker.clone_from(cx.waker());
        }
        false
    }

    fn leaves(&mut self, number: u64) {
        if self.called == Some(number) {
            self.called = None;
        } else {
            self.waiting.retain(|waiting| waiting.number != number);
        }
    }
}

#[cfg(test)]
mod tests;
