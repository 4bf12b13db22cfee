//! What comes over pods and service from outside, and how it heals.

use tollgate_metering::{Life, Record};

use crate::driver::{Alive, Delta, Gone};
use crate::faults::{Fault, Faults};
use crate::random::Rng;
use crate::report::Feature;
use crate::shape::BEGIN;
use crate::world::{Event, World};

const HOUR_S: u64 = 3_600;

impl World {
    /// Puts the pods and all that is going to happen to them into the queue.
    pub(crate) fn populate(&mut self) {
        let mut dice = Rng::new(self.seed, 5);
        for p in 0..self.shape.pods {
            let volume = if self.shape.shared && p > 0 { 0 } else { self.new_volume(None) };
            self.add_pod(volume);
            self.at(BEGIN + dice.below(HOUR_S), Event::Start { p });
            self.at(BEGIN + HOUR_S + dice.below(HOUR_S), Event::Use { p });
        }
        for (fault, each_pod) in Faults::scheduled() {
            let pods = if each_pod { self.shape.pods } else { 1 };
            for p in 0..pods {
                let many = self.faults.occurrences(fault);
                for n in 0..dice.below(many + 1) {
                    let at = BEGIN + dice.below(self.shape.heal_s);
                    let n = n * 8 + p as u64;
                    self.at(at, Event::Mishap { fault, n, p });
                }
            }
        }
        self.at(BEGIN + self.shape.heal_s, Event::Heal);
        self.at(BEGIN + self.shape.quiet_s + HOUR_S, Event::Settle);
        self.at(BEGIN + self.shape.redeploy_s, Event::Redeploy);
        self.at(BEGIN + self.shape.redeploy_s + HOUR_S / 2, Event::Settle);
        self.at(BEGIN + self.shape.finish_s, Event::Finish);
    }

    pub(crate) fn restart_later(&mut self, p: usize) {
        if self.pods[p].starting || self.failure.is_some() || self.pods[p].gone.is_some() {
            return;
        }
        self.pods[p].starting = true;
        let mut dice = Rng::new(self.seed, 6_000 + self.now);
        let longest = if !self.faults.healed && dice.one_in(6) { 8 * HOUR_S } else { 300 };
        self.at(self.now + dice.between(2, longest), Event::Start { p });
    }

    pub(crate) fn set_clock(&mut self, p: usize, fault: Fault) {
        let size = self.faults.amount(fault, 0, 3);
        let most = [100, 280, 3 * HOUR_S, 40 * HOUR_S][crate::random::index(size, 4)];
        let by = self.faults.amount(fault, 1, most).cast_signed();
        let back = fault == Fault::ClockBack || (fault == Fault::WrongClockAtStart && by % 2 == 0);
        let pod = &mut self.pods[p];
        pod.offset += if back { -by } else { by };
        self.tell(p, || format!("has its clock set by {} s", if back { -by } else { by }));
        self.nudge(p);
    }

    /// A host that sleeps looks at the clock again soon.
    fn nudge(&mut self, p: usize) {
        let serial = self.pods[p].serial;
        if let Some(process) = &self.pods[p].process {
            let wake = process.wake;
            self.at(self.now + 30, Event::Wake { p, serial, wake });
        }
    }

    pub(crate) fn mishap(&mut self, fault: Fault, n: u64, p: usize) -> Alive {
        if !self.faults.begins(fault, n) {
            return Ok(());
        }
        let length = self.faults.amount(fault, 60, [HOUR_S, 9 * HOUR_S][crate::random::index(n / 8, 2)]);
        let until = self.now + length;
        self.trace.tell(self.now, || format!("{fault:?} for {length} s (pod {p})"));
        match fault {
            Fault::Killed => {
                return if self.pods[p].process.is_some() { self.crash(p, true, "is killed") } else { Ok(()) };
            }
            Fault::Stopped => {
                let grace = self.faults.amount(fault, 0, 30);
                return self.stop(p, grace);
            }
            Fault::Rolled => return self.roll(p),
            Fault::Forked => {
                self.fork(p);
                return Ok(());
            }
            Fault::SecondHost => {
                self.second_host(p);
                return Ok(());
            }
            Fault::Paused => self.pods[p].paused_until = until,
            Fault::DiskFull => {
                let volume = self.pods[p].volume;
                self.full_until[volume] = until;
            }
            Fault::ClockAhead | Fault::ClockBack => self.set_clock(p, fault),
            Fault::ClockFrozen => self.pods[p].frozen = Some(self.pods[p].wall(self.now)),
            Fault::Unsubscribed => self.aws.subscribed = false,
            Fault::TagsRefused => self.aws.tags_refused = true,
            Fault::DimensionRefused => {
                self.aws.refused_dimension = Some(crate::random::index(n, self.shape.pers.len()))
            }
            outage => self.outage = Some(outage),
        }
        self.at(until, Event::OutageOver { fault });
        Ok(())
    }

    /// The lock of the folder is held, so it gets nowhere and changes nothing.
    fn second_host(&mut self, p: usize) {
        let f = self.pods[p].folder;
        if self.pods[p].process.is_some() && self.folders[f].holder == Some(p) {
            let before = self.folders[f].open.clone();
            if self.take(p, f) {
                drop(self.fail("two hosts have one ledger".to_owned()));
            }
            self.folders[f].open = before;
            self.report.feature(Feature::SecondHostRefused);
        }
    }

    pub(crate) fn outage_over(&mut self, fault: Fault) {
        match fault {
            Fault::ClockFrozen => self.pods.iter_mut().for_each(|pod| pod.frozen = None),
            Fault::Unsubscribed => self.aws.subscribed = true,
            Fault::TagsRefused => self.aws.tags_refused = false,
            Fault::DimensionRefused => self.aws.refused_dimension = None,
            _ if self.outage == Some(fault) => self.outage = None,
            _ => {}
        }
    }

    /// From now on nothing goes wrong, and what is wrong is put right.
    pub(crate) fn heal(&mut self) -> Alive {
        self.faults.healed = true;
        self.trace.tell(self.now, || "everything heals".to_owned());
        for fault in [Fault::Unsubscribed, Fault::TagsRefused, Fault::DimensionRefused, Fault::ClockFrozen] {
            self.outage_over(fault);
        }
        self.outage = None;
        self.full_until.fill(0);
        for p in 0..self.pods.len() {
            let pod = &mut self.pods[p];
            pod.offset = 0;
            if pod.paused_until > self.now {
                pod.paused_until = self.now;
            }
            let down = pod.process.is_none();
            let other = pod.listing != 0 || pod.pers != self.shape.pers;
            self.nudge(p);
            if down {
                self.at(self.now + 60, Event::Start { p });
            }
            if other {
                drop(self.stop(p, 25).or(Ok::<(), Gone>(())));
            }
        }
        Ok(())
    }

    /// A person looks up what nobody knows, and closes it: through the host, or in the ledger of one that has ended.
    pub(crate) fn settle(&mut self) -> Alive {
        for f in 0..self.folders.len() {
            if self.folders[f].lost || self.folders[f].disk.is_empty() {
                continue;
            }
            let held = self.folders[f].holder;
            let p = held.unwrap_or(0);
            if held.is_none() && !self.take(p, f) {
                continue;
            }
            let at = self.now;
            let Some(ledger) = self.open(f) else { continue };
            let unclear = ledger.slots().filter(|(_, slot)| matches!(slot.life, Life::InDoubt | Life::Conflict));
            let settled = |(id, _)| Record::Settled {
                slot: Clone::clone(id),
                billed: self.holds_request(f, id),
                evidence: "event".to_owned(),
                reason: "found".to_owned(),
                at,
            };
            let records: Vec<_> = unclear.map(settled).collect();
            self.write_by_hand(p, f, records);
            if held.is_none() {
                self.release(f, true);
            }
        }
        Ok(())
    }

    /// A guest counts something, and waits until it is on disk.
    pub(crate) fn uses(&mut self, p: usize) -> Alive {
        if self.pods[p].gone.is_some() {
            return Ok(());
        }
        if self.holds_usage(p) {
            self.at(self.now + 5, Event::Use { p });
            return Ok(());
        }
        let number = self.uses;
        self.uses += 1;
        let mut dice = Rng::new(self.seed, 1_000_000 + number * 8 + p as u64);
        if self.now < BEGIN + self.shape.quiet_s {
            self.at(self.now + 1 + dice.below(2 * self.shape.use_every_s), Event::Use { p });
        }
        let Some(process) = &self.pods[p].process else { return Ok(()) };
        if !self.pods[p].busy() || process.stopped || self.changes.unused.contains(&number) {
            return Ok(());
        }
        let huge = self.faults.strikes(Fault::HugeUse);
        let mut deltas: Vec<Delta> = Vec::new();
        for _ in 0..dice.between(1, 3) {
            let dimension = crate::random::index(dice.next(), self.shape.pers.len());
            let tags = crate::random::index(dice.next(), self.shape.tags.len());
            let units = dice.between(1, self.shape.units_max)
                + if huge { 3_000_000_000 * self.shape.pers[dimension] } else { 0 };
            deltas.push((dimension, tags, units));
        }
        // Usage alone makes nothing due before the hour ends, and then the clock wakes the host.
        self.record(p, &deltas)
    }
}
