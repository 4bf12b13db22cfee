//! Everything that gets onto a disk: admit, write, apply, with a place to die before and after.

use std::rc::Rc;

use tollgate_metering::{Folded, HOUR_S, Record, Used};

use crate::bug::Bug;
use crate::driver::{Alive, Gone};
use crate::faults::Fault;
use crate::pod::Pod;
use crate::refuse;
use crate::store::{Batch, Handed};
use crate::world::World;

impl World {
    /// Writes to the pod's own ledger. If the disk fails the process ends.
    pub(crate) fn write(
        &mut self,
        p: usize,
        used: Vec<Used>,
        records: Vec<Record>,
        units: &[(Handed, usize)],
    ) -> Alive {
        let f = self.pods[p].folder;
        if self.commit(p, f, used, records, units)? { Ok(()) } else { self.crash(p, false, "ends: the disk failed") }
    }

    /// Writes to a ledger that the process holds. False: the disk failed.
    pub(crate) fn commit(
        &mut self,
        p: usize,
        f: usize,
        used: Vec<Used>,
        records: Vec<Record>,
        units: &[(Handed, usize)],
    ) -> Result<bool, Gone> {
        if used.is_empty() && records.is_empty() {
            return Ok(true);
        }
        let Some(ledger) = self.open(f) else { return Err(Gone) };
        if let Some(refusal) = used.iter().find_map(|used| ledger.admit_used(used).err()) {
            self.fail(format!("usage is not admitted: {refusal}"))?;
        }
        let ledger = self.open(f).filter(|_| self.thorough());
        let wrong = ledger.and_then(|ledger| {
            let mut wrong = used.iter().flat_map(|used| refuse::wrong_usage(ledger, used));
            wrong.find(|used| ledger.admit_used(used).is_ok())
        });
        self.ensure(wrong.is_none(), || format!("{wrong:?} is let in, which is wrong"))?;
        if self.faults.crashes(Fault::CrashBeforeWrite) {
            self.crash(p, true, "is killed before a write")?;
        }
        let (failed, written) = self.disk_fails(p);
        let ignored = (failed || written) && self.bug == Some(Bug::IgnoreStoreError);
        let batch = if failed { Rc::new(Batch::lost(used, records)) } else { self.durable(p, f, used, records, units) };
        if (failed || written) && !ignored {
            return Ok(false);
        }
        if self.faults.crashes(Fault::CrashAfterWrite) {
            self.crash(p, false, "is killed after a write")?;
        }
        for used in &batch.used {
            self.apply_used(p, f, used);
        }
        batch.records.iter().try_for_each(|record| self.apply(p, f, record))?;
        Ok(true)
    }

    /// Whether nothing is written, and whether all is and the disk says no all the same.
    fn disk_fails(&mut self, p: usize) -> (bool, bool) {
        let full = self.now < self.full_until[self.pods[p].volume];
        (full || self.faults.strikes(Fault::WriteError), self.faults.strikes(Fault::WriteErrorDurable))
    }

    fn durable(
        &mut self,
        p: usize,
        f: usize,
        used: Vec<Used>,
        records: Vec<Record>,
        units: &[(Handed, usize)],
    ) -> Rc<Batch> {
        let now = self.now;
        let hour = used.first().map_or(0, |used| used.at / HOUR_S);
        let handed: Vec<Handed> = units.iter().map(|(handed, _)| *handed).collect();
        let folder = &mut self.folders[f];
        if now > folder.written_at + HOUR_S {
            folder.unbroken_since = now;
        }
        folder.written_at = now;
        let batch = folder.disk.append(now, used, records, &handed);
        let (family, alone) = (folder.family, folder.holder == Some(p));
        if !alone {
            drop(self.fail("two processes write the same ledger".to_owned()));
        }
        for ((listing, dimension, units), tags) in units {
            self.oracle.durable((family, *listing, *dimension), hour, *tags, *units);
        }
        let identity = self.pods[p].identity;
        self.check_durable(f, identity, &batch.records);
        batch
    }

    /// Once a day: folds all entries into a checkpoint.
    pub(crate) fn compact(&mut self, p: usize) -> Alive {
        let f = self.pods[p].folder;
        let Some(ledger) = self.open(f).filter(|ledger| ledger.checkpoint_due()) else { return Ok(()) };
        let Folded { mut records, after, .. } = ledger.checkpoint();
        if self.bug == Some(Bug::DropFromCheckpoint) && records.len() > 2 {
            records.pop();
        }
        if self.faults.crashes(Fault::CrashBeforeWrite) {
            return self.crash(p, true, "is killed before a checkpoint");
        }
        let (failed, written) = self.disk_fails(p);
        if failed {
            return self.crash(p, false, "ends: the disk failed at a checkpoint");
        }
        let now = self.now;
        records.iter().for_each(|record| self.report.entry(record));
        self.tell(p, || format!("folds its ledger into {} entries", records.len()));
        let folder = &mut self.folders[f];
        folder.disk.compact(now, records);
        if written {
            return self.crash(p, false, "ends: the disk failed after a checkpoint");
        }
        if self.faults.crashes(Fault::CrashAfterWrite) {
            return self.crash(p, true, "is killed after a checkpoint");
        }
        self.folders[f].open = Some(after);
        Ok(())
    }

    /// A person writes to a ledger, through its host or with the command for stopped ones.
    pub(crate) fn write_by_hand(&mut self, p: usize, f: usize, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let batch = self.durable(p, f, Vec::new(), records, &[]);
        let applied = batch.records.iter().try_for_each(|record| self.apply(p, f, record));
        drop(applied.or(Ok::<(), Gone>(())));
    }

    /// The time that the pod's process trusts.
    pub(crate) fn trusted(&mut self, p: usize) -> tollgate_metering::Now {
        let (now, believes) = (self.now, self.bug == Some(Bug::BelieveClock));
        let trusted = self.pods[p].trusted(now, believes);
        let f = self.pods[p].folder;
        if trusted.s > now
            && let Some(folder) = self.folders.get_mut(f)
        {
            folder.believed = folder.believed.max(trusted.s / HOUR_S);
        }
        trusted
    }
}

impl Pod {
    /// True while its process serves and is not told to end.
    pub(crate) fn busy(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            process.stage == crate::pod::Stage::Serving && process.phase == tollgate_metering::Phase::Running
        })
    }
}
