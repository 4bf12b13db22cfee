//! The folder of an identity: `<volume>/<identity>/` with the database and the lock.
//!
//! The lock file also remembers that the ledger has begun. A database that is missing or empty afterwards was lost, and
//! starting empty in its place would forget usage. Behind that stands the [`Witness`].

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::OpenError;
use super::witness::{Head, Seen, Witness};

const DATABASE: &str = "ledger.sqlite";
const LOCK: &str = "lock";
/// File systems take names of 255 bytes.
const NAME_MAX: usize = 200;

/// A folder that nobody else has while this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    seen: Seen,
    retired: bool,
}

impl Folder {
    pub(super) fn take(volume: &Path, identity: &str) -> Result<Self, OpenError> {
        let path = volume.join(name(identity));
        std::fs::create_dir_all(&path).map_err(|error| not_writable(&path, &error))?;
        Self::lock(path)
    }

    /// A folder that is there, whosever it is.
    pub(super) fn lock(path: PathBuf) -> Result<Self, OpenError> {
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(|error| not_writable(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked(path.clone()),
            TryLockError::Error(error) => not_writable(&lock_path, &error),
        })?;
        let mut folder = Self { path, lock, seen: Seen::Missing, retired: false };
        let read = folder.witness()?.read();
        (folder.seen, folder.retired) = read.map_err(|error| not_writable(&lock_path, &error))?;
        Ok(folder)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// True if there must be a ledger.
    pub(super) fn begun(&self) -> bool {
        self.seen != Seen::Missing
    }

    /// The second place.
    pub(super) fn witness(&self) -> Result<Witness, OpenError> {
        self.lock.try_clone().map(Witness::new).map_err(|error| not_writable(&self.path.join(LOCK), &error))
    }

    /// From now on an empty database is a lost one, and one that ends before `head` has lost entries.
    pub(super) fn begin(&mut self, head: &Head) -> Result<(), OpenError> {
        if self.seen == Seen::Head(*head) && !self.retired {
            return Ok(());
        }
        let begun = self.witness()?.begin(head);
        // The names of the new files are durable only with the folder.
        let synced = begun.and_then(|()| File::open(&self.path)).and_then(|folder| folder.sync_all());
        synced.map_err(|error| not_writable(&self.path.join(LOCK), &error))?;
        (self.seen, self.retired) = (Seen::Head(*head), false);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// True if nothing is left for others to adopt.
    pub(super) fn retired(&self) -> bool {
        self.retired
    }

    /// From now on nobody has to read the ledger to see that nothing is left. Its own identity may begin again.
    pub(super) fn retire(&self) -> Result<(), OpenError> {
        let retired = self.witness()?.retire();
        retired.map_err(|error| not_writable(&self.path.join(LOCK), &error))
    }
}

/// True if there is a database.
pub(super) fn has_ledger(folder: &Path) -> bool {
    folder.join(DATABASE).is_file()
}

/// True if there was one, as far as the file beside it knows.
pub(super) fn has_begun(folder: &Path) -> bool {
    folder.join(LOCK).metadata().is_ok_and(|lock| lock.len() > 0)
}

/// Folders of other identities that have a ledger.
pub(super) fn others(volume: &Path, identity: &str) -> Vec<PathBuf> {
    let own = name(identity);
    let entries = std::fs::read_dir(volume).into_iter().flatten().flatten();
    let others = entries.filter(|entry| entry.file_name() != own.as_str()).map(|entry| entry.path());
    let mut others: Vec<PathBuf> = others.filter(|path| has_ledger(path)).collect();
    others.sort();
    others
}

/// The identity as a folder name. Different identities of one volume differ in letters and digits, so a collision would
/// need one that AWS does not give out.
fn name(identity: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = identity.chars().map(plain).collect();
    // The end of an ARN is what differs.
    name[name.len().saturating_sub(NAME_MAX)..].to_owned()
}

/// The error for a file or folder that the system does not let us have.
pub(super) fn not_writable(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::NotWritable { path: path.to_owned(), problem: error.to_string() }
}
