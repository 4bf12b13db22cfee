//! Where planted bugs get in: between the engine and the wire.

use tollgate_metering::{Reply, Request, SlotId};

use crate::bug::Bug;
use crate::world::World;

impl World {
    /// What is sent instead of the request.
    pub(crate) fn altered(&self, p: usize, slot: &SlotId, mut request: Request) -> Request {
        let Some(bug) = self.bug else { return request };
        let tries = self.ledger(p).and_then(|ledger| ledger.slot(slot)).map_or(0, |slot| slot.attempts.count);
        match bug {
            Bug::OtherQuantity if tries > 1 => {
                request.quantity += 1;
                request.allocations.clear();
            }
            Bug::DropTagsOnRetry if tries > 1 => request.allocations.clear(),
            Bug::WrongTags => {
                if let [first, .., last] = request.allocations.as_mut_slice() {
                    std::mem::swap(&mut first.tags, &mut last.tags);
                }
            }
            Bug::TokenOfTry => request.token = format!("{}-{tries}", request.token),
            Bug::StampOfTry => request.timestamp = self.pods[p].wall(self.now),
            _ => {}
        }
        request
    }

    /// What the engine hears instead of the reply.
    pub(crate) fn misread(&mut self, p: usize, slot: SlotId, reply: &Reply) -> (SlotId, Reply) {
        let accepted = || Reply::Accepted { record_id: "R0".to_owned() };
        let heard = match (self.bug, reply) {
            (Some(Bug::ThrottleAccepted), Reply::NotProcessed { .. })
            | (Some(Bug::DuplicateAccepted), Reply::Duplicate) => accepted(),
            (Some(Bug::InventRecordId), Reply::Unknown { detail }) if detail == "no record id" => accepted(),
            (Some(Bug::UnknownNotProcessed), Reply::Unknown { detail }) => Reply::NotProcessed { code: detail.clone() },
            (Some(Bug::TimeoutRefused), Reply::Unknown { detail }) if detail == "timeout" => {
                Reply::Refused { code: detail.clone() }
            }
            _ => reply.clone(),
        };
        let other = self.ledger(p).and_then(|ledger| {
            let mut pending = ledger.slots().filter(|(id, other)| other.attempts.pending && **id != slot);
            pending.next().map(|(id, _)| id.clone())
        });
        match other.filter(|_| self.bug == Some(Bug::ReplyToOther)) {
            Some(other) => (other, heard),
            None => (slot, heard),
        }
    }
}
