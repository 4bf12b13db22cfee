//! What the ledgers say, looked at after each end of a host, on a copy: the next host finds the files as they were left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tollgate_cli::control::Truth;
use tollgate_cli::host::log_fields;
use tollgate_host::ledger;

use super::calls::Calls;
use super::clients::Count;

/// What is sold, and units of the guest in a billed one.
pub(super) const SOLD: [(&str, u64); 3] = [("images", 1), ("pixels", 1_000), ("requests", 1)];
/// A record is sent at most so long after its hour.
const SPREAD_S: u64 = 20 * 60;
/// A record is given up when its timestamp is so old.
const GIVEN_UP_S: u64 = 6 * 3_600 - 600;

/// What AWS says to a record that is older than six hours, because the clock moved while it was on its way.
const TOO_LATE: &str = "TimestampOutOfBoundsException";

/// What a host says when AWS has answered.
pub(super) const ANSWERS: [&str; 3] = ["usage not accepted yet", "usage accepted", "a usage record needs attention"];

/// The last that was seen of one slot.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) state: &'static str,
    /// Units of the guest in the request.
    pub(super) units: u64,
    pub(super) quantity: u64,
    pub(super) timestamp: u64,
    pub(super) token: String,
    pub(super) tries: u64,
    pub(super) record_id: Option<String>,
    pub(super) code: String,
}

/// Folder of a task, dimension, start of the hour.
pub(super) type Place = (String, String, u64);

/// Units by dimension and what became of them.
pub(super) type Sums = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

#[derive(Default)]
pub(super) struct Audit {
    volume: PathBuf,
    /// Newest change of each folder that was looked at.
    looked_at: BTreeMap<String, SystemTime>,
    sums: BTreeMap<String, Sums>,
    pub(super) slots: BTreeMap<Place, Known>,
    /// Client tokens whose try was under way when a host ended.
    pending: BTreeSet<String>,
    /// The same by the log of the host: another may have taken its ledger over before we look.
    cut_off: BTreeSet<Place>,
    /// Moments (unix seconds) at which nothing waited although it could have, by folder.
    pub(super) quiet: Vec<(String, u64)>,
}

/// The folder of a task.
pub(super) fn folder(task: &str) -> String {
    task.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

impl Audit {
    pub(super) fn of(volume: PathBuf) -> Self {
        Self { volume, ..Self::default() }
    }

    /// Those in which a ledger has begun: a host that was killed before its first entry leaves none to look at.
    pub(super) fn folders(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.volume).into_iter().flatten().flatten();
        let begun = |path: &Path| fs::read_to_string(path.join("lock")).is_ok_and(|lock| lock.starts_with("begun"));
        let entries = entries.filter(|entry| begun(&entry.path()));
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Looks at every ledger that has changed. Each must verify.
    pub(super) fn look(&mut self) -> Result<(), String> {
        for name in self.folders() {
            let original = self.volume.join(&name);
            let newest = newest(&original);
            if self.looked_at.get(&name) == Some(&newest) {
                continue;
            }
            self.look_at(&name, &original)?;
            self.looked_at.insert(name, newest);
        }
        Ok(())
    }

    /// What was under way when a host was killed, by its log.
    pub(super) fn cut_off(&mut self, folder: &str, log: &str) {
        let mut open = BTreeSet::new();
        let mut last_answered = None;
        for line in log.lines() {
            let place = |message| {
                let fields = log_fields(line, message)?;
                Some((folder.to_owned(), fields["dimension"].as_str()?.to_owned(), fields["hour"].as_u64()? * 3_600))
            };
            if let Some(place) = place("sending usage") {
                open.insert(place);
            } else if let Some(place) = ANSWERS.into_iter().find_map(place) {
                open.remove(&place);
                last_answered = Some(place);
            }
        }
        // Answers are told one by one, each just before it is written.
        self.cut_off.extend(open.into_iter().chain(last_answered));
    }

    fn look_at(&mut self, name: &str, original: &Path) -> Result<(), String> {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(original).unwrap().flatten() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let ledger = ledger::inspect(copy.path()).map_err(|error| format!("{name}: {error}"))?;
        for (id, slot) in ledger.slots() {
            let request = slot.request.as_ref();
            let token = request.map(|request| request.token.clone()).unwrap_or_default();
            if slot.attempts.pending {
                self.pending.insert(token.clone());
            }
            let words = format!("{:?}", slot.life);
            let known = Known {
                state: slot.life.name(),
                units: slot.requested(),
                quantity: request.map_or(0, |request| request.quantity.into()),
                timestamp: request.map_or(0, |request| request.timestamp),
                token,
                tries: slot.attempts.count.into(),
                record_id: words.split_once("record_id: \"").map(|(_, id)| id.trim_end_matches("\" }").to_owned()),
                code: words
                    .split_once("code: \"")
                    .map_or_else(|| slot.attempts.code.clone(), |(_, code)| code.trim_end_matches("\" }").to_owned()),
            };
            self.slots.insert((name.to_owned(), id.dimension.clone(), id.hour.start()), known);
        }
        self.sums.insert(name.to_owned(), sums(&ledger));
        Ok(())
    }

    /// Units recorded in all ledgers together.
    pub(super) fn recorded(&self, dimension: &str) -> u64 {
        self.total(dimension, "recorded")
    }

    /// Units in one state in all ledgers together.
    pub(super) fn total(&self, dimension: &str, state: &str) -> u64 {
        self.sums.values().filter_map(|sums| sums.get(dimension)?.get(state)).sum()
    }

    /// At the very end: every unit is where it belongs, and AWS holds what the ledgers say.
    pub(super) fn compare(
        &self,
        truth: &Truth,
        calls: &Calls,
        spoilt: &BTreeSet<String>,
        served: &Count,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for (dimension, per) in SOLD {
            for state in ["open", "sealed", "attempted", "conflict", "counted"] {
                let units = self.total(dimension, state);
                if units > 0 {
                    wrong.push(format!("{dimension}: {units} units are still {state}"));
                }
            }
            let (gone, came) = (self.total(dimension, "handed_over"), self.total(dimension, "adopted"));
            if gone != came {
                wrong.push(format!("{dimension}: {gone} units were handed over, {came} arrived"));
            }
            let billed = truth.billed.get(dimension).copied().unwrap_or(0);
            if billed * per > self.recorded(dimension) {
                wrong.push(format!("{dimension}: {billed} billed, {} units recorded", self.recorded(dimension)));
            }
        }
        wrong.extend(self.beside_truth(truth));
        wrong.extend(self.slots.iter().filter_map(|(place, slot)| {
            let why = self.unjustified(place, slot, calls, spoilt)?;
            Some(format!("{place:?} is {} without a reason: {why}: {slot:?}", slot.state))
        }));
        wrong.extend(teams_over(truth, served));
        wrong
    }

    /// Each record of AWS is one slot's, and each accepted slot is a record of AWS.
    fn beside_truth(&self, truth: &Truth) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut held = BTreeSet::new();
        for record in truth.records.iter().filter(|record| record.dimension != "start") {
            let hour = record.hour.parse::<jiff::Timestamp>().unwrap().as_second().cast_unsigned();
            let place = (folder(&record.resource), record.dimension.clone(), hour);
            let slot = self.slots.get(&place);
            let same = slot.is_some_and(|slot| match slot.state {
                "acked" => slot.quantity == record.quantity && slot.record_id.as_ref() == Some(&record.record_id),
                "in_doubt" => slot.quantity == record.quantity,
                _ => false,
            });
            if !same {
                wrong.push(format!("AWS bills {record:?}, the ledger says {slot:?}"));
            }
            held.insert(place);
        }
        let missing = self.slots.iter().filter(|(place, slot)| slot.state == "acked" && !held.contains(*place));
        wrong.extend(missing.map(|(place, slot)| format!("AWS does not hold {place:?}: {slot:?}")));
        wrong
    }

    /// Why a slot may not be where it is; none if something that happened explains it.
    fn unjustified(
        &self,
        place: &Place,
        slot: &Known,
        calls: &Calls,
        spoilt: &BTreeSet<String>,
    ) -> Option<&'static str> {
        let spoilt = [&calls.spoilt, spoilt, &self.pending].iter().any(|tokens| tokens.contains(&slot.token));
        let never_arrived = slot.tries > calls.arrived.get(&slot.token).copied().unwrap_or(0);
        let doubtful = spoilt || never_arrived || self.cut_off.contains(place);
        match slot.state {
            "in_doubt" if !doubtful => Some("no try of it was spoilt or cut off by a kill"),
            "expired" if slot.units > 0 && calls.taken.contains(&slot.token) => Some("AWS has it"),
            "expired" if slot.units > 0 && self.could_have_been_sent(place, slot) => {
                Some("there was a quiet moment in its six hours")
            }
            "rejected" if calls.too_early.contains(&slot.token) => Some("the host's clock was ahead of AWS's"),
            "rejected" if slot.code != TOO_LATE || !calls.too_late.contains(&slot.token) => {
                Some("it did not arrive too late")
            }
            "open" | "sealed" | "attempted" | "conflict" if slot.units > 0 => Some("it has no end"),
            _ => None,
        }
    }

    fn could_have_been_sent(&self, place: &Place, slot: &Known) -> bool {
        let (folder, _, hour) = place;
        let window = hour + 3_600 + SPREAD_S..slot.timestamp + GIVEN_UP_S;
        self.quiet.iter().any(|(quiet, at)| quiet == folder && window.contains(at))
    }
}

/// No team pays for what it did not use.
fn teams_over(truth: &Truth, served: &Count) -> Vec<String> {
    let mut billed: BTreeMap<String, u64> = BTreeMap::new();
    for part in truth.records.iter().flat_map(|record| &record.allocations) {
        let team = part.tags.first().map(|(_, team)| team.clone()).unwrap_or_default();
        *billed.entry(team).or_default() += part.quantity;
    }
    let most = |team: &str| -> u64 {
        let units = served.units.iter().filter(|((dimension, have), _)| *dimension == "images" && *have == team);
        units.map(|(_, units)| units.served + units.uncertain).sum()
    };
    let over = billed.into_iter().filter(|(team, units)| *units > most(team));
    over.map(|(team, units)| format!("team {team:?} is billed {units} images and used at most {}", most(&team)))
        .collect()
}

fn sums(ledger: &tollgate_metering::Ledger) -> Sums {
    let mut all = Sums::new();
    for ((_, dimension), balance) in ledger.balances() {
        let Some((key, _)) = SOLD.into_iter().find(|(key, _)| *key == dimension) else { continue };
        let states = [
            ("recorded", balance.recorded),
            ("acked", balance.acked),
            ("in_doubt", balance.in_doubt),
            ("expired", balance.expired),
            ("rejected", balance.rejected),
            ("conflict", balance.conflict),
            ("open", balance.open),
            ("counted", balance.counted),
            ("sealed", balance.sealed),
            ("attempted", balance.attempted),
            ("remainder", balance.remainder),
            ("carried", balance.carried_out),
            ("handed_over", balance.handed_over),
            ("adopted", balance.adopted),
        ];
        all.insert(key, states.into_iter().map(|(state, units)| (state, u64::try_from(units).unwrap())).collect());
    }
    all
}

fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.metadata().unwrap().modified().unwrap()).max().unwrap_or(SystemTime::UNIX_EPOCH)
}
