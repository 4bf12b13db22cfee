//! What a meter knows, in plain numbers for `/usage`, `/metrics` and reports. Units are those of the guest unless it says
//! billed.

use serde::Serialize;
use tollgate_metering::{Balance, Ledger, Life, Slot, SlotId};
use tollgate_runtime::meter::{Desk, State};

use super::Keeper;
use crate::marketplace::Marketplace;

/// Everything at one instant.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Trusted unix seconds.
    pub at: u64,
    /// False while the clock is in doubt and nothing is sealed.
    pub clock_confirmed: bool,
    /// Whom AWS sees.
    pub identity: String,
    /// The random number of the ledger, in hexadecimal.
    pub ledger: String,
    /// How many processes had the ledger.
    pub boots: u64,
    /// `good`, `late` or `stopping`: what guests are told and new work is admitted by.
    pub standing: &'static str,
    /// Since when, unix seconds.
    pub standing_since: u64,
    /// Start of the oldest hour that waits for AWS, unix seconds.
    pub oldest_waiting: Option<u64>,
    /// Records that AWS has not answered finally.
    pub unsent: usize,
    /// True if every recorded unit is in exactly one place.
    pub balanced: bool,
    /// True while no new usage is taken because the disk of the ledger is almost full.
    pub space_low: bool,
    /// Free bytes on that disk, without the reserve.
    pub space_free: u64,
    /// One an hour and dimension, oldest hours forgotten after two days.
    pub rows: Vec<Row>,
    /// One a listing and dimension, since the ledger began.
    pub totals: Vec<Total>,
}

/// One dimension in one hour.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The id of the listing.
    pub listing: String,
    /// The key of the dimension.
    pub dimension: String,
    /// Start of the hour, unix seconds.
    pub hour: u64,
    /// `open`, `counted`, `idle`, `sealed`, `attempted`, `acked`, `conflict`, `expired`, `rejected`, `in_doubt`, `moved`,
    /// `handed_over`.
    pub state: &'static str,
    /// Units per billed unit.
    pub per: u64,
    /// Counted in this hour, or late for an earlier one.
    pub recorded: u64,
    /// Of `recorded`: counted in another hour.
    pub late: u64,
    /// Came from other hours.
    pub carried_in: u64,
    /// Went to other hours.
    pub carried_out: u64,
    /// Came from ledgers of other identities.
    pub adopted: u64,
    /// Went to ledgers of other identities.
    pub handed_over: u64,
    /// Not yet in a request.
    pub open: u64,
    /// Not enough for a whole billed unit.
    pub remainder: u64,
    /// Perhaps billed: see the state `in_doubt`.
    pub in_doubt: u64,
    /// In a request for whose hour AWS holds another quantity.
    pub conflict: u64,
    /// Units above the largest quantity that were not allowed to move.
    pub beyond: u64,
    /// Billed units in the request, once there is one.
    pub quantity: Option<u32>,
    /// The timestamp of the request, unix seconds.
    pub timestamp: Option<u64>,
    /// `MeteringRecordId`, once accepted.
    pub record_id: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// What the last try or the refusal said.
    pub code: Option<String>,
}

/// Sums of one dimension under one listing.
#[derive(Clone, Debug, Serialize)]
pub struct Total {
    /// The id of the listing.
    pub listing: String,
    /// The key of the dimension.
    pub dimension: String,
    /// Where its units are.
    #[serde(flatten)]
    pub places: Places,
    /// Units turned away by the cap since the process started.
    pub turned_away: u64,
}

/// Units of the guest by what became of them, as in a [`Balance`].
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the names are those of the states of a slot")]
pub struct Places {
    pub recorded: u128,
    pub carried_in: u128,
    pub adopted: u128,
    pub acked: u128,
    pub open: u128,
    pub counted: u128,
    pub sealed: u128,
    pub attempted: u128,
    pub carried_out: u128,
    pub handed_over: u128,
    pub in_doubt: u128,
    pub conflict: u128,
    pub expired: u128,
    pub rejected: u128,
    pub remainder: u128,
}

impl From<&Balance> for Places {
    fn from(balance: &Balance) -> Self {
        Self {
            recorded: balance.recorded,
            carried_in: balance.carried_in,
            adopted: balance.adopted,
            acked: balance.acked,
            open: balance.open,
            counted: balance.counted,
            sealed: balance.sealed,
            attempted: balance.attempted,
            carried_out: balance.carried_out,
            handed_over: balance.handed_over,
            in_doubt: balance.in_doubt,
            conflict: balance.conflict,
            expired: balance.expired,
            rejected: balance.rejected,
            remainder: balance.remainder,
        }
    }
}

impl Total {
    /// One for each listing and dimension of a ledger.
    pub(crate) fn all(ledger: &Ledger, turned_away: impl Fn(&str, &str) -> u64) -> Vec<Self> {
        let balances = ledger.balances().into_iter();
        let total = balances.map(|((listing, dimension), balance)| {
            let turned_away = turned_away(&listing, &dimension);
            Self { listing, dimension, places: Places::from(&balance), turned_away }
        });
        total.collect()
    }
}

impl<M: Marketplace> Keeper<M> {
    /// The state now.
    pub(super) fn snapshot(&mut self, desk: &Desk) -> Snapshot {
        let now = self.now();
        let (ledger, policy) = (&self.ledger, &self.options.policy);
        // Not judged anew: with a clock in doubt, or before the next turn, that would be another one than holds.
        let standing = desk.standing();
        let turned_away = |listing: &str, dimension: &str| {
            let number = policy.dimensions.iter().position(|rate| rate.key == dimension && listing == policy.listing);
            number.and_then(|number| u32::try_from(number).ok()).map_or(0, |number| desk.turned_away(number))
        };
        let space = self.writer.space();
        Snapshot {
            at: now.s,
            clock_confirmed: now.confirmed,
            identity: ledger.identity().to_owned(),
            ledger: format!("{:016x}", ledger.id()),
            boots: ledger.boots(),
            standing: match standing.state {
                State::Good => "good",
                State::Late => "late",
                State::Stopping => "stopping",
            },
            standing_since: standing.since,
            oldest_waiting: ledger.standing(policy, now.s).oldest.map(tollgate_metering::Hour::start),
            unsent: ledger.unsent(policy),
            balanced: ledger.balanced(),
            space_low: self.low_since.is_some(),
            space_free: space.free,
            rows: ledger.slots().map(|(id, slot)| Row::of(id, slot)).collect(),
            totals: Total::all(ledger, turned_away),
        }
    }
}

impl Row {
    /// What is known of a slot.
    pub(crate) fn of(id: &SlotId, slot: &Slot) -> Self {
        let (record_id, code) = match &slot.life {
            Life::Acked { record_id } => (Some(record_id.clone()), None),
            Life::Rejected { code } => (None, Some(code.clone())),
            _ => (None, Some(slot.attempts.code.clone()).filter(|code| !code.is_empty())),
        };
        Self {
            listing: id.listing.clone(),
            dimension: id.dimension.clone(),
            hour: id.hour.start(),
            state: slot.life.name(),
            per: slot.per,
            recorded: slot.recorded,
            late: slot.late,
            carried_in: slot.carried_in,
            carried_out: slot.carried_out,
            adopted: slot.adopted,
            handed_over: slot.handed_over,
            open: slot.open.total(),
            remainder: slot.remainder.total(),
            in_doubt: if slot.life == Life::InDoubt { slot.requested() } else { 0 },
            conflict: if slot.life == Life::Conflict { slot.requested() } else { 0 },
            beyond: slot.beyond,
            quantity: slot.request.as_ref().map(|request| request.quantity),
            timestamp: slot.request.as_ref().map(|request| request.timestamp),
            record_id,
            attempts: slot.attempts.count,
            code,
        }
    }
}
