//! The files of a ledger, damaged: opened as it was written, or refused. Never a panic, never an empty ledger, never one
//! whose amounts do not add up.
//!
//! The bytes say what happens to one file: which, then edits of three bytes each (where, by what), or where it ends. Half of
//! the ledgers are as a killed host leaves them, half as one that was closed.
//! True: it was opened.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;
use tollgate_host::ledger::{self, Batch};
use tollgate_metering::{Ledger, Now, Payer, Phase, Policy, Rate, Record, SlotId, Step, Tags, Used, plan};

const IDENTITY: &str = "pod-1";
const FILES: [&str; 3] = ["ledger.sqlite", "ledger.sqlite-wal", "lock"];
const HOUR_S: u64 = 3_600;

/// What a host leaves, and what is in it.
struct Left {
    killed: Files,
    closed: Files,
    recorded: u128,
}

type Files = Vec<(&'static str, Vec<u8>)>;

static LEFT: LazyLock<Left> = LazyLock::new(Left::write);

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((&which, edits)) = bytes.split_first() else { return false };
    let volume = folder();
    let place = volume.path().join(IDENTITY);
    std::fs::create_dir_all(&place).unwrap();
    let damaged = FILES[usize::from(which) % FILES.len()];
    for (name, content) in if which & 64 == 0 { &LEFT.killed } else { &LEFT.closed } {
        let content = if *name == damaged { edited(content, edits, which >= 128) } else { content.clone() };
        std::fs::write(place.join(name), content).unwrap();
    }
    let Ok(opened) = ledger::open(volume.path(), IDENTITY) else { return false };
    let ledger = opened.ledger;
    assert!(!ledger.is_fresh(), "{damaged}: it began anew");
    assert!(ledger.balanced(), "{damaged}: the amounts do not add up");
    let recorded = ledger.balance().recorded;
    assert!(recorded >= LEFT.recorded, "{damaged}: {recorded} of {} units are left", LEFT.recorded);
    true
}

/// `cut`: the file ends where the first edit is.
fn edited(content: &[u8], edits: &[u8], cut: bool) -> Vec<u8> {
    let mut content = content.to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % content.len().max(1);
        if cut {
            content.truncate(at);
            break;
        }
        if let Some(byte) = content.get_mut(at) {
            *byte ^= edit[2];
        }
    }
    content
}

impl Left {
    /// Written as a host does: usage, a sealed hour, a try, its answer, more usage. Copied while it is open.
    fn write() -> Self {
        let volume = folder();
        let opened = ledger::open(volume.path(), IDENTITY).unwrap();
        let (mut ledger, mut writer) = (opened.ledger, opened.writer);
        let at = 500_000 * HOUR_S;
        let started = Record::Started { at, identity: IDENTITY.into(), boot: 1, first_hour_taken: false };
        let mut batches = vec![(Vec::new(), vec![Record::Created { at, ledger: 5 }, started])];
        batches.push((vec![used(3, "red", at + 60), used(4, "", at + 70)], Vec::new()));
        for (used, records) in batches {
            apply(&mut ledger, &used, &records);
            writer.commit(&Batch { used, records }).unwrap();
        }
        let now = Now { s: at + 2 * HOUR_S, confirmed: true };
        for _ in 0..3 {
            let records = due(&ledger, now);
            apply(&mut ledger, &[], &records);
            writer.commit(&Batch { used: Vec::new(), records }).unwrap();
        }
        let more = vec![used(5, "blue", now.s)];
        apply(&mut ledger, &more, &[]);
        writer.commit(&Batch { used: more, records: Vec::new() }).unwrap();
        let place = volume.path().join(IDENTITY);
        let killed = read(&place);
        drop(writer);
        Self { killed, closed: read(&place), recorded: ledger.balance().recorded }
    }
}

fn read(place: &Path) -> Files {
    let there = FILES.into_iter().filter(|name| place.join(name).exists());
    there.map(|name| (name, std::fs::read(place.join(name)).unwrap())).collect()
}

fn due(ledger: &Ledger, now: Now) -> Vec<Record> {
    let policy = Policy {
        listing: "paid".into(),
        product_code: "code".into(),
        sends: true,
        carry: false,
        zero_records: false,
        dimensions: vec![Rate { key: "images".into(), per: 1 }],
        warn_after_s: HOUR_S,
        stop_after_s: 4 * HOUR_S,
    };
    let steps = plan(ledger, now, &policy, Phase::Running).into_iter();
    let records = steps.flat_map(|step| match step {
        Step::Write(records) => records,
        Step::Send { attempted, .. } => vec![attempted],
    });
    records.collect()
}

fn apply(ledger: &mut Ledger, used: &[Used], records: &[Record]) {
    used.iter().for_each(|used| ledger.apply_used(used));
    for record in records {
        ledger.admit(record).unwrap();
        ledger.apply(record);
    }
}

fn used(units: u64, team: &str, at: u64) -> Used {
    let hour = tollgate_metering::Hour::of(at);
    let slot = SlotId { listing: "paid".into(), payer: Payer::Own, dimension: "images".into(), hour };
    let pairs = if team.is_empty() { Vec::new() } else { vec![("team".to_owned(), team.to_owned())] };
    Used { slot, per: 1, component: "api".into(), tags: Tags::new(pairs), units, late: 0, at }
}

/// In memory where there is such a place: no disk is in question here.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}
