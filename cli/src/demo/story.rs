//! What the demo tells: acts and facts, printed as they happen and kept as data.

use serde::Serialize;
use serde_json::{Value, json};

use crate::control::Record;
use crate::table::Row;
use crate::words;

/// The whole story.
#[derive(Debug, Default)]
pub(super) struct Story {
    json: bool,
    acts: Vec<Act>,
    records: Vec<Record>,
    table: Vec<Row>,
}

/// One act.
#[derive(Debug, Serialize)]
struct Act {
    title: String,
    facts: Vec<Fact>,
}

/// Something that holds or does not.
#[derive(Debug, Serialize)]
struct Fact {
    fact: String,
    holds: bool,
}

impl Story {
    /// A story that ends as data if `json`: then nothing else goes to stdout.
    pub(super) fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Begins the next act.
    pub(super) fn act(&mut self, title: &str) {
        self.acts.push(Act { title: title.to_owned(), facts: Vec::new() });
        words::title(&format!("Act {}: {title}", self.acts.len()));
    }

    /// Notes whether `fact` holds.
    pub(super) fn fact(&mut self, holds: bool, fact: impl Into<String>) {
        let fact = fact.into();
        if holds {
            words::good(&fact)
        } else {
            words::bad(&fact)
        }
        if let Some(act) = self.acts.last_mut() {
            act.facts.push(Fact { fact, holds });
        }
    }

    /// Shows an accepted record with its parts.
    pub(super) fn record(&mut self, record: &Record) {
        words::detail(&record_line(record));
        self.records.push(record.clone());
    }

    /// Shows the table.
    pub(super) fn table(&mut self, rows: Vec<Row>) {
        words::table(&rows, self.json);
        self.table = rows;
    }

    /// Whether every fact holds.
    pub(super) fn holds(&self) -> bool {
        self.table.iter().all(Row::holds) && self.acts.iter().flat_map(|act| &act.facts).all(|fact| fact.holds)
    }

    /// The story as data.
    pub(super) fn data(&self) -> Value {
        let row = |row: &Row| {
            let mut value = json!(row);
            value["holds"] = json!(row.holds());
            value
        };
        let table: Vec<Value> = self.table.iter().map(row).collect();
        json!({ "version": 1, "holds": self.holds(), "acts": self.acts, "records": self.records, "table": table })
    }
}

/// `images 2026-11-20T15:00:00Z: 9 = 3 team=blue + 3 team=red + 3 untagged, record 1b2c...`
fn record_line(record: &Record) -> String {
    let part = |part: &crate::control::Allocation| {
        let tags: Vec<String> = part.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} {}", part.quantity, if tags.is_empty() { "untagged".into() } else { tags.join(",") })
    };
    let parts: Vec<String> = record.allocations.iter().map(part).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" = {}", parts.join(" + ")) };
    format!("{} {}: {}{parts}, record {}", record.dimension, record.hour, record.quantity, record.record_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Allocation;

    #[test]
    fn a_record_is_one_line() {
        let part = |quantity, tags: &[(&str, &str)]| Allocation {
            quantity,
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        let record = Record {
            product_code: "code".into(),
            resource: "task".into(),
            dimension: "images".into(),
            hour: "2026-11-20T15:00:00Z".into(),
            quantity: 9,
            allocations: vec![part(4, &[("team", "blue")]), part(5, &[])],
            record_id: "r-1".into(),
            seen: 1,
        };
        insta::assert_snapshot!(record_line(&record), @"images 2026-11-20T15:00:00Z: 9 = 4 team=blue + 5 untagged, record r-1");
    }

    #[test]
    fn one_fact_that_does_not_hold_is_enough() {
        let mut story = Story::default();
        story.act("one");
        story.fact(true, "good");
        assert!(story.holds());
        story.fact(false, "bad");
        assert!(!story.holds());
        assert_eq!(story.data()["acts"][0]["facts"][1]["holds"], false);
    }
}
