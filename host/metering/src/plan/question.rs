//! The question for entitlement of a custom metered listing: a zero record on a dimension of its own.
//!
//! It is the only documented proof of a subscription. It takes the hour of its dimension, so it is written down before it
//! is sent, and a restart in the same hour repeats the identical one.

use super::{Policy, token};
use crate::hour::Hour;
use crate::ledger::Ledger;
use crate::record::Record;
use crate::slot::{Form, Request, SlotId};

/// What to do to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Write and apply this first. None: the same question was already written in this hour.
    pub asked: Option<Record>,
    /// Then send this.
    pub request: Request,
}

/// The question cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskRefusal {
    /// The hour of this dimension holds usage, so a zero would be its whole bill.
    pub slot: SlotId,
}

impl core::fmt::Display for AskRefusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "dimension {} holds usage and cannot be the entitlement dimension", self.slot.dimension)
    }
}

impl core::error::Error for AskRefusal {}

impl Ledger {
    /// The question of the hour of `now` (unix seconds).
    ///
    /// # Errors
    /// The dimension is also used for usage, and has some in this hour.
    pub fn ask(&self, policy: &Policy, dimension: &str, now: u64) -> Result<Ask, AskRefusal> {
        // Not the newest hour of the ledger: if a clock that was ahead began it, AWS refuses it until the world is there.
        let slot = policy.slot(dimension, Hour::of(now));
        if self.slot(&slot).is_some() {
            return Err(AskRefusal { slot });
        }
        let known = self.question(&slot).filter(|question| question.identity == self.identity());
        if let Some(known) = known {
            return Ok(Ask { asked: None, request: known.request.clone() });
        }
        let request = Request {
            product_code: policy.product_code.clone(),
            quantity: 0,
            form: Form::Integer,
            allocations: alloc::vec::Vec::new(),
            timestamp: slot.hour.clamp(now),
            token: token(self.id(), &slot, u32::try_from(self.boots()).unwrap_or(u32::MAX)),
        };
        let (identity, at) = (self.identity().into(), now);
        Ok(Ask { asked: Some(Record::Asked { slot, identity, request: request.clone(), at }), request })
    }
}
