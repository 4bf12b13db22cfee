//! The ledger on disk: what was used and what became of it, in a form that survives the process.
//!
//! A batch is atomic and durable when [`Store::commit`] returns, or the process ends: an error of the disk is never
//! retried, because a failed fsync may have dropped what it was asked to keep. What the numbers mean is the engine's
//! business; here is only that nothing is lost, changed or left out.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use tollgate_metering::{Ledger, Record, Used};

use crate::exit::{Exit, Why};

use reserve::Reserve;

mod archive;
mod chain;
mod fold;
mod folder;
mod image;
#[cfg(test)]
pub(crate) mod memory;
mod other;
mod reserve;
mod sqlite;
mod witness;
mod writer;

pub use archive::{Archive, ArchiveRow, Pages};
pub use fold::fold;
pub use image::{Entry, Image, Key, RecordedRow, UsageRow};
pub use other::Other;
pub use reserve::Space;
pub use sqlite::Sqlite;
pub use writer::{Poisoned, Writer};

/// What becomes durable together: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Usage, added to what is there.
    pub used: Vec<Used>,
    /// Transitions, appended in this order, after the usage.
    pub records: Vec<Record>,
}

/// Everything a store holds, in the order in which it is folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The sums of usage.
    pub used: Vec<Used>,
    /// All transitions since the last checkpoint, which they begin with; without one, since the ledger was created.
    pub records: Vec<Record>,
    /// The number of the last entry that a checkpoint took out; 0 if none did.
    pub before: u64,
}

/// Keeps batches. The store is the truth; the state in memory is a fold over it.
pub trait Store: Debug + Send + 'static {
    /// Reads everything, checked.
    ///
    /// # Errors
    /// What is damaged.
    fn load(&mut self) -> Result<Loaded, String>;

    /// Every row as it stands, unchecked.
    ///
    /// # Errors
    /// The rows cannot be read.
    fn image(&mut self) -> Result<Image, String>;

    /// The next rows of the archive after a number.
    ///
    /// # Errors
    /// The rows cannot be read.
    fn archived(&mut self, after: u64) -> Result<Vec<ArchiveRow>, String>;

    /// Makes a batch durable.
    ///
    /// # Errors
    /// What failed. Whether the batch is on disk is then unknown; the process has to end.
    fn commit(&mut self, batch: &Batch) -> Result<(), String>;

    /// Puts the records of [`Ledger::checkpoint`] in place of all entries so far, takes out the usage of the slots that
    /// they do not name, and archives what is forgotten. All of it or nothing.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn compact(&mut self, checkpoint: &[Record], forgotten: &[Record]) -> Result<(), String>;

    /// Puts usage where whoever opens the store without this program looks for it. Nothing depends on it.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn gather(&mut self) -> Result<(), String>;
}

/// A ledger that this process holds.
#[derive(Debug)]
pub struct Opened {
    /// Its state.
    pub ledger: Ledger,
    /// Where to write what comes next.
    pub writer: Writer,
    /// Where it is.
    pub folder: PathBuf,
    /// Folders of other identities on the same volume: see [`Other`].
    pub others: Vec<PathBuf>,
}

/// Why a ledger cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("{} is in use by another host", .0.display())]
    Locked(PathBuf),
    /// The folder cannot be made, read or written.
    #[error("{}: {problem}", path.display())]
    NotWritable {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// It is there, but not as it was written.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

impl OpenError {
    /// The end of the process that follows from it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Locked(_) => Exit::new(
                Why::Locked,
                self.to_string(),
                "two hosts were given the same volume and have the same identity, or the previous one is still ending",
                "run one host in a task or pod; if the previous one is ending, this one succeeds when it is restarted",
            ),
            Self::NotWritable { .. } => Exit::new(
                Why::Ledger,
                self.to_string(),
                "the volume is missing, read-only or full, or it belongs to another user than the one of this process",
                "mount a writable volume at the folder named by TOLLGATE_LEDGER, owned by the user of the container",
            ),
            Self::Damaged { .. } => Exit::new(
                Why::Ledger,
                self.to_string(),
                "the file was changed, cut off or restored in part, or it is from a newer version",
                "keep a copy of the whole folder for the vendor: it holds unsent usage. The host never starts empty in its \
                 place; with a new, empty volume it starts and what only the damaged ledger knows stays unbilled",
            ),
        }
    }
}

/// Takes the ledger of an identity below a volume, makes it if there is none, checks all of it.
///
/// # Errors
/// [`OpenError`], sorted by what the operator does next.
pub fn open(volume: &Path, identity: &str) -> Result<Opened, OpenError> {
    let mut folder = folder::Folder::take(volume, identity)?;
    let path = folder.database();
    // First, because opening may write.
    let reserve = Reserve::open(folder.path(), path.clone());
    let reserve = reserve.map_err(|error| folder::not_writable(&folder.path().join("reserve"), &error))?;
    let damaged = |problem: String| OpenError::Damaged { path: path.clone(), problem };
    let mut store = Sqlite::open(&path, folder.begun())?.watched(folder.witness()?);
    let ledger = store.load().and_then(fold).map_err(damaged)?;
    folder.begin(&store.head())?;
    let (path, others) = (folder.path().to_owned(), folder::others(volume, identity));
    Ok(Opened { ledger, writer: Writer::new(store, folder, reserve), folder: path, others })
}

/// Whether records follow from the state, one after the other.
///
/// # Errors
/// The first that does not, and why: a fault of Tollgate.
pub(crate) fn admit(ledger: &Ledger, records: &[Record]) -> Result<(), String> {
    let unfit = |(number, refusal)| match records.get::<usize>(number) {
        Some(record) => format!("{refusal}: {}", record.to_text()),
        None => format!("{refusal}"),
    };
    ledger.admit_all(records).map_err(unfit)
}

/// The state of a ledger that no host uses, after [`verify`]. Nothing of it changes but the version of its tables.
///
/// # Errors
/// [`OpenError`]: there is none, it is in use, or it is damaged.
pub fn inspect(folder: &Path) -> Result<Ledger, OpenError> {
    let mut held = Other::unread(folder)?;
    let image = held.image()?;
    let verified = verify(&image, &mut |after| held.archived(after));
    verified.map_err(|problem| OpenError::Damaged { path: folder.to_owned(), problem })
}

/// The state of a ledger of which every row that a start reads is as it was written.
///
/// # Errors
/// The first row that is not, by table and key.
pub fn state(image: &Image) -> Result<Ledger, String> {
    image.check().and_then(|whole| fold(whole.loaded))
}

/// The same, and the archive and the witness are checked too.
///
/// # Errors
/// The first row that is not as it was written, by table and key.
pub fn verify(image: &Image, pages: &mut Pages<'_>) -> Result<Ledger, String> {
    let ledger = state(image)?;
    image.check_witness_line()?;
    image.archive.check(pages, &ledger)?;
    Ok(ledger)
}

#[cfg(test)]
mod size;
#[cfg(test)]
pub(crate) mod tests;
