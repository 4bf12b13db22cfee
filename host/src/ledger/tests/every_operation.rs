//! Each write, sync and truncation fails once, on a disk that also loses its power: nothing acknowledged is lost, nothing is
//! there in part, and the ledger opens by itself.

use tollgate_metering::{Close, Ledger};

use super::super::{Batch, Sqlite, Store, fold};
use super::disk::{self, Cut, Fault};
use super::*;

/// Where a commit ends, so that the last one of a few is not at the end of a page.
const HOURS: u64 = 4;

enum Step {
    Commit(Batch),
    Compact,
}

/// Usage and entries of some hours, then a checkpoint that forgets some of them, then more.
fn script() -> Vec<Step> {
    let begin = vec![
        Record::Created { at: 7_200, ledger: 5 },
        Record::Started { at: 7_200, identity: IDENTITY.into(), boot: 1, first_hour_taken: false },
    ];
    let mut steps = vec![Step::Commit(Batch { used: Vec::new(), records: begin })];
    for hour in 2..2 + HOURS {
        let at = hour * 3_600 + 100;
        steps.push(Step::Commit(Batch { used: vec![used(3, at), used(4, at + 1)], records: Vec::new() }));
        let closed = Record::Closed { slot: used(0, at).slot, why: Close::Counted };
        let records = vec![closed, Record::Heartbeat { at: at + 3_600 }];
        steps.push(Step::Commit(Batch { used: Vec::new(), records }));
    }
    let later = 200 * 3_600;
    steps.push(Step::Commit(Batch { used: Vec::new(), records: vec![Record::Heartbeat { at: later }] }));
    steps.push(Step::Compact);
    steps.push(Step::Commit(Batch {
        used: vec![used(9, later + 5)],
        records: vec![Record::Heartbeat { at: later + 9 }],
    }));
    steps
}

/// The ledger after each number of steps.
fn expected(script: &[Step]) -> Vec<Ledger> {
    let mut states = vec![Ledger::new()];
    for step in script {
        let mut ledger = states.last().cloned().unwrap();
        match step {
            Step::Compact => ledger = ledger.checkpoint().after,
            Step::Commit(batch) => {
                batch.used.iter().for_each(|used| ledger.apply_used(used));
                batch.records.iter().for_each(|record| ledger.apply(record));
            }
        }
        states.push(ledger);
    }
    states
}

struct Run<'a> {
    disk: String,
    script: &'a [Step],
    expected: &'a [Ledger],
}

impl Run<'_> {
    fn open(&self) -> Result<(Sqlite, Ledger), String> {
        let path = PathBuf::from(format!("/{}/ledger.sqlite", self.disk));
        let mut store = Sqlite::open_on(disk::NAME, &path, false).map_err(|error| error.to_string())?;
        let ledger = store.load().and_then(fold)?;
        Ok((store, ledger))
    }

    /// Goes on after `done` steps; says how many are acknowledged then.
    fn work(&self, mut done: usize) -> usize {
        let Ok((mut store, mut ledger)) = self.open() else { return done };
        assert_eq!(ledger, self.expected[done]);
        for step in &self.script[done..] {
            let committed = match step {
                Step::Commit(batch) => store.commit(batch),
                Step::Compact => {
                    let folded = ledger.checkpoint();
                    store.compact(&folded.records, &folded.forgotten)
                }
            };
            if committed.is_err() {
                return done;
            }
            done += 1;
            ledger = self.expected[done].clone();
        }
        done
    }

    /// One fault, one cut, and the rest of the script. False: the fault did not happen any more.
    fn check(&self, fault: Fault, cut: Cut) -> bool {
        disk::create(&self.disk);
        disk::set_fault(&self.disk, fault);
        let acknowledged = self.work(0);
        let happened = disk::has_failed(&self.disk);
        disk::cut(&self.disk, cut);
        let what = || format!("{fault:?}, {cut:?}, {acknowledged} steps acknowledged");
        let (store, ledger) = self.open().unwrap_or_else(|error| panic!("{}: {error}", what()));
        drop(store);
        let after = [Some(acknowledged), Some(acknowledged + 1).filter(|next| *next < self.expected.len())];
        let found = after.into_iter().flatten().find(|&steps| self.expected[steps] == ledger);
        let found = found.unwrap_or_else(|| panic!("{}: there is {ledger:#?}", what()));
        assert_eq!(self.work(found), self.script.len(), "{}: and then it goes on", what());
        disk::remove(&self.disk);
        happened
    }
}

fn check_all(name: &str, fault: fn(usize) -> Fault) -> usize {
    let script = script();
    let expected = expected(&script);
    let run = Run { disk: name.to_owned(), script: &script, expected: &expected };
    let cuts = [Cut::None, Cut::Nothing, Cut::Some(1), Cut::Some(0xbeef), Cut::Some(0x5eed_0000_0007)];
    let mut n = 1;
    while cuts.iter().filter(|&&cut| run.check(fault(n), cut)).count() > 0 {
        n += 1;
    }
    n - 1
}

#[test]
fn each_operation_that_fails_alone_loses_nothing() {
    let operations = check_all("once", Fault::Once);
    assert!(operations > 50, "only {operations} operations");
}

#[test]
fn a_disk_that_is_gone_from_any_operation_on_loses_nothing() {
    let operations = check_all("from", Fault::From);
    assert!(operations > 50, "only {operations} operations");
}

#[test]
fn a_disk_that_is_full_from_any_operation_on_loses_nothing() {
    let operations = check_all("full", Fault::FullFrom);
    assert!(operations > 20, "only {operations} operations");
}

/// Without it the tests above could pass because nothing is ever at risk.
#[test]
fn a_disk_that_forgets_what_was_synced_is_found() {
    let script = script();
    let expected = expected(&script);
    let run = Run { disk: "liar".to_owned(), script: &script, expected: &expected };
    disk::create("liar");
    disk::set_fault("liar", Fault::None);
    assert_eq!(run.work(0), script.len());
    disk::forget("liar");
    assert!(run.open().is_ok_and(|(_, ledger)| ledger != expected[script.len()]));
    disk::remove("liar");
}
