//! Taking over what another identity left: two ledgers on one volume.
//!
//! Units go from the old ledger to the new one by two entries: [`Record::HandedOver`] in the old one, durable first, then
//! [`Record::Adopted`] in the new one. From the first on the old ledger can never send them; by its number the second
//! happens once. Cut off in between, the next start finds the first without the second.
//!
//! Only what AWS certainly never got under the old identity moves: open units, and requests without a doubtful try. To
//! AWS the new identity is another resource, with one record for each dimension and hour. Units therefore keep their hour
//! where the new ledger has not closed it yet, and are sent in its one record for that hour.

use alloc::vec::Vec;

use super::Ledger;
use crate::hour::{Hour, window_end};
use crate::plan::Policy;
use crate::record::{End, HandedOver, Part, Record};
use crate::slot::{Life, Slot, SlotId};
use crate::trust::Now;
use crate::units::Buckets;

/// What to write where, in this order, each batch durable before the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handing {
    /// In the new ledger: what an adoption that was cut off had already handed over.
    pub repaired: Vec<Record>,
    /// In the old ledger.
    pub handed: Vec<Record>,
    /// In the new ledger.
    pub adopted: Vec<Record>,
}

impl Ledger {
    /// Adopts for this ledger what `old` may hand over. A process of this ledger's identity holds both; it has begun in
    /// `old` ([`Record::Started`]) and has written there what [`crate::plan()`] wants written, so that what is in doubt or too
    /// old has ended.
    pub fn adopt_from(&self, old: &Self, now: Now, policy: &Policy) -> Handing {
        let mut new = self.clone();
        let mut handing = Handing { repaired: self.repair_from(old, now, policy), ..Handing::default() };
        handing.repaired.iter().for_each(|record| new.apply(record));
        let mut number = old.handed_over_last();
        for (id, slot) in old.slots().filter(|(id, _)| policy.sends && id.listing == policy.listing) {
            for (part, units, used_at) in slot.parts(policy) {
                let (slot, per, to) = (id.clone(), slot.per, self.id);
                let handed = HandedOver { number: number + 1, to, slot, part, per, units, used_at };
                if let Some(adopted) = new.adoption_of(old, &handed, now, policy) {
                    number += 1;
                    new.apply(&adopted);
                    handing.adopted.push(adopted);
                    handing.handed.push(Record::HandedOver(handed.into()));
                }
            }
            if slot.life.waiting() && !slot.attempts.doubtful() && slot.requested() == 0 {
                // A zero of another resource says nothing that the new one has to repeat.
                handing.handed.push(Record::Ended { slot: id.clone(), end: End::Expired, at: now.s });
            }
        }
        handing
    }

    /// What `old` handed over to this ledger that never arrived.
    pub fn repair_from(&self, old: &Self, now: Now, policy: &Policy) -> Vec<Record> {
        let mut new = self.clone();
        let mut repaired = Vec::new();
        for handed in old.handed_over.values().filter(|handed| !self.has_adopted(old, handed) && handed.to == self.id) {
            if let Some(adopted) = new.adoption_of(old, handed, now, policy) {
                new.apply(&adopted);
                repaired.push(adopted);
            }
        }
        repaired
    }

    /// True if this ledger still has something that another identity might adopt: units under any listing, or a hand-over
    /// that has not arrived.
    pub fn leaves(&self, arrived: impl Fn(&HandedOver) -> bool) -> bool {
        let waits = |slot: &Slot| slot.life.waiting() || slot.life == Life::Open && !slot.open.is_empty();
        let left = |slot: &Slot| waits(slot) || !slot.remainder.is_empty();
        self.slots.values().any(left) || !self.handed_over.values().all(arrived)
    }

    /// True if a hand-over of `old` is in this ledger.
    pub fn has_adopted(&self, old: &Self, handed: &HandedOver) -> bool {
        self.adopted.contains(&(old.id, handed.number))
    }

    pub(super) fn handed_over_last(&self) -> u64 {
        self.handed_over.last_key_value().map_or(0, |(&number, _)| number)
    }

    /// The entry that takes the units in; none if there is no hour that may have them.
    fn adoption_of(&self, old: &Self, handed: &HandedOver, now: Now, policy: &Policy) -> Option<Record> {
        let hour = match handed.part {
            // Never billed in its own hour, so it has none: as within one ledger, the next takes it.
            Part::Remainder => {
                policy.per(&handed.slot.dimension).filter(|&per| per == handed.per)?;
                self.book_from(&handed.slot, now.s)
            }
            _ if self.may_keep_its_hour(handed, now) => handed.slot.hour,
            _ => self.may_move_to(old, handed, now, policy)?,
        };
        let HandedOver { number, per, ref units, used_at, .. } = *handed;
        let slot = handed.slot.at(hour);
        let adopted = Record::Adopted { from: old.id, number, slot, per, units: units.clone(), used_at };
        self.admit(&adopted).is_ok().then_some(adopted)
    }

    /// The hour is not closed here, nor so long ago that this ledger may have forgotten that it was, nor too old to be sent.
    fn may_keep_its_hour(&self, handed: &HandedOver, now: Now) -> bool {
        let in_time = !now.confirmed || now.s < window_end(handed.used_at);
        self.takes_usage(&handed.slot) && handed.slot.hour >= self.kept_from() && in_time
    }

    /// Another hour is another question to AWS: free trials and prepaid terms count by the hour. So it has to be declared,
    /// and the old ledger must account for all the time until now, because an old copy of it could know less than AWS.
    fn may_move_to(&self, old: &Self, handed: &HandedOver, now: Now, policy: &Policy) -> Option<Hour> {
        let declared = policy.carry && now.confirmed && old.continuous_since(handed.used_at);
        let same_price = policy.per(&handed.slot.dimension).is_none_or(|per| per == handed.per);
        (declared && same_price).then(|| self.book_from(&handed.slot, now.s))
    }

    /// The hour that takes usage now, but none before that of the slot: this clock may be behind the one that began it.
    fn book_from(&self, slot: &SlotId, now: u64) -> Hour {
        self.book(slot, now.max(slot.hour.start()))
    }

    pub(super) fn hand_over(&mut self, handed: &HandedOver) {
        if let Some(slot) = self.slots.get_mut(&handed.slot) {
            slot.handed_over = slot.handed_over.saturating_add(handed.units.total());
            match handed.part {
                Part::Remainder => slot.remainder.take_all(&handed.units),
                Part::Open | Part::Request | Part::Beyond => {
                    slot.open = Buckets::default();
                    slot.life = Life::HandedOver;
                }
            }
        }
        self.handed_over.insert(handed.number, handed.clone());
    }

    pub(super) fn adopt(&mut self, id: &SlotId, per: u64, units: &Buckets, used_at: u64) {
        let slot = self.slots.entry(id.clone()).or_insert_with(|| Slot::new(per));
        slot.adopted = slot.adopted.saturating_add(units.total());
        slot.last_at = slot.last_at.max(id.hour.clamp(used_at));
        slot.open.add_all(units);
        slot.brought.add_all(units);
    }
}

impl Slot {
    /// What AWS certainly never got: part, units, and the instant of the last of them.
    fn parts(&self, policy: &Policy) -> Vec<(Part, Buckets, u64)> {
        let mut parts = Vec::new();
        let request = self.request.as_ref().filter(|request| request.product_code == policy.product_code);
        match request {
            _ if self.life == Life::Open => parts.push((Part::Open, self.open.clone(), self.last_at)),
            Some(request) if self.life.waiting() && !self.attempts.doubtful() => {
                parts.push((Part::Request, self.requested_buckets(), request.timestamp));
            }
            _ => {}
        }
        if self.life != Life::Open {
            parts.push((Part::Remainder, self.remainder.clone(), self.last_at));
        }
        parts.retain(|(_, units, _)| !units.is_empty());
        parts
    }
}
