//! What a copy of a ledger can bill twice: the documented ways, each with the units that it allows and no more.
//!
//! A copy knows less than the lost part did. Under the same identity AWS recognises the hours that it sends again, so only
//! what moves to another hour can be billed twice; under another identity everything can that the copy holds unsent.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_metering::{Ledger, Life, Part, Record, Slot, SlotId};

use crate::oracle::{Account, Twice};
use crate::pod::{Pod, listing_of};
use crate::store::Gone;
use crate::world::World;

/// What was done to a ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copied {
    pub(crate) times: u64,
    /// The newest hour that what the copy does not know may be about.
    through: u64,
    /// Hand-overs that the lost part had adopted: ledger and number, and the hour that took them.
    adopted: BTreeMap<(u64, u64), u64>,
    /// Hand-overs that were not completed when it was copied: the original and the copy may both adopt them.
    on_the_way: BTreeSet<(u64, u64)>,
    /// The original goes on beside it.
    fork: bool,
}

/// The newest hour that a ledger knows of.
pub(crate) fn newest(ledger: &Ledger) -> u64 {
    let slots = ledger.slots().map(|(id, _)| id.hour).max();
    slots.unwrap_or_default().max(ledger.newest_hour()).0.into()
}

/// Units that a slot still holds for sending.
pub(crate) fn unsent(slot: &Slot) -> u64 {
    let open = if slot.life == Life::Open { slot.open.total() } else { 0 };
    let requested = if slot.life.waiting() { slot.requested() } else { 0 };
    open + requested + slot.remainder.total()
}

impl World {
    /// True if the ledger is a copy, or has copies.
    pub(crate) fn copied(&self, f: usize) -> bool {
        self.seen.copied.contains_key(&f)
    }

    /// True if a ledger of these volumes is a copy, or has copies.
    pub(crate) fn has_copies(&self, family: usize) -> bool {
        self.seen.copied.keys().any(|&f| self.folders[f].family == family)
    }

    pub(crate) fn account(&self, f: usize, id: &SlotId) -> Account {
        (self.folders[f].family, listing_of(&id.listing), Pod::dimension(&id.dimension))
    }

    /// A folder is now what it was earlier.
    pub(crate) fn note_restored(&mut self, f: usize, newest: u64, gone: &Gone) {
        let mut copied = self.seen.copied.remove(&f).unwrap_or_default();
        copied.times += 1;
        copied.through = copied.through.max(newest);
        for record in gone.batches.iter().flat_map(|batch| &batch.records) {
            let (slot, units, to) = match record {
                Record::Carried { from, to, part: Part::Request | Part::Beyond, units, .. } => (from, units, *to),
                Record::HandedOver(handed) => (&handed.slot, &handed.units, handed.slot.hour),
                Record::Adopted { from, number, slot, .. } => {
                    copied.adopted.insert((*from, *number), slot.hour.0.into());
                    continue;
                }
                _ => continue,
            };
            copied.through = copied.through.max(to.0.into());
            let account = self.account(f, slot);
            self.oracle.allow(account, Twice::MovedBefore, units.total(), u64::MAX);
        }
        self.seen.copied.insert(f, copied);
        self.oracle.unsure(self.folders[f].family);
    }

    /// A folder is a copy of one that goes on.
    pub(crate) fn note_forked(&mut self, f: usize, of: usize, newest: u64, on_the_way: &BTreeSet<(u64, u64)>) {
        let copied = self.seen.copied.entry(f).or_default();
        copied.on_the_way.extend(on_the_way);
        (copied.times, copied.fork) = (copied.times + 1, true);
        copied.through = copied.through.max(newest);
        let handed: Vec<_> =
            self.seen.handed.range((of, 0)..=(of, u64::MAX)).map(|(name, units)| (name.1, *units)).collect();
        let adopted: Vec<_> =
            self.seen.adopted.range((of, 0)..=(of, u64::MAX)).map(|(name, by)| (name.1, *by)).collect();
        self.seen.handed.extend(handed.into_iter().map(|(number, units)| ((f, number), units)));
        self.seen.adopted.extend(adopted.into_iter().map(|(number, by)| ((f, number), by)));
    }

    /// Hand-overs of these ledgers that nobody has adopted.
    pub(crate) fn on_the_way(&self, folders: &[usize]) -> BTreeSet<(u64, u64)> {
        let of = |&f: &usize| {
            let id = self.folders[f].disk.load().map_or(0, |ledger| ledger.id());
            let handed = self.seen.handed.range((f, 0)..=(f, u64::MAX)).map(|(name, _)| *name);
            handed.filter(|name| !self.seen.adopted.contains_key(name)).map(move |name| (id, name.1))
        };
        folders.iter().flat_map(of).collect()
    }

    /// A folder was given to a new identity as its own.
    pub(crate) fn note_renamed(&mut self, f: usize) {
        let Some(through) = self.seen.copied.get(&f).map(|copied| copied.through) else { return };
        let Ok(ledger) = self.folders[f].disk.load() else { return };
        for (id, slot) in ledger.slots().filter(|(id, _)| u64::from(id.hour.0) <= through) {
            self.oracle.allow(self.account(f, id), Twice::NewTask, unsent(slot), u64::MAX);
        }
    }

    /// An entry of a copy may bring what was billed before to another hour or identity.
    pub(crate) fn allow_copy(&mut self, f: usize, record: &Record) {
        let Some(copied) = self.seen.copied.get(&f) else { return };
        let old = |id: &SlotId| u64::from(id.hour.0) <= copied.through;
        let (id, way, units) = match record {
            Record::Carried { from, part: Part::Remainder, units, .. } if old(from) => (from, Twice::Remainder, units),
            Record::Carried { from, units, .. } if old(from) => {
                let billed = self.aws.billed(f, Pod::dimension(&from.dimension), from.hour.0.into());
                if !billed && !copied.fork {
                    return;
                }
                (from, Twice::Carried, units)
            }
            Record::HandedOver(handed) if old(&handed.slot) => {
                (&handed.slot, if copied.fork { Twice::Fork } else { Twice::NewTask }, &handed.units)
            }
            Record::Adopted { from, number, slot, units, .. } if copied.on_the_way.contains(&(*from, *number)) => {
                (slot, Twice::Fork, units)
            }
            Record::Adopted { from, number, slot, units, .. } => match copied.adopted.get(&(*from, *number)) {
                // In the same hour AWS recognises them.
                Some(hour) if *hour != u64::from(slot.hour.0) => (slot, Twice::Carried, units),
                _ => return,
            },
            _ => return,
        };
        let account = self.account(f, id);
        let most = match way {
            Twice::Remainder => copied.times * (self.shape.pers[account.2] * 2 - 1),
            _ => u64::MAX,
        };
        self.oracle.allow(account, way, units.total(), most);
    }
}
