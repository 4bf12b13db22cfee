//! A ledger in which something of everything has happened, in the folder of its task.

use tempfile::TempDir;
use tollgate_metering::{HOUR_S, Hour, Ledger, Now, Phase, Policy, Rate, Record, Reply, Step, Tags, plan};

use super::super::folder::Folder;
use super::super::{Batch, Sqlite, Store};
use super::IDENTITY;

/// The hour in which it begins.
pub(crate) const FIRST: u32 = 490_000;
/// An hour whose usage is not forgotten.
pub(crate) const MIDDLE: u32 = FIRST + 60;
/// The hour in which it ends, after some checkpoints.
pub(crate) const LAST: u32 = FIRST + 97;

struct Life {
    store: Sqlite,
    ledger: Ledger,
    policy: Policy,
    now: u64,
}

/// Hour [`FIRST`]: `images` are accepted and archived, `pixels` are in doubt, `videos` in conflict, `audio` a remainder. Hour
/// [`MIDDLE`]: `images` are accepted. Hour [`LAST`]: `images` under two tag sets, open, a part of one in a recent
/// commit.
pub(crate) fn lived() -> TempDir {
    let volume = tempfile::tempdir().unwrap();
    let mut folder = Folder::take(volume.path(), IDENTITY).unwrap();
    let mut store = Sqlite::open(&folder.database(), folder.begun()).unwrap().watched(folder.witness().unwrap());
    store.load().unwrap();
    folder.begin(&store.head()).unwrap();
    let rate = |(key, per): (&str, u64)| Rate { key: key.into(), per };
    let policy = Policy {
        listing: "paid".into(),
        product_code: "code".into(),
        sends: true,
        carry: false,
        zero_records: false,
        dimensions: [("audio", 10), ("images", 1), ("pixels", 10), ("videos", 1)].map(rate).into(),
        warn_after_s: 3_600,
        stop_after_s: 14_400,
    };
    let mut life = Life { store, ledger: Ledger::new(), policy, now: Hour(FIRST).start() + 60 };
    let created = Record::Created { at: life.now, ledger: 5 };
    let started = Record::Started { at: life.now, identity: IDENTITY.into(), boot: 1, first_hour_taken: false };
    life.write(vec![created, started]);
    for (dimension, team, units) in
        [("images", "blue", 3), ("images", "red", 4), ("pixels", "", 94), ("videos", "", 5), ("audio", "", 7)]
    {
        life.used(dimension, team, units);
    }
    life.until(Hour(MIDDLE).start() + 60);
    life.used("images", "red", 9);
    life.until(Hour(LAST).start() + 60);
    life.used("images", "blue", 6);
    life.used("images", "red", 1);
    life.store.gather().unwrap();
    life.used("images", "red", 1);
    volume
}

impl Life {
    fn used(&mut self, dimension: &str, team: &str, units: u64) {
        let pairs = if team.is_empty() { Vec::new() } else { vec![("team".to_owned(), team.to_owned())] };
        let like = self.policy.slot(dimension, Hour(0));
        let per = self.policy.dimensions.iter().find(|rate| rate.key == dimension).map_or(1, |rate| rate.per);
        let used = self.ledger.used(&like, per, "api", Tags::new(pairs), units, self.now);
        self.ledger.admit_used(&used).unwrap();
        self.ledger.apply_used(&used);
        self.store.commit(&Batch { used: vec![used], records: Vec::new() }).unwrap();
    }

    fn until(&mut self, end: u64) {
        while self.now < end {
            self.now = end.min(self.now + HOUR_S / 4);
            while self.step() {}
            if self.ledger.checkpoint_due() {
                let folded = self.ledger.checkpoint();
                self.store.compact(&folded.records, &folded.forgotten).unwrap();
                self.ledger = folded.after;
            }
        }
    }

    fn step(&mut self) -> bool {
        let now = Now { s: self.now, confirmed: true };
        let steps = plan(&self.ledger, now, &self.policy, Phase::Running);
        for step in steps.clone() {
            match step {
                Step::Write(records) => self.write(records),
                Step::Send { attempted, slot, .. } => {
                    self.write(vec![attempted]);
                    let verdict = self.ledger.answer(&slot, &reply(&slot.dimension), self.now, 0);
                    self.write(verdict.records);
                }
            }
        }
        !steps.is_empty()
    }

    fn write(&mut self, records: Vec<Record>) {
        for record in &records {
            self.ledger.admit(record).unwrap();
            self.ledger.apply(record);
        }
        self.store.commit(&Batch { used: Vec::new(), records }).unwrap();
    }
}

fn reply(dimension: &str) -> Reply {
    match dimension {
        "pixels" => Reply::Unknown { detail: "timeout".into() },
        "videos" => Reply::Duplicate,
        _ => Reply::Accepted { record_id: "R-1".into() },
    }
}
