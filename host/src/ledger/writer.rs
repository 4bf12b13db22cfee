//! The one thread that writes: takes all batches that wait, commits them in one transaction, wakes who waited.
//!
//! The faster batches come, the more go into one transaction, so it adapts to the disk without a timer.

use tokio::sync::{mpsc, oneshot};
use tollgate_metering::Record;

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
    what: What,
    done: oneshot::Sender<Result<(), Poisoned>>,
}

#[derive(Debug)]
enum What {
    Batch(Batch),
    Checkpoint { records: Vec<Record>, forgotten: Vec<Record> },
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
        self.ask(What::Batch(batch)).await
    }

    /// Returns when the checkpoint stands on disk in place of everything before it, and what it forgets
    /// is in the archive.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub async fn compact(&self, records: Vec<Record>, forgotten: Vec<Record>) -> Result<(), Poisoned> {
        self.ask(What::Checkpoint { records, forgotten }).await
    }

    async fn ask(&self, what: What) -> Result<(), Poisoned> {
        let gone = || Poisoned("the writer has ended".to_owned());
        let (done, answer) = oneshot::channel();
        self.batches.send(Waiting { what, done }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn write_all(store: &mut impl Store, waiting: &mut mpsc::Receiver<Waiting>) {
    let mut poisoned: Option<Poisoned> = None;
    let mut next = None;
    while let Some(first) = next.take().or_else(|| waiting.blocking_recv()) {
        let mut answers = vec![first.done];
        let written = match first.what {
            What::Checkpoint { records, forgotten } => attempt(&mut poisoned, || store.compact(&records, &forgotten)),
            What::Batch(mut together) => {
                while let Ok(one) = waiting.try_recv() {
                    let What::Batch(batch) = one.what else {
                        next = Some(one);
                        break;
                    };
                    together.used.extend(batch.used);
                    together.records.extend(batch.records);
                    answers.push(one.done);
                }
                attempt(&mut poisoned, || store.commit(&together))
            }
        };
        for done in answers {
            // Who no longer waits does not need to know.
            drop(done.send(written.clone()));
        }
    }
}

/// After one error nothing is tried any more.
fn attempt(poisoned: &mut Option<Poisoned>, write: impl FnOnce() -> Result<(), String>) -> Result<(), Poisoned> {
    if poisoned.is_none() {
        *poisoned = write().err().map(Poisoned);
    }
    poisoned.clone().map_or(Ok(()), Err)
}
