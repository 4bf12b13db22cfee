//! The file of the state: lines are appended in order by one thread, which syncs once for all that wait. One process
//! at a time; a line that was cut off by a crash was never acknowledged and goes.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::mpsc,
    thread::JoinHandle,
};

use tokio::sync::watch;

use super::Change;

/// Why a state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another emulator has it: stop that one, or name another file.
    #[error("another process uses this state")]
    InUse,
    /// The file, its folder or its disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line that no emulator of this version wrote: name another file, or mend the line.
    #[error("line {line} is no line of a state: {why}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// The open file. Dropping it waits until all that was handed over is written and the file is closed.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: Option<mpsc::Sender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    /// How many lines were handed over.
    handed: u64,
    kept: watch::Receiver<Kept>,
}

/// How far the file is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It could not be written: nothing after this is acknowledged.
    Failed,
    Through(u64),
}

/// The file could not be written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the state could not be written")]
pub(crate) struct Lost;

impl Journal {
    /// Opens or makes the file, and hands each line of changes that it holds to `restore`.
    pub(crate) fn open(path: &Path, mut restore: impl FnMut(Change) -> Result<(), String>) -> Result<Self, StateError> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => StateError::Io(error),
            TryLockError::WouldBlock => StateError::InUse,
        })?;
        let (whole, lines) = read(&file, &mut restore)?;
        if lines == 0 {
            file.set_len(0)?;
            file.write_all(HEADER)?;
            // The name of a new file is part of what must survive.
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            File::open(folder)?.sync_all()?;
        } else {
            file.set_len(whole)?;
        }
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        let (sender, receiver) = mpsc::channel();
        let (tell, kept) = watch::channel(Kept::Through(0));
        let thread = std::thread::Builder::new().name("state".to_owned());
        let thread = thread.spawn(move || write(file, &receiver, &tell))?;
        Ok(Self { lines: Some(sender), thread: Some(thread), handed: 0, kept })
    }

    /// Hands over the changes of one call, which become one line; nothing if there are none. The caller holds the lock
    /// of what was changed, so that lines are in the order of the changes. Answers what is to be waited for.
    pub(crate) fn append(&mut self, changes: &[Change]) -> Ticket {
        if !changes.is_empty() {
            let mut line = serde_json::to_vec(changes).unwrap_or_default();
            line.push(b'\n');
            // A thread that is gone has said so in `kept`.
            let _ = self.lines.as_ref().map(|lines| lines.send(line));
            self.handed += 1;
        }
        Ticket { number: self.handed, kept: self.kept.clone() }
    }

    /// Ends when the file cannot be written any more.
    pub(crate) fn lost(&self) -> impl Future<Output = Lost> + use<> {
        let mut kept = self.kept.clone();
        async move {
            // A writer that is gone is as bad as one that says so.
            let _ = kept.wait_for(|kept| *kept == Kept::Failed).await;
            Lost
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines.take();
        // A thread that panicked has nothing more to write.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A line that is on its way to the disk.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    kept: watch::Receiver<Kept>,
}

impl Ticket {
    /// Waits until the line is on disk.
    pub(crate) async fn kept(mut self) -> Result<(), Lost> {
        let number = self.number;
        let reached = self.kept.wait_for(|kept| match kept {
            Kept::Failed => true,
            Kept::Through(through) => *through >= number,
        });
        match reached.await {
            Ok(kept) if *kept != Kept::Failed => Ok(()),
            _ => Err(Lost),
        }
    }
}

/// Reads all whole lines. Answers where the last one ends, and how many there are.
fn read(file: &File, restore: &mut impl FnMut(Change) -> Result<(), String>) -> Result<(u64, u64), StateError> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut line, mut bytes) = (0, 0, Vec::new());
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
        let torn = bytes.pop_if(|last| *last == b'\n').is_none();
        // A header that was cut off is the start of the header; anything else is somebody's text.
        if torn && (line > 0 || HEADER.starts_with(&bytes)) {
            return Ok((whole, line));
        }
        whole += u64::try_from(bytes.len()).unwrap_or(u64::MAX) + 1;
        line += 1;
        let bad = |why: String| StateError::Line { line, why };
        if line == 1 {
            if bytes != HEADER.trim_ascii_end() {
                return Err(bad("the first line does not say that this is a state".to_owned()));
            }
            continue;
        }
        let changes: Vec<Change> = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        changes.into_iter().try_for_each(&mut *restore).map_err(bad)?;
    }
}

/// Writes what is handed over, as much at a time as waits, until nobody can hand over more.
fn write(mut file: File, lines: &mpsc::Receiver<Vec<u8>>, tell: &watch::Sender<Kept>) {
    let mut through = 0;
    while let Ok(mut bytes) = lines.recv() {
        through += 1;
        for more in lines.try_iter() {
            bytes.extend_from_slice(&more);
            through += 1;
        }
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "the state cannot be written");
            tell.send_replace(Kept::Failed);
            return;
        }
        tell.send_replace(Kept::Through(through));
    }
}

const HEADER: &[u8] = b"{\"tollgate_emulator_state\":1}\n";
