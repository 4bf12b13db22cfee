//! The plain model: it adds up what guests were promised and what AWS bills, and knows nothing of slots.
//!
//! Every billed unit belongs to exactly one recorded unit of the same or an earlier hour if, for each hour, no more was
//! billed up to it than was recorded up to it (Hall's theorem for nested sets).

use std::collections::BTreeMap;

/// Which sum: the ledger it is in, the listing, the dimension.
pub(crate) type Account = (usize, usize, usize);

/// Sums of one account, in units of the guest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sums {
    /// On disk, whether or not anybody was told.
    pub(crate) durable: u64,
    /// Of these, what is known to be lost with a copy of the disk.
    pub(crate) lost: u64,
    /// The guest was told that it is on disk.
    pub(crate) acknowledged: u64,
    /// At AWS.
    pub(crate) billed: u64,
    /// By hour of the pod's trusted time, and by hour of the bill.
    by_hour: BTreeMap<u64, (u64, u64)>,
    /// The largest excess so far that had a documented reason.
    pub(crate) excused: u64,
}

/// All sums.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    accounts: BTreeMap<Account, Sums>,
}

impl Oracle {
    pub(crate) fn durable(&mut self, account: Account, hour: u64, units: u64) {
        let sums = self.accounts.entry(account).or_default();
        sums.durable += units;
        sums.by_hour.entry(hour).or_default().0 += units;
    }

    pub(crate) fn lost(&mut self, account: Account, units: u64) {
        self.accounts.entry(account).or_default().lost += units;
    }

    /// Says so if more was acknowledged than is durable.
    pub(crate) fn acknowledged(&mut self, account: Account, units: u64) -> Result<(), String> {
        let sums = self.accounts.entry(account).or_default();
        sums.acknowledged += units;
        if sums.acknowledged > sums.durable {
            return Err(format!("acknowledged {} of {} durable units", sums.acknowledged, sums.durable));
        }
        Ok(())
    }

    /// Says by how much more is billed now than was recorded, up to any hour, beyond what was excused before.
    pub(crate) fn billed(&mut self, account: Account, hour: u64, units: u64) -> u64 {
        let sums = self.accounts.entry(account).or_default();
        sums.billed += units;
        sums.by_hour.entry(hour).or_default().1 += units;
        let (mut recorded, mut billed, mut excess) = (0_u64, 0_u64, 0_u64);
        for (of, (here, bill)) in &sums.by_hour {
            recorded += here;
            billed += bill;
            if *of >= hour {
                excess = excess.max(billed.saturating_sub(recorded));
            }
        }
        excess.saturating_sub(sums.excused)
    }

    pub(crate) fn excuse(&mut self, account: Account, units: u64) {
        self.accounts.entry(account).or_default().excused += units;
    }

    pub(crate) fn sums(&self, account: Account) -> Sums {
        self.accounts.get(&account).cloned().unwrap_or_default()
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&Account, &Sums)> {
        self.accounts.iter()
    }
}
