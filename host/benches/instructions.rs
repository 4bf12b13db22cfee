//! What the engine and the ledger cost in instructions, which do not depend on what else the machine does.
//!
//! `cargo bench -p tollgate-host --bench instructions`, with valgrind installed: each case runs under callgrind twice, with
//! one number of rounds and with twice as many; the difference is that many rounds and nothing else.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking and prints its numbers")]

use std::process::Command;

use tollgate_host::ledger::{Batch, Sqlite, Store};
use tollgate_metering::{
    HOUR_S, Hour, Ledger, Now, Payer, Phase, Policy, Rate, Record, SlotId, Step, Tags, Used, next_due, plan,
};

const NOW: u64 = 490_000 * HOUR_S + 60;
const DIMENSIONS: u64 = 24;
const TAG_SETS: u64 = 100;

/// What is counted: its name, the rounds of the shorter run, and what one round is.
const CASES: [(&str, u64, &str); 5] = [
    ("used", 2_000, "one commit of one tag set, checked and applied to the ledger"),
    ("plan", 50, "what is due, with 24 dimensions of 100 tag sets in the running hour"),
    ("next-due", 50, "when to look again, for the same ledger"),
    ("seal", 2, "the hour is over: 24 requests of 100 tag sets made and applied"),
    ("commit", 20, "64 commits in one transaction: text, hash, SQLite; not the disk, and not their rows"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [case, rounds] = arguments.as_slice()
        && let Ok(rounds) = rounds.parse()
    {
        return run(case, rounds);
    }
    println!("instructions a round | case");
    for (case, rounds, what) in CASES {
        let [short, long] = [rounds, 2 * rounds].map(|rounds| instructions(case, rounds));
        println!("{} | {case}: {what}", (long - short) / rounds);
    }
}

/// Of this program, running one case.
fn instructions(case: &str, rounds: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let out = format!("--callgrind-out-file={}", folder.path().join("callgrind").display());
    let own = std::env::current_exe().unwrap();
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", &out])
        .arg(own)
        .args([case, &rounds.to_string()])
        .output()
        .expect("valgrind, from the package of that name");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).expect(&said).1;
    collected.split_whitespace().next().unwrap().parse().unwrap()
}

fn run(case: &str, rounds: u64) {
    let (mut ledger, policy) = (begun(), policy());
    match case {
        "used" => (0..rounds).for_each(|round| use_one(&mut ledger, round)),
        "commit" => commit(rounds),
        _ => {
            (0..DIMENSIONS * TAG_SETS).for_each(|number| use_one(&mut ledger, number));
            let now = |s| Now { s, confirmed: true };
            for _ in 0..rounds {
                match case {
                    "plan" => assert!(plan(&ledger, now(NOW), &policy, Phase::Running).is_empty()),
                    "next-due" => assert!(next_due(&ledger, now(NOW), &policy, Phase::Running) > NOW),
                    "seal" => seal(&ledger, &policy),
                    other => panic!("no case {other}"),
                }
            }
        }
    }
}

/// A ledger whose process has started.
fn begun() -> Ledger {
    let mut ledger = Ledger::new();
    let started = Record::Started { at: NOW, identity: "task".into(), boot: 1, first_hour_taken: false };
    for record in [Record::Created { at: NOW, ledger: 5 }, started, Record::Heartbeat { at: NOW }] {
        ledger.admit(&record).unwrap();
        ledger.apply(&record);
    }
    ledger
}

fn seal(ledger: &Ledger, policy: &Policy) {
    let mut ledger = ledger.clone();
    let now = Now { s: NOW + HOUR_S, confirmed: true };
    let mut sealed = 0;
    loop {
        let steps = plan(&ledger, now, policy, Phase::Running).into_iter();
        let written = |step| if let Step::Write(records) = step { Some(records) } else { None };
        let records: Vec<Record> = steps.filter_map(written).flatten().collect();
        for record in &records {
            sealed += u64::from(matches!(record, Record::Sealed { .. }));
            ledger.admit(record).unwrap();
            ledger.apply(record);
        }
        if records.is_empty() {
            break;
        }
    }
    assert_eq!(sealed, DIMENSIONS);
}

fn commit(rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(&folder.path().join("ledger.sqlite"), false).unwrap();
    store.load().unwrap();
    for _ in 0..rounds {
        store.commit(&Batch { used: (0..64).map(used).collect(), records: Vec::new() }).unwrap();
    }
}

fn use_one(ledger: &mut Ledger, number: u64) {
    let used = used(number);
    ledger.admit_used(&used).unwrap();
    ledger.apply_used(&used);
}

/// The units of one tag set of one dimension.
fn used(number: u64) -> Used {
    let dimension = key(number % DIMENSIONS);
    let tags = Tags::new(vec![("team".into(), format!("team-{:03}", number / DIMENSIONS % TAG_SETS))]);
    let slot = SlotId { listing: "paid".into(), payer: Payer::Own, dimension, hour: Hour::of(NOW) };
    Used { slot, per: 1, component: "api".into(), tags, units: 1, late: 0, at: NOW }
}

fn key(number: u64) -> String {
    format!("dimension-{number:02}")
}

fn policy() -> Policy {
    Policy {
        listing: "paid".into(),
        product_code: "code".into(),
        sends: true,
        carry: false,
        zero_records: false,
        dimensions: (0..DIMENSIONS).map(|number| Rate { key: key(number), per: 1 }).collect(),
        warn_after_s: 3_600,
        stop_after_s: 14_400,
    }
}
