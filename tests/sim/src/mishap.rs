//! What comes over pods and service from outside, and how it heals.

use tollgate_metering::{Life, Record, Tags};

use crate::aws::Key;
use crate::driver::{Alive, Delta, Gone};
use crate::faults::{Fault, Faults};
use crate::pod::{Pod, Stage};
use crate::random::Rng;
use crate::report::LOSSES;
use crate::shape::BEGIN;
use crate::store::Disk;
use crate::world::{Event, World};

const HOUR_S: u64 = 3_600;

impl World {
    /// Puts the pods and all that is going to happen to them into the queue.
    pub(crate) fn populate(&mut self) {
        let mut dice = Rng::new(self.seed, 5);
        for p in 0..self.shape.pods {
            let pod = self.new_pod();
            self.pods.push(pod);
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
        self.at(BEGIN + self.shape.finish_s, Event::Finish);
    }

    fn new_pod(&mut self) -> Pod {
        self.identities += 1;
        self.lineages += 1;
        let pers = self.shape.pers.clone();
        Pod {
            identity: self.identities,
            starts: 0,
            lineage: self.lineages,
            disk: Disk::default(),
            offset: 0,
            frozen: None,
            paused_until: 0,
            listing: 0,
            policy: self.shape.policy(0, &pers),
            pers,
            process: None,
            serial: 0,
            last: None,
            written_at: BEGIN,
            unbroken_since: 0,
            starting: true,
        }
    }

    pub(crate) fn restart_later(&mut self, p: usize) {
        if self.pods[p].starting || self.failure.is_some() {
            return;
        }
        self.pods[p].starting = true;
        let mut dice = Rng::new(self.seed, 6_000 + self.now);
        let longest = if !self.faults.healed && dice.one_in(6) { 8 * HOUR_S } else { 300 };
        self.at(self.now + dice.between(2, longest), Event::Start { p });
    }

    /// What the cluster and its operator did while the pod was down.
    pub(crate) fn before_start(&mut self, p: usize) {
        let fresh = self.pods[p].disk.is_empty();
        if self.faults.strikes(Fault::WrongClockAtStart) {
            self.set_clock(p, Fault::WrongClockAtStart);
        }
        if fresh {
            return;
        }
        if self.faults.strikes(Fault::DiskLost) {
            self.lose_disk(p);
            self.tell(p, || "finds its disk empty".to_owned());
        } else if self.faults.strikes(Fault::ReplacedWithoutDisk) {
            self.lose_disk(p);
            self.replace(p, "is a new pod with an empty disk");
        } else if self.faults.strikes(Fault::OldCopy) {
            self.restore(p, false);
            let identity = self.pods[p].identity;
            self.seen.forgetful.push(identity);
        } else if self.faults.strikes(Fault::OldCopyInNewPod) {
            self.replace(p, "is a new pod");
            self.restore(p, true);
        } else if self.faults.strikes(Fault::ReplacedWithDisk) {
            self.replace(p, "is a new pod with the disk of the old");
            let lineage = self.pods[p].lineage;
            if let Some(moved) = self.seen.restored.get_mut(&lineage) {
                moved.in_new_pod = true;
            }
        }
        let listing = usize::from(self.faults.strikes(Fault::OtherListing));
        let cheaper = self.faults.strikes(Fault::OtherPer);
        let pod = &mut self.pods[p];
        pod.listing = listing;
        pod.pers = self.shape.pers.iter().map(|per| if cheaper { per * 2 } else { *per }).collect();
        pod.policy = self.shape.policy(listing, &pod.pers);
        if self.bug == Some(crate::Bug::SendFree) {
            pod.policy.sends = true;
        }
    }

    fn replace(&mut self, p: usize, how: &str) {
        self.identities += 1;
        let pod = &mut self.pods[p];
        pod.identity = self.identities;
        pod.starts = 0;
        self.tell(p, || how.to_owned());
    }

    fn lose_disk(&mut self, p: usize) {
        self.lineages += 1;
        let lineages = self.lineages;
        let pod = &mut self.pods[p];
        let lineage = std::mem::replace(&mut pod.lineage, lineages);
        let disk = std::mem::take(&mut pod.disk);
        (pod.last, pod.unbroken_since, pod.disk.full_until) = (None, self.now, disk.full_until);
        for ((listing, dimension), units) in disk.units() {
            let billed = self.oracle.sums((lineage, listing, dimension)).billed;
            self.report.loss(LOSSES[4], u128::from(units.saturating_sub(billed)));
        }
    }

    fn restore(&mut self, p: usize, new_pod: bool) {
        let fault = if new_pod { Fault::OldCopyInNewPod } else { Fault::OldCopy };
        let shortest = self.faults.amount(fault, 1, 3);
        let age =
            self.faults.amount(fault, 60, [0, HOUR_S / 2, 6 * HOUR_S, 30 * HOUR_S][crate::random::index(shortest, 4)]);
        let until = self.now.saturating_sub(age);
        let pod = &mut self.pods[p];
        let lineage = pod.lineage;
        let gone = pod.disk.restore(until);
        (pod.last, pod.written_at) = (None, pod.disk.written_at());
        for (listing, dimension, units) in gone {
            self.oracle.lost((lineage, listing, dimension), units);
            self.report.loss(LOSSES[3], u128::from(units));
        }
        let restored = self.seen.restored.entry(lineage).or_default();
        restored.in_new_pod |= new_pod;
        restored.times += 1;
        self.tell(p, || format!("finds its disk as it was {age} s ago"));
    }

    fn set_clock(&mut self, p: usize, fault: Fault) {
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
            Fault::Paused => self.pods[p].paused_until = until,
            Fault::DiskFull => self.pods[p].disk.full_until = until,
            Fault::ClockAhead | Fault::ClockBack => self.set_clock(p, fault),
            Fault::ClockFrozen => self.pods[p].frozen = Some(self.pods[p].wall(self.now)),
            Fault::Unsubscribed => self.aws.subscribed = false,
            Fault::TagsRefused => self.aws.tags_refused = true,
            Fault::DimensionRefused => {
                self.aws.refused_dimension = Some(crate::random::index(n, self.shape.pers.len()))
            }
            outage => self.outage = Some(outage),
        }
        if matches!(fault, Fault::ClockFrozen) {
            let back = self.pods[p].offset;
            self.trace.note(until, 7, back.unsigned_abs());
        }
        self.at(until, Event::OutageOver { fault });
        Ok(())
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
        for p in 0..self.pods.len() {
            let pod = &mut self.pods[p];
            (pod.offset, pod.disk.full_until) = (0, 0);
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

    /// A person looks up what nobody knows, and closes it.
    pub(crate) fn settle(&mut self) -> Alive {
        for p in 0..self.pods.len() {
            let at = self.trusted(p).s;
            let identity = self.pods[p].identity;
            let Some(ledger) = self.ledger(p) else { continue };
            let unclear = ledger.slots().filter(|(_, slot)| matches!(slot.life, Life::InDoubt | Life::Conflict));
            let settled = |(id, slot): (&tollgate_metering::SlotId, &tollgate_metering::Slot)| {
                let key = Key { identity, dimension: Pod::dimension(&id.dimension), hour: id.hour.0.into() };
                let billed = slot.life == Life::InDoubt && self.aws.holds(key).is_some();
                Record::Settled {
                    slot: id.clone(),
                    billed,
                    evidence: "event".to_owned(),
                    reason: "found".to_owned(),
                    at,
                }
            };
            let records: Vec<_> = unclear.map(settled).collect();
            drop(self.write(p, Vec::new(), records, &[]).or(Ok::<(), Gone>(())));
        }
        Ok(())
    }

    /// A guest counts something, and waits until it is on disk.
    pub(crate) fn uses(&mut self, p: usize) -> Alive {
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
        let busy = process.stage == Stage::Serving && process.phase == tollgate_metering::Phase::Running;
        if !busy || process.stopped || self.changes.unused.contains(&number) {
            return Ok(());
        }
        let huge = self.faults.strikes(Fault::HugeUse);
        let mut deltas: Vec<Delta> = Vec::new();
        for _ in 0..dice.between(1, 3) {
            let dimension = crate::random::index(dice.next(), self.shape.pers.len());
            let team = if self.shape.tagged { dice.below(4) } else { 0 };
            let tags = if team == 0 { Tags::NONE } else { Tags::new(vec![("team".to_owned(), format!("t{team}"))]) };
            let units = dice.between(1, self.shape.units_max)
                + if huge { 3_000_000_000 * self.shape.pers[dimension] } else { 0 };
            deltas.push((dimension, tags, units));
        }
        // Usage alone makes nothing due before the hour ends, and then the clock wakes the host.
        self.record(p, &deltas)
    }
}
