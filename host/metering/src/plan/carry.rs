//! Moving units to a later hour, and when that is not allowed.
//!
//! AWS counts free trials and prepaid terms by the hour, so late or overflowing usage moves only where the listing
//! declares it. And a ledger that cannot account for the time in between might be an old copy of itself: what it believes
//! unsent may long be billed.

use alloc::vec::Vec;

use super::Plan;
use crate::hour::Hour;
use crate::record::{Part, Record};
use crate::slot::{Life, Slot, SlotId};
use crate::units::Buckets;

impl Plan<'_> {
    /// Remainders of earlier hours of the same dimension and price unit, as many as the slot has room for.
    pub(super) fn remainders(&self, id: &SlotId, slot: &Slot) -> Vec<(SlotId, Buckets)> {
        let mut sum: u64 = 0;
        let earlier = self
            .ledger
            .earlier(id)
            .filter(|(_, from)| from.per == slot.per && from.life != Life::Open && !from.remainder.is_empty());
        let fitting = earlier.take_while(|(_, from)| {
            sum = sum.saturating_add(from.remainder.total());
            slot.has_room_for(sum)
        });
        fitting.map(|(other, from)| (other.clone(), from.remainder.clone())).collect()
    }

    pub(super) fn carry_remainder(&self, from: &SlotId, to: Hour, units: Buckets) -> Record {
        // The instant is that of the usage there, as far as it is known: a remainder is no usage of the target hour.
        Record::Carried { from: from.clone(), to, part: Part::Remainder, units, at: to.start().min(self.now) }
    }

    /// What is above the largest quantity moves, or is given up.
    pub(super) fn move_beyond(&self, id: &SlotId, slot: &Slot, units: Buckets) -> Record {
        match self.target(id, slot, slot.last_at, &units) {
            Some(to) => Record::Carried { from: id.clone(), to, part: Part::Beyond, units, at: self.now },
            None => Record::Beyond { slot: id.clone(), units },
        }
    }

    /// The whole request moves. None: it may not.
    pub(super) fn move_request(&self, id: &SlotId, slot: &Slot) -> Option<Record> {
        let request = slot.request.as_ref().filter(|request| request.quantity > 0)?;
        let units = slot.requested_buckets();
        let to = self.target(id, slot, request.timestamp, &units)?;
        Some(Record::Carried { from: id.clone(), to, part: Part::Request, units, at: self.now })
    }

    /// The hour that may take the units: the earliest unsealed one from now on.
    fn target(&self, id: &SlotId, slot: &Slot, used_at: u64, units: &Buckets) -> Option<Hour> {
        if !(self.policy.sends && self.policy.carry && self.ledger.continuous_since(used_at)) {
            return None;
        }
        let mut to = self.ledger.book(id, self.now);
        if to <= id.hour {
            to = self.ledger.book(&id.at(id.hour), id.hour.end().max(self.now));
        }
        let fits = match self.ledger.slot(&id.at(to)) {
            // A price unit is that of the hour's first unit; units counted under another stay where they are.
            Some(there) => there.per == slot.per && there.has_room_for(units.total()),
            None => self.policy.per(&id.dimension).is_none_or(|per| per == slot.per),
        };
        (fits && self.ledger.takes_usage(&id.at(to))).then_some(to)
    }
}
