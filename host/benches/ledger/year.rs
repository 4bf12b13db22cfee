//! How large a ledger gets and how long it takes to open: a host that is busy all year.
//!
//! Some dimensions with 100 tag sets each, every hour. A day is written as the meter writes it, in larger batches; each day
//! ends with a checkpoint.

use std::path::Path;

use tollgate_host::clock::Clock;
use tollgate_host::ledger::{Batch, Sqlite, Store};
use tollgate_metering::{HOUR_S, Hour, Ledger, Now, Phase, Policy, Rate, Record, Reply, Step, Tags, plan};

const TAG_SETS: u64 = 100;

pub(crate) struct Year {
    pub(crate) store: Sqlite,
    pub(crate) ledger: Ledger,
    policy: Policy,
    now: u64,
}

impl Year {
    pub(crate) fn begin(database: &Path, dimensions: u32) -> Self {
        let mut store = Sqlite::open(database, false).unwrap();
        store.load().unwrap();
        let rate = |number: u32| Rate { key: format!("dimension-{number:02}"), per: 1 };
        let policy = Policy {
            listing: "paid".into(),
            product_code: "4w9amjkzg2k8r1x5b7c3d6e9f".into(),
            sends: true,
            carry: false,
            zero_records: false,
            dimensions: (0..dimensions).map(rate).collect(),
            warn_after_s: 3_600,
            stop_after_s: 14_400,
        };
        let mut year = Self { store, ledger: Ledger::new(), policy, now: 490_000 * HOUR_S };
        let identity = "arn:aws:ecs:eu-west-1:111122223333:task/shop/0123456789abcdef0123456789abcdef".into();
        let created = Record::Created { at: year.now, ledger: 1 };
        year.write(vec![created, Record::Started { at: year.now, identity, boot: 1, first_hour_taken: false }]);
        year
    }

    /// One hour of usage, its heartbeats, and the records of the hour before. Milliseconds that a checkpoint took; zero if
    /// none was due.
    pub(crate) fn hour(&mut self) -> u64 {
        let mut batch = Batch::default();
        for rate in &self.policy.dimensions {
            for set in 0..TAG_SETS {
                let pairs = [("team", "customer-success"), ("env", "production")]
                    .map(|(key, value)| (key.to_owned(), format!("{value}-{set:03}")));
                let like = self.policy.slot(&rate.key, Hour(0));
                let used = self.ledger.used(&like, 1, "api", Tags::new(pairs.into()), 1_000 + set, self.now);
                self.ledger.admit_used(&used).unwrap();
                self.ledger.apply_used(&used);
                batch.used.push(used);
            }
        }
        self.store.commit(&batch).unwrap();
        let mut pause_ms = 0;
        for _ in 0..4 {
            self.now += HOUR_S / 4;
            pause_ms += self.plan();
        }
        pause_ms
    }

    /// Until nothing is due; AWS accepts everything.
    fn plan(&mut self) -> u64 {
        loop {
            let now = Now { s: self.now, confirmed: true };
            let mut records = Vec::new();
            let mut answers = Vec::new();
            for step in plan(&self.ledger, now, &self.policy, Phase::Running) {
                match step {
                    Step::Write(batch) => records.extend(batch),
                    Step::Send { attempted, slot, .. } => {
                        records.push(attempted);
                        answers.push(slot);
                    }
                }
            }
            if records.is_empty() {
                break;
            }
            self.write(records);
            let reply = Reply::Accepted { record_id: "8f14e45f-ceea-467f-a8d1-0123456789ab".into() };
            let accepted = answers.iter().flat_map(|slot| self.ledger.answer(slot, &reply, self.now, 0).records);
            self.write(accepted.collect());
        }
        let (clock, mut pause_ms) = (Clock::system(), 0);
        if self.ledger.checkpoint_due() {
            let folded = self.ledger.checkpoint();
            let before_ms = clock.boot_ms();
            self.store.compact(&folded.records, &folded.forgotten).unwrap();
            pause_ms = clock.boot_ms() - before_ms;
            self.ledger = folded.after;
        }
        pause_ms
    }

    fn write(&mut self, records: Vec<Record>) {
        records.iter().for_each(|record| {
            self.ledger.admit(record).unwrap();
            self.ledger.apply(record);
        });
        self.store.commit(&Batch { used: Vec::new(), records }).unwrap();
    }
}

/// Bytes of all files in a folder.
pub(crate) fn bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
