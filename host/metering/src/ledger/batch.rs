//! Records that are written together: each is checked against those before it.

use alloc::vec::Vec;

use super::{Ledger, Refusal};
use crate::record::Record;
use crate::slot::SlotId;

impl Ledger {
    /// Whether records fit, in this order.
    ///
    /// # Errors
    /// The number of the first that does not, from zero, and why. Nothing is changed.
    pub fn admit_all(&self, records: &[Record]) -> Result<(), (usize, Refusal)> {
        if let [record] = records {
            return self.admit(record).map_err(|refusal| (0, refusal));
        }
        // A ledger has thousands of slots, a batch names a few.
        let named = records.iter().flat_map(Record::slots);
        let slots = named.filter_map(|id| self.slots.get_key_value(&id)).map(|(id, slot)| (id.clone(), slot.clone()));
        let mut ahead = self.without_slots();
        ahead.slots = slots.collect();
        for (number, record) in records.iter().enumerate() {
            ahead.admit(record).map_err(|refusal| (number, refusal))?;
            ahead.apply(record);
        }
        Ok(())
    }

    fn without_slots(&self) -> Self {
        Self {
            slots: alloc::collections::BTreeMap::new(),
            past: self.past.clone(),
            questions: self.questions.clone(),
            provisional: self.provisional.clone(),
            identity: self.identity.clone(),
            accepted_under: self.accepted_under.clone(),
            handed_over: self.handed_over.clone(),
            adopted: self.adopted.clone(),
            ..*self
        }
    }
}

impl Record {
    /// The slots that it reads or changes, but for what the start of a process does to all.
    fn slots(&self) -> Vec<SlotId> {
        match self {
            Self::Carried { from, to, .. } => alloc::vec![from.clone(), from.at(*to)],
            Self::HandedOver(handed) => alloc::vec![handed.slot.clone()],
            Self::Sealed { slot, .. }
            | Self::Closed { slot, .. }
            | Self::Resealed { slot, .. }
            | Self::Beyond { slot, .. }
            | Self::Attempted { slot, .. }
            | Self::Deferred { slot, .. }
            | Self::Ended { slot, .. }
            | Self::Settled { slot, .. }
            | Self::Asked { slot, .. }
            | Self::Adopted { slot, .. }
            | Self::Kept { slot, .. } => alloc::vec![slot.clone()],
            Self::Created { .. }
            | Self::Started { .. }
            | Self::Granted { .. }
            | Self::Heartbeat { .. }
            | Self::Checkpoint(_)
            | Self::Past { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, Hour, Payer, Tags};

    fn id(hour: u32) -> SlotId {
        SlotId { listing: "paid".into(), payer: Payer::Own, dimension: "images".into(), hour: Hour(hour) }
    }

    /// A ledger whose hour 2 was closed without a whole billed unit, and hour 3 is open.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new();
        let started = Record::Started { at: 7_200, identity: "A".into(), boot: 1, first_hour_taken: false };
        ledger.apply(&Record::Created { at: 7_200, ledger: 1 });
        ledger.apply(&started);
        for (units, at) in [(3, 7_300), (9, 10_900)] {
            let used = ledger.used(&id(0), 10, "api", Tags::NONE, units, at);
            ledger.apply_used(&used);
        }
        ledger.apply(&Record::Closed { slot: id(2), why: crate::Close::Idle });
        ledger
    }

    #[test]
    fn records_that_build_on_each_other_fit_together_as_they_do_one_by_one() {
        let mut ledger = ledger();
        let units = [(Tags::NONE, 3)].into_iter().collect();
        let carried = Record::Carried { from: id(2), to: Hour(3), part: crate::Part::Remainder, units, at: 10_900 };
        let closed = Record::Closed { slot: id(3), why: crate::Close::Idle };
        let ended = Record::Ended { slot: id(3), end: End::Expired, at: 20_000 };
        // With what is carried, hour 3 holds 12 of 10 units: too many to be idle.
        assert_eq!(ledger.admit_all(&[carried.clone(), closed.clone()]), Err((1, Refusal::OutOfPlace)));
        assert_eq!(ledger.admit_all(&[closed.clone(), carried.clone()]), Err((1, Refusal::OutOfPlace)));
        assert_eq!(ledger.admit_all(&[closed.clone(), Record::Heartbeat { at: 11_000 }]), Ok(()));
        assert_eq!(ledger.admit_all(&[ended]), Err((0, Refusal::OutOfPlace)));
        assert_eq!(ledger.admit_all(&[carried.clone(), Record::Heartbeat { at: 11_000 }]), Ok(()));
        ledger.apply(&carried);
        assert_eq!(ledger.admit(&closed), Err(Refusal::OutOfPlace));
    }
}
