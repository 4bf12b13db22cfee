//! Commits of one thread that go to the keeper together: one message and one wake a group, however many wait for it.
//!
//! A thread that has nothing else to do asks for a write at once; one that is busy lets more requests gather for a moment,
//! since a write costs the same for one and for a hundred. The group is closed only when the keeper takes it: all that comes
//! while the disk is busy with others goes with it. From then on the next one gathers. Where a write takes longer than that
//! moment, enough gathers while the last one is under way, and nobody waits for more.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Commit, Delta, Done, Meter, Stopped, TagsId};
use crate::clock::Stopwatch;

/// How long a busy thread lets a group gather.
const GATHER: Duration = Duration::from_millis(1);

impl Meter {
    /// The same meter for the instances of one thread, which commit together while somebody polls [`Group::keep`].
    pub(crate) fn together(&self) -> (Self, Arc<Group>) {
        let group = Group::new(self.commits.clone());
        (Self { group: Some(group.clone()), ..self.clone() }, group)
    }
}

/// What the keeper is asked to make durable.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Of one instance.
    Alone(Vec<Delta>, Answer),
    /// What has gathered in a group by the time it is taken.
    Together(Arc<Group>, Answer),
}

impl Wanted {
    /// Closes the group.
    pub(super) fn take(self) -> Commit {
        let (deltas, answer, group) = match self {
            Self::Alone(deltas, answer) => (deltas, answer, None),
            Self::Together(group, answer) => (group.take(), answer, Some((group, Stopwatch::start()))),
        };
        Commit { deltas, done: Done { answer, group } }
    }
}

/// To who asked, and where he gets it.
type Answer = oneshot::Sender<Result<(), Stopped>>;
type Asked = oneshot::Receiver<Result<(), Stopped>>;

/// The groups of one thread: the one that gathers, and those that are under way.
#[derive(Debug)]
pub(crate) struct Group {
    commits: mpsc::Sender<Wanted>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Units by component, dimension and tag set.
    units: BTreeMap<(u32, u32, TagsId), u64>,
    /// What those wait for whose units are in the sums.
    gathering: Arc<Batch>,
    /// Taken by the keeper, and not answered yet.
    under_way: VecDeque<Arc<Batch>>,
    /// The last write took longer than a group gathers.
    slow: bool,
    /// The keeper was asked to take what gathers, and has not yet.
    asked: bool,
    /// The thread has nothing else to do.
    idle: bool,
    /// Of who sends.
    sender: Option<Waker>,
}

/// One group, for those who wait for it.
#[derive(Debug, Default)]
struct Batch {
    outcome: Mutex<Outcome>,
}

#[derive(Debug, Default)]
struct Outcome {
    answer: Option<Result<(), Stopped>>,
    waiting: Vec<Waker>,
}

impl Group {
    pub(super) fn new(commits: mpsc::Sender<Wanted>) -> Arc<Self> {
        Arc::new(Self { commits, state: Mutex::default() })
    }

    /// Puts units into the group that gathers. What is returned ends when they are on disk; dropping it loses nothing.
    pub(super) fn join(&self, deltas: impl Iterator<Item = Delta>) -> Joined {
        let mut state = self.state();
        let first = state.units.is_empty();
        for delta in deltas {
            // Each dimension counts all of its units in 64 bits, so a part of them fits.
            *state.units.entry((delta.component, delta.dimension, delta.tags)).or_default() += delta.units;
        }
        if first && let Some(sender) = &state.sender {
            sender.wake_by_ref();
        }
        Joined { batch: state.gathering.clone(), place: None }
    }

    /// To be called when the thread has nothing else to do.
    pub(crate) fn idle(&self) {
        let mut state = self.state();
        if !state.units.is_empty()
            && !std::mem::replace(&mut state.idle, true)
            && let Some(sender) = &state.sender
        {
            sender.wake_by_ref();
        }
    }

    /// Sends group after group, and answers them, for as long as it is polled.
    pub(crate) async fn keep(self: Arc<Self>) {
        let (answers, answered) = mpsc::unbounded_channel();
        tokio::join!(self.ask(answers), self.answer_all(answered));
    }

    /// Asks for a group while others are under way: on a slow disk the groups of all threads go together then, and none
    /// waits for those of another thread alone.
    async fn ask(self: &Arc<Self>, answers: mpsc::UnboundedSender<Asked>) {
        loop {
            std::future::poll_fn(|cx| self.poll(cx, |state| !state.units.is_empty() && !state.asked)).await;
            let now = std::future::poll_fn(|cx| self.poll(cx, |state| state.idle || state.slow));
            let _gathered = tokio::time::timeout(GATHER, now).await;
            self.state().asked = true;
            let (answer, asked) = oneshot::channel();
            // What cannot be sent is answered by dropping it.
            let _lost = self.commits.send(Wanted::Together(self.clone(), answer)).await;
            let _kept = answers.send(asked);
        }
    }

    /// In the order in which they were asked for.
    async fn answer_all(&self, mut answers: mpsc::UnboundedReceiver<Asked>) {
        while let Some(answer) = answers.recv().await {
            // What nobody took, nobody will record.
            self.answer(answer.await.unwrap_or(Err(Stopped)));
        }
    }

    /// Returns when all units that were put into groups are on disk, or never will be.
    pub(crate) async fn settled(&self) {
        while let Some(batch) = self.last() {
            let _ = Joined { batch, place: None }.await;
        }
    }

    /// The group behind which there is no other.
    fn last(&self) -> Option<Arc<Batch>> {
        let state = self.state();
        if state.units.is_empty() { state.under_way.back().cloned() } else { Some(state.gathering.clone()) }
    }

    fn poll(&self, cx: &Context<'_>, ready: impl Fn(&State) -> bool) -> Poll<()> {
        let mut state = self.state();
        if ready(&state) {
            return Poll::Ready(());
        }
        state.sender = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What has gathered; from now on the next group does.
    fn take(&self) -> Vec<Delta> {
        let mut state = self.state();
        let taken = std::mem::take(&mut state.gathering);
        state.under_way.push_back(taken);
        (state.asked, state.idle) = (false, false);
        let delta = |((component, dimension, tags), units)| Delta { component, dimension, tags, units };
        std::mem::take(&mut state.units).into_iter().map(delta).collect()
    }

    /// Tells those whose group was taken first; if none was, those that gather.
    fn answer(&self, answer: Result<(), Stopped>) {
        let taken = self.state().under_way.pop_front();
        let batch = taken.or_else(|| {
            let _lost = self.take();
            self.state().under_way.pop_front()
        });
        if let Some(batch) = batch {
            batch.answer(answer);
        }
    }

    /// The keeper has written one.
    pub(super) fn wrote(&self, took: Duration) {
        self.state().slow = took >= GATHER;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Group {
    /// The thread was ended at once: what gathered is sent without waiting.
    fn drop(&mut self) {
        let deltas = self.take();
        send_at_once(&self.commits, deltas);
    }
}

impl Batch {
    fn answer(&self, answer: Result<(), Stopped>) {
        let waiting = {
            let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.answer = Some(answer);
            std::mem::take(&mut outcome.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Waits for a group.
#[derive(Debug)]
pub(super) struct Joined {
    batch: Arc<Batch>,
    /// Of the waker among those that wait.
    place: Option<usize>,
}

impl Future for Joined {
    type Output = Result<(), Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let batch = self.batch.clone();
        let mut outcome = batch.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = outcome.answer {
            return Poll::Ready(answer);
        }
        match self.place.and_then(|place| outcome.waiting.get_mut(place)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => {
                self.place = Some(outcome.waiting.len());
                outcome.waiting.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// Sends units that nobody waits for. Usage added stays, also after a trap.
pub(super) fn send_at_once(commits: &mpsc::Sender<Wanted>, deltas: Vec<Delta>) {
    if deltas.is_empty() {
        return;
    }
    let (answer, _) = oneshot::channel();
    let wanted = Wanted::Alone(deltas, answer);
    let Err(mpsc::error::TrySendError::Full(wanted)) = commits.try_send(wanted) else { return };
    let commits = commits.clone();
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(async move { commits.send(wanted).await })),
        // Outside a runtime waiting blocks nobody else. A closed channel has no keeper left to tell.
        Err(_) => drop(commits.blocking_send(wanted)),
    }
}

#[cfg(test)]
mod tests;
