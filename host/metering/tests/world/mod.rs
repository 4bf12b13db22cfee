//! A host without disk and network: carries out what the engine plans, one command at a time.
//!
//! After each command the units must add up; with each `start` and `show` a ledger read back from its usage sums and the
//! text of its records must be the same.

mod clock;
mod fleet;
mod service;
mod tables;
mod telling;
mod volume;

use std::collections::BTreeMap;

use tollgate_metering::*;

use clock::Machine;
pub(crate) use service::{Fate, Service};
use telling::{line, name, sent, shown, time};

/// The first hour of every script, a full day after 1970 so that nothing is near zero.
const FIRST: Hour = Hour(24);

#[derive(Clone)]
pub(crate) struct World {
    machine: Machine,
    policy: Policy,
    phase: Phase,
    ledger: Ledger,
    used: Vec<Used>,
    records: Vec<String>,
    /// Folders of other identities on the same volume: what belongs to them while another folder is in use.
    folders: BTreeMap<String, (Ledger, Vec<Used>, Vec<String>)>,
}

impl Default for World {
    fn default() -> Self {
        let rate = |key: &str, per| Rate { key: key.into(), per };
        let policy = Policy {
            listing: "paid".into(),
            product_code: "code".into(),
            sends: true,
            carry: false,
            zero_records: false,
            dimensions: vec![rate("images", 1), rate("pixels", 1_000)],
            warn_after_s: 3_600,
            stop_after_s: 4 * 3_600,
        };
        let (ledger, phase) = (Ledger::new(), Phase::Running);
        let machine = Machine::default();
        Self { machine, policy, phase, ledger, used: Vec::new(), records: Vec::new(), folders: BTreeMap::new() }
    }
}

impl World {
    /// What a command says.
    pub(crate) fn run(&mut self, command: &str) -> Vec<String> {
        let words: Vec<&str> = command.split(' ').collect();
        let lines = match words.as_slice() {
            ["start", identity] => self.start(identity, false),
            ["start", identity, "older"] => self.start(identity, true),
            ["at", time] => self.machine.at(time),
            ["set", name, value] => self.set(name, value),
            ["suspended", "until", time] => self.machine.suspend(time),
            ["clock", change] => self.machine.set(change),
            ["offline"] => self.machine.go(false),
            ["online"] => self.machine.go(true),
            ["date"] => self.date(),
            ["trust"] => self.trust(),
            ["use", dimension, "in", sets, "tag", "sets"] => self.use_tagged(dimension, sets.parse().unwrap()),
            ["use", dimension, units, tags @ ..] => self.use_units(dimension, units.parse().unwrap(), tags),
            ["plan"] => self.plan(),
            ["beat"] => self.beat(),
            ["compact"] => self.compact(),
            ["copy", name] => self.copy(name),
            ["folder", name, "new"] => self.leave(name),
            ["folder", name] => self.swap(name),
            ["adopt", name] => self.adopt(name, false),
            ["adopt", name, "cut", "off"] => self.adopt(name, true),
            ["finish"] => {
                self.phase = Phase::Ending;
                self.plan()
            }
            ["reply", slot, reply @ ..] => self.reply(slot, &reply.join(" ")),
            ["ask", dimension] => self.ask(dimension),
            ["grant", proof] => self.grant(*proof == "proven"),
            ["settle", slot, billed, evidence, reason @ ..] => {
                self.settle(slot, *billed == "billed", evidence, &reason.join(" "))
            }
            ["show"] => self.show(),
            ["due"] => vec![format!("due at {}", time(next_due(&self.ledger, self.now(), &self.policy, self.phase)))],
            ["standing"] => self.standing(),
            ["requests"] => self.requests(),
            ["unsent"] => vec![format!("{} unsent", self.ledger.unsent(&self.policy))],
            ["every", "hour", "for", hours, "hours", "use", dimension, units] => {
                self.every_hour(hours.parse().unwrap(), dimension, units)
            }
            ["every", "reply", "to", slot, "up", "to", depth] => self.every_reply(slot, depth.parse().unwrap()),
            ["what", "follows", "for", slot, "up", "to", depth] => self.what_follows(slot, depth.parse().unwrap()),
            ["fleet", "of", pods, "pods", dimensions, "dimensions", outage @ ..] => {
                fleet::fleet(pods.parse().unwrap(), dimensions.parse().unwrap(), outage.last().copied())
            }
            _ => panic!("no such command: {command}"),
        };
        assert!(self.ledger.balanced(), "{:#?}", self.ledger);
        if matches!(words.first(), Some(&("start" | "show" | "compact" | "adopt"))) {
            self.read_back();
        }
        lines
    }

    /// Tries under way: slot, identity, and what was sent.
    pub(crate) fn pending(&self) -> Vec<(String, String, Request)> {
        let pending = self.ledger.slots().filter(|(_, slot)| slot.attempts.pending);
        let tried =
            pending.filter_map(|(id, slot)| Some((name(id), slot.attempts.identity.clone(), slot.request.clone()?)));
        tried.collect()
    }

    /// What the ledger in use says about all usage.
    pub(crate) fn own_balance(&self) -> Balance {
        self.ledger.balance()
    }

    /// What all ledgers of the volume say about all usage.
    pub(crate) fn balance(&self) -> Balance {
        let mut sum = self.ledger.balance();
        self.folders.values().for_each(|(ledger, ..)| sum.add(&ledger.balance()));
        sum
    }

    /// Units per billed unit of a slot.
    pub(crate) fn per(&self, slot: &str) -> u64 {
        self.ledger.slot(&self.slot(slot)).map_or(1, |slot| slot.per)
    }

    /// A process takes the ledger, asks AWS for the time if it has to, and says that it is alive.
    fn start(&mut self, identity: &str, older: bool) -> Vec<String> {
        self.phase = Phase::Running;
        self.machine.trust = Some(Trust::new(self.machine.clocks(), self.ledger.alive_at()));
        self.begin(identity, older);
        self.ask_time();
        let steps = plan(&self.ledger, self.now(), &self.policy, self.phase);
        if let Some(Step::Write(records)) = steps.first()
            && matches!(records.as_slice(), [Record::Heartbeat { .. }])
        {
            self.write(records);
        }
        Vec::new()
    }

    fn begin(&mut self, identity: &str, older: bool) {
        let at = self.now().s;
        let mut records = Vec::new();
        let fresh = self.ledger.is_fresh();
        if fresh {
            records.push(Record::Created { at, ledger: 0xabc + self.folders.len() as u64 });
        }
        let (boot, first_hour_taken) = (self.ledger.boots() + 1, fresh && older);
        records.push(Record::Started { at, identity: identity.into(), boot, first_hour_taken });
        self.write(&records);
    }

    fn set(&mut self, name: &str, value: &str) -> Vec<String> {
        match name {
            "carry" => self.policy.carry = value == "yes",
            "zero-records" => self.policy.zero_records = value == "yes",
            "sends" => self.policy.sends = value == "yes",
            "listing" => self.policy.listing = value.into(),
            "per" => self.policy.dimensions[1].per = value.parse().unwrap(),
            _ => panic!("no such setting: {name}"),
        }
        Vec::new()
    }

    fn use_units(&mut self, dimension: &str, units: u64, tags: &[&str]) -> Vec<String> {
        let per = self.policy.dimensions.iter().find(|rate| rate.key == dimension).map_or(1, |rate| rate.per);
        let pair = |tag: &&str| tag.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
        let tags = Tags::new(tags.iter().map(pair).collect());
        let like = self.policy.slot(dimension, FIRST);
        let used = self.ledger.used(&like, per, "api", tags, units, self.now().s);
        if let Err(refusal) = self.ledger.admit_used(&used) {
            return vec![format!("refused: {refusal}")];
        }
        let late = if used.late > 0 { " late" } else { "" };
        let line = format!("{} {units}{late}", name(&used.slot));
        self.ledger.apply_used(&used);
        self.used.push(used);
        vec![line]
    }

    /// Says that the process is alive every half hour since it last was, as it would have.
    fn beat(&mut self) -> Vec<String> {
        let mut at = self.ledger.alive_at() + 1_800;
        while at <= self.now().s {
            self.write(&[Record::Heartbeat { at }]);
            at += 1_800;
        }
        Vec::new()
    }

    /// Folds all entries into a checkpoint, as a store does once a day, and forgets the usage of forgotten hours.
    fn compact(&mut self) -> Vec<String> {
        let due = if self.ledger.checkpoint_due() { "due" } else { "not due" };
        let folded = self.ledger.checkpoint();
        let before = self.records.len();
        self.records = folded.records.iter().map(Record::to_text).collect();
        self.used.retain(|used| folded.after.slot(&used.slot).is_some());
        self.ledger = folded.after;
        let forgotten = folded.forgotten.iter().filter_map(line);
        std::iter::once(format!("{due}: {before} entries become {}", self.records.len())).chain(forgotten).collect()
    }

    /// Until nothing is left to write, then lets every try begin.
    fn plan(&mut self) -> Vec<String> {
        let mut said = self.ask_time();
        // A plan that never comes to an end would hang the host.
        for _ in 0..10_000 {
            let steps = plan(&self.ledger, self.now(), &self.policy, self.phase);
            let (mut records, mut sends) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Write(batch) => records.extend(batch),
                    Step::Send { attempted, slot, request } => {
                        said.push(format!("send {} {} try {}", name(&slot), sent(&request), self.tries(&slot) + 1));
                        sends.push(attempted);
                    }
                }
            }
            if records.is_empty() {
                self.write(&sends);
                return if said.is_empty() { vec!["nothing due".into()] } else { said };
            }
            said.extend(records.iter().filter_map(line));
            self.write(&records);
        }
        panic!("the plan never comes to an end");
    }

    fn reply(&mut self, slot: &str, reply: &str) -> Vec<String> {
        let id = self.slot(slot);
        let (word, detail) = reply.split_once(' ').unwrap_or((reply, ""));
        let code = || detail.to_owned();
        let reply = match word {
            "accepted" => Reply::Accepted { record_id: code() },
            "throttled" => Reply::NotProcessed { code: "ThrottlingException".into() },
            "denied" => Reply::NotProcessed { code: "AccessDeniedException".into() },
            "unreachable" => Reply::NotProcessed { code: "no connection".into() },
            "timeout" => Reply::Unknown { detail: "no answer within 10 s".into() },
            "error" => Reply::Unknown { detail: "InternalServiceErrorException".into() },
            "no-record-id" => Reply::Unknown { detail: "200 without a record id".into() },
            "dry-run" => Reply::DryRunOk,
            "duplicate" => Reply::Duplicate,
            "not-entitled" => Reply::NotEntitled { code: "CustomerNotEntitledException".into() },
            "bad-tags" => Reply::InvalidTags { code: "InvalidTagException".into() },
            "refused" => Reply::Refused { code: code() },
            _ => panic!("no such reply: {word}"),
        };
        if !matches!(reply, Reply::Unknown { .. }) {
            self.date();
        }
        let verdict = self.ledger.answer(&id, &reply, self.now().s, 2);
        let mut said: Vec<String> = verdict.records.iter().filter_map(line).collect();
        said.extend(verdict.alarm.map(|alarm| format!("alarm: {alarm:?}")));
        said.extend(verdict.not_entitled.then(|| "the process ends: not entitled".to_owned()));
        self.write(&verdict.records);
        said
    }

    fn ask(&mut self, dimension: &str) -> Vec<String> {
        match self.ledger.ask(&self.policy, dimension, self.now().s) {
            Ok(ask) => {
                self.write(&ask.asked.into_iter().collect::<Vec<_>>());
                vec![format!("send {} token {}", sent(&ask.request), ask.request.token)]
            }
            Err(refusal) => vec![format!("refused: {refusal}")],
        }
    }

    /// The listing is granted, with a proof of the subscription or without.
    fn grant(&mut self, proven: bool) -> Vec<String> {
        let (at, listing) = (self.now().s, self.policy.listing.clone());
        self.write(&[Record::Granted { at, listing, provisional: !proven }]);
        let since = self.ledger.provisional_since(&self.policy.listing);
        vec![since.map_or_else(|| "proven".into(), |since| format!("provisional since {}", time(since)))]
    }

    /// What a person decides about a record whose outcome nobody could know.
    fn settle(&mut self, slot: &str, billed: bool, evidence: &str, reason: &str) -> Vec<String> {
        let (at, slot) = (self.now().s, self.slot(slot));
        let settled = Record::Settled { slot, billed, evidence: evidence.into(), reason: reason.into(), at };
        match self.ledger.admit(&settled) {
            Ok(()) => {
                self.write(&[settled]);
                Vec::new()
            }
            Err(refusal) => vec![format!("refused: {refusal}")],
        }
    }

    fn show(&self) -> Vec<String> {
        let slots: Vec<String> = self.ledger.slots().map(|(id, slot)| shown(id, slot)).collect();
        if slots.is_empty() { vec!["no slots".into()] } else { slots }
    }

    fn standing(&self) -> Vec<String> {
        let standing = self.ledger.standing(&self.policy, self.now().s);
        let oldest =
            standing.oldest.map_or_else(|| "nothing waits".into(), |hour| format!("hour {} waits", hour.0 - FIRST.0));
        let contested = standing.contested.map(|hour| format!(", contested from hour {} on", hour.0 - FIRST.0));
        vec![format!("{:?} since {}, {oldest}{}", standing.state, time(standing.since), contested.unwrap_or_default())]
    }

    fn requests(&self) -> Vec<String> {
        let requests = self.ledger.slots().filter_map(|(_, slot)| slot.request.as_ref());
        requests.map(|request| format!("{} token {}", sent(request), request.token)).collect()
    }

    /// `images@0` is the dimension in the first hour.
    fn slot(&self, name: &str) -> SlotId {
        let (dimension, hour) = name.split_once('@').unwrap();
        self.policy.slot(dimension, Hour(FIRST.0 + hour.parse::<u32>().unwrap()))
    }

    fn tries(&self, id: &SlotId) -> u32 {
        self.ledger.slot(id).map_or(0, |slot| slot.attempts.count)
    }

    fn write(&mut self, records: &[Record]) {
        assert_eq!(self.ledger.admit_all(records), Ok(()), "{records:?}");
        for record in records {
            assert_eq!(self.ledger.admit(record), Ok(()), "{}", record.to_text());
            self.ledger.apply(record);
            self.records.push(record.to_text());
        }
    }

    /// As a process does that starts on the same store.
    fn read_back(&self) {
        let mut sums: BTreeMap<(SlotId, Tags), Used> = BTreeMap::new();
        for used in &self.used {
            let key = (used.slot.clone(), used.tags.clone());
            sums.entry(key)
                .and_modify(|sum| {
                    sum.units += used.units;
                    sum.late += used.late;
                    sum.at = sum.at.max(used.at);
                })
                .or_insert_with(|| used.clone());
        }
        let mut again = Ledger::new();
        sums.values().for_each(|used| again.apply_used(used));
        for text in &self.records {
            let record = Record::from_text(text).unwrap();
            assert_eq!(again.admit(&record), Ok(()), "read back: {text}");
            again.apply(&record);
        }
        assert_eq!(again, self.ledger, "the ledger read back from its store differs");
    }
}
