//! A folder below a volume: one ledger, the identity it is named after, and who holds its lock.

use tollgate_metering::Ledger;

use crate::store::Disk;
use crate::world::World;

/// The folder of an identity. Its number is that of its lineage.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) volume: usize,
    /// Volumes of which one is a copy of the other bill the same units.
    pub(crate) family: usize,
    /// The identity it is named after.
    pub(crate) owner: u32,
    pub(crate) disk: Disk,
    /// The pod whose process holds the lock, and its state of the ledger.
    pub(crate) holder: Option<usize>,
    pub(crate) open: Option<Ledger>,
    /// What the last process knew when it ended, if that must be what the disk says.
    pub(crate) last: Option<Ledger>,
    /// How often it was taken.
    pub(crate) taken: u32,
    /// When the disk was last written, and since when there was no silence of over an hour: true time.
    pub(crate) written_at: u64,
    pub(crate) unbroken_since: u64,
    /// When it was marked that nothing is left to adopt.
    pub(crate) retired: Option<u64>,
    /// The disk is gone.
    pub(crate) lost: bool,
    /// The newest hour that a clock ahead of the world made it believe in.
    pub(crate) believed: u64,
}

impl World {
    /// The pod's own folder; it is made if there is none.
    pub(crate) fn own_folder(&mut self, p: usize) -> usize {
        let (volume, identity) = (self.pods[p].volume, self.pods[p].identity);
        let own =
            self.folders.iter().position(|folder| folder.volume == volume && folder.owner == identity && !folder.lost);
        own.unwrap_or_else(|| {
            self.folders.push(Folder {
                volume,
                family: self.families[volume],
                owner: identity,
                disk: Disk::new(self.seed.is_multiple_of(32)),
                holder: None,
                open: None,
                last: None,
                taken: 0,
                written_at: self.now,
                unbroken_since: 0,
                retired: None,
                lost: false,
                believed: 0,
            });
            self.folders.len() - 1
        })
    }

    /// A new volume, of the same family as another or of none.
    pub(crate) fn new_volume(&mut self, like: Option<usize>) -> usize {
        let volume = self.families.len();
        self.families.push(like.map_or(volume, |like| self.families[like]));
        self.full_until.push(0);
        volume
    }

    /// The folders of a volume that have a ledger and are in nobody's hands.
    pub(crate) fn free_folders(&self, volume: usize) -> Vec<usize> {
        let free = |folder: &Folder| {
            folder.volume == volume && !folder.lost && folder.holder.is_none() && !folder.disk.is_empty()
        };
        (0..self.folders.len()).filter(|&f| free(&self.folders[f])).collect()
    }

    /// The folders of others on the pod's volume that have a ledger.
    pub(crate) fn other_folders(&self, p: usize) -> Vec<usize> {
        let pod = &self.pods[p];
        let other = |folder: &Folder| folder.volume == pod.volume && !folder.lost && !folder.disk.is_empty();
        (0..self.folders.len()).filter(|&f| f != pod.folder && other(&self.folders[f])).collect()
    }

    /// True if another process works on the volume.
    pub(crate) fn shared_now(&self, p: usize) -> bool {
        let volume = self.pods[p].volume;
        self.folders.iter().any(|folder| folder.volume == volume && folder.holder.is_some_and(|holder| holder != p))
    }

    /// Takes the lock and reads the ledger. False: somebody else has it, or it cannot be read.
    pub(crate) fn take(&mut self, p: usize, f: usize) -> bool {
        if self.folders[f].holder.is_some() && self.bug != Some(crate::Bug::IgnoreLock) {
            return false;
        }
        let Some(ledger) = self.loaded(f) else { return false };
        let folder = &mut self.folders[f];
        (folder.holder, folder.open) = (Some(p), Some(ledger));
        true
    }

    /// Lets go of a folder. `known`: what the process knew must be what the disk says.
    pub(crate) fn release(&mut self, f: usize, known: bool) {
        let folder = &mut self.folders[f];
        let ledger = folder.open.take();
        folder.last = ledger.filter(|_| known);
        folder.holder = None;
    }

    /// The state of an open ledger.
    pub(crate) fn open(&self, f: usize) -> Option<&Ledger> {
        self.folders[f].open.as_ref()
    }

    /// The state of the pod's own ledger, if it has a process.
    pub(crate) fn ledger(&self, p: usize) -> Option<&Ledger> {
        let pod = &self.pods[p];
        pod.process.as_ref().and_then(|_| self.open(pod.folder))
    }

    /// True if a pod that goes on owns the folder.
    pub(crate) fn lives(&self, f: usize) -> bool {
        self.pods.iter().any(|pod| pod.folder == f && pod.gone.is_none() && pod.identity == self.folders[f].owner)
    }
}
