//! The counters of one instance, and how they become durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::cells::{Cells, Window};
use super::group::{self, Joined, Wanted};
use super::tags::{Interned, TagSet};
use super::{Delta, Group, Measure, Outcome, Shared, Source, Stopped, TagRefusal, TagsId};

/// What one guest instance has used. Clones count into the same cells.
///
/// When the last clone is dropped, what was not committed is sent to the keeper without waiting: usage added stays,
/// also after a trap.
#[derive(Clone, Debug)]
pub struct Counters {
    own: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    shared: Arc<Shared>,
    commits: mpsc::Sender<Wanted>,
    /// Those that commit together with this one; none: it commits alone.
    group: Option<Arc<Group>>,
    component: u32,
    untagged: Cells,
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
    sent: Option<Sent>,
    /// Once usage was lost, no later commit may answer that all is well.
    lost: bool,
}

/// How a commit was sent.
#[derive(Debug)]
enum Sent {
    Alone(oneshot::Receiver<Result<(), Stopped>>),
    Together(Joined),
}

impl Counters {
    pub(super) fn new(
        shared: Arc<Shared>,
        commits: mpsc::Sender<Wanted>,
        group: Option<Arc<Group>>,
        component: u32,
    ) -> Self {
        let untagged = Cells::new(&shared);
        let (tagged, turn) = <(Mutex<Tagged>, tokio::sync::Mutex<Turn>)>::default();
        Self { own: Arc::new(Own { shared, commits, group, component, untagged, tagged, turn }) }
    }

    /// What machine code counts in, as long as this or a clone lives.
    pub(crate) fn window(&self) -> Window {
        self.own.untagged.window(&self.own.shared)
    }

    /// Adds units of a dimension that guests count. Takes no lock, allocates nothing, never waits.
    pub fn add(&self, dimension: u32, units: u32) -> Outcome {
        self.own.untagged.add(&self.own.shared, dimension, units)
    }

    /// The same for machine code that counts in the [`Window`] and could not decide. On the thread of the guest.
    pub(crate) fn ask(&self, dimension: u32, units: u32) -> Outcome {
        self.own.untagged.ask(&self.own.shared, dimension, units)
    }

    /// Gives back what was taken ahead below limits: the guest does not run until somebody wants it again.
    #[cfg(feature = "p3")]
    pub(crate) fn rest(&self) {
        self.own.untagged.close(&self.own.shared);
    }

    /// Adds units under a tag set that this instance got from [`Counters::tags`]. [`TagsId::UNTAGGED`] is a plain
    /// [`Counters::add`].
    pub fn add_tagged(&self, dimension: u32, tags: TagsId, units: u32) -> Outcome {
        if tags == TagsId::UNTAGGED {
            return self.add(dimension, units);
        }
        let own = &*self.own;
        let mut tagged = own.tagged.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(dimension).unwrap_or(usize::MAX);
        let allowed = tagged.sets.get(&tags).and_then(|set| set.allowed.get(index)).copied();
        if allowed != Some(true) {
            return Outcome::Unknown;
        }
        if own.shared.source(dimension) != Some(Source::Guest) {
            return Outcome::Unknown;
        }
        let outcome = own.shared.admit(dimension, units);
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
        let shared = &self.own.shared;
        let (id, interned) = shared.tags.intern(TagSet::new(pairs)?, &shared.dimensions)?;
        self.own.tagged.lock().unwrap_or_else(PoisonError::into_inner).sets.insert(id, interned);
        Ok(id)
    }

    /// Counts what the host measured, for every dimension bound to the measure. What does not fit under a limit is
    /// not billed. A stopped meter still counts: this work was already accepted.
    pub fn measure(&self, measure: Measure, units: u64) {
        for &dimension in self.own.shared.bound(measure) {
            self.own.untagged.measured(&self.own.shared, dimension, units);
        }
    }

    /// True if a dimension is bound to the measure: else there is no need to take it.
    pub fn measures(&self, measure: Measure) -> bool {
        !self.own.shared.bound(measure).is_empty()
    }

    /// True if something was counted that is in no commit yet.
    pub(crate) fn dirty(&self) -> bool {
        self.own.dirty()
    }

    /// Returns when all that was counted before the call is on disk. Nothing new and nothing under way: at once.
    /// Commits of one instance run one after the other; dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if usage of this instance could not be recorded, now or in an earlier commit.
    pub async fn commit(&self) -> Result<(), Stopped> {
        let own = &*self.own;
        let mut turn = own.turn.lock().await;
        turn.settle().await?;
        if !own.dirty() {
            return Ok(());
        }
        if let Some(group) = &own.group {
            turn.sent = Some(Sent::Together(group.join(own.take())));
            return turn.settle().await;
        }
        // First a place in the queue, then the units: nothing can be interrupted between taking and sending.
        let place = own.commits.reserve().await.map_err(|_| Stopped)?;
        let (answer, asked) = oneshot::channel();
        place.send(Wanted::Alone(own.take().collect(), answer));
        turn.sent = Some(Sent::Alone(asked));
        turn.settle().await
    }
}

impl Turn {
    /// Waits for the answer to a commit that was sent.
    async fn settle(&mut self) -> Result<(), Stopped> {
        if let Some(sent) = &mut self.sent {
            let answer = match sent {
                Sent::Alone(answer) => answer.await.unwrap_or(Err(Stopped)),
                Sent::Together(joined) => joined.await,
            };
            self.sent = None;
            self.lost |= answer.is_err();
        }
        if self.lost { Err(Stopped) } else { Ok(()) }
    }
}

impl Own {
    fn dirty(&self) -> bool {
        self.untagged.dirty() || !self.tagged.lock().unwrap_or_else(PoisonError::into_inner).units.is_empty()
    }

    /// What was counted since the last call. One caller at a time.
    fn take(&self) -> impl Iterator<Item = Delta> {
        let component = self.component;
        let delta = move |(dimension, tags), units| Delta { component, dimension, tags, units };
        let untagged = self.untagged.take(&self.shared).map(move |(d, units)| delta((d, TagsId::UNTAGGED), units));
        let tagged = std::mem::take(&mut self.tagged.lock().unwrap_or_else(PoisonError::into_inner).units);
        let tagged = tagged.into_iter().map(move |(key, units)| delta(key, units));
        untagged.chain(tagged).filter(|delta| delta.units != 0)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        match &self.group {
            Some(group) if self.dirty() => drop(group.join(self.take())),
            Some(_) => {}
            None => group::send_at_once(&self.commits, self.take().collect()),
        }
        self.untagged.close(&self.shared);
    }
}

#[cfg(test)]
mod tests;
