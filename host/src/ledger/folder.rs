//! The folder of an identity: `<volume>/<identity>/` with the database and the lock.
//!
//! The lock file also remembers that the ledger has begun. A database that is missing or empty afterwards was lost, and
//! starting empty in its place would forget usage. Behind that stands the [`Witness`].

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::OpenError;
use super::witness::{Head, Witness};

const DATABASE: &str = "ledger.sqlite";
const LOCK: &str = "lock";
const BEGUN: &str = "begun\n";
/// Follows the witness when another identity has adopted all there was.
const RETIRED: &str = "retired\n";
/// File systems take names of 255 bytes.
const NAME_MAX: usize = 200;

/// A folder that nobody else has while this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    begun: bool,
    witnessed: Option<Head>,
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
        let mut lock = lock.map_err(|error| not_writable(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked(path.clone()),
            TryLockError::Error(error) => not_writable(&lock_path, &error),
        })?;
        let mut held = Vec::new();
        lock.read_to_end(&mut held).map_err(|error| not_writable(&lock_path, &error))?;
        let held = String::from_utf8_lossy(&held);
        let line = held.strip_prefix(BEGUN);
        let (line, rest) = line.map_or((None, ""), |line| match line.split_once('\n') {
            Some((head, rest)) => (Some(format!("{head}\n")), rest),
            None => (Some(line.to_owned()), ""),
        });
        let witnessed = line.as_deref().and_then(Head::read);
        Ok(Self { begun: line.is_some(), witnessed, retired: rest == RETIRED, path, lock })
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// What the second place knew of the ledger; none for a new one, and for one of an older version.
    pub(super) fn witnessed(&self) -> Option<Head> {
        self.witnessed
    }

    /// The second place.
    pub(super) fn witness(&self) -> Result<Witness, OpenError> {
        let file = self.lock.try_clone().map_err(|error| not_writable(&self.path.join(LOCK), &error))?;
        Ok(Witness { file, offset: u64::try_from(BEGUN.len()).unwrap_or_default() })
    }

    /// From now on an empty database is a lost one, and one that ends before `head` has lost entries.
    pub(super) fn begin(&mut self, head: &Head) -> Result<(), OpenError> {
        if self.witnessed == Some(*head) && !self.retired {
            return Ok(());
        }
        let witness = self.witness()?;
        let lock = &mut self.lock;
        let written = lock.rewind().and_then(|()| lock.write_all(BEGUN.as_bytes()));
        let written = written.and_then(|()| lock.set_len(witness.offset));
        let written = written.and_then(|()| witness.note(head)).and_then(|()| lock.sync_all());
        // The names of the new files are durable only with the folder.
        let synced = written.and_then(|()| File::open(&self.path)).and_then(|folder| folder.sync_all());
        synced.map_err(|error| not_writable(&self.path.join(LOCK), &error))?;
        self.begun = true;
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
    pub(super) fn retire(&mut self) -> Result<(), OpenError> {
        let lock = &mut self.lock;
        let written = lock.seek(std::io::SeekFrom::End(0)).and_then(|_| lock.write_all(RETIRED.as_bytes()));
        written.map_err(|error| not_writable(&self.path.join(LOCK), &error))
    }
}

/// True if there is a database.
pub(super) fn has_ledger(folder: &Path) -> bool {
    folder.join(DATABASE).is_file()
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

fn not_writable(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::NotWritable { path: path.to_owned(), problem: error.to_string() }
}
