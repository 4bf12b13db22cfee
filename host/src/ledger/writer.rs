//! The one thread that writes: takes all batches that wait, commits them in one transaction, wakes who waited.
//!
//! The faster batches come, the more go into one transaction, so it adapts to the disk without a timer.

use tokio::sync::{mpsc, oneshot};

use super::folder::Folder;
use super::{Batch, Store};

/// Batches that may wait; one more makes its sender wait.
const WAITING_MAX: usize = 256;

/// The writing end of a ledger. When the last clone is gone the ledger is closed and its folder free.
#[derive(Clone, Debug)]
pub struct Writer {
    batches: mpsc::Sender<Waiting>,
}

/// The ledger could not be written. The process has to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct Poisoned(pub String);

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    done: oneshot::Sender<Result<(), Poisoned>>,
}

impl Writer {
    pub(super) fn new<S: Store>(store: S, folder: Folder) -> Self {
        Self::spawn(store, folder)
    }

    /// Writes to any store; `held` is dropped with it.
    pub(crate) fn spawn<S: Store>(mut store: S, held: impl Send + 'static) -> Self {
        let (batches, mut waiting) = mpsc::channel(WAITING_MAX);
        std::thread::spawn(move || {
            write_all(&mut store, &mut waiting);
            drop(store);
            drop(held);
        });
        Self { batches }
    }

    /// Returns when the batch is on disk.
    ///
    /// # Errors
    /// [`Poisoned`]: this batch or one before it could not be written, and none will be any more.
    pub async fn commit(&self, batch: Batch) -> Result<(), Poisoned> {
        let gone = || Poisoned("the writer has ended".to_owned());
        let (done, answer) = oneshot::channel();
        self.batches.send(Waiting { batch, done }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn write_all(store: &mut impl Store, waiting: &mut mpsc::Receiver<Waiting>) {
    let mut poisoned: Option<Poisoned> = None;
    while let Some(first) = waiting.blocking_recv() {
        let mut together = Batch::default();
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(one) = next {
            together.used.extend(one.batch.used);
            together.records.extend(one.batch.records);
            answers.push(one.done);
            next = waiting.try_recv().ok();
        }
        if poisoned.is_none() {
            poisoned = store.commit(&together).err().map(Poisoned);
        }
        for done in answers {
            // Who no longer waits does not need to know.
            drop(done.send(poisoned.clone().map_or(Ok(()), Err)));
        }
    }
}
