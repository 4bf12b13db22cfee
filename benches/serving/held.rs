//! The least that it takes to hold answers until something about them is on disk: one page and one `fdatasync` for all
//! that wait, by a thread of its own. No ledger, nothing of Tollgate. What a host that holds answers can be compared with.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::{Notify, oneshot};
use tollgate_cli::trouble::Result;

use super::failed;

const PAGE: usize = 4_096;
/// The file is written from end to end, and then again.
const PAGES: u64 = 256;

/// The thread that writes.
#[derive(Clone)]
pub(crate) struct Disk {
    wanted: mpsc::Sender<oneshot::Sender<()>>,
}

impl Disk {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let unusable = |error| failed("cannot write the file that answers wait for", error);
        let file = File::create(path).map_err(unusable)?;
        for number in 0..PAGES {
            file.write_all_at(&[0; PAGE], number * PAGE as u64).map_err(unusable)?;
        }
        file.sync_all().map_err(unusable)?;
        let (wanted, waiting) = mpsc::channel::<oneshot::Sender<()>>();
        std::thread::spawn(move || {
            for number in 0_u64.. {
                let Ok(first) = waiting.recv() else { return };
                let all: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                let written = file.write_all_at(&[1; PAGE], number % PAGES * PAGE as u64);
                // Without the disk nobody is answered, and the benchmark says so.
                if written.and_then(|()| file.sync_data()).is_err() {
                    return;
                }
                for done in all {
                    let _gone = done.send(());
                }
            }
        });
        Ok(Self { wanted })
    }
}

/// Those of one thread who wait: they go to the disk together, while the next gather.
#[derive(Default)]
pub(crate) struct Held {
    gathering: Mutex<Vec<oneshot::Sender<()>>>,
    some: Notify,
}

impl Held {
    /// Returns when the disk has been written after the call.
    pub(crate) async fn wait(&self) {
        let (done, answer) = oneshot::channel();
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        self.some.notify_one();
        let _gone = answer.await;
    }

    /// Lets them go, for as long as it is polled.
    pub(crate) async fn keep(self: Arc<Self>, disk: Disk) {
        loop {
            self.some.notified().await;
            let group = std::mem::take(&mut *self.gathering.lock().unwrap_or_else(PoisonError::into_inner));
            let (done, answer) = oneshot::channel();
            if disk.wanted.send(done).is_err() || answer.await.is_err() {
                return;
            }
            for done in group {
                let _gone = done.send(());
            }
        }
    }
}
