//! A host without disk and network: carries out what the engine plans, one command at a time.
//!
//! After each command the units must add up; with each `start` and `show` a ledger read back from its usage sums and the
//! text of its records must be the same.

mod volume;

use std::collections::BTreeMap;

use tollgate_metering::*;

/// The first hour of every script, a full day after 1970 so that nothing is near zero.
const FIRST: Hour = Hour(24);

pub(crate) struct World {
    now: Now,
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
        let now = Now { s: FIRST.start(), confirmed: true };
        let (ledger, phase) = (Ledger::new(), Phase::Running);
        Self { now, policy, phase, ledger, used: Vec::new(), records: Vec::new(), folders: BTreeMap::new() }
    }
}

impl World {
    /// What a command says.
    pub(crate) fn run(&mut self, command: &str) -> Vec<String> {
        let words: Vec<&str> = command.split(' ').collect();
        let lines = match words.as_slice() {
            ["start", identity] => self.start(identity, false),
            ["start", identity, "older"] => self.start(identity, true),
            ["set", name, value] => self.set(name, value),
            ["at", time] => self.at(time),
            ["clock", word] => {
                self.now.confirmed = *word == "confirmed";
                Vec::new()
            }
            ["use", dimension, units, tags @ ..] => self.use_units(dimension, units.parse().unwrap(), tags),
            ["plan"] => self.plan(),
            ["beat"] => self.beat(),
            ["compact"] => self.compact(),
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
            ["settle", slot, billed, evidence, reason @ ..] => {
                self.settle(slot, *billed == "billed", evidence, &reason.join(" "))
            }
            ["show"] => self.show(),
            ["due"] => vec![format!("due at {}", time(next_due(&self.ledger, self.now, &self.policy, self.phase)))],
            ["standing"] => self.standing(),
            ["requests"] => self.requests(),
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

    fn start(&mut self, identity: &str, older: bool) -> Vec<String> {
        self.phase = Phase::Running;
        let mut records = Vec::new();
        let fresh = self.ledger.is_fresh();
        if fresh {
            records.push(Record::Created { at: self.now.s, ledger: 0xabc + self.folders.len() as u64 });
        }
        let (boot, first_hour_taken) = (self.ledger.boots() + 1, fresh && older);
        records.push(Record::Started { at: self.now.s, identity: identity.into(), boot, first_hour_taken });
        self.write(&records);
        Vec::new()
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

    /// `2:20` is twenty minutes past the third hour; `2:20:05` five seconds later.
    fn at(&mut self, time: &str) -> Vec<String> {
        let parts: Vec<u64> = time.split(':').map(|part| part.parse().unwrap()).collect();
        let seconds = parts.iter().zip([3_600, 60, 1]).map(|(part, unit)| part * unit).sum::<u64>();
        self.now.s = FIRST.start() + seconds;
        Vec::new()
    }

    fn use_units(&mut self, dimension: &str, units: u64, tags: &[&str]) -> Vec<String> {
        let per = self.policy.dimensions.iter().find(|rate| rate.key == dimension).map_or(1, |rate| rate.per);
        let pair = |tag: &&str| tag.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
        let tags = Tags::new(tags.iter().map(pair).collect());
        let like = self.policy.slot(dimension, FIRST);
        let used = self.ledger.used(&like, per, "api", tags, units, self.now.s);
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
        while at <= self.now.s {
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
        let mut said = Vec::new();
        loop {
            let steps = plan(&self.ledger, self.now, &self.policy, self.phase);
            let mut wrote = false;
            for step in steps {
                match step {
                    Step::Write(records) => {
                        wrote = true;
                        said.extend(records.iter().filter_map(line));
                        self.write(&records);
                    }
                    Step::Send { attempted, slot, request } => {
                        said.push(format!("send {} {} try {}", name(&slot), sent(&request), self.tries(&slot) + 1));
                        self.write(&[attempted]);
                    }
                }
            }
            if !wrote {
                break;
            }
        }
        if said.is_empty() { vec!["nothing due".into()] } else { said }
    }

    fn reply(&mut self, slot: &str, reply: &str) -> Vec<String> {
        let id = self.slot(slot);
        let (word, detail) = reply.split_once(' ').unwrap_or((reply, ""));
        let code = || detail.to_owned();
        let reply = match word {
            "accepted" => Reply::Accepted { record_id: code() },
            "throttled" => Reply::NotProcessed { code: "ThrottlingException".into() },
            "timeout" => Reply::Unknown { detail: "no answer within 10 s".into() },
            "duplicate" => Reply::Duplicate,
            "not-entitled" => Reply::NotEntitled { code: "CustomerNotEntitledException".into() },
            "bad-tags" => Reply::InvalidTags { code: "InvalidTagException".into() },
            "refused" => Reply::Refused { code: code() },
            _ => panic!("no such reply: {word}"),
        };
        let verdict = self.ledger.answer(&id, &reply, self.now.s, 2);
        let mut said: Vec<String> = verdict.records.iter().filter_map(line).collect();
        said.extend(verdict.alarm.map(|alarm| format!("alarm: {alarm:?}")));
        said.extend(verdict.not_entitled.then(|| "the process ends: not entitled".to_owned()));
        self.write(&verdict.records);
        said
    }

    fn ask(&mut self, dimension: &str) -> Vec<String> {
        match self.ledger.ask(&self.policy, dimension, self.now.s) {
            Ok(ask) => {
                self.write(&ask.asked.into_iter().collect::<Vec<_>>());
                vec![format!("send {} token {}", sent(&ask.request), ask.request.token)]
            }
            Err(refusal) => vec![format!("refused: {refusal}")],
        }
    }

    /// What a person decides about a record whose outcome nobody could know.
    fn settle(&mut self, slot: &str, billed: bool, evidence: &str, reason: &str) -> Vec<String> {
        let (at, slot) = (self.now.s, self.slot(slot));
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
        let standing = self.ledger.standing(&self.policy, self.now.s);
        let oldest =
            standing.oldest.map_or_else(|| "nothing waits".into(), |hour| format!("hour {} waits", hour.0 - FIRST.0));
        vec![format!("{:?} since {}, {oldest}", standing.state, time(standing.since))]
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

fn name(id: &SlotId) -> String {
    format!("{}@{}", id.dimension, id.hour.0 - FIRST.0)
}

fn time(at: u64) -> String {
    let s = at - FIRST.start();
    format!("{}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}

fn buckets(buckets: &Buckets) -> String {
    buckets.iter().map(|(tags, units)| format!("{}{units}", tagged(tags))).collect::<Vec<_>>().join(" + ")
}

fn tagged(tags: &Tags) -> String {
    let pairs: Vec<String> = tags.pairs().iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!("{}:", pairs.join(",")) }
}

fn sent(request: &Request) -> String {
    let parts: Vec<String> = request.allocations.iter().map(|a| format!("{}{}", tagged(&a.tags), a.quantity)).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" [{}]", parts.join(" + ")) };
    format!("{}{parts} stamped {}", request.quantity, time(request.timestamp))
}

fn line(record: &Record) -> Option<String> {
    Some(match record {
        Record::HandedOver(handed) => {
            format!("hand over {:?} of {}: {}", handed.part, name(&handed.slot), buckets(&handed.units))
        }
        Record::Adopted { number, slot, units, .. } => {
            format!("adopt number {number} into {}: {}", name(slot), buckets(units))
        }
        Record::Sealed { slot, request, remainder, .. } if remainder.is_empty() => {
            format!("seal {} {}", name(slot), sent(request))
        }
        Record::Sealed { slot, request, remainder, .. } => {
            format!("seal {} {} remainder {}", name(slot), sent(request), buckets(remainder))
        }
        Record::Resealed { slot, request } => format!("seal again {} {}", name(slot), sent(request)),
        Record::Closed { slot, why } => format!("close {} {why:?}", name(slot)),
        Record::Carried { from, to, part, units, .. } => {
            format!("carry {part:?} of {} to {}: {}", name(from), to.0 - FIRST.0, buckets(units))
        }
        Record::Beyond { slot, units } => format!("give up {} {}", name(slot), buckets(units)),
        Record::Deferred { slot, unknown, retry_at, .. } => {
            let known = if *unknown { "unknown" } else { "not processed" };
            format!("{known} {} again at {}", name(slot), time(*retry_at))
        }
        Record::Ended { slot, end, .. } => format!("end {} {end:?}", name(slot)),
        Record::Kept { slot, state } => format!("forget {}", shown(slot, state)),
        _ => return None,
    })
}

fn shown(id: &SlotId, slot: &Slot) -> String {
    let balance = Balance::of(slot);
    let amounts = [
        ("carried in", balance.carried_in),
        ("adopted", balance.adopted),
        ("open", balance.open),
        ("counted", balance.counted),
        ("carried out", balance.carried_out),
        ("handed over", balance.handed_over),
        ("beyond", slot.beyond.into()),
        ("remainder", balance.remainder),
        ("late", slot.late.into()),
    ];
    let amounts: String =
        amounts.iter().filter(|(_, units)| *units > 0).map(|(name, units)| format!(" {name} {units}")).collect();
    let request = slot.request.as_ref().map(|request| format!(" quantity {}", request.quantity)).unwrap_or_default();
    format!("{} {}: recorded {}{request}{amounts}", name(id), slot.life.name(), slot.recorded)
}
