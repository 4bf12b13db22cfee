//! What a ledger costs: its size after a year, the pause of a checkpoint, opening, recovery, and commits against the disk.
//!
//! `cargo bench -p tollgate-host --bench ledger [-- DAYS]`: days of the year, 365 without. The year is written to memory where
//! there is a file system for that (`/dev/shm`), because it is the bytes that count; everything else is on the disk of the
//! folder for temporary files, and the disk's own time is printed beside it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking and prints its numbers")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tollgate_host::ledger::{Batch, Sqlite, Store, fold};
use tollgate_metering::{Hour, Payer, Record, SlotId, Tags, Used};

mod year;

/// Transitions after the last checkpoint, in the measurement of recovery.
const TRANSITIONS: u64 = 1_000_000;
/// Commits of each group size.
const ROUNDS: usize = 200;

fn main() {
    // Cargo says --bench.
    let days = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(365);
    let disk = tempfile::tempdir().unwrap();
    commits(disk.path());
    recovery(disk.path());
    a_year(days);
}

/// Wall clock, and what the process used of the processors: on a machine with other work the second says more.
struct Stopwatch(Instant, Duration);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), processor())
    }

    fn read(&self) -> String {
        format!("{} ms ({} ms of processor)", self.0.elapsed().as_millis(), (processor() - self.1).as_millis())
    }
}

fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn a_year(days: u32) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let database = folder.path().join("ledger.sqlite");
    let mut year = year::Year::begin(&database, 24);
    let (mut largest, mut pauses) = (0, Vec::new());
    let begun = Instant::now();
    for day in 1..=days {
        pauses.extend((0..24).map(|_| year.hour()).filter(|&pause_ms| pause_ms > 0));
        largest = largest.max(year::bytes(folder.path()));
        if day % 73 == 0 || day == days {
            println!("day {day}: {} MB, at most {} MB so far", megabytes(&folder), largest / 1_000_000);
        }
    }
    println!("written in {} s, in {}", begun.elapsed().as_secs(), folder.path().parent().unwrap().display());
    pauses.sort_unstable();
    let (median, max) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
    println!("a checkpoint: median {median} ms, max {max} ms, of {}", pauses.len());
    let ledger = year.ledger.clone();
    drop(year);
    let watch = Stopwatch::start();
    let mut store = Sqlite::open(&database, true).unwrap();
    let again = fold(store.load().unwrap()).unwrap();
    println!("opened and checked in {}: the same ledger: {}", watch.read(), again == ledger);
    let watch = Stopwatch::start();
    let image = store.image().unwrap();
    let read = watch.read();
    tollgate_host::ledger::verify(&image, &mut |after| store.archived(after)).unwrap();
    println!("verified in {}, of which {read} between two transactions", watch.read());
}

/// A record that is tried again and again, and never answered.
fn recovery(folder: &Path) {
    let database = folder.join("recovery.sqlite");
    let mut store = Sqlite::open(&database, false).unwrap();
    store.load().unwrap();
    let used = used(0);
    let slot = used.slot.clone();
    let identity = "task".to_owned();
    let begin = vec![
        Record::Created { at: used.at, ledger: 5 },
        Record::Started { at: used.at, identity: identity.clone(), boot: 1, first_hour_taken: false },
    ];
    store.commit(&Batch { used: vec![used.clone()], records: begin }).unwrap();
    let request = tollgate_metering::Request {
        product_code: "code".into(),
        quantity: 1,
        form: tollgate_metering::Form::Integer,
        allocations: Vec::new(),
        timestamp: used.at,
        token: "tg-1".into(),
    };
    let sealed = Record::Sealed { slot: slot.clone(), request, per: 1, remainder: std::iter::empty().collect() };
    store.commit(&Batch { used: Vec::new(), records: vec![sealed] }).unwrap();
    let tries = (1..=u32::try_from(TRANSITIONS / 2).unwrap()).map(|attempt| {
        let (slot, at) = (slot.clone(), used.at);
        let deferred =
            Record::Deferred { slot: slot.clone(), unknown: false, code: "ThrottlingException".into(), retry_at: at };
        [Record::Attempted { slot, identity: identity.clone(), attempt, at }, deferred]
    });
    let tries: Vec<Record> = tries.flatten().collect();
    for records in tries.chunks(10_000) {
        store.commit(&Batch { used: Vec::new(), records: records.to_vec() }).unwrap();
    }
    drop(store);
    let watch = Stopwatch::start();
    let mut store = Sqlite::open(&database, true).unwrap();
    fold(store.load().unwrap()).unwrap();
    let bytes = database.metadata().unwrap().len() / 1_000_000;
    println!("recovery of {TRANSITIONS} transitions ({bytes} MB): {}", watch.read());
}

/// Usage in groups, as the writer commits what waited, against a file that is appended to and synced.
fn commits(folder: &Path) {
    let mut store = Sqlite::open(&folder.join("commits.sqlite"), false).unwrap();
    store.load().unwrap();
    println!(
        "group | commit: median, p99 | append and fdatasync of the same text: median, p99 | ratio | cost of one commit"
    );
    for group in [1, 8, 64, 512] {
        let batch = Batch { used: (0..group).map(used).collect(), records: Vec::new() };
        let text: String = batch.used.iter().map(line).collect();
        let mut file = File::create(folder.join("append")).unwrap();
        let (mut ours, mut disk) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = Instant::now();
            store.commit(&batch).unwrap();
            ours.push(before.elapsed());
            let before = Instant::now();
            file.write_all(text.as_bytes()).unwrap();
            file.sync_data().unwrap();
            disk.push(before.elapsed());
        }
        let (ours, disk) = (percentiles(ours), percentiles(disk));
        let ratio = ours.0.as_secs_f64() / disk.0.as_secs_f64();
        let each = ours.0.as_secs_f64() * 1e6 / f64::from(u32::try_from(group).unwrap());
        println!(
            "{group} | {} us, {} us | {} us, {} us | {ratio:.2} | {each:.1} us",
            ours.0.as_micros(),
            ours.1.as_micros(),
            disk.0.as_micros(),
            disk.1.as_micros()
        );
    }
}

/// One commit of one instance: some dimensions and tag sets, as they come.
fn used(number: u64) -> Used {
    let at = 490_000 * 3_600;
    let dimension = format!("dimension-{:02}", number % 8);
    let tags = Tags::new(vec![("team".into(), format!("team-{:03}", number % 100))]);
    let slot = SlotId { listing: "paid".into(), payer: Payer::Own, dimension, hour: Hour::of(at) };
    Used { slot, per: 1, component: "api".into(), tags, units: 1, late: 0, at }
}

fn line(used: &Used) -> String {
    let Used { slot, per, component, tags, units, late, at } = used;
    let tags = tags.to_text();
    format!("{} {} {} {tags} {component} {per} {units} {late} {at}\n", slot.listing, slot.dimension, slot.hour)
}

fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn megabytes(folder: &TempDir) -> u64 {
    year::bytes(folder.path()) / 1_000_000
}
