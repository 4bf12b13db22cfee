//! Reads every row as it stands. What it means, and whether it may stand there, is [`Image`]'s business.

use rusqlite::{Connection, Row};

use super::{archive, schema, words};
use crate::ledger::image::{Entry, Image, Key, RecordedRow, UsageRow};
use crate::ledger::witness::Seen;

/// All tables, with their columns, and nothing else: a trigger would change what is written.
const OBJECTS: [(&str, &str, &str); 7] = [
    ("table", "archive", "seq hour text hash"),
    ("table", "archive_chain", "one first before whole"),
    ("table", "chain", "one first before"),
    ("table", "recent", "seq text hash"),
    ("table", "recorded", "listing payer dimension hour units"),
    ("table", "transitions", "seq text hash"),
    ("table", "usage", "listing payer dimension hour tags component per units late at hash"),
];

/// All rows. `witness`: what the second place knows.
pub(super) fn image(connection: &Connection, witness: Seen) -> Result<Image, String> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(words)?;
    if application != schema::APPLICATION {
        return Err(format!("the file says that it belongs to another application (application_id {application})"));
    }
    objects(connection)?;
    let (first, before) = anchor(connection)?;
    Ok(Image {
        usage: usage(connection).map_err(words)?,
        recorded: recorded(connection).map_err(words)?,
        first,
        before,
        transitions: transitions(connection).map_err(words)?,
        archive: archive::ends(connection)?,
        witness,
    })
}

/// Whether the pages of the file hang together.
pub(super) fn pages(connection: &Connection) -> Result<(), String> {
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(words)?;
    if check == "ok" {
        Ok(())
    } else {
        Err(format!("the pages of the file do not hang together: {}", check.replace('\n', " ")))
    }
}

fn objects(connection: &Connection) -> Result<(), String> {
    let list = "SELECT type, name, (SELECT group_concat(name, ' ') FROM pragma_table_info(schema.name)) \
                FROM sqlite_schema AS schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare(list).map_err(words)?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?.unwrap_or_default())));
    let found: Vec<(String, String, String)> = rows.and_then(Iterator::collect).map_err(words)?;
    for (kind, name, columns) in &found {
        match OBJECTS.iter().find(|known| (known.0, known.1) == (kind, name)) {
            None => return Err(format!("{kind} {name}: is not one of a ledger")),
            Some(known) if known.2 != columns => {
                return Err(format!("{kind} {name}: has other columns than it should: {columns}"));
            }
            Some(_) => {}
        }
    }
    match OBJECTS.iter().find(|known| found.iter().all(|(_, name, _)| known.1 != name)) {
        Some((kind, name, _)) => Err(format!("{kind} {name}: is missing")),
        None => Ok(()),
    }
}

/// The number of the first entry, and the hash before it.
pub(super) fn anchor(connection: &Connection) -> Result<(u64, [u8; 32]), String> {
    let row = connection.query_row("SELECT first, before FROM chain WHERE one = 1", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let (first, before) = row.map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => "table chain: its row is missing".to_owned(),
        error => words(error),
    })?;
    let first = u64::try_from(first).ok().filter(|&first| first > 0);
    let first = first.ok_or("table chain, first: is not the number of an entry")?;
    let before = before.try_into().map_err(|_| "table chain, before: is not a hash")?;
    Ok((first, before))
}

fn usage(connection: &Connection) -> rusqlite::Result<Vec<UsageRow>> {
    let mut statement = connection.prepare(
        "SELECT listing, payer, dimension, hour, tags, component, per, units, late, at, hash FROM usage \
         ORDER BY listing, payer, dimension, hour, tags, component",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(UsageRow {
            key: key(row)?,
            tags: row.get(4)?,
            component: row.get(5)?,
            per: row.get(6)?,
            units: row.get(7)?,
            late: row.get(8)?,
            at: row.get(9)?,
            hash: row.get(10)?,
        })
    })?;
    rows.collect()
}

/// Table `recorded`, by key.
pub(super) fn recorded(connection: &Connection) -> rusqlite::Result<Vec<RecordedRow>> {
    let mut statement = connection.prepare(
        "SELECT listing, payer, dimension, hour, units FROM recorded ORDER BY listing, payer, dimension, hour",
    )?;
    let rows = statement.query_map([], |row| Ok(RecordedRow { key: key(row)?, units: row.get(4)? }))?;
    rows.collect()
}

/// Table `transitions`, by number.
pub(super) fn transitions(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare("SELECT seq, text, hash FROM transitions ORDER BY seq")?;
    let rows = statement.query_map([], |row| Ok(Entry { seq: row.get(0)?, text: row.get(1)?, hash: row.get(2)? }))?;
    rows.collect()
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key { listing: row.get(0)?, payer: row.get(1)?, dimension: row.get(2)?, hour: row.get(3)? })
}
