//! Where every unit is: promise 5.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::Ledger;
use crate::slot::{Life, Slot};

/// Units of the guest by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of the states of a slot")]
pub struct Balance {
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

impl Balance {
    /// That of one slot.
    pub fn of(slot: &Slot) -> Self {
        let mut balance = Self {
            recorded: slot.recorded.into(),
            carried_in: slot.carried_in.into(),
            adopted: slot.adopted.into(),
            carried_out: slot.carried_out.into(),
            handed_over: slot.handed_over.into(),
            expired: slot.beyond.into(),
            remainder: slot.remainder.total().into(),
            ..Self::default()
        };
        let requested = u128::from(slot.requested());
        match slot.life {
            Life::Open => balance.open = slot.open.total().into(),
            Life::Counted => balance.counted = slot.open.total().into(),
            Life::Idle | Life::Moved | Life::HandedOver => {}
            Life::Sealed => balance.sealed = requested,
            Life::Attempted => balance.attempted = requested,
            Life::Acked { .. } => balance.acked = requested,
            Life::Conflict => balance.conflict = requested,
            Life::Expired => balance.expired += requested,
            Life::Rejected { .. } => balance.rejected = requested,
            Life::InDoubt => balance.in_doubt = requested,
        }
        balance
    }

    /// True if every unit that came in is in exactly one place.
    pub fn holds(&self) -> bool {
        let places = [
            self.acked,
            self.open,
            self.counted,
            self.sealed,
            self.attempted,
            self.carried_out,
            self.handed_over,
            self.in_doubt,
            self.conflict,
            self.expired,
            self.rejected,
            self.remainder,
        ];
        self.recorded + self.carried_in + self.adopted == places.iter().sum::<u128>()
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.recorded += other.recorded;
        self.carried_in += other.carried_in;
        self.adopted += other.adopted;
        self.acked += other.acked;
        self.open += other.open;
        self.counted += other.counted;
        self.sealed += other.sealed;
        self.attempted += other.attempted;
        self.carried_out += other.carried_out;
        self.handed_over += other.handed_over;
        self.in_doubt += other.in_doubt;
        self.conflict += other.conflict;
        self.expired += other.expired;
        self.rejected += other.rejected;
        self.remainder += other.remainder;
    }
}

impl Ledger {
    /// The sums of forgotten hours, by listing and dimension.
    pub fn forgotten(&self) -> &BTreeMap<(String, String), Balance> {
        &self.past
    }

    /// The sums of each listing and dimension, forgotten hours included.
    pub fn balances(&self) -> BTreeMap<(String, String), Balance> {
        let mut sums = self.past.clone();
        for (id, slot) in &self.slots {
            sums.entry((id.listing.clone(), id.dimension.clone())).or_default().add(&Balance::of(slot));
        }
        sums
    }

    /// The sum over everything.
    pub fn balance(&self) -> Balance {
        let mut sum = Balance::default();
        self.balances().values().for_each(|balance| sum.add(balance));
        sum
    }

    /// True if the units of every slot add up, and what left one hour arrived in another.
    pub fn balanced(&self) -> bool {
        let sum = self.balance();
        self.slots.values().all(|slot| Balance::of(slot).holds()) && sum.holds() && sum.carried_in == sum.carried_out
    }
}
