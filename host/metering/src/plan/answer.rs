//! From a reply to what becomes of the slot.

use alloc::string::String;
use alloc::vec::Vec;

use super::token;
use crate::backoff::backoff_s;
use crate::ledger::Ledger;
use crate::record::{End, Record};
use crate::reply::Reply;
use crate::slot::{Request, Slot, SlotId};

/// What a reply means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What to write in one batch, apply, and plan again.
    pub records: Vec<Record>,
    /// What a person should know.
    pub alarm: Option<Alarm>,
    /// The first answer to this identity says that the buyer is not entitled: the process has to end.
    pub not_entitled: bool,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// AWS holds another quantity for the same hour and dimension.
    Conflict,
    /// AWS refused the record for good.
    Rejected {
        /// The error code.
        code: String,
    },
    /// AWS refused the tags; the record is sent without them.
    TagsDropped {
        /// The error code.
        code: String,
    },
    /// Refused, after a try of which nobody knows whether AWS took it.
    InDoubt {
        /// The error code.
        code: String,
    },
}

impl Ledger {
    /// What the reply to the try under way means for a slot. `now` is trusted unix seconds, `random` any number, evenly
    /// distributed. A slot without a try under way: nothing.
    pub fn answer(&self, id: &SlotId, reply: &Reply, now: u64, random: u64) -> Verdict {
        let Some(slot) = self.slot(id).filter(|slot| slot.attempts.pending) else { return Verdict::default() };
        let end = |end| Verdict {
            records: alloc::vec![Record::Ended { slot: id.clone(), end, at: now }],
            ..Verdict::default()
        };
        let defer = |unknown, code: &str| {
            let retry_at = now.saturating_add(backoff_s(slot.attempts.count, random));
            let deferred = Record::Deferred { slot: id.clone(), unknown, code: code.into(), retry_at };
            Verdict { records: alloc::vec![deferred], ..Verdict::default() }
        };
        match reply {
            Reply::Accepted { record_id } => end(End::Acked { record_id: record_id.clone() }),
            Reply::NotProcessed { code } => defer(false, code),
            Reply::Unknown { detail } => defer(true, detail),
            // Nothing of ours is a dry run, so nobody knows what this answer belongs to.
            Reply::DryRunOk => defer(true, "the answer to a dry run"),
            Reply::Duplicate => Verdict { alarm: Some(Alarm::Conflict), ..end(End::Conflict) },
            Reply::InvalidTags { code } => self.tags_refused(id, slot, code, now),
            Reply::NotEntitled { code } => {
                let not_entitled = !self.accepted_before() && slot.attempts.unknown == 0;
                Verdict { not_entitled, ..refused(id, slot, code, now) }
            }
            Reply::Refused { code } => refused(id, slot, code, now),
        }
    }

    /// AWS certainly holds nothing of this slot, so its request may be written anew, once.
    fn tags_refused(&self, id: &SlotId, slot: &Slot, code: &str, now: u64) -> Verdict {
        let again = slot
            .request
            .as_ref()
            .filter(|request| slot.attempts.unknown == 0 && slot.generation == 1 && !request.allocations.is_empty());
        let Some(request) = again else { return refused(id, slot, code, now) };
        let token = token(self.id(), id, 2);
        let request = Request { allocations: Vec::new(), token, ..request.clone() };
        Verdict {
            records: alloc::vec![Record::Resealed { slot: id.clone(), request }],
            alarm: Some(Alarm::TagsDropped { code: code.into() }),
            not_entitled: false,
        }
    }
}

/// A refusal is about this try; an earlier one of unknown outcome may still have been taken.
fn refused(id: &SlotId, slot: &Slot, code: &str, now: u64) -> Verdict {
    let (end, alarm) = if slot.attempts.unknown > 0 {
        (End::InDoubt { why: code.into() }, Alarm::InDoubt { code: code.into() })
    } else {
        (End::Rejected { code: code.into() }, Alarm::Rejected { code: code.into() })
    };
    Verdict {
        records: alloc::vec![Record::Ended { slot: id.clone(), end, at: now }],
        alarm: Some(alarm),
        not_entitled: false,
    }
}
