//! The fixed part of the simulation, and the proof that it would find something.
#![expect(clippy::unwrap_used, reason = "in a test, the panic is the report")]

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_sim::{Bug, Changes, Outcome, Report, Setup, Size, run, run_with_each_crash, shrink};

/// Each at least 48 pod-hours, and all of them different.
const SEEDS: u64 = 20_000;
/// A planted bug has to be found within so many seeds.
const SEEDS_FOR_A_BUG: u64 = 10_000;
/// Traces of which every step is tried.
const TRACES: u64 = 200;

/// Does something for each number, on two threads.
fn on_two_threads<T: Send>(
    numbers: std::ops::Range<u64>,
    work: impl Fn(&mut dyn Iterator<Item = u64>) -> T + Sync,
) -> [T; 2] {
    let next = AtomicU64::new(numbers.start);
    let part = || {
        let mut taken = std::iter::from_fn(|| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            (number < numbers.end).then_some(number)
        });
        work(&mut taken)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(part);
        let own = part();
        [own, other.join().unwrap()]
    })
}

fn story(seed: u64, setup: &Setup, changes: &Changes) -> String {
    let shrunk = shrink(seed, setup, changes).unwrap();
    format!("seed {seed}, in short:\n{}=> {:?}", shrunk.outcome.story.unwrap_or_default(), shrunk.outcome.failure)
}

fn first_found(bug: Bug) -> Option<Outcome> {
    let setup = Setup { bug: Some(bug), ..Setup::default() };
    (0..SEEDS_FOR_A_BUG).map(|seed| run(seed, &setup, &Changes::default())).find(|outcome| outcome.failure.is_some())
}

#[test]
fn whatever_goes_wrong_nothing_is_billed_twice_and_nothing_is_lost_without_a_name() {
    let setup = Setup::default();
    let reports = on_two_threads(0..SEEDS, |seeds| {
        let mut report = Report::default();
        for seed in seeds {
            let outcome = run(seed, &setup, &Changes::default());
            assert_eq!(outcome.failure, None, "{}", story(seed, &setup, &Changes::default()));
            report.add(&outcome.report);
        }
        report
    });
    let mut report = Report::default();
    reports.iter().for_each(|part| report.add(part));
    assert_eq!(report.seeds, SEEDS);
    assert!(report.shortest >= 48, "a seed has {} pod-hours", report.shortest);
    assert_eq!(report.missing(), Vec::<String>::new(), "never exercised:\n{}", report.table());
}

/// Of a million seeds, those that the fixed part of this test does not reach and that once failed.
#[test]
fn what_failed_once_holds() {
    for seed in [316_387, 373_324, 516_015, 523_342, 798_151] {
        let outcome = run(seed, &Setup::default(), &Changes::default());
        assert_eq!(outcome.failure, None, "{}", story(seed, &Setup::default(), &Changes::default()));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..1_000).step_by(50) {
        let twice = [0, 1].map(|_| run(seed, &Setup::default(), &Changes::default()));
        assert_eq!(twice[0].hash, twice[1].hash, "seed {seed}");
        let told = run(seed, &Setup { story: true, ..Setup::default() }, &Changes::default());
        assert_eq!(told.hash, twice[0].hash, "the story of seed {seed} is another");
    }
    let hashes: std::collections::BTreeSet<u64> =
        (0..50).map(|seed| run(seed, &Setup::default(), &Changes::default()).hash).collect();
    assert_eq!(hashes.len(), 50);
}

/// Not a sample: of each trace, a crash at every step of store and network, one run for each.
#[test]
fn a_crash_at_any_step_of_two_hundred_traces_does_no_harm() {
    let setup = Setup { size: Size::Hours, ..Setup::default() };
    let steps = on_two_threads(1_000_000..1_000_000 + TRACES, |seeds| {
        let mut steps = 0;
        for seed in seeds {
            let (tried, failed) = run_with_each_crash(seed, &setup);
            steps += tried;
            if let Some((step, _)) = failed {
                let changes = Changes { crash_at: Some(step), ..Changes::default() };
                panic!("step {step}, {}", story(seed, &setup, &changes));
            }
        }
        steps
    });
    assert!(steps.iter().sum::<u64>() > 100 * TRACES, "{steps:?}");
}

#[test]
fn the_canary_fails_at_once() {
    let canary = Setup { bug: Some(Bug::Canary), ..Setup::default() };
    assert!((0..3).any(|seed| run(seed, &canary, &Changes::default()).failure.is_some()));
}

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<Bug> = Bug::ALL.iter().copied().filter(|&bug| first_found(bug).is_none()).collect();
    assert_eq!(missed, Vec::<Bug>::new());
}

#[test]
fn a_failing_seed_becomes_a_short_story() {
    let outcome = first_found(Bug::KeepOldIdentity).unwrap();
    let setup = Setup { bug: Some(Bug::KeepOldIdentity), ..Setup::default() };
    let shrunk = shrink(outcome.seed, &setup, &Changes::default()).unwrap();
    assert!(shrunk.outcome.failure.is_some());
    assert!(shrunk.outcome.struck.len() < outcome.struck.len().max(2), "{:?}", shrunk.outcome.struck);
}
