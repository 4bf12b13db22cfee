//! A ledger broken in each way that there is, and what `verify` says of it.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::ledger::tests::{FIRST, LAST, MIDDLE, spoil, witness_line};

/// Every column of every table, in the row of the newest hour or the middle entry: how it is changed.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("usage", "listing", "'free'"),
    ("usage", "payer", "'other'"),
    ("usage", "dimension", "'image'"),
    ("usage", "hour", "hour + 1"),
    ("usage", "tags", "'team:green'"),
    ("usage", "component", "'web'"),
    ("usage", "per", "per + 1"),
    ("usage", "units", "units - 1"),
    ("usage", "late", "late + 1"),
    ("usage", "at", "at - 1"),
    ("usage", "hash", "x'00'"),
    ("recorded", "listing", "'free'"),
    ("recorded", "payer", "'other'"),
    ("recorded", "dimension", "'image'"),
    ("recorded", "hour", "hour + 1"),
    ("recorded", "units", "units - 1"),
    ("recent", "seq", "seq + 1"),
    ("recent", "text", "replace(text, ',1,1,', ',1,2,')"),
    ("recent", "hash", "x'00'"),
    ("transitions", "seq", "seq + 1000"),
    ("transitions", "text", "replace(text, 'per=', 'per=1')"),
    ("transitions", "hash", "x'00'"),
    ("chain", "first", "first + 1"),
    ("chain", "first", "0"),
    ("chain", "before", "zeroblob(32)"),
    ("chain", "before", "x''"),
    ("archive", "seq", "seq + 1000"),
    ("archive", "hour", "hour + 1"),
    ("archive", "text", "replace(text, 'recorded=7', 'recorded=8')"),
    ("archive", "hash", "x'00'"),
    ("archive_chain", "first", "first + 1"),
    ("archive_chain", "first", "0"),
    ("archive_chain", "before", "zeroblob(31)"),
    ("archive_chain", "before", "x'0101010101010101010101010101010101010101010101010101010101010101'"),
    ("archive_chain", "whole", "0"),
];

/// Rows that come and go, tables that are others, and the state of hours that are over.
fn statements() -> Vec<String> {
    let blue = format!("hour = {LAST} AND tags = 'team:blue'");
    let old = FIRST - 100;
    let row =
        |hour: u32, units: u32| format!("'paid', 'self', 'images', {hour}, '', 'api', 1, {units}, 0, {hour} * 3600");
    let with_hash = |hour, units| {
        let row = row(hour, units);
        format!("INSERT INTO usage VALUES ({row}, row_hash({row}))")
    };
    let recorded =
        |hour: u32, units: u32| format!("INSERT INTO recorded VALUES ('paid', 'self', 'images', {hour}, {units})");
    vec![
        format!("DELETE FROM usage WHERE {blue}"),
        format!("INSERT INTO usage VALUES ({}, x'')", row(LAST, 1)),
        with_hash(LAST, 1),
        format!("UPDATE usage SET units = 8 - units WHERE hour = {LAST}"),
        format!("UPDATE usage SET units = units + 1 WHERE hour = {LAST} AND tags = 'team:red'"),
        format!("DELETE FROM recorded WHERE hour = {LAST}"),
        recorded(LAST + 1, 3),
        format!("DELETE FROM usage WHERE hour = {LAST}; DELETE FROM recorded WHERE hour = {LAST}"),
        format!("DELETE FROM usage WHERE hour = {FIRST}; DELETE FROM recorded WHERE hour = {FIRST}"),
        format!("{}; {}", with_hash(old, 3), recorded(old, 3)),
        format!("{}; {}", with_hash(FIRST, 5), recorded(FIRST, 5)),
        format!("{}; UPDATE recorded SET units = units + 5 WHERE hour = {MIDDLE}", with_hash(MIDDLE, 5)),
        "DELETE FROM recent".into(),
        "INSERT INTO recent SELECT seq + 1, text, hash FROM recent".into(),
        "DROP TABLE recent".into(),
        "DELETE FROM archive".into(),
        "DELETE FROM archive_chain".into(),
        "DELETE FROM transitions WHERE seq = (SELECT min(seq) FROM transitions)".into(),
        "DELETE FROM transitions WHERE seq = (SELECT max(seq) - 1 FROM transitions)".into(),
        "DELETE FROM transitions WHERE seq = (SELECT max(seq) FROM transitions)".into(),
        "DELETE FROM transitions".into(),
        "INSERT INTO transitions SELECT max(seq) + 1, 'heartbeat at=1765000000', zeroblob(32) FROM transitions".into(),
        "UPDATE transitions SET text = (SELECT text FROM transitions AS o WHERE o.seq = \
         (SELECT 2 * min(seq) + 3 FROM transitions) - transitions.seq) WHERE seq - (SELECT min(seq) FROM transitions) IN (1, 2)"
            .into(),
        "DELETE FROM chain".into(),
        "DROP TABLE chain".into(),
        "DROP TABLE recorded".into(),
        "CREATE TABLE note (text TEXT) STRICT".into(),
        "CREATE TRIGGER less AFTER INSERT ON usage BEGIN UPDATE usage SET units = 1; END".into(),
        "ALTER TABLE usage ADD COLUMN price INTEGER".into(),
        "PRAGMA user_version = 9".into(),
        "PRAGMA application_id = 7".into(),
    ]
}

type Break = fn(&Path);

/// What is done to the files.
const FILES: &[(&str, Break)] = &[
    ("the database is gone", |folder| fs::remove_file(file(folder)).unwrap()),
    ("the database is empty", |folder| fs::write(file(folder), b"").unwrap()),
    ("the database is another file", |folder| fs::write(file(folder), [7; 9_000]).unwrap()),
    ("the database is cut off", |folder| change(&file(folder), |bytes| bytes.truncate(bytes.len() / 2))),
    ("its last page is cut off", |folder| change(&file(folder), |bytes| bytes.truncate(bytes.len() - 4_096))),
    ("a page is garbage", |folder| change(&file(folder), |bytes| bytes[4_096 * 2..4_096 * 3].fill(0xa5))),
    ("a page is zero", |folder| change(&file(folder), |bytes| bytes[4_096 * 2..4_096 * 3].fill(0))),
    ("two pages are swapped", |folder| {
        change(&file(folder), |bytes| {
            let (left, right) = bytes.split_at_mut(4_096 * 3);
            left[4_096 * 2..].swap_with_slice(&mut right[..4_096]);
        });
    }),
    ("the witness is changed", |folder| change(&lock(folder), |bytes| bytes[16] ^= 1)),
    ("the witness is cut off", |folder| change(&lock(folder), |bytes| bytes.truncate(50))),
    ("the witness has more to say", |folder| change(&lock(folder), |bytes| bytes.extend(b"more\n"))),
    ("the witness is of another ledger", |folder| write_witness(folder, &witness_line(460, 1))),
    ("the witness knows more entries", |folder| write_witness(folder, &witness_line(4_000, 1))),
    ("the lock is empty", |folder| fs::write(lock(folder), b"").unwrap()),
    ("the lock is gone", |folder| fs::remove_file(lock(folder)).unwrap()),
];

fn file(folder: &Path) -> PathBuf {
    folder.join("ledger.sqlite")
}

fn lock(folder: &Path) -> PathBuf {
    folder.join("lock")
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn write_witness(folder: &Path, line: &str) {
    fs::write(lock(folder), format!("begun\n{line}")).unwrap();
}

/// A copy of a ledger, so that each way to break it begins with a whole one.
fn copy(of: &Path) -> TempDir {
    let volume = TempDir::new().unwrap();
    let folder = folder(&volume);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(of).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    volume
}

fn verified(volume: &TempDir) -> String {
    let said = run("verify", &folder(volume));
    if !said.contains("(exit 73)") {
        return format!("NOT FOUND: {said}");
    }
    let what = said.lines().nth(1).unwrap_or_default().trim().replace("what : FOLDER", "");
    what.trim_start_matches(['/', ':', ' ']).trim_start_matches("ledger.sqlite: ").to_owned()
}

#[test]
fn a_ledger_that_was_broken_in_any_way_is_found_and_the_first_wrong_row_named() {
    let whole = lived();
    let whole = folder(&whole);
    let mut said = String::new();
    for (table, column, value) in COLUMNS {
        let row = match *table {
            "usage" => format!("hour = {LAST} AND tags = 'team:blue'"),
            "recorded" => format!("hour = {LAST}"),
            "archive" => format!("hour = {FIRST}"),
            "recent" => "true".to_owned(),
            "transitions" => "seq = (SELECT min(seq) + 3 FROM transitions)".to_owned(),
            _ => "one = 1".to_owned(),
        };
        let volume = copy(&whole);
        spoil(&volume, &format!("UPDATE {table} SET {column} = {value} WHERE {row}"));
        writeln!(said, "{table}.{column} = {value}\n    {}", verified(&volume)).unwrap();
    }
    for sql in statements() {
        let volume = copy(&whole);
        spoil(&volume, &sql);
        writeln!(said, "{sql}\n    {}", verified(&volume)).unwrap();
    }
    for (name, how) in FILES {
        let volume = copy(&whole);
        how(&folder(&volume));
        writeln!(said, "{name}\n    {}", verified(&volume)).unwrap();
    }
    assert!(!said.contains("NOT FOUND"), "{said}");
    insta::assert_snapshot!("broken", said);
}

#[test]
fn a_database_alone_from_an_older_copy_is_found() {
    let older = written();
    let newer = copy(&folder(&older));
    let mut held = Other::hold(&folder(&newer)).unwrap();
    held.write(vec![tollgate_metering::Record::Heartbeat { at: 7_500 }]).unwrap();
    // As after a kill: the newest entry is in the log only.
    let killed = copy(&folder(&newer));
    drop(held);
    let without_log = copy(&folder(&killed));
    assert!(run("verify", &folder(&killed)).contains("is whole"));
    fs::remove_file(folder(&without_log).join("ledger.sqlite-wal")).unwrap();
    fs::copy(file(&folder(&older)), file(&folder(&newer))).unwrap();
    for volume in [&newer, &without_log] {
        assert_eq!(verified(volume), "table transitions, seq 3 to 3: are missing, the file lock knows of them");
    }
}
