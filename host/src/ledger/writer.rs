//! The one thread that writes: takes all batches that wait, commits them in one transaction, wakes who waited.
//!
//! The faster batches come, the more go into one transaction, so it adapts to the disk without a timer.

use tokio::sync::{mpsc, oneshot};
use tollgate_metering::Record;

use super::folder::Folder;
use super::reserve::Reserve;
use super::{ArchiveRow, Batch, Image, Space, Store};

/// Batches that may wait; one more makes its sender wait.
const WAITING_MAX: usize = 256;

/// The writing end of a ledger. When the last clone is gone the ledger is closed and its folder free.
#[derive(Clone, Debug)]
pub struct Writer {
    waiting: mpsc::Sender<Waiting>,
    space: Space,
}

/// The ledger could not be written. The process has to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct Poisoned(pub String);

type Done = oneshot::Sender<Result<(), Poisoned>>;
/// Called with true once a batch is on disk, or with false if it never will be.
pub type Told = Box<dyn FnOnce(bool) + Send>;
type Answer<T> = oneshot::Sender<Result<T, String>>;

enum Waiting {
    Batch {
        batch: Batch,
        told: Option<Told>,
        done: Done,
    },
    Checkpoint {
        records: Vec<Record>,
        forgotten: Vec<Record>,
        done: Done,
    },
    /// Nothing to write; only a look at the room that is left.
    Look(Done),
    Image(Answer<Image>),
    Archived(u64, Answer<Vec<ArchiveRow>>),
}

impl Writer {
    pub(super) fn new<S: Store>(store: S, folder: Folder, reserve: Reserve) -> Self {
        Self::start(store, folder, Some(reserve))
    }

    /// Writes to a store that is on no disk.
    #[cfg(test)]
    pub(crate) fn unlimited<S: Store>(store: S) -> Self {
        Self::start(store, (), None)
    }

    /// How many wait for the thread.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.max_capacity() - self.waiting.capacity()
    }

    /// `held` is dropped with the store. Without a reserve there is always room.
    fn start<S: Store>(store: S, held: impl Send + 'static, reserve: Option<Reserve>) -> Self {
        let space = reserve.as_ref().map_or_else(Space::default, Reserve::space);
        let (waiting, queue) = mpsc::channel(WAITING_MAX);
        std::thread::spawn(move || {
            let mut thread = Thread { store, reserve, poisoned: None, queue };
            thread.run();
            drop(thread);
            drop(held);
        });
        Self { waiting, space }
    }

    /// Returns when the batch is on disk.
    ///
    /// # Errors
    /// [`Poisoned`]: this batch or one before it could not be written, and none will be any more.
    pub async fn commit(&self, batch: Batch) -> Result<(), Poisoned> {
        self.ask(|done| Waiting::Batch { batch, told: None, done }).await
    }

    /// The same. Who else waits for it is `told` by the thread that wrote, without the detour over who called this.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub async fn commit_and_tell(&self, batch: Batch, told: Told) -> Result<(), Poisoned> {
        self.ask(|done| Waiting::Batch { batch, told: Some(told), done }).await
    }

    /// Returns when the checkpoint stands on disk in place of everything before it, and what it forgets
    /// is in the archive.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub async fn compact(&self, records: Vec<Record>, forgotten: Vec<Record>) -> Result<(), Poisoned> {
        self.ask(|done| Waiting::Checkpoint { records, forgotten, done }).await
    }

    /// Looks at the disk anew, also when nothing is written.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub async fn look(&self) -> Result<(), Poisoned> {
        self.ask(Waiting::Look).await
    }

    /// Who can read what is written. It does not keep the ledger open.
    pub fn reader(&self) -> Reader {
        Reader { waiting: self.waiting.downgrade() }
    }

    /// How much room the disk has.
    pub fn space(&self) -> &Space {
        &self.space
    }

    async fn ask(&self, waiting: impl FnOnce(Done) -> Waiting) -> Result<(), Poisoned> {
        let gone = || Poisoned("the writer has ended".to_owned());
        let (done, answer) = oneshot::channel();
        self.waiting.send(waiting(done)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The reading end of a ledger that is open.
#[derive(Clone, Debug)]
pub struct Reader {
    waiting: mpsc::WeakSender<Waiting>,
}

impl Reader {
    /// Every row as it stands between two transactions.
    ///
    /// # Errors
    /// The rows cannot be read, or the ledger is closed.
    pub async fn image(&self) -> Result<Image, String> {
        self.ask(Waiting::Image).await
    }

    /// The next rows of the archive after a number.
    ///
    /// # Errors
    /// As for [`Reader::image`].
    pub async fn archived(&self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        self.ask(|answer| Waiting::Archived(after, answer)).await
    }

    async fn ask<T>(&self, waiting: impl FnOnce(Answer<T>) -> Waiting) -> Result<T, String> {
        let gone = || "the ledger is closed".to_owned();
        let (done, answer) = oneshot::channel();
        let sender = self.waiting.upgrade().ok_or_else(gone)?;
        sender.send(waiting(done)).await.map_err(|_| gone())?;
        drop(sender);
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

struct Thread<S> {
    store: S,
    reserve: Option<Reserve>,
    poisoned: Option<Poisoned>,
    queue: mpsc::Receiver<Waiting>,
}

impl<S: Store> Thread<S> {
    fn run(&mut self) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| self.queue.blocking_recv()) {
            match first {
                Waiting::Batch { batch, told, done } => next = self.write_all(batch, told, done),
                Waiting::Checkpoint { records, forgotten, done } => {
                    let written = self.attempt(|store| store.compact(&records, &forgotten));
                    tell(done, written);
                }
                Waiting::Look(done) => {
                    let looked = self.attempt(|_| Ok(()));
                    tell(done, looked);
                }
                // Who no longer waits does not need it.
                Waiting::Image(done) => drop(done.send(self.store.image())),
                Waiting::Archived(after, done) => drop(done.send(self.store.archived(after))),
            }
        }
    }

    /// This batch and all that wait behind it, in one transaction. Returns the first that is something else.
    fn write_all(&mut self, mut together: Batch, told: Option<Told>, done: Done) -> Option<Waiting> {
        let (mut told, mut answers) = (Vec::from_iter(told), vec![done]);
        let mut next = None;
        while let Ok(waiting) = self.queue.try_recv() {
            let Waiting::Batch { batch, told: more, done } = waiting else {
                next = Some(waiting);
                break;
            };
            together.used.extend(batch.used);
            together.records.extend(batch.records);
            told.extend(more);
            answers.push(done);
        }
        let written = self.attempt(|store| store.commit(&together));
        told.into_iter().for_each(|told| told(written.is_ok()));
        answers.into_iter().for_each(|done| tell(done, written.clone()));
        next
    }

    /// After one error nothing is tried any more.
    fn attempt(&mut self, write: impl FnOnce(&mut S) -> Result<(), String>) -> Result<(), Poisoned> {
        if self.poisoned.is_none() {
            let room = self.reserve.as_mut().map_or(Ok(()), Reserve::look);
            let room = room.map_err(|error| format!("the reserve beside the ledger: {error}"));
            self.poisoned = room.and_then(|()| write(&mut self.store)).err().map(Poisoned);
        }
        self.poisoned.clone().map_or(Ok(()), Err)
    }
}

/// Who no longer waits does not need to know.
fn tell(done: Done, written: Result<(), Poisoned>) {
    drop(done.send(written));
}
