//! Where the keeper takes what guests counted, and says what they may count.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;

use super::group::Wanted;
use super::{Attest, COMMITS_PENDING_MAX, Commit, Dimension, Shared, Standing, TagSet, TagsId};

/// The keeper's side.
#[derive(Debug)]
pub struct Desk {
    /// What to record.
    pub commits: Commits,
    /// Attestations wanted.
    pub attests: mpsc::Receiver<Attest>,
    pub(super) shared: Arc<Shared>,
}

/// Who wants usage to be recorded, in the order in which they asked.
#[derive(Debug)]
pub struct Commits(pub(super) mpsc::Receiver<Wanted>);

impl Commits {
    /// Waits until something is to be recorded, then returns all that is; empty when nobody is left who could ask. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Vec<Commit> {
        let mut wanted = Vec::new();
        self.0.recv_many(&mut wanted, COMMITS_PENDING_MAX).await;
        wanted.into_iter().map(Wanted::take).collect()
    }

    /// What is to be recorded now.
    pub fn waiting(&mut self) -> Vec<Commit> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(Wanted::take).collect()
    }
}

impl Desk {
    /// The dimensions given to [`open`](super::open).
    pub fn dimensions(&self) -> &[Dimension] {
        &self.shared.dimensions
    }

    /// From now on units are admitted while the total of the process stays at or below `limit`. `u64::MAX`: always, and
    /// then units count when their instance commits; so a dimension gets its first limit before guests run. A number that
    /// is no dimension is ignored.
    pub fn set_limit(&self, dimension: u32, limit: u64) {
        if let Some(gate) = self.shared.gate(dimension)
            && gate.limit.swap(limit, Relaxed) != limit
        {
            self.shared.decide_anew();
        }
    }

    /// Units admitted since [`open`](super::open), recorded or still on their way, or taken ahead by a running instance. Zero for a
    /// number that is no dimension.
    pub fn admitted(&self, dimension: u32) -> u64 {
        self.shared.gate(dimension).map_or(0, |gate| gate.admitted.load(Relaxed))
    }

    /// Units turned away by the limit since [`open`](super::open): refused to guests, or measured by the host and not counted.
    pub fn turned_away(&self, dimension: u32) -> u64 {
        self.shared.gate(dimension).map_or(0, |gate| gate.turned_away.load(Relaxed))
    }

    /// True: every `add` answers [`Outcome::Stopped`](super::Outcome::Stopped) and servers refuse new work, until called with false.
    pub fn stop(&self, stopped: bool) {
        if self.shared.stopped.swap(stopped, Relaxed) != stopped {
            self.shared.decide_anew();
        }
    }

    /// What [`Desk::stop`] was last told.
    pub fn stopped(&self) -> bool {
        self.shared.stopped.load(Relaxed)
    }

    /// What guests are told when they ask how delivery goes.
    pub fn set_standing(&self, standing: Standing) {
        *self.shared.standing.write().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// What [`Desk::set_standing`] was last told.
    pub fn standing(&self) -> Standing {
        *self.shared.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tag set of a [`Delta`](super::Delta). `None` for [`TagsId::UNTAGGED`] and ids that were never given out.
    pub fn tags(&self, id: TagsId) -> Option<Arc<TagSet>> {
        self.shared.tags.get(id).map(|interned| interned.set.clone())
    }
}
