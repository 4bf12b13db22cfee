//! The plain model: it adds up what guests were promised and what AWS bills, and knows nothing of slots.
//!
//! Every billed unit belongs to exactly one recorded unit of the same or an earlier hour if, for each hour, no more was
//! billed up to it than was recorded up to it (Hall's theorem for nested sets). Units that certainly can never be billed any
//! more are taken out, so that their loss hides nothing. Ledgers that share a volume share their sums: units move between them.

use std::collections::BTreeMap;

use crate::report::loss;

/// Which sum: the volumes it is on, the listing, the dimension.
pub(crate) type Account = (usize, usize, usize);

/// The documented ways in which a unit can be billed twice. All of them need a copy of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// An old copy, under another identity.
    NewTask,
    /// A copy that ran beside the original.
    Fork,
    /// A request or an overflow that the copy moved to a later hour, and that was billed before.
    Carried,
    /// What had moved to another hour or ledger after the copy was made is in the copy as well.
    MovedBefore,
    /// Less than one billed unit.
    Remainder,
}

impl Twice {
    const ALL: [Self; 5] = [Self::NewTask, Self::Fork, Self::Carried, Self::MovedBefore, Self::Remainder];

    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewTask => loss::TWICE_NEW_TASK,
            Self::Fork => loss::TWICE_FORK,
            Self::Carried => loss::TWICE_CARRIED,
            Self::MovedBefore => loss::TWICE_MOVED_BEFORE,
            Self::Remainder => loss::TWICE_REMAINDER,
        }
    }
}

/// Units of one tag set.
#[derive(Debug, Clone, Copy, Default)]
struct TagSums {
    used: u64,
    billed: u64,
    /// Whole units go to the largest fraction, so each record may bill a set less than one billed unit too much.
    rounded: u64,
}

/// Sums of one account, in units of the guest.
#[derive(Debug, Clone, Default)]
struct Sums {
    durable: u64,
    acknowledged: u64,
    billed: u64,
    /// By hour: recorded, certainly never billed, billed.
    by_hour: BTreeMap<u64, (u64, u64, u64)>,
    tags: Vec<TagSums>,
    /// What copies of a ledger may bill twice, and what they did, by way.
    allowed: [u64; 5],
    excused: [u64; 5],
}

/// All sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    accounts: BTreeMap<Account, Sums>,
}

impl Oracle {
    pub(crate) fn durable(&mut self, account: Account, hour: u64, tags: usize, units: u64) {
        let sums = self.accounts.entry(account).or_default();
        sums.durable += units;
        sums.by_hour.entry(hour).or_default().0 += units;
        sums.tagged(tags).used += units;
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

    /// A copy knows less: what was certain about the units of these volumes is so no longer.
    pub(crate) fn unsure(&mut self, family: usize) {
        for (_, sums) in self.accounts.range_mut((family, 0, 0)..(family + 1, 0, 0)) {
            sums.by_hour.values_mut().for_each(|hour| hour.1 = 0);
        }
    }

    /// Units of an hour that nothing can bring to AWS any more.
    pub(crate) fn never_billed(&mut self, account: Account, hour: u64, units: u64) {
        if units > 0 {
            self.accounts.entry(account).or_default().by_hour.entry(hour).or_default().1 += units;
        }
    }

    /// Says by how much more is billed now than was recorded, up to any hour, beyond what was excused before.
    pub(crate) fn billed(&mut self, account: Account, hour: u64, units: u64) -> u64 {
        let sums = self.accounts.entry(account).or_default();
        sums.billed += units;
        sums.by_hour.entry(hour).or_default().2 += units;
        let (mut recorded, mut billed, mut excess) = (0_u64, 0_u64, 0_u64);
        for (of, (here, never, bill)) in &sums.by_hour {
            recorded += here;
            billed += bill + never;
            if *of >= hour {
                excess = excess.max(billed.saturating_sub(recorded));
            }
        }
        excess.saturating_sub(sums.excused.iter().sum())
    }

    /// A copy of a ledger may bill these a second time.
    pub(crate) fn allow(&mut self, account: Account, way: Twice, units: u64, most: u64) {
        let allowed = &mut self.accounts.entry(account).or_default().allowed[way as usize];
        *allowed = (*allowed + units).min(most);
    }

    /// Says in which documented ways that many units too many can have been billed. None: in none.
    pub(crate) fn excuse(&mut self, account: Account, excess: u64) -> Option<Vec<(Twice, u64)>> {
        let sums = self.accounts.entry(account).or_default();
        let mut left = excess;
        let mut ways = Vec::new();
        for way in Twice::ALL {
            let part = (sums.allowed[way as usize] - sums.excused[way as usize]).min(left);
            left -= part;
            if part > 0 {
                ways.push((way, part));
            }
        }
        if left > 0 {
            return None;
        }
        for (way, part) in &ways {
            sums.excused[*way as usize] += part;
        }
        Some(ways)
    }

    /// Adds billed units of a tag set; false if they are more than it used, up to the rounding of each record.
    pub(crate) fn billed_tags(&mut self, account: Account, tags: usize, units: u64, per: u64) -> bool {
        let sums = self.accounts.entry(account).or_default();
        let copied: u64 = sums.allowed.iter().sum();
        let set = sums.tagged(tags);
        set.billed += units;
        set.rounded += per - 1;
        set.billed <= set.used + set.rounded + copied
    }

    /// A request that was rounded is taken apart, to be rounded again with what joins it.
    pub(crate) fn rounded(&mut self, account: Account, per: u64) {
        let sums = self.accounts.entry(account).or_default();
        sums.tagged(0);
        sums.tags.iter_mut().for_each(|set| set.rounded += per - 1);
    }

    pub(crate) fn allowed(&self, account: Account) -> [u64; 5] {
        self.accounts.get(&account).map_or([0; 5], |sums| sums.allowed)
    }

    /// Billed and durable units of an account.
    pub(crate) fn sums(&self, account: Account) -> (u64, u64) {
        self.accounts.get(&account).map_or((0, 0), |sums| (sums.billed, sums.durable))
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = Account> {
        self.accounts.keys().copied()
    }
}

impl Sums {
    fn tagged(&mut self, tags: usize) -> &mut TagSums {
        if self.tags.len() <= tags {
            self.tags.resize(tags + 1, TagSums::default());
        }
        &mut self.tags[tags]
    }
}
