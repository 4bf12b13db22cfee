//! Whether anybody opened a file: the kernel tells (inotify).

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::trouble::{Result, Trouble};

/// Counts how often a file is opened from now on.
#[derive(Debug)]
pub struct OpenWatch {
    queue: OwnedFd,
    opened: u32,
}

impl OpenWatch {
    /// Begins to watch `file`.
    ///
    /// # Errors
    /// The kernel refuses, or there is no such file.
    pub fn on(file: &Path) -> Result<Self> {
        let refused = |error: Errno| Trouble::file("watch", file, &error.into());
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(refused)?;
        inotify::add_watch(&queue, file, WatchFlags::OPEN).map_err(refused)?;
        Ok(Self { queue, opened: 0 })
    }

    /// How often the file was opened since the watch began.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn opened(&mut self) -> Result<u32> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.queue, &mut buffer);
        loop {
            match events.next() {
                Ok(_) => self.opened = self.opened.saturating_add(1),
                Err(Errno::WOULDBLOCK) => return Ok(self.opened),
                Err(error) => return Err(Trouble::new(format!("cannot read inotify: {error}"), "", "")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_opening_counts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut watch = OpenWatch::on(file.path()).unwrap();
        assert!(file.path().metadata().is_ok());
        assert_eq!(watch.opened().unwrap(), 0);
        std::fs::read(file.path()).unwrap();
        assert_eq!(watch.opened().unwrap(), 1);
    }
}
