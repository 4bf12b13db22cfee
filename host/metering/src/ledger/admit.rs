//! What may become part of a ledger. Everything that [`Ledger::apply`] relies on is checked here.

use super::Ledger;
use crate::record::{Close, End, Part, Record, Used};
use crate::slot::{Life, Request, Slot, SlotId};
use crate::units::Buckets;

/// A record does not fit the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A sum would be above 2^63 - 1.
    Overflow,
    /// The slot is not there, or not in a state in which this can happen.
    OutOfPlace,
    /// Quantity, allocations, remainder and units of the slot do not add up, or a stamp is outside its hour.
    DoesNotAddUp,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Overflow => "a sum is too large",
            Self::OutOfPlace => "the entry does not follow from what is before it",
            Self::DoesNotAddUp => "the amounts do not add up",
        })
    }
}

impl core::error::Error for Refusal {}

impl Ledger {
    /// Whether usage fits.
    ///
    /// # Errors
    /// The sum would not fit, the slot takes no usage, or it has another price unit.
    pub fn admit_used(&self, used: &Used) -> Result<(), Refusal> {
        let new = Slot::new(used.per);
        let slot = self.slots.get(&used.slot).unwrap_or(&new);
        fits(slot, used.units)?;
        ensure(self.takes_usage(&used.slot))?;
        adds_up(used.late <= used.units && used.per > 0 && used.per == slot.per)
    }

    /// Whether a record fits.
    ///
    /// # Errors
    /// [`Refusal`] says why not. Nothing is changed.
    pub fn admit(&self, record: &Record) -> Result<(), Refusal> {
        match record {
            Record::Created { .. } => ensure(self.id == 0 && self.boots == 0),
            Record::Started { boot, .. } => ensure(self.boots.checked_add(1) == Some(*boot)),
            Record::Granted { .. } | Record::Heartbeat { .. } => ensure(self.boots > 0),
            Record::Sealed { slot, request, per, remainder } => self.admit_sealed(slot, request, *per, remainder),
            Record::Closed { slot, why } => {
                let slot = self.open(slot)?;
                ensure(*why == Close::Counted || slot.open.total() < slot.per)
            }
            Record::Resealed { slot: id, request } => {
                let slot = self.get(id)?;
                let same = slot.request.as_ref().is_some_and(|old| old.quantity == request.quantity);
                ensure(slot.life == Life::Attempted && slot.attempts.unknown == 0 && slot.generation == 1)?;
                adds_up(same && request.allocations.is_empty() && id.hour.clamp(request.timestamp) == request.timestamp)
            }
            Record::Carried { from, to, part, units, .. } => {
                ensure(*to > from.hour && *part != Part::Open)?;
                self.admit_part(from, *part, units)?;
                let target = from.at(*to);
                ensure(self.takes_usage(&target))?;
                let Some(slot) = self.slots.get(&target) else { return Ok(()) };
                ensure(slot.per == self.get(from)?.per)?;
                fits(slot, units.total())
            }
            Record::Beyond { slot, units } => adds_up(self.open(slot)?.open.contains(units)),
            Record::Attempted { slot, identity, attempt, .. } => {
                let slot = self.get(slot)?;
                let same = slot.attempts.identity == *identity || slot.attempts.unknown == 0;
                let next = slot.attempts.count.checked_add(1) == Some(*attempt);
                ensure(slot.life.waiting() && !slot.attempts.pending && same && next && self.identity == *identity)
            }
            Record::Deferred { slot, .. } => ensure(self.get(slot)?.attempts.pending),
            Record::Ended { slot, end, .. } => self.admit_end(self.get(slot)?, end),
            Record::Settled { slot, evidence, reason, .. } => {
                ensure(!evidence.is_empty() && !reason.is_empty())?;
                ensure(matches!(self.get(slot)?.life, Life::InDoubt | Life::Conflict))
            }
            Record::HandedOver(handed) => {
                let next = self.handed_over_last().checked_add(1) == Some(handed.number);
                ensure(next && handed.to != self.id && handed.part != Part::Beyond)?;
                adds_up(!handed.units.is_empty() && self.get(&handed.slot)?.per == handed.per)?;
                self.admit_part(&handed.slot, handed.part, &handed.units)
            }
            Record::Adopted { from, number, slot: id, per, units, .. } => {
                let once = !self.adopted.contains(&(*from, *number));
                ensure(*from != self.id && once && self.takes_usage(id))?;
                let new = Slot::new(*per);
                let slot = self.slots.get(id).unwrap_or(&new);
                adds_up(*per > 0 && slot.per == *per && !units.is_empty())?;
                fits(slot, units.total())
            }
            Record::Checkpoint(_) => ensure(self.id == 0 && self.boots == 0),
            Record::Past { listing, dimension, balance } => {
                ensure(self.boots > 0 && !self.past.contains_key(&(listing.clone(), dimension.clone())))?;
                adds_up(balance.holds())
            }
            Record::Kept { slot, state } => {
                ensure(self.boots > 0)?;
                let new = Slot::new(state.per);
                adds_up(self.slots.get(slot).unwrap_or(&new).agrees(state))
            }
            Record::Asked { slot, request, .. } => {
                ensure(!self.slots.contains_key(slot))?;
                adds_up(request.quantity == 0 && slot.hour.clamp(request.timestamp) == request.timestamp)
            }
        }
    }

    fn admit_sealed(&self, id: &SlotId, request: &Request, per: u64, remainder: &Buckets) -> Result<(), Refusal> {
        let allocated: u64 = request.allocations.iter().map(|allocation| u64::from(allocation.quantity)).sum();
        adds_up(request.allocations.is_empty() || allocated == u64::from(request.quantity))?;
        adds_up(id.hour.clamp(request.timestamp) == request.timestamp)?;
        ensure(self.takes_usage(id))?;
        let Some(slot) = self.slots.get(id) else {
            return adds_up(request.quantity == 0 && remainder.is_empty() && per > 0);
        };
        let whole = u64::from(request.quantity).checked_mul(per);
        let total = whole.and_then(|whole| whole.checked_add(remainder.total()));
        adds_up(slot.per == per && remainder.total() < per && total == Some(slot.open.total()))
    }

    fn admit_part(&self, from: &SlotId, part: Part, units: &Buckets) -> Result<(), Refusal> {
        let slot = self.get(from)?;
        match part {
            Part::Beyond => {
                ensure(slot.life == Life::Open)?;
                adds_up(slot.open.contains(units))
            }
            Part::Remainder => {
                ensure(slot.life != Life::Open)?;
                adds_up(slot.remainder.contains(units))
            }
            Part::Open => {
                ensure(slot.life == Life::Open)?;
                adds_up(slot.open == *units)
            }
            Part::Request => {
                ensure(slot.life.waiting() && !slot.attempts.doubtful())?;
                adds_up(slot.requested_buckets() == *units)
            }
        }
    }

    fn admit_end(&self, slot: &Slot, end: &End) -> Result<(), Refusal> {
        let allowed = match end {
            End::Acked { .. } | End::Conflict | End::Rejected { .. } => slot.attempts.pending,
            End::Expired => !slot.attempts.doubtful(),
            End::InDoubt { .. } => slot.attempts.doubtful(),
        };
        ensure(slot.life.waiting() && allowed)
    }

    fn get(&self, id: &SlotId) -> Result<&Slot, Refusal> {
        self.slots.get(id).ok_or(Refusal::OutOfPlace)
    }

    fn open(&self, id: &SlotId) -> Result<&Slot, Refusal> {
        self.get(id).and_then(|slot| ensure(slot.life == Life::Open).map(|()| slot))
    }
}

fn ensure(holds: bool) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::OutOfPlace) }
}

fn adds_up(holds: bool) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::DoesNotAddUp) }
}

fn fits(slot: &Slot, units: u64) -> Result<(), Refusal> {
    if slot.has_room_for(units) { Ok(()) } else { Err(Refusal::Overflow) }
}

#[cfg(test)]
mod tests;
