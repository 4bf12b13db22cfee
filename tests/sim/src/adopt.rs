//! What `host/src/meter/adopt.rs` does: takes over what other identities left on the volume.

use tollgate_metering::{Handing, Phase, Record, Step, plan};

use crate::bug::Bug;
use crate::driver::{Alive, Gone};
use crate::faults::Fault;
use crate::report::Feature;
use crate::world::World;

impl World {
    /// Adopts from all folders that were on the volume at the start and are free now.
    pub(crate) fn adopt(&mut self, p: usize) -> Alive {
        let Some(process) = &mut self.pods[p].process else { return Err(Gone) };
        let others = std::mem::take(&mut process.others);
        if others.is_empty() || !self.pods[p].policy.sends {
            return Ok(());
        }
        self.learn_time(p);
        let mut taken = Vec::new();
        for o in others {
            let folder = &self.folders[o];
            if folder.holder.is_some() {
                self.report.feature(Feature::FolderInUse);
            }
            if folder.retired.is_none() && !folder.lost && self.take(p, o) {
                taken.push(o);
            }
        }
        if self.failure.is_some() {
            return Err(Gone);
        }
        self.repair_between(p, &mut taken)?;
        for o in taken {
            let whole = self.adopt_one(p, o)?;
            if whole {
                self.retire(p, o);
            }
            self.release(o, whole);
        }
        Ok(())
    }

    /// Asks AWS for its time, and waits for the answer, if the clock is in doubt.
    fn learn_time(&mut self, p: usize) {
        if !self.wants_date(p) {
            return;
        }
        let cut_off = matches!(self.outage, Some(Fault::Unreachable | Fault::BlackHole));
        let ways = [Fault::NoConnection, Fault::RequestLost, Fault::ReplyLost];
        if !cut_off && !ways.into_iter().any(|fault| self.faults.strikes(fault)) {
            let now = self.now;
            let clocks = self.pods[p].clocks(now);
            if let Some(process) = &mut self.pods[p].process {
                process.trust.date(clocks, clocks, now);
            }
        }
    }

    /// Hand-overs between two others that were cut off when the one that adopted ended. One whose disk failed is let go.
    fn repair_between(&mut self, p: usize, taken: &mut Vec<usize>) -> Alive {
        let now = self.trusted(p);
        for to in taken.clone() {
            for from in taken.clone().into_iter().filter(|&from| from != to) {
                let (Some(adopter), Some(old)) = (self.open(to), self.open(from)) else { continue };
                let repaired = adopter.repair_from(old, now, &self.pods[p].policy);
                if !repaired.is_empty() {
                    self.report.feature(Feature::RepairedBetweenOthers);
                }
                if !self.commit(p, to, Vec::new(), repaired, &[])? {
                    taken.retain(|&other| other != to);
                    self.release(to, false);
                    break;
                }
            }
        }
        Ok(())
    }

    /// False: the other disk failed.
    fn adopt_one(&mut self, p: usize, o: usize) -> Result<bool, Gone> {
        let now = self.trusted(p);
        let Some(old) = self.open(o) else { return Ok(false) };
        let at = now.s;
        let (identity, boot) = (self.pods[p].identity_name(), old.boots() + 1);
        self.tell(p, || format!("looks at folder {o}"));
        let started = Record::Started { at, identity, boot, first_hour_taken: false };
        if !self.commit(p, o, Vec::new(), vec![started], &[])? {
            return Ok(false);
        }
        while let Some(old) = self.open(o) {
            let steps = plan(old, now, &self.pods[p].policy, Phase::Running);
            let writes = steps.into_iter().filter_map(|step| match step {
                Step::Write(records) => Some(records),
                Step::Send { .. } => None,
            });
            let writes: Vec<Record> = writes.flatten().collect();
            if writes.is_empty() {
                break;
            }
            if !self.commit(p, o, Vec::new(), writes, &[])? {
                return Ok(false);
            }
        }
        let (Some(own), Some(old)) = (self.ledger(p), self.open(o)) else { return Err(Gone) };
        let Handing { repaired, handed, adopted } = own.adopt_from(old, now, &self.pods[p].policy);
        if !repaired.is_empty() {
            self.report.feature(Feature::Repaired);
        }
        self.write(p, Vec::new(), repaired, &[])?;
        let swapped = self.bug == Some(Bug::HandOverAfterAdopted);
        if swapped {
            self.write(p, Vec::new(), adopted.clone(), &[])?;
        }
        let handed = if self.bug == Some(Bug::AdoptWithoutHandOver) { Vec::new() } else { handed };
        if !self.commit(p, o, Vec::new(), handed, &[])? {
            return Ok(false);
        }
        if !swapped {
            let again = (self.bug == Some(Bug::AdoptTwice)).then(|| adopted.clone());
            self.write(p, Vec::new(), adopted, &[])?;
            let mut again = again.unwrap_or_default();
            for record in &mut again {
                if let Record::Adopted { number, .. } = record {
                    *number += 1_000;
                }
            }
            self.write(p, Vec::new(), again, &[])?;
        }
        Ok(true)
    }

    fn retire(&mut self, p: usize, o: usize) {
        let (Some(own), Some(old)) = (self.ledger(p), self.open(o)) else { return };
        if old.leaves(|handed| own.has_adopted(old, handed)) {
            self.report.feature(Feature::LeftInFolder);
        } else {
            self.report.feature(Feature::Retired);
            self.folders[o].retired = Some(self.now);
        }
    }
}
