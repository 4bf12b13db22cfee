//! Pods that are replaced and disks that are exchanged: what the cluster and its operator do.

use crate::copies::{newest, unsent};
use crate::driver::Alive;
use crate::faults::Fault;
use crate::folder::Folder;
use crate::pod::Pod;
use crate::report::loss;
use crate::world::{Event, World};

const HOUR_S: u64 = 3_600;

impl World {
    /// A new identity on a volume.
    pub(crate) fn add_pod(&mut self, volume: usize) -> usize {
        self.identities += 1;
        let pers = self.shape.pers.clone();
        self.pods.push(Pod {
            identity: self.identities,
            starts: 0,
            volume,
            folder: usize::MAX,
            offset: 0,
            frozen: None,
            paused_until: 0,
            listing: 0,
            policy: self.shape.policy(0, &pers),
            pers,
            process: None,
            serial: 0,
            starting: true,
            born: self.now,
            gone: None,
        });
        self.pods.len() - 1
    }

    fn add_running_pod(&mut self, volume: usize) -> usize {
        let p = self.add_pod(volume);
        self.at(self.now + 1, Event::Start { p });
        self.at(self.now + 60 + self.shape.use_every_s, Event::Use { p });
        p
    }

    /// A rolling update: the new pod is there before the old one ends.
    pub(crate) fn roll(&mut self, p: usize) -> Alive {
        if self.pods[p].gone.is_some() {
            return Ok(());
        }
        let new = self.add_running_pod(self.pods[p].volume);
        self.tell(p, || format!("is replaced by pod {new}"));
        self.pods[p].gone = Some(self.now);
        self.stop(p, 30)
    }

    /// The volume of a pod is copied, and a new pod runs on the copy.
    pub(crate) fn fork(&mut self, p: usize) {
        let volume = self.pods[p].volume;
        let copy = self.new_volume(Some(volume));
        let copied = |folder: &Folder| folder.volume == volume && !folder.lost && !folder.disk.is_empty();
        let copies: Vec<usize> = (0..self.folders.len()).filter(|&f| copied(&self.folders[f])).collect();
        let ledgers = copies.iter().filter_map(|&f| self.folders[f].disk.load().ok());
        // What is on its way between two of them is in an hour that the second may not know yet.
        let through = ledgers.map(|ledger| newest(&ledger)).max().unwrap_or(0);
        let on_the_way = self.on_the_way(&copies);
        for f in copies {
            let mut folder = self.folders[f].clone();
            (folder.volume, folder.holder, folder.open, folder.last) = (copy, None, None, None);
            self.folders.push(folder);
            self.note_forked(self.folders.len() - 1, f, through, &on_the_way);
        }
        self.add_running_pod(copy);
    }

    /// What the cluster and its operator did while the pod was down.
    pub(crate) fn before_start(&mut self, p: usize) {
        if self.faults.strikes(Fault::WrongClockAtStart) {
            self.set_clock(p, Fault::WrongClockAtStart);
        }
        let f = self.pods[p].folder;
        // Whoever shares the volume may have lost it with the rest.
        let gone = |folder: &Folder| folder.lost || folder.disk.is_empty() || folder.holder.is_some();
        let fresh = self.folders.get(f).is_none_or(gone);
        if fresh {
            return;
        }
        if self.faults.strikes(Fault::DiskLost) {
            self.lose_disk(p);
            self.seen.forgetful.push(self.pods[p].identity);
            self.tell(p, || "finds its disk empty".to_owned());
        } else if self.faults.strikes(Fault::ReplacedWithoutDisk) {
            self.lose_disk(p);
            self.replace(p, "is a new pod with an empty disk");
        } else if self.faults.strikes(Fault::OldCopy) {
            self.restore(p, Fault::OldCopy);
            self.seen.forgetful.push(self.pods[p].identity);
        } else if self.faults.strikes(Fault::OldCopyInNewPod) {
            self.replace(p, "is a new pod");
            self.restore(p, Fault::OldCopyInNewPod);
        } else if self.faults.strikes(Fault::FolderRenamed) {
            self.replace(p, "is a new pod, with the folder of the old under its name");
            self.folders[f].owner = self.pods[p].identity;
            self.note_renamed(f);
        } else if self.faults.strikes(Fault::ReplacedWithDisk) {
            self.replace(p, "is a new pod on the volume of the old");
        }
        let listing = usize::from(self.faults.strikes(Fault::OtherListing));
        let cheaper = self.faults.strikes(Fault::OtherPer);
        let pod = &mut self.pods[p];
        pod.listing = listing;
        pod.pers = self.shape.pers.iter().map(|per| if cheaper { per * 2 } else { *per }).collect();
        pod.policy = self.shape.policy(listing, &pod.pers);
        if self.bug == Some(crate::Bug::SendFree) {
            pod.policy.sends = true;
        }
    }

    fn replace(&mut self, p: usize, how: &str) {
        self.identities += 1;
        let pod = &mut self.pods[p];
        pod.identity = self.identities;
        pod.starts = 0;
        self.tell(p, || how.to_owned());
    }

    /// The pod's own folder is gone; if nobody else works on the volume, all of it is.
    fn lose_disk(&mut self, p: usize) {
        let (own, volume) = (self.pods[p].folder, self.pods[p].volume);
        let gone = if self.shared_now(p) { vec![own] } else { self.free_folders(volume) };
        for f in gone {
            let Ok(ledger) = self.folders[f].disk.load() else { continue };
            for (id, slot) in ledger.slots().filter(|(_, slot)| !slot.attempts.doubtful()) {
                self.lost(loss::DISK_LOST, unsent(slot));
                self.never_billed(f, id, unsent(slot));
            }
            let folder = &mut self.folders[f];
            (folder.lost, folder.last) = (true, None);
        }
    }

    fn restore(&mut self, p: usize, fault: Fault) {
        let shortest = self.faults.amount(fault, 1, 3);
        let age =
            self.faults.amount(fault, 60, [0, HOUR_S / 2, 6 * HOUR_S, 30 * HOUR_S][crate::random::index(shortest, 4)]);
        let until = self.now.saturating_sub(age);
        let (own, volume) = (self.pods[p].folder, self.pods[p].volume);
        let whole = !self.shared_now(p) && age.is_multiple_of(2);
        let copies = if whole { self.free_folders(volume) } else { vec![own] };
        let ledgers = copies.iter().filter_map(|&f| self.folders[f].disk.load().ok());
        let through = ledgers.map(|ledger| newest(&ledger)).max().unwrap_or(0);
        for f in copies {
            let folder = &mut self.folders[f];
            let gone = folder.disk.restore(until);
            folder.retired = folder.retired.filter(|&at| at <= until);
            (folder.last, folder.written_at) = (None, folder.disk.written_at());
            self.note_restored(f, through, &gone);
            self.restored_before_checkpoint(gone.before_checkpoint);
            for (_, _, units) in gone.units {
                self.lost(loss::OLD_COPY, units);
            }
        }
        self.tell(p, || format!("finds {} as it was {age} s ago", if whole { "its volume" } else { "its folder" }));
    }
}
