//! A slot: what one payer used of one dimension in one hour under one listing, and what became of it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::allocation::Allocation;
use crate::hour::Hour;
use crate::units::Buckets;

/// Who pays. Containers are paid by the account they run in; SaaS will add customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payer {
    /// The account the product runs in.
    Own,
}

/// The name of a slot. Ordered so that the hours of one dimension are neighbours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// The id of the listing in the manifest.
    pub listing: String,
    /// Who pays.
    pub payer: Payer,
    /// The catalogue key of the dimension.
    pub dimension: String,
    /// The hour.
    pub hour: Hour,
}

impl SlotId {
    /// The same dimension in another hour.
    pub fn at(&self, hour: Hour) -> Self {
        Self { hour, ..self.clone() }
    }
}

/// How the quantity travels. Decimal quantities exist since November 2026, but not yet in the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `UsageQuantity`, and `AllocatedUsageQuantity` in the allocations.
    Integer,
}

/// The exact request of a slot: written once, sent as often as needed, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The product code of the listing.
    pub product_code: String,
    /// Billed units.
    pub quantity: u32,
    /// The wire form of all quantities in the request.
    pub form: Form,
    /// In canonical order, their sum is `quantity`; empty if nothing is tagged.
    pub allocations: Vec<Allocation>,
    /// Unix seconds, inside the slot's hour: the instant of its last unit.
    pub timestamp: u64,
    /// `ClientToken`: the same for each try of the same request, and for no other request.
    pub token: String,
}

/// What is known about the tries to send a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts {
    /// How many there were.
    pub count: u32,
    /// How many of them ended without anybody knowing whether AWS took the record.
    pub unknown: u32,
    /// One is under way.
    pub pending: bool,
    /// The identity of the last one. AWS recognises a repeated record only under the same.
    pub identity: String,
    /// When the last one began, unix seconds.
    pub at: u64,
    /// Not again before this instant, unix seconds.
    pub retry_at: u64,
    /// What the last one said, for the operator.
    pub code: String,
}

impl Attempts {
    /// True if AWS may hold the record.
    pub fn doubtful(&self) -> bool {
        self.pending || self.unknown > 0
    }
}

/// Where a slot is in its life. Its amounts are in [`Slot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// Takes usage.
    Open,
    /// Closed without a request: under a listing that sends nothing. Its units stay counted and shown.
    Counted,
    /// Closed without a request: not one whole billed unit.
    Idle,
    /// The request is written, and never left this host.
    Sealed,
    /// The request was tried under an identity, without a final answer.
    Attempted,
    /// AWS holds exactly this request.
    Acked {
        /// `MeteringRecordId`.
        record_id: String,
    },
    /// AWS holds another quantity for the same hour: somebody else wrote it, or the ledger was lost in between.
    Conflict,
    /// Certainly never taken, and too old to be sent.
    Expired,
    /// Refused for good.
    Rejected {
        /// The error code of AWS.
        code: String,
    },
    /// Perhaps taken, and not allowed to be sent again.
    InDoubt,
    /// Certainly never taken, and moved whole to a later hour.
    Moved,
    /// Certainly never taken, and handed over to the ledger of another identity.
    HandedOver,
}

impl Life {
    /// The word for ledgers, reports and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Counted => "counted",
            Self::Idle => "idle",
            Self::Sealed => "sealed",
            Self::Attempted => "attempted",
            Self::Acked { .. } => "acked",
            Self::Conflict => "conflict",
            Self::Expired => "expired",
            Self::Rejected { .. } => "rejected",
            Self::InDoubt => "in_doubt",
            Self::Moved => "moved",
            Self::HandedOver => "handed_over",
        }
    }

    /// True if AWS has yet to say something final.
    pub fn waiting(&self) -> bool {
        matches!(self, Self::Sealed | Self::Attempted)
    }

    /// True if nothing can change it any more.
    pub fn over(&self) -> bool {
        !self.waiting() && !matches!(self, Self::Open | Self::Conflict | Self::InDoubt)
    }
}

/// The state of a slot. All amounts are in units of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Units per billed unit, as it was when the first unit came.
    pub per: u64,
    /// What guests and host counted. Only ever goes up, and is derived from nothing.
    pub recorded: u64,
    /// Of `recorded`: what was counted in another hour, too late for it.
    pub late: u64,
    /// What came from other hours.
    pub carried_in: u64,
    /// What came from ledgers of other identities.
    pub adopted: u64,
    /// What went to ledgers of other identities.
    pub handed_over: u64,
    /// What came from elsewhere, by tag set: the part of `open` that is in no sum of usage.
    pub brought: Buckets,
    /// What went to other hours.
    pub carried_out: u64,
    /// What was above the largest quantity and was not allowed to move.
    pub beyond: u64,
    /// Not yet in a request.
    pub open: Buckets,
    /// Not enough for a whole billed unit; the next hour takes it.
    pub remainder: Buckets,
    /// When the last unit came, unix seconds.
    pub last_at: u64,
    /// The request, once sealed.
    pub request: Option<Request>,
    /// How often the request was written: from 1; 2 after its allocations were refused.
    pub generation: u32,
    /// The tries to send it.
    pub attempts: Attempts,
    /// Where it is in its life.
    pub life: Life,
}

impl Slot {
    pub(crate) fn new(per: u64) -> Self {
        Self {
            per,
            recorded: 0,
            late: 0,
            carried_in: 0,
            adopted: 0,
            handed_over: 0,
            brought: Buckets::default(),
            carried_out: 0,
            beyond: 0,
            open: Buckets::default(),
            remainder: Buckets::default(),
            last_at: 0,
            request: None,
            generation: 0,
            attempts: Attempts::default(),
            life: Life::Open,
        }
    }

    /// Every sum of a slot is at most what came in, so this one check is enough. Stores keep signed 64 bits.
    pub(crate) fn has_room_for(&self, units: u64) -> bool {
        let sums = [self.carried_in, self.adopted, units];
        let came_in = sums.into_iter().try_fold(self.recorded, u64::checked_add);
        came_in.is_some_and(|sum| sum <= i64::MAX.cast_unsigned())
    }

    /// The units inside the request.
    pub fn requested(&self) -> u64 {
        self.request.as_ref().map_or(0, |request| u64::from(request.quantity).saturating_mul(self.per))
    }

    /// The units inside the request, by tag set.
    pub fn requested_buckets(&self) -> Buckets {
        let Some(request) = &self.request else { return Buckets::default() };
        let tagged =
            request.allocations.iter().map(|a| (a.tags.clone(), u64::from(a.quantity).saturating_mul(self.per)));
        let mut buckets: Buckets = tagged.collect();
        if buckets.is_empty() {
            buckets.add(&crate::units::Tags::NONE, self.requested());
        }
        buckets
    }
}
