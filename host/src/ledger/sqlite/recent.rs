//! Usage of the newest commits: each is one row of a table of its own, until all of them are added to `usage` and `recorded`.
//!
//! Most commits add to rows to which the one before has added, and to find, hash and write a row takes as long as to write a
//! commit. Here a row is written once for a thousand commits, and a commit is one row whatever it adds to.

use std::collections::BTreeMap;

use rusqlite::{Connection, Error, Transaction, params};
use tollgate_metering::{Hour, Payer, SlotId, Tags, Used};

use super::words;
use crate::ledger::chain::Link;

/// So many rows of `usage` at most are written at once: the responses of that commit wait for it.
const ROWS_MAX: usize = 2_048;

/// The one there is.
const PAYER: &str = "self";

/// What is added to a row of `usage`: its columns in their order.
type Columns<Word> = (Word, Word, Word, u32, String, Word, u64, u64, u64, u64);

/// What stands in the table.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The number of the last row; 0 for none.
    seq: u64,
    /// Its hash: over the one before, number and text, as those of transitions; before the first is nothing.
    link: Link,
    /// Rows of `usage` that they add to.
    rows: usize,
    slots: BTreeMap<SlotId, Components>,
}

/// What is to be added to the rows of a slot, by the id of the component.
type Components = BTreeMap<String, BTreeMap<Tags, Sum>>;

#[derive(Debug, Clone, Copy)]
struct Sum {
    per: u64,
    units: u64,
    late: u64,
    at: u64,
}

impl Recent {
    /// All that stands in the table, checked.
    pub(super) fn read(connection: &Connection) -> Result<Self, String> {
        let mut recent = Self::default();
        let mut statement = connection.prepare("SELECT seq, text, hash FROM recent ORDER BY seq").map_err(words)?;
        let mut rows = statement.query([]).map_err(words)?;
        while let Some(row) = rows.next().map_err(words)? {
            let (seq, text, hash) = (row.get(0), row.get_ref(1), row.get::<_, Vec<u8>>(2));
            let (seq, hash): (i64, _) = (seq.map_err(words)?, hash.map_err(words)?);
            let text = text.and_then(|text| Ok(text.as_str()?)).map_err(words)?;
            let (expected, link) = (recent.seq + 1, recent.link.next(recent.seq + 1, text));
            if u64::try_from(seq) != Ok(expected) {
                return Err(format!("table recent, seq {expected}: is missing"));
            }
            if hash != link.0 {
                return Err(format!("table recent, seq {expected}: its hash does not fit; it was changed"));
            }
            let used = used(text).ok_or_else(|| format!("table recent, seq {expected}: is not usage"))?;
            recent.note(&used);
            (recent.seq, recent.link) = (expected, link);
        }
        Ok(recent)
    }

    /// What it adds to the rows of `usage`, each once.
    pub(super) fn used(&self) -> impl Iterator<Item = Used> {
        self.slots.iter().flat_map(|(slot, components)| {
            let rows = components.iter().flat_map(|(component, rows)| rows.iter().map(move |row| (component, row)));
            rows.map(|(component, (tags, &Sum { per, units, late, at }))| Used {
                slot: slot.clone(),
                per,
                component: component.clone(),
                tags: tags.clone(),
                units,
                late,
                at,
            })
        })
    }

    /// True if the next commit has to wait for [`Recent::gather`].
    pub(super) fn is_full(&self, commits_max: u64) -> bool {
        self.seq >= commits_max || self.rows >= ROWS_MAX
    }

    /// Writes the usage of one commit.
    pub(super) fn add(&mut self, transaction: &Transaction<'_>, used: &[Used]) -> rusqlite::Result<()> {
        if used.is_empty() {
            return Ok(());
        }
        let text = text(used).map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
        self.seq += 1;
        self.link = self.link.next(self.seq, &text);
        let mut insert = transaction.prepare_cached("INSERT INTO recent VALUES (?1, ?2, ?3)")?;
        insert.execute(params![self.seq, text, self.link.0])?;
        self.note(used);
        Ok(())
    }

    /// Adds all of it to the tables where it stays, and empties its own.
    pub(super) fn gather(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.seq == 0 {
            return Ok(());
        }
        // Most rows are there already, and an upsert would compute the hash of a new row as well.
        let mut more = transaction.prepare_cached(
            "UPDATE usage SET units = units + ?7, late = late + ?8, at = max(at, ?9), \
             hash = row_hash(listing, payer, dimension, hour, tags, component, per, units + ?7, late + ?8, max(at, ?9)) \
             WHERE listing = ?1 AND payer = 'self' AND dimension = ?2 AND hour = ?3 AND tags = ?4 AND component = ?5",
        )?;
        let mut first = transaction.prepare_cached(
            "INSERT INTO usage VALUES (?1, 'self', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             row_hash(?1, 'self', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))",
        )?;
        let mut recorded = transaction.prepare_cached(
            "INSERT INTO recorded VALUES (?1, 'self', ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET units = units + excluded.units",
        )?;
        for (SlotId { listing, payer: Payer::Own, dimension, hour }, components) in &self.slots {
            let mut sum: u64 = 0;
            for (component, rows) in components {
                for (tags, Sum { per, units, late, at }) in rows {
                    let tags = tags.to_text();
                    let row = params![listing, dimension, hour.0, tags, component, per, units, late, at];
                    if more.execute(row)? == 0 {
                        first.execute(row)?;
                    }
                    sum = sum.saturating_add(*units);
                }
            }
            recorded.execute(params![listing, dimension, hour.0, sum])?;
        }
        transaction.execute("DELETE FROM recent", [])?;
        *self = Self::default();
        Ok(())
    }

    fn note(&mut self, used: &[Used]) {
        for used in used.chunk_by(|one, next| one.slot == next.slot) {
            let components = self.slots.entry(used[0].slot.clone()).or_default();
            for Used { slot: _, per, component, tags, units, late, at } in used {
                match components.get_mut(component).and_then(|rows| rows.get_mut(tags)) {
                    Some(sum) => {
                        sum.units = sum.units.saturating_add(*units);
                        sum.late = sum.late.saturating_add(*late);
                        sum.at = sum.at.max(*at);
                    }
                    None => {
                        let sum = Sum { per: *per, units: *units, late: *late, at: *at };
                        components.entry(component.clone()).or_default().insert(tags.clone(), sum);
                        self.rows += 1;
                    }
                }
            }
        }
    }
}

/// A list of rows as JSON, so that whoever audits a ledger can read it with what SQLite brings.
fn text(used: &[Used]) -> serde_json::Result<String> {
    serde_json::to_string(&used.iter().map(columns).collect::<Vec<_>>())
}

fn columns(used: &Used) -> Columns<&str> {
    let Used { slot: SlotId { listing, payer: Payer::Own, dimension, hour }, per, component, tags, units, late, at } =
        used;
    (listing, PAYER, dimension, hour.0, tags.to_text(), component, *per, *units, *late, *at)
}

fn used(text: &str) -> Option<Vec<Used>> {
    let rows: Vec<Columns<String>> = serde_json::from_str(text).ok()?;
    let used = |(listing, payer, dimension, hour, tags, component, per, units, late, at): Columns<String>| {
        let slot = SlotId { listing, payer: Payer::Own, dimension, hour: Hour(hour) };
        let tags = Tags::from_text(&tags)?;
        (payer == PAYER).then_some(Used { slot, per, component, tags, units, late, at })
    };
    rows.into_iter().map(used).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_back_from_its_text_and_from_no_other() {
        let row = r#"["paid","self","images",490000,"team:a%20b","api",1,7,2,1764000000]"#;
        let read = used(&format!("[{row},{row}]")).unwrap();
        assert_eq!(text(&read).unwrap(), format!("[{row},{row}]"));
        let Used { slot, per, component, tags, units, late, at } = &read[0];
        assert_eq!((slot.listing.as_str(), slot.dimension.as_str(), slot.hour), ("paid", "images", Hour(490_000)));
        assert_eq!((component.as_str(), tags.pairs()), ("api", &[("team".into(), "a b".into())][..]));
        assert_eq!([*per, *units, *late, *at], [1, 7, 2, 1_764_000_000]);
        let others = [
            ("\"self\"", "\"other\""),
            ("team:a%20b", "team"),
            ("490000", "-1"),
            (",7,", ",7.5,"),
            (",7,", ",\"7\","),
            (",7,", ",7,7,"),
            ("]", ""),
        ];
        for (from, to) in others {
            assert_eq!(used(&format!("[{}]", row.replace(from, to))), None, "{from} is {to}");
        }
    }
}
