use std::fs;

use rusqlite::Connection;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use sha2::Digest as _;
use tempfile::TempDir;
use tollgate_metering::{Hour, Payer, SlotId, Tags};

use super::*;

mod disk;
mod every_operation;
mod lived;
mod scenarios;

pub(crate) use lived::{FIRST, LAST, MIDDLE, lived};

const IDENTITY: &str = "arn:aws:ecs:eu-west-1:111122223333:task/shop/0123456789abcdef";

fn used(units: u64, at: u64) -> Used {
    let slot = SlotId { listing: "paid".into(), payer: Payer::Own, dimension: "images".into(), hour: Hour::of(at) };
    let tags = Tags::new(vec![("team".into(), "blue".into())]);
    Used { slot, per: 1, component: "api".into(), tags, units, late: 0, at }
}

/// A ledger with two entries and 7 units in two batches, closed again.
pub(crate) fn written() -> TempDir {
    let volume = tempfile::tempdir().unwrap();
    let mut folder = folder::Folder::take(volume.path(), IDENTITY).unwrap();
    let store = Sqlite::open(&folder.database(), folder.begun()).unwrap();
    let mut store = store.watched(folder.witness().unwrap());
    store.load().unwrap();
    folder.begin(&store.head()).unwrap();
    let identity = IDENTITY.to_owned();
    let created = Record::Created { at: 7_200, ledger: 5 };
    let started = Record::Started { at: 7_200, identity, boot: 1, first_hour_taken: false };
    store.commit(&Batch { used: Vec::new(), records: vec![created, started] }).unwrap();
    store.commit(&Batch { used: vec![used(3, 7_300), used(4, 7_400)], records: Vec::new() }).unwrap();
    store.gather().unwrap();
    volume
}

pub(crate) fn database(volume: &TempDir) -> PathBuf {
    volume.path().join("arn_aws_ecs_eu-west-1_111122223333_task_shop_0123456789abcdef/ledger.sqlite")
}

/// Rows of table `recent`, rows of table `usage`, and the units of those, which are also those of table `recorded`.
pub(crate) fn tables(path: &Path) -> [u64; 3] {
    let connection = Connection::open(path).unwrap();
    let number = |sql| connection.query_row(sql, [], |row| row.get(0)).unwrap();
    let units = number("SELECT coalesce(sum(units), 0) FROM usage");
    assert_eq!(units, number("SELECT coalesce(sum(units), 0) FROM recorded"));
    [number("SELECT count(*) FROM recent"), number("SELECT count(*) FROM usage"), units]
}

/// Changes the database by hand.
pub(crate) fn spoil(volume: &TempDir, sql: &str) {
    let connection = Connection::open(database(volume)).unwrap();
    sqlite::hash::register(&connection).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// A line of the file `lock` for another end of the ledger, as a host would write it.
pub(crate) fn witness_line(seq: u64, recorded: u128) -> String {
    witness::Head { seq, link: chain::Link([7; 32]), recorded }.line()
}

fn reason(volume: &TempDir) -> String {
    match open(volume.path(), IDENTITY) {
        Ok(_) => "opened".to_owned(),
        Err(OpenError::Damaged { problem, .. }) => format!("damaged: {problem}"),
        Err(OpenError::NotWritable { problem, .. }) => format!("not writable: {problem}"),
        Err(OpenError::Locked(_)) => "locked".to_owned(),
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let volume = written();
    let opened = open(volume.path(), IDENTITY).unwrap();
    let (id, slot) = opened.ledger.slots().next().unwrap();
    assert_eq!((id.hour, slot.recorded, slot.open.total(), slot.last_at), (Hour(2), 7, 7, 7_400));
    assert_eq!((opened.ledger.boots(), opened.ledger.identity()), (1, IDENTITY));
}

#[test]
fn a_second_host_is_told_that_the_ledger_is_locked() {
    let volume = written();
    let first = open(volume.path(), IDENTITY).unwrap();
    assert_eq!(reason(&volume), "locked");
    assert_eq!(open(volume.path(), IDENTITY).unwrap_err().exit().why.code(), 75);
    drop(first);
}

#[test]
fn a_ledger_of_version_1_is_opened_and_becomes_one_of_this_version() {
    let volume = tempfile::tempdir().unwrap();
    let path = database(&volume);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path.with_file_name("lock"), b"begun\n").unwrap();
    Connection::open(&path).unwrap().execute_batch(include_str!("version-1.sql")).unwrap();
    drop(Sqlite::open(&path, true).unwrap());
    let opened = open(volume.path(), IDENTITY).unwrap();
    let (id, slot) = opened.ledger.slots().next().unwrap();
    assert_eq!((id.hour, slot.recorded, slot.last_at), (Hour(2), 7, 7_400));
    assert_eq!((opened.ledger.boots(), opened.ledger.identity()), (1, IDENTITY));
    drop(opened);
    let migrated = tempfile::tempdir().unwrap();
    let path = migrated.path().join("ledger.sqlite");
    Connection::open(&path).unwrap().execute_batch(include_str!("version-1.sql")).unwrap();
    drop(Sqlite::open(&path, true).unwrap());
    let version: u32 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 5);
}

#[test]
fn a_ledger_of_version_4_gets_a_table_for_recent_commits() {
    let volume = written();
    spoil(&volume, "DROP TABLE recent; PRAGMA user_version = 4");
    assert_eq!(open(volume.path(), IDENTITY).unwrap().ledger.balance().recorded, 7);
    assert_eq!(tables(&database(&volume)), [0, 1, 7]);
}

#[test]
fn an_older_copy_of_the_database_is_found() {
    let volume = written();
    let old = fs::read(database(&volume)).unwrap();
    let mut folder = folder::Folder::take(volume.path(), IDENTITY).unwrap();
    let mut store = Sqlite::open(&folder.database(), folder.begun()).unwrap();
    store = store.watched(folder.witness().unwrap());
    store.load().unwrap();
    folder.begin(&store.head()).unwrap();
    store.commit(&Batch { used: Vec::new(), records: vec![Record::Heartbeat { at: 7_500 }] }).unwrap();
    drop((store, folder));
    fs::write(database(&volume), old).unwrap();
    assert_eq!(reason(&volume), "damaged: table transitions, seq 3 to 3: are missing, the file lock knows of them");
}

#[test]
fn a_checkpoint_takes_the_place_of_all_entries_and_of_forgotten_usage() {
    let volume = written();
    let mut folder = folder::Folder::take(volume.path(), IDENTITY).unwrap();
    let store = Sqlite::open(&folder.database(), folder.begun()).unwrap();
    let mut store = store.watched(folder.witness().unwrap());
    let mut ledger = store.load().and_then(fold).unwrap();
    folder.begin(&store.head()).unwrap();
    let slot = used(0, 7_300).slot;
    let closed = [Record::Closed { slot, why: tollgate_metering::Close::Counted }, Record::Heartbeat { at: 360_000 }];
    closed.iter().for_each(|record| ledger.apply(record));
    store.commit(&Batch { used: vec![used(5, 360_000)], records: closed.to_vec() }).unwrap();
    ledger.apply_used(&used(5, 360_000));
    let tollgate_metering::Folded { records, forgotten, after } = ledger.checkpoint();
    store.compact(&records, &forgotten).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.used, [used(5, 360_000)]);
    assert_eq!(loaded.records, records);
    assert_eq!(fold(loaded).unwrap(), after);
    assert_eq!(after.balance().recorded, 12);
    let [row] = &store.archived(0).unwrap()[..] else { panic!("{:?}", store.archived(0)) };
    assert_eq!(row.hour, 2);
    assert!(row.text.contains(" life=counted ") && row.text.contains(" recorded=7 "), "{}", row.text);
    assert_eq!(verify(&store.image().unwrap(), &mut |after| store.archived(after)), Ok(after));
}

#[test]
fn a_checkpoint_that_leaves_out_usage_is_not_written() {
    let volume = written();
    let mut store = Sqlite::open(&database(&volume), true).unwrap();
    let ledger = store.load().and_then(fold).unwrap();
    let mut folded = ledger.checkpoint();
    let all = folded.records.len();
    folded.records.retain(|record| !matches!(record, Record::Kept { .. }));
    assert_eq!(folded.records.len(), all - 1);
    let refused = store.compact(&folded.records, &[]);
    assert_eq!(refused, Err("the checkpoint does not come to the 7 units that were recorded".to_owned()));
    assert_eq!(store.load().and_then(fold), Ok(ledger), "it is as it was");
}

/// A year and a month is kept; what is left is still a chain, and fits the sums as far as it goes.
#[test]
fn the_oldest_hours_leave_the_archive() {
    let (volume, mut ledger) = archived();
    let mut store = Sqlite::open(&database(&volume), true).unwrap();
    store.load().unwrap();
    for days in [5, 401, 406] {
        let at = days * 86_400;
        let used = used(1, at);
        let closed = Record::Closed { slot: used.slot.clone(), why: tollgate_metering::Close::Counted };
        let alive = Record::Heartbeat { at: at + 4 * 86_400 };
        let batch = Batch { used: vec![used], records: vec![closed, alive] };
        batch.used.iter().for_each(|used| ledger.apply_used(used));
        batch.records.iter().for_each(|record| ledger.apply(record));
        store.commit(&batch).unwrap();
        let folded = ledger.checkpoint();
        store.compact(&folded.records, &folded.forgotten).unwrap();
        ledger = folded.after;
    }
    let days: Vec<i64> = store.archived(0).unwrap().iter().map(|row| row.hour / 24).collect();
    assert_eq!(days, [401, 406]);
    assert_eq!(verify(&store.image().unwrap(), &mut |after| store.archived(after)), Ok(ledger));
}

/// A ledger with one archived hour, and its state.
fn archived() -> (TempDir, Ledger) {
    let volume = written();
    let mut store = Sqlite::open(&database(&volume), true).unwrap();
    let mut ledger = store.load().and_then(fold).unwrap();
    let slot = used(0, 7_300).slot;
    let closed = [Record::Closed { slot, why: tollgate_metering::Close::Counted }, Record::Heartbeat { at: 360_000 }];
    closed.iter().for_each(|record| ledger.apply(record));
    store.commit(&Batch { used: Vec::new(), records: closed.to_vec() }).unwrap();
    let folded = ledger.checkpoint();
    store.compact(&folded.records, &folded.forgotten).unwrap();
    (volume, folded.after)
}

#[test]
fn a_ledger_that_is_gone_is_not_started_anew() {
    let volume = written();
    fs::remove_file(database(&volume)).unwrap();
    assert_eq!(reason(&volume), "damaged: the ledger had begun, and now it is missing or empty");
    fs::write(database(&volume), b"").unwrap();
    assert_eq!(reason(&volume), "damaged: the ledger had begun, and now it is missing or empty");
    fs::write(database(&volume), [7; 9_000]).unwrap();
    assert_eq!(reason(&volume), "damaged: file is not a database");
}

/// Killed between the file and its tables: nothing was recorded, so nothing is lost.
#[test]
fn a_ledger_whose_making_was_cut_short_is_an_empty_one() {
    let volume = tempfile::tempdir().unwrap();
    drop(folder::Folder::take(volume.path(), IDENTITY).unwrap());
    let path = database(&volume);
    fs::write(&path, b"").unwrap();
    assert!(Other::take(path.parent().unwrap()).unwrap().is_none(), "nothing to adopt");
    assert!(inspect(path.parent().unwrap()).unwrap().is_fresh());
    assert_eq!(reason(&volume), "opened");
}

#[test]
fn after_a_failed_write_nothing_more_is_written_into_the_ledger_of_another_task() {
    let volume = tempfile::tempdir().unwrap();
    let open = |disk| Sqlite::open_on(disk::NAME, Path::new(disk), false).unwrap();
    disk::create("other");
    let folder = folder::Folder::take(volume.path(), IDENTITY).unwrap();
    let mut other = Other::on(folder, open("/other/ledger.sqlite")).unwrap();
    let beat = |other: &mut Other, at: u64| other.write(vec![Record::Heartbeat { at }]);
    let started = Record::Started { at: 7_200, identity: IDENTITY.to_owned(), boot: 1, first_hour_taken: false };
    assert_eq!(other.write(vec![Record::Created { at: 7_200, ledger: 5 }, started]), Ok(()));
    disk::set_fault("other", disk::Fault::NextSync);
    let failed = beat(&mut other, 7_500);
    assert_eq!(failed, Err("disk I/O error".to_owned()));
    assert!(disk::has_failed("other"));
    // The disk works again, and nobody knows what is on it.
    assert_eq!(beat(&mut other, 7_600), failed);
    drop(other);
    let texts: Vec<String> =
        open("/other/ledger.sqlite").image().unwrap().transitions.into_iter().map(|entry| entry.text).collect();
    assert!(!texts.is_empty() && texts.iter().all(|text| !text.contains("at=7600")), "{texts:?}");
    disk::remove("other");
}

#[test]
fn damage_in_the_middle_of_the_file_is_found() {
    let volume = written();
    let mut bytes = fs::read(database(&volume)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    fs::write(database(&volume), bytes).unwrap();
    assert!(reason(&volume).starts_with("damaged: "), "{}", reason(&volume));
}

#[test]
fn a_file_in_the_way_of_the_folder_is_a_clear_error() {
    let volume = tempfile::tempdir().unwrap();
    let file = volume.path().join("file");
    fs::write(&file, b"").unwrap();
    let exit = open(&file, IDENTITY).unwrap_err().exit();
    assert_eq!(exit.why.code(), 73);
    assert!(exit.what.ends_with("Not a directory (os error 20)"), "{}", exit.what);
}

#[test]
fn ledgers_of_other_identities_are_seen_and_left_alone() {
    let volume = written();
    let opened = open(volume.path(), "pod-2").unwrap();
    assert!(opened.ledger.is_fresh());
    assert_eq!(opened.others, [database(&volume).parent().unwrap().to_owned()]);
}

#[test]
fn after_an_error_of_the_store_nothing_is_written_any_more() {
    let store = memory::Memory::default();
    let mut writer = Writer::unlimited(store.clone());
    let batch = Batch { used: Vec::new(), records: vec![Record::Heartbeat { at: 1 }] };
    assert_eq!(writer.commit(&batch), Ok(()));
    store.break_down();
    let broken = Err(Poisoned("no space left on device".to_owned()));
    assert_eq!(writer.commit(&batch), broken);
    store.mend();
    assert_eq!(writer.commit(&batch), broken);
    assert_eq!(store.texts(), ["heartbeat at=1"]);
}

#[test]
fn many_commits_are_added_to_their_rows_at_once() {
    let cases = [(1, 1), (1_024, 1), (1_025, 1), (1_026, 2), (1, 2_047), (2, 2_047), (2, 2_048), (3, 1_500)];
    let mut said = String::new();
    for (commits, tag_sets) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let mut store = Sqlite::open(&path, false).unwrap();
        for commit in 0..commits {
            // Of which the last goes to another hour, and to a tag set more.
            let hour = if commit + 1 == commits { 3 } else { 2 };
            let team = |number: u64| Tags::new(vec![("team".into(), format!("{number}"))]);
            let used = |number| Used { tags: team(number), ..used(1, hour * 3_600) };
            let batch = Batch { used: (hour..hour + tag_sets).map(used).collect(), records: Vec::new() };
            store.commit(&batch).unwrap();
        }
        drop(store);
        let [recent, rows, units] = tables(&path);
        let loaded = Sqlite::open(&path, true).unwrap().load().unwrap().used;
        assert_eq!(loaded.iter().map(|used| used.units).sum::<u64>(), commits * tag_sets);
        let read = loaded.len();
        said.push_str(&format!("{commits} of {tag_sets}: {recent} recent, {rows} rows with {units}; read as {read}\n"));
    }
    insta::assert_snapshot!(said, @r"
    1 of 1: 1 recent, 0 rows with 0; read as 1
    1024 of 1: 1024 recent, 0 rows with 0; read as 2
    1025 of 1: 1 recent, 1 rows with 1024; read as 2
    1026 of 2: 2 recent, 2 rows with 2048; read as 4
    1 of 2047: 1 recent, 0 rows with 0; read as 2047
    2 of 2047: 2 recent, 0 rows with 0; read as 4094
    2 of 2048: 1 recent, 2048 rows with 2048; read as 4096
    3 of 1500: 3 recent, 0 rows with 0; read as 3000
    ");
}

/// As `docs/ledger.md` says: by SQL alone, by a hash that anybody can make, and nothing that reads changes it.
#[test]
fn what_a_killed_host_left_in_recent_commits_is_read_and_stays() {
    let volume = lived();
    let path = database(&volume);
    let before = tables(&path);
    assert_eq!(before[0], 1);
    assert_eq!(inspect(path.parent().unwrap()).unwrap(), open(volume.path(), IDENTITY).unwrap().ledger);
    assert_eq!(tables(&path), before);
    let connection = Connection::open(&path).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let query = "SELECT text, hash, json_extract(value, '$[7]') FROM recent, json_each(text)";
    let (text, hash, units): (String, [u8; 32], u64) = connection.query_row(query, [], row).unwrap();
    assert_eq!(units, 1);
    let hashed = [&[0; 32], &1_u64.to_le_bytes()[..], text.as_bytes()].concat();
    assert_eq!(hash[..], sha2::Sha256::digest(hashed)[..]);
}

#[test]
fn the_log_of_the_database_stays_short_without_a_checkpoint_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&folder.path().join("ledger.sqlite"), false).unwrap();
    // Each transaction writes a page at least.
    for second in 0..1_500 {
        store.commit(&Batch { used: vec![used(1, 7_200 + second)], records: Vec::new() }).unwrap();
    }
    let log = fs::metadata(folder.path().join("ledger.sqlite-wal")).unwrap().len();
    assert!((1_000_000..1_500_000).contains(&log), "256 pages of 4 KiB, and not 1,500: {log} bytes");
}

/// Where `fsync` is refused, only what syncs by `fdatasync` commits: see `.cargo/config.toml`.
#[test]
fn a_commit_syncs_data_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&folder.path().join("ledger.sqlite"), false).unwrap();
    let batch = Batch { used: vec![used(1, 7_200)], records: Vec::new() };
    // With the first transaction the folder is synced, which has no data.
    store.commit(&batch).unwrap();
    let committed = std::thread::spawn(move || {
        let refused = std::collections::BTreeMap::from([(libc::SYS_fsync, Vec::new())]);
        let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()));
        let filter = SeccompFilter::new(refused, allow, refuse, std::env::consts::ARCH.try_into().unwrap()).unwrap();
        // Of this thread alone.
        seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
        assert!(fs::File::open(folder.path()).unwrap().sync_all().is_err(), "the filter is there");
        store.commit(&batch)
    });
    assert_eq!(committed.join().unwrap(), Ok(()));
}
