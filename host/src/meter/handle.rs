//! What the rest of the host can ask of a running meter.

use tokio::sync::{mpsc, oneshot};

use super::Snapshot;
use crate::ledger::{ArchiveRow, Image, Poisoned};
use crate::usage::{Refused, Settlement};

/// Questions that may wait.
pub(super) const ASKED_MAX: usize = 16;
const CLOSED: &str = "the ledger is closed";

/// Clones ask the same meter.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) asked: mpsc::Sender<Asked>,
}

#[derive(Debug)]
pub(super) enum Asked {
    Snapshot(oneshot::Sender<Snapshot>),
    Image(oneshot::Sender<Result<Image, String>>),
    Archived(u64, oneshot::Sender<Result<Vec<ArchiveRow>, String>>),
    Settle(Settlement, oneshot::Sender<Result<(), Refused>>),
    Finish(u64),
}

/// How a meter ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As asked by [`Handle::finish`]: exit 0 or 74.
    Finished(Finished),
    /// AWS refused the first real record of this task or pod: exit 77.
    NotEntitled {
        /// The code of AWS.
        code: String,
    },
    /// The ledger cannot be written: exit 73. No usage after it is acknowledged.
    Poisoned(Poisoned),
}

/// What an orderly end leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Records that AWS has not accepted or finally refused. They stay in the ledger. Above zero: exit 74.
    pub unsent: usize,
}

impl Handle {
    /// The state of all hours that are kept, for people and metrics. None: the meter has ended.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        self.ask(Asked::Snapshot).await
    }

    /// Every row of the ledger as it stands between two transactions.
    ///
    /// # Errors
    /// The rows cannot be read, or the meter has ended.
    pub async fn image(&self) -> Result<Image, String> {
        self.ask(Asked::Image).await.unwrap_or_else(|| Err(CLOSED.to_owned()))
    }

    /// The next rows of the archive after a number.
    ///
    /// # Errors
    /// As for [`Handle::image`].
    pub async fn archived(&self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        self.ask(|done| Asked::Archived(after, done)).await.unwrap_or_else(|| Err(CLOSED.to_owned()))
    }

    /// Closes an hour that is in doubt or in conflict. Returns when that is on disk. None: the meter has ended.
    pub async fn settle(&self, settlement: Settlement) -> Option<Result<(), Refused>> {
        self.ask(|done| Asked::Settle(settlement, done)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Asked) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.asked.send(question(done)).await.ok()?;
        answer.await.ok()
    }

    /// Seals everything, the running hour too, and sends it until all is answered or the wall clock is at `deadline_ms`
    /// (unix milliseconds). Call it when no guest runs any more; then wait for the meter's [`End`].
    pub async fn finish(&self, deadline_ms: u64) {
        // An error means that it has already ended, which its End says better.
        drop(self.asked.send(Asked::Finish(deadline_ms)).await);
    }
}
