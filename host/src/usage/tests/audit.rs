//! The balance and the chain, computed anew from an export by code that shares nothing with the ledger.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;

type Fields = BTreeMap<String, String>;
type Name = (String, String, String);

/// What an auditor notes of one hour of one dimension.
#[derive(Clone, Debug, Default)]
struct Hour {
    life: String,
    per: i128,
    recorded: i128,
    carried_in: i128,
    adopted: i128,
    carried_out: i128,
    handed_over: i128,
    beyond: i128,
    /// Of what went out: what was not in a request yet.
    out_of_open: i128,
    requested: i128,
    remainder: i128,
}

#[derive(Default)]
struct Audit {
    hours: BTreeMap<Name, Hour>,
    past: BTreeMap<(String, String), BTreeMap<&'static str, i128>>,
}

const PLACES: [&str; 15] = [
    "recorded",
    "carried_in",
    "adopted",
    "acked",
    "open",
    "counted",
    "sealed",
    "attempted",
    "carried_out",
    "handed_over",
    "in_doubt",
    "conflict",
    "expired",
    "rejected",
    "remainder",
];

#[test]
fn an_auditor_recomputes_chain_counters_and_balance_from_the_export_alone() {
    let volume = lived();
    let export = run("export", &folder(&volume));
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["format"], &lines[0]["problem"]),
        (&"export".into(), &1.into(), &Value::Null)
    );
    let last = lines.last().unwrap();
    assert_eq!((&last["kind"], last["lines"].as_u64().unwrap()), (&"end".into(), lines.len() as u64));
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).cloned().collect::<Vec<Value>>();

    let chain = &of("chain")[0];
    let texts = chained(chain, &of("transition"));
    assert!(texts[0].starts_with("checkpoint "), "{}", texts[0]);
    let mut audit = Audit::default();
    let mut counters: BTreeMap<Name, i128> = BTreeMap::new();
    for row in of("usage") {
        assert_eq!(text(&row, "hash"), row_hash(&row), "{row}");
        *counters.entry(name(&row)).or_default() += number(&row, "units");
    }
    let said = of("recorded").iter().map(|row| (name(row), number(row, "units"))).collect();
    assert_eq!(counters, said);
    for (name, units) in &counters {
        audit.hours.insert(name.clone(), Hour { life: "open".into(), recorded: *units, per: 1, ..Hour::default() });
    }
    texts.iter().for_each(|entry| audit.entry(entry));
    let sums = audit.sums();
    let totals = of("total");
    assert_eq!(totals.len(), sums.len());
    for total in totals {
        let sum = &sums[&(text(&total, "listing"), text(&total, "dimension"))];
        for place in PLACES {
            assert_eq!(number(&total, place), sum.get(place).copied().unwrap_or(0), "{place} of {total}");
        }
        let all = |places: &[&str]| places.iter().filter_map(|place| sum.get(place)).sum::<i128>();
        assert_eq!(all(&PLACES[..3]), all(&PLACES[3..]), "{total}");
    }
    assert_eq!(of("slot").len(), audit.hours.len());
    assert!(of("slot").iter().any(|slot| slot["state"] == "acked" && slot["record_id"] == "R-1"));
}

/// The texts of all entries, each vouched for by its hash.
fn chained(chain: &Value, entries: &[Value]) -> Vec<String> {
    let (mut hash, mut seq) = (unhex(&text(chain, "before")), chain["first"].as_u64().unwrap());
    let mut texts = Vec::new();
    for entry in entries {
        assert_eq!(entry["seq"].as_u64(), Some(seq));
        let mut hasher = Sha256::new();
        hasher.update(&hash);
        hasher.update(seq.to_le_bytes());
        hasher.update(text(entry, "text"));
        hash = hasher.finalize().to_vec();
        assert_eq!(text(entry, "hash"), hex(&hash), "{entry}");
        texts.push(text(entry, "text"));
        seq += 1;
    }
    texts
}

fn row_hash(row: &Value) -> String {
    let columns = ["listing", "payer", "dimension", "hour", "tags", "component", "per", "units", "late", "at"];
    let column = |name: &&str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
    let columns: Vec<String> = columns.iter().map(column).collect();
    hex(&Sha256::digest(columns.join("\0"))[..8])
}

impl Audit {
    fn entry(&mut self, entry: &str) {
        let (word, rest) = entry.split_once(' ').unwrap();
        let fields: Fields =
            rest.split(' ').map(|field| field.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect();
        if word == "past" {
            let place = |place: &&'static str| Some((*place, fields.get(*place)?.parse().unwrap()));
            let key = (fields["listing"].clone(), fields["dimension"].clone());
            self.past.insert(key, PLACES.iter().filter_map(place).collect());
        }
        let Some(name) = slot_of(&fields) else { return };
        let hour = self.hours.entry(name.clone()).or_insert_with(|| Hour { life: "open".into(), ..Hour::default() });
        let get = |field: &str| fields.get(field).map_or(0, |value| value.parse().unwrap());
        match word {
            "kept" => hour.kept(&fields),
            "sealed" | "resealed" => {
                hour.life = "sealed".into();
                hour.per = if word == "sealed" { get("per") } else { hour.per };
                hour.requested = get("quantity") * hour.per;
                hour.remainder = if word == "sealed" {
                    units(fields.get("remainder").map_or("", String::as_str))
                } else {
                    hour.remainder
                };
            }
            "closed" => {
                hour.life = fields["why"].clone();
                if hour.life == "idle" {
                    hour.remainder = hour.open();
                }
            }
            "beyond" => hour.beyond += units(&fields["units"]),
            "attempted" => hour.life = "attempted".into(),
            "ended" => hour.life = fields["as"].clone(),
            "settled" => hour.life = if fields["billed"] == "true" { "acked" } else { "expired" }.into(),
            "adopted" => hour.adopted += units(&fields["units"]),
            "carried" => {
                let moved = units(&fields["units"]);
                hour.carried_out += moved;
                match fields["part"].as_str() {
                    "remainder" => hour.remainder -= moved,
                    "beyond" => hour.out_of_open += moved,
                    _ => hour.life = "moved".into(),
                }
                let per = hour.per;
                let to = (name.0, name.1, fields["to"].clone());
                let to = self.hours.entry(to).or_insert_with(|| Hour { life: "open".into(), per, ..Hour::default() });
                to.carried_in += moved;
            }
            _ => {}
        }
    }

    fn sums(&self) -> BTreeMap<(String, String), BTreeMap<&'static str, i128>> {
        let mut sums = self.past.clone();
        for ((listing, dimension, _), hour) in &self.hours {
            let sum = sums.entry((listing.clone(), dimension.clone())).or_default();
            for (place, units) in hour.places() {
                *sum.entry(place).or_default() += units;
            }
        }
        sums
    }
}

impl Hour {
    fn kept(&mut self, fields: &Fields) {
        let get = |field: &str| fields.get(field).map_or(0, |value| value.parse::<i128>().unwrap());
        self.life = fields["life"].clone();
        self.per = get("per");
        self.carried_in = get("carried_in");
        self.adopted = get("adopted");
        self.carried_out = get("carried_out");
        self.handed_over = get("handed_over");
        self.beyond = get("beyond");
        self.remainder = units(fields.get("remainder").map_or("", String::as_str));
        self.requested = get("quantity") * self.per;
        self.out_of_open = if self.life == "open" { self.carried_out } else { 0 };
    }

    fn open(&self) -> i128 {
        self.recorded + self.carried_in + self.adopted - self.beyond - self.out_of_open
    }

    fn places(&self) -> Vec<(&'static str, i128)> {
        let mut places = vec![
            ("recorded", self.recorded),
            ("carried_in", self.carried_in),
            ("adopted", self.adopted),
            ("carried_out", self.carried_out),
            ("handed_over", self.handed_over),
            ("expired", self.beyond),
            ("remainder", self.remainder),
        ];
        if let Some(place) = PLACES.iter().find(|place| **place == self.life) {
            places.push((place, if ["open", "counted"].contains(place) { self.open() } else { self.requested }));
        }
        places
    }
}

fn slot_of(fields: &Fields) -> Option<Name> {
    Some((fields.get("listing")?.clone(), fields.get("dimension")?.clone(), fields.get("hour")?.clone()))
}

/// `units` or `units,key:value,...`, joined by `;`.
fn units(text: &str) -> i128 {
    let buckets = text.split(';').filter(|bucket| !bucket.is_empty());
    buckets.map(|bucket| bucket.split(',').next().unwrap().parse::<i128>().unwrap()).sum()
}

fn name(row: &Value) -> Name {
    (text(row, "listing"), text(row, "dimension"), row["hour"].to_string())
}

fn text(line: &Value, field: &str) -> String {
    line[field].as_str().unwrap_or_else(|| panic!("{field} of {line}")).to_owned()
}

fn number(line: &Value, field: &str) -> i128 {
    line[field].as_i64().unwrap_or_else(|| panic!("{field} of {line}")).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
