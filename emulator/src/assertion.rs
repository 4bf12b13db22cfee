//! What a test script says must be true, as a sentence: `exactly one record of 12 for images at 14:00`. A sentence is
//! read into an [`Assertion`], which is counted against the ledger and the calls, and answers with what there is.

use serde_json::Value;

use crate::{
    bill::{customer_of, hour_text},
    ledger::Ledger,
    quantity::Quantity,
};

/// A count of things and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assertion {
    bound: Bound,
    count: u64,
    what: What,
    wanted: Vec<(Field, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    AtMost,
    Exactly,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Calls of the AWS API.
    Calls,
    /// Accepted records, each once.
    Records,
    /// Tasks and pods that AWS meters by the hour.
    Tasks,
    /// Billed units: the sum over records.
    Units,
}

/// What a thing is told apart by, each after its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Code,
    Customer,
    Dimension,
    Hour,
    Operation,
    Product,
    Quantity,
    Resource,
    Rule,
    Verdict,
}

/// The words of a sentence and the things they go with.
const WORDS: &[(&str, Field, &[What])] = &[
    ("answered", Field::Code, &[What::Calls]),
    ("at", Field::Hour, &[What::Records, What::Units]),
    ("by", Field::Customer, &[What::Calls, What::Records, What::Tasks, What::Units]),
    ("decided", Field::Rule, &[What::Calls]),
    ("for", Field::Dimension, &[What::Calls, What::Records, What::Units]),
    ("from", Field::Resource, &[What::Calls, What::Records, What::Tasks, What::Units]),
    ("in", Field::Product, &[What::Calls, What::Records, What::Tasks, What::Units]),
    ("of", Field::Quantity, &[What::Records]),
    ("to", Field::Operation, &[What::Calls]),
    ("judged", Field::Verdict, &[What::Calls]),
];

/// What came of an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) holds: bool,
    /// How many there are.
    pub(crate) found: Quantity,
    /// What is there instead, some of it; empty when the assertion holds.
    pub(crate) near: Vec<String>,
}

impl Assertion {
    /// Reads a sentence. Hours without a date are the last such hour before `now_ms`.
    pub(crate) fn parse(sentence: &str, now_ms: u64) -> Result<Self, String> {
        let words = split(sentence)?;
        let mut words = words.iter().map(String::as_str).peekable();
        let (bound, count) = count(&mut words)?;
        let what = match words.next().unwrap_or_default() {
            "call" | "calls" => What::Calls,
            "record" | "records" => What::Records,
            "task" | "tasks" => What::Tasks,
            "unit" | "units" => What::Units,
            other => return Err(format!("{other:?} cannot be counted: write records, units, calls or tasks")),
        };
        let mut wanted = Vec::new();
        while let Some(word) = words.next() {
            let known = WORDS.iter().find(|(name, _, goes)| *name == word && goes.contains(&what));
            let Some((_, field, _)) = known else {
                let fit: Vec<&str> =
                    WORDS.iter().filter(|(_, _, goes)| goes.contains(&what)).map(|row| row.0).collect();
                return Err(format!("{word:?} does not go with this: use {}", fit.join(", ")));
            };
            let value = words.next().ok_or_else(|| format!("nothing follows {word:?}"))?;
            let value = match field {
                Field::Hour => hour(value, now_ms)?,
                _ => value.to_owned(),
            };
            wanted.push((*field, value));
        }
        Ok(Self { bound, count, what, wanted })
    }

    /// Counts. `calls` are those of the truth, as values.
    pub(crate) fn check(&self, ledger: &Ledger, calls: &[Value]) -> Finding {
        let things = match self.what {
            What::Calls => calls.iter().map(Thing::call).collect(),
            What::Records | What::Units => records(ledger),
            What::Tasks => tasks(ledger),
        };
        let (matching, others): (Vec<_>, Vec<_>) = things.into_iter().partition(|thing| self.matches(thing));
        let found = match self.what {
            What::Units => matching.iter().map(|thing| thing.units).sum(),
            _ => Quantity::units(u64::try_from(matching.len()).unwrap_or(u64::MAX)),
        };
        let wanted = Quantity::units(self.count);
        let holds = match self.bound {
            Bound::AtLeast => found >= wanted,
            Bound::AtMost => found <= wanted,
            Bound::Exactly => found == wanted,
        };
        let shown = if matching.is_empty() { others } else { matching };
        let near = shown.iter().rev().take(if holds { 0 } else { NEAR_MAX }).map(Thing::line).collect();
        Finding { holds, found, near }
    }

    fn matches(&self, thing: &Thing) -> bool {
        self.wanted.iter().all(|(field, value)| thing.get(*field) == Some(value))
    }
}

/// Something that can be counted, by its fields.
#[derive(Debug)]
struct Thing {
    fields: Vec<(Field, String)>,
    units: Quantity,
}

impl Thing {
    fn call(call: &Value) -> Self {
        let resource = call["resource"].as_str().unwrap_or_default();
        let texts = [
            (Field::Operation, call["operation"].as_str()),
            (Field::Dimension, call["request"]["UsageDimension"].as_str()),
            (Field::Product, call["request"]["ProductCode"].as_str()),
            (Field::Verdict, call["verdict"].as_str()),
            (Field::Rule, call["rule"].as_str()),
            (Field::Code, Some(call["code"].as_str().unwrap_or("ok"))),
            (Field::Customer, Some(customer_of(resource))),
            (Field::Resource, Some(resource)),
        ];
        let fields = texts.into_iter().filter_map(|(field, text)| Some((field, text?.to_owned()))).collect();
        Self { fields, units: Quantity::default() }
    }

    fn get(&self, field: Field) -> Option<&String> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    /// The thing in the words of a sentence.
    fn line(&self) -> String {
        let word = |field: Field| WORDS.iter().find(|row| row.1 == field).map_or("", |row| row.0);
        self.fields.iter().map(|(field, value)| format!("{} {value}", word(*field))).collect::<Vec<_>>().join(" ")
    }
}

fn records(ledger: &Ledger) -> Vec<Thing> {
    let thing = |(key, record): (&crate::ledger::RecordKey, &crate::ledger::Record)| Thing {
        fields: vec![
            (Field::Quantity, record.quantity.to_string()),
            (Field::Dimension, key.dimension.clone()),
            (Field::Hour, hour_text(key.hour)),
            (Field::Product, key.product_code.clone()),
            (Field::Customer, key.source.customer().to_owned()),
            (Field::Resource, key.source.resource().to_owned()),
        ],
        units: record.quantity,
    };
    ledger.records().map(thing).collect()
}

fn tasks(ledger: &Ledger) -> Vec<Thing> {
    let thing = |registration: &crate::ledger::Registration| Thing {
        fields: vec![
            (Field::Product, registration.product_code.clone()),
            (Field::Customer, customer_of(&registration.resource).to_owned()),
            (Field::Resource, registration.resource.clone()),
        ],
        units: Quantity::default(),
    };
    ledger.registrations().iter().map(thing).collect()
}

/// Words parted by spaces; quotes hold one together.
fn split(sentence: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    for (index, part) in sentence.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    if sentence.matches('"').count() % 2 == 1 {
        return Err("a quotation mark is not closed".to_owned());
    }
    Ok(words)
}

/// `exactly 3`, `at least one`, `at most 3`, `no`, `3`.
fn count<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<(Bound, u64), String> {
    let first = words.next().unwrap_or_default();
    let (bound, number) = match first {
        "exactly" => (Bound::Exactly, words.next()),
        "at" => match words.next() {
            Some("least") => (Bound::AtLeast, words.next()),
            Some("most") => (Bound::AtMost, words.next()),
            other => return Err(format!("at {}: write at least or at most", other.unwrap_or_default())),
        },
        _ => (Bound::Exactly, Some(first)),
    };
    let number = number.unwrap_or_default();
    let spelt = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let spelt = spelt.iter().position(|word| *word == number).and_then(|count| u64::try_from(count).ok());
    let count = spelt.or_else(|| number.parse().ok());
    count
        .map(|count| (bound, count))
        .ok_or_else(|| format!("{number:?} is not a count: write for example exactly one, at least 3, at most 3, no"))
}

/// The start of an hour: `14:00`, the last one so far, or with a date before it, `2026-11-20T14:00Z`.
fn hour(text: &str, now_ms: u64) -> Result<String, String> {
    let bad = || format!("{text:?} is not the start of an hour such as 14:00 or 2026-11-20T14:00Z");
    let now_s = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    let second = match text.strip_suffix(":00").filter(|hour| hour.len() <= 2).and_then(|hour| hour.parse::<i64>().ok())
    {
        Some(hour) if hour < 24 => {
            let today = now_s - now_s.rem_euclid(DAY_S) + hour * HOUR_S;
            if today > now_s { today - DAY_S } else { today }
        }
        Some(_) => return Err(bad()),
        None => {
            let local = text.strip_suffix('Z').unwrap_or(text);
            let time: jiff::civil::DateTime = local.parse().map_err(|_| bad())?;
            jiff::tz::Offset::UTC.to_timestamp(time).map_err(|_| bad())?.as_second()
        }
    };
    if second.rem_euclid(HOUR_S) != 0 {
        return Err(bad());
    }
    Ok(hour_text(second.div_euclid(HOUR_S)))
}

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// Enough to see a slip of a number or a name.
const NEAR_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// Reads each sentence at 14:30 on 2026-11-20.
    fn check(sentences: &[&str]) -> String {
        let read = |sentence: &&str| match Assertion::parse(sentence, 1_795_185_000_000) {
            Ok(Assertion { bound, count, what, wanted }) => format!("{bound:?} {count} {what:?} {wanted:?}\n"),
            Err(error) => format!("error: {error}\n"),
        };
        sentences.iter().map(read).collect()
    }

    #[test]
    fn a_sentence_is_read_or_told_what_is_wrong_with_it() {
        assert_snapshot!(check(&[
            "exactly one record of 12 for images at 14:00",
            "no records at 15:00",
            "at least 3 records in thumbnails by 123456789012",
            "at most two records at 2026-11-20T09:00Z",
            "36 units for \"used hours\"",
            "no calls to MeterUsage answered CustomerNotEntitledException",
            "one task in editor",
            "many records",
            "one customer",
            "one task for images",
            "one record for",
            "one record at 14:30",
            "one record at 24:00",
            "one record for \"images",
            "",
        ]), @r#"
        Exactly 1 Records [(Quantity, "12"), (Dimension, "images"), (Hour, "2026-11-20T14:00:00Z")]
        Exactly 0 Records [(Hour, "2026-11-19T15:00:00Z")]
        AtLeast 3 Records [(Product, "thumbnails"), (Customer, "123456789012")]
        AtMost 2 Records [(Hour, "2026-11-20T09:00:00Z")]
        Exactly 36 Units [(Dimension, "used hours")]
        Exactly 0 Calls [(Operation, "MeterUsage"), (Code, "CustomerNotEntitledException")]
        Exactly 1 Tasks [(Product, "editor")]
        error: "many" is not a count: write for example exactly one, at least 3, at most 3, no
        error: "customer" cannot be counted: write records, units, calls or tasks
        error: "for" does not go with this: use by, from, in
        error: nothing follows "for"
        error: "14:30" is not the start of an hour such as 14:00 or 2026-11-20T14:00Z
        error: "24:00" is not the start of an hour such as 14:00 or 2026-11-20T14:00Z
        error: a quotation mark is not closed
        error: "" is not a count: write for example exactly one, at least 3, at most 3, no
        "#);
    }
}
