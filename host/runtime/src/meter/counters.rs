//! The counters of one instance, and how they become durable.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::tags::{Interned, TagSet};
use super::{Commit, Delta, Measure, Outcome, Shared, Source, Stopped, TagRefusal, TagsId};

/// What one guest instance has used. Clones count into the same cells.
///
/// When the last clone is dropped, what was not committed is sent to the keeper without waiting: usage added stays,
/// also after a trap.
#[derive(Clone, Debug)]
pub struct Counters {
    cells: Arc<Cells>,
}

#[derive(Debug)]
struct Cells {
    shared: Arc<Shared>,
    commits: mpsc::Sender<Commit>,
    component: u32,
    /// Units not yet sent, one cell a dimension.
    untagged: Vec<AtomicU64>,
    tagged: Mutex<Tagged>,
    /// Held by the one commit that is under way.
    turn: tokio::sync::Mutex<Turn>,
}

/// Tag sets this instance asked for, and what it counted under them.
#[derive(Debug, Default)]
struct Tagged {
    sets: BTreeMap<TagsId, Arc<Interned>>,
    units: BTreeMap<(u32, TagsId), u64>,
}

#[derive(Debug, Default)]
struct Turn {
    /// A commit that was sent and whose caller went away before the answer: it is not durable yet.
    sent: Option<oneshot::Receiver<Result<(), Stopped>>>,
    /// Once usage was lost, no later commit may answer that all is well.
    lost: bool,
}

impl Counters {
    pub(super) fn new(shared: Arc<Shared>, commits: mpsc::Sender<Commit>, component: u32) -> Self {
        let untagged = shared.dimensions.iter().map(|_| AtomicU64::new(0)).collect();
        let (tagged, turn) = <(Mutex<Tagged>, tokio::sync::Mutex<Turn>)>::default();
        Self { cells: Arc::new(Cells { shared, commits, component, untagged, tagged, turn }) }
    }

    /// Adds units of a dimension that guests count. Takes no lock, allocates nothing, never waits.
    pub fn add(&self, dimension: u32, units: u32) -> Outcome {
        let cells = &*self.cells;
        let Some((cell, Source::Guest)) = cells.cell(dimension) else { return Outcome::Unknown };
        let outcome = cells.admit(dimension, units);
        if outcome == Outcome::Counted {
            cell.fetch_add(u64::from(units), Relaxed);
        }
        outcome
    }

    /// Adds units under a tag set that this instance got from [`Counters::tags`]. [`TagsId::UNTAGGED`] is a plain
    /// [`Counters::add`].
    pub fn add_tagged(&self, dimension: u32, tags: TagsId, units: u32) -> Outcome {
        if tags == TagsId::UNTAGGED {
            return self.add(dimension, units);
        }
        let cells = &*self.cells;
        let Some((_, Source::Guest)) = cells.cell(dimension) else { return Outcome::Unknown };
        let mut tagged = cells.tagged.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(dimension).unwrap_or(usize::MAX);
        let allowed = tagged.sets.get(&tags).and_then(|set| set.allowed.get(index)).copied();
        if allowed != Some(true) {
            return Outcome::Unknown;
        }
        let outcome = cells.admit(dimension, units);
        if outcome == Outcome::Counted {
            *tagged.units.entry((dimension, tags)).or_default() += u64::from(units);
        }
        outcome
    }

    /// The number of a tag set, for [`Counters::add_tagged`] of this instance.
    ///
    /// # Errors
    ///
    /// See [`TagSet::new`]; a new set is also refused when the process already remembers too many. Keys that a dimension
    /// does not declare are refused where the dimension is known, by [`Counters::add_tagged`].
    pub fn tags(&self, pairs: Vec<(String, String)>) -> Result<TagsId, TagRefusal> {
        let shared = &self.cells.shared;
        let (id, interned) = shared.tags.intern(TagSet::new(pairs)?, &shared.dimensions)?;
        self.cells.tagged.lock().unwrap_or_else(PoisonError::into_inner).sets.insert(id, interned);
        Ok(id)
    }

    /// Counts what the host measured, for every dimension bound to the measure. What does not fit under a limit is
    /// not billed. A stopped meter still counts: this work was already accepted.
    pub fn measure(&self, measure: Measure, units: u64) {
        for &dimension in self.cells.shared.bound(measure) {
            let (Some((cell, _)), Some(gate)) = (self.cells.cell(dimension), self.cells.shared.gate(dimension)) else {
                continue;
            };
            cell.fetch_add(gate.admit_part(units), Relaxed);
        }
    }

    /// True if a dimension is bound to the measure: else there is no need to take it.
    pub fn measures(&self, measure: Measure) -> bool {
        !self.cells.shared.bound(measure).is_empty()
    }

    /// Returns when all that was counted before the call is on disk. Nothing new and nothing under way: at once.
    /// Commits of one instance run one after the other; dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if usage of this instance could not be recorded, now or in an earlier commit.
    pub async fn commit(&self) -> Result<(), Stopped> {
        let cells = &*self.cells;
        let mut turn = cells.turn.lock().await;
        turn.settle().await?;
        if !cells.dirty() {
            return Ok(());
        }
        // First a place in the queue, then the units: nothing can be interrupted between taking and sending.
        let place = cells.commits.reserve().await.map_err(|_| Stopped)?;
        let (done, answer) = oneshot::channel();
        place.send(Commit { component: cells.component, deltas: cells.take(), done });
        turn.sent = Some(answer);
        turn.settle().await
    }
}

impl Turn {
    /// Waits for the answer to a commit that was sent.
    async fn settle(&mut self) -> Result<(), Stopped> {
        if let Some(sent) = &mut self.sent {
            let answer = sent.await.unwrap_or(Err(Stopped));
            self.sent = None;
            self.lost |= answer.is_err();
        }
        if self.lost { Err(Stopped) } else { Ok(()) }
    }
}

impl Cells {
    fn cell(&self, dimension: u32) -> Option<(&AtomicU64, Source)> {
        let index = usize::try_from(dimension).ok()?;
        Some((self.untagged.get(index)?, self.shared.dimensions.get(index)?.source))
    }

    fn admit(&self, dimension: u32, units: u32) -> Outcome {
        if self.shared.stopped.load(Relaxed) {
            return Outcome::Stopped;
        }
        match self.shared.gate(dimension) {
            Some(gate) if gate.admit(u64::from(units)) => Outcome::Counted,
            Some(_) => Outcome::OverLimit,
            None => Outcome::Unknown,
        }
    }

    fn dirty(&self) -> bool {
        self.untagged.iter().any(|cell| cell.load(Relaxed) != 0)
            || !self.tagged.lock().unwrap_or_else(PoisonError::into_inner).units.is_empty()
    }

    /// Empties the cells.
    fn take(&self) -> Vec<Delta> {
        let delta = |(dimension, tags), units| Delta { dimension, tags, units };
        let untagged =
            (0u32..).zip(&self.untagged).map(|(d, cell)| delta((d, TagsId::UNTAGGED), cell.swap(0, Relaxed)));
        let tagged = std::mem::take(&mut self.tagged.lock().unwrap_or_else(PoisonError::into_inner).units);
        let tagged = tagged.into_iter().map(|(key, units)| delta(key, units));
        untagged.chain(tagged).filter(|delta| delta.units != 0).collect()
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        let deltas = self.take();
        if deltas.is_empty() {
            return;
        }
        let (done, _) = oneshot::channel();
        let commit = Commit { component: self.component, deltas, done };
        let Err(mpsc::error::TrySendError::Full(commit)) = self.commits.try_send(commit) else { return };
        let commits = self.commits.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { commits.send(commit).await })),
            // Outside a runtime waiting blocks nobody else. A closed channel has no keeper left to tell.
            Err(_) => drop(commits.blocking_send(commit)),
        }
    }
}

#[cfg(test)]
mod tests;
