//! The folder of an identity: `<volume>/<identity>/` with the database and the lock.
//!
//! The lock file also remembers that the ledger has begun. A database that is missing or empty afterwards was lost, and
//! starting empty in its place would forget usage.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::OpenError;

const DATABASE: &str = "ledger.sqlite";
const LOCK: &str = "lock";
const BEGUN: &[u8] = b"begun\n";
/// File systems take names of 255 bytes.
const NAME_MAX: usize = 200;

/// A folder that nobody else has while this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    begun: bool,
}

impl Folder {
    pub(super) fn take(volume: &Path, identity: &str) -> Result<Self, OpenError> {
        let path = volume.join(name(identity));
        std::fs::create_dir_all(&path).map_err(|error| not_writable(&path, &error))?;
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
        Ok(Self { begun: held == BEGUN, path, lock })
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// From now on an empty database is a lost one.
    pub(super) fn begin(&mut self) -> Result<(), OpenError> {
        if self.begun {
            return Ok(());
        }
        let lock = &mut self.lock;
        let written = lock.rewind().and_then(|()| lock.write_all(BEGUN)).and_then(|()| lock.sync_all());
        // The names of the new files are durable only with the folder.
        let synced = written.and_then(|()| File::open(&self.path)).and_then(|folder| folder.sync_all());
        synced.map_err(|error| not_writable(&self.path.join(LOCK), &error))?;
        self.begun = true;
        Ok(())
    }
}

/// Folders of other identities that have a ledger.
pub(super) fn others(volume: &Path, identity: &str) -> Vec<PathBuf> {
    let own = name(identity);
    let entries = std::fs::read_dir(volume).into_iter().flatten().flatten();
    let others = entries.filter(|entry| entry.file_name() != own.as_str()).map(|entry| entry.path());
    let mut others: Vec<PathBuf> = others.filter(|path| path.join(DATABASE).is_file()).collect();
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
