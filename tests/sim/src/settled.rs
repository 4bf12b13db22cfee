//! What a process finds on disk, and what must be true of every ledger at the end.

use tollgate_metering::{Balance, HOUR_S, Ledger, Life, QUANTITY_MAX, Slot, SlotId};

use crate::faults::Fault;
use crate::oracle::Account;
use crate::pod::{Pod, listing_of};
use crate::report::{Feature, loss};
use crate::world::World;

impl World {
    /// What a process finds on disk. Reading all of it takes longer than a simulated day, so if the last process must have
    /// known the same, it is read only every fourth time, and compared.
    pub(crate) fn loaded(&mut self, f: usize) -> Option<Ledger> {
        let folder = &mut self.folders[f];
        folder.taken += 1;
        if !folder.taken.is_multiple_of(4)
            && let Some(last) = folder.last.take()
        {
            return Some(last);
        }
        match folder.disk.load() {
            Ok(ledger) => {
                self.check_loaded(f, &ledger);
                Some(ledger)
            }
            Err(problem) => {
                drop(self.fail(problem));
                None
            }
        }
    }

    /// What a process finds on disk, compared with what the one before knew and what guests handed over.
    fn check_loaded(&mut self, f: usize, ledger: &Ledger) {
        let before = self.folders[f].last.as_ref();
        // The one that was read may have forgotten more of what is over: usage is read first, so hours seem older.
        let live = |ledger: &Ledger| -> Vec<(SlotId, Slot)> {
            let live = ledger.slots().filter(|(_, slot)| !slot.life.over());
            live.map(|(id, slot)| (id.clone(), slot.clone())).collect()
        };
        let same = |before: &Ledger| {
            before.balances() == ledger.balances() && (live(before) == live(ledger) || !before.balanced())
        };
        if before.is_some_and(|before| !same(before)) {
            drop(self.fail("the ledger read back is not the one that was written".to_owned()));
        }
        self.check_recorded(f, ledger);
    }

    /// The ledger's counter of recorded usage against the plain sums of what guests handed over.
    fn check_recorded(&mut self, f: usize, ledger: &Ledger) {
        let units = self.folders[f].disk.units();
        let mut recorded = std::collections::BTreeMap::new();
        for ((listing, dimension), balance) in ledger.balances() {
            if balance.recorded > 0 {
                recorded.insert((listing_of(&listing), Pod::dimension(&dimension)), balance.recorded);
            }
        }
        let promised = units.into_iter().map(|(account, units)| (account, u128::from(units)));
        let promised: std::collections::BTreeMap<_, _> = promised.filter(|(_, units)| *units > 0).collect();
        if recorded != promised {
            drop(self.fail(format!("ledger {f} has recorded {recorded:?} of {promised:?}")));
        }
    }

    /// Everything healed long ago: nothing waits any more, and each unit is where it can be named.
    pub(crate) fn check_settled(&mut self, f: usize, ledger: &Ledger) {
        self.check_recorded(f, ledger);
        for (id, slot) in ledger.slots() {
            if let Err(problem) = self.place_of(f, id, slot) {
                drop(self.fail(problem));
                return;
            }
        }
        let sum = ledger.balance();
        self.report.loss(loss::REMAINDER, sum.remainder);
        self.report.loss(loss::COUNTED, sum.counted);
        let unclear = sum.in_doubt + sum.conflict + sum.rejected + sum.sealed + sum.attempted;
        if unclear > 0 && !self.faults.any() {
            drop(self.fail(format!("nothing went wrong, and still not all is accepted: {sum:?}")));
        }
    }

    /// Names what still waits in a slot, or says why it must not.
    fn place_of(&mut self, f: usize, id: &SlotId, slot: &Slot) -> Result<(), String> {
        let whole = slot.open.total() >= slot.per;
        let open = slot.life == Life::Open && whole;
        if matches!(slot.life, Life::InDoubt | Life::Conflict) {
            return Err(format!("{id:?} is {} though a person looked at it", slot.life.name()));
        }
        if !slot.life.waiting() && !open {
            return Ok(());
        }
        let units = slot.open.total() + slot.requested();
        let lives = self.lives(f);
        let beyond =
            self.shape.carry && slot.carried_in >= u64::from(QUANTITY_MAX) && id.hour.start() <= self.now + HOUR_S;
        if slot.life == Life::Open && beyond && id.hour.end() > self.now {
            self.lost(loss::DRAINS, units);
            return Ok(());
        }
        // The hour of a ledger never goes back, so one that was taken from a clock that was ahead is waited for, and so is the
        // instant of the next try. If its task is gone by then, the window of six hours has to pass as well.
        let later = id.hour.end().max(slot.attempts.retry_at) > self.now;
        let left = !lives && id.hour.start() >= crate::shape::BEGIN + self.shape.quiet_s;
        if later || left {
            let believed = u64::from(id.hour.0) <= self.believed(f);
            self.lost(loss::AHEAD, units);
            return if believed { Ok(()) } else { Err(format!("{id:?} has not begun, and no clock ever said so")) };
        }
        if listing_of(&id.listing) != 0 {
            self.lost(if lives { loss::COUNTED } else { loss::LEFT_OTHER_LISTING }, units);
            return Ok(());
        }
        Err(format!("{id:?} of ledger {f} is {} though everything healed long ago", slot.life.name()))
    }

    /// The newest hour that a clock ahead of the world can have brought into a ledger: units move between those of a volume.
    fn believed(&self, f: usize) -> u64 {
        let family = self.folders[f].family;
        let same = self.folders.iter().filter(|folder| folder.family == family);
        let newest = same.map(|folder| folder.believed).max().unwrap_or(0);
        // Usage of a sealed hour goes to the next, and so does what comes back to a ledger that handed that hour over.
        let adopted = self.seen.adopted.keys().filter(|name| self.folders[name.0].family == family);
        newest + 1 + adopted.count() as u64
    }

    /// What AWS bills of volumes without copies and losses is what their ledgers say, to the unit.
    pub(crate) fn check_truth(&mut self, ledgers: &[(usize, Ledger)]) {
        let accounts: Vec<_> = self.oracle.accounts().collect();
        for account in accounts {
            let (billed, durable) = self.oracle.sums(account);
            let own = ledgers.iter().filter(|(f, _)| self.folders[*f].family == account.0);
            let clean = self
                .folders
                .iter()
                .enumerate()
                .all(|(f, folder)| folder.family != account.0 || (!folder.lost && !self.copied(f)));
            if !clean || account.1 != 0 {
                continue;
            }
            let mut sum = Balance::default();
            let name = (crate::shape::LISTINGS[account.1].to_owned(), crate::shape::DIMENSIONS[account.2].to_owned());
            for (_, ledger) in own {
                sum.add(&ledger.balances().get(&name).copied().unwrap_or_default());
            }
            let named = sum.open
                + sum.counted
                + sum.sealed
                + sum.attempted
                + sum.in_doubt
                + sum.conflict
                + sum.expired
                + sum.rejected
                + sum.remainder;
            let arrived = sum.handed_over == sum.adopted + self.cut_off(account);
            let lost = sum.handed_over - sum.adopted.min(sum.handed_over);
            if sum.acked != u128::from(billed) || sum.acked + named + lost != u128::from(durable) || !arrived {
                drop(self.fail(format!("{account:?}: {billed} billed of {durable} durable, but {sum:?}")));
            }
        }
    }

    /// Units of an account that were handed over and never adopted.
    fn cut_off(&self, account: Account) -> u128 {
        let never = self.seen.handed.iter().filter(|(name, _)| !self.seen.adopted.contains_key(name));
        let of = never.filter(|(_, handed)| handed.account == account);
        of.map(|(_, handed)| u128::from(handed.units)).sum()
    }

    /// Hand-overs to ledgers that are gone never arrive.
    pub(crate) fn check_hand_overs(&mut self) {
        let handed: Vec<_> = self.seen.handed.iter().map(|(name, handed)| (*name, handed.units)).collect();
        for (name, units) in handed {
            if self.seen.adopted.contains_key(&name) {
                continue;
            }
            let family = self.folders[name.0].family;
            let lost = self
                .folders
                .iter()
                .enumerate()
                .any(|(f, folder)| folder.family == family && (folder.lost || self.copied(f)));
            let cut_off = Fault::CRASHES.iter().chain(&[Fault::WriteError, Fault::WriteErrorDurable, Fault::DiskFull]);
            let cut_off = cut_off.map(|fault| self.faults.fired[*fault as usize]).sum::<u64>() > 0;
            self.lost(if lost { loss::HANDED_OVER_LOST } else { loss::HANDED_OVER_LATE }, units);
            if !lost && !cut_off {
                drop(self.fail(format!("hand-over {name:?} never arrived, and nothing cut it off")));
            }
        }
    }

    pub(crate) fn restored_before_checkpoint(&mut self, before: bool) {
        if before {
            self.report.feature(Feature::RestoredBeforeCheckpoint);
        }
    }
}
