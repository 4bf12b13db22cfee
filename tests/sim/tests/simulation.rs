//! The fixed part of the simulation, and the proof that it would find something.
#![expect(clippy::unwrap_used, reason = "in a test, the panic is the report")]

use tollgate_sim::{Bug, Changes, Outcome, Report, Setup, Size, run, shrink};

/// Days of several pods, all of them different.
const DAYS: u64 = 2_500;
/// Hours of one pod: with the days 20 000 seeds.
const HOURS: u64 = 17_500;
/// A planted bug has to be found within so many seeds.
const SEEDS_FOR_A_BUG: u64 = 2_000;
/// Traces of which every step is tried.
const TRACES: u64 = 200;

fn hold(seeds: std::ops::Range<u64>, size: Size) -> Report {
    let setup = Setup { size, ..Setup::default() };
    let part = |first: u64| {
        let mut report = Report::default();
        for seed in (seeds.start + first..seeds.end).step_by(2) {
            let outcome = run(seed, &setup, &Changes::default());
            assert_eq!(outcome.failure, None, "{}", story(seed, &setup, &Changes::default()));
            report.add(&outcome.report);
        }
        report
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        let mut report = part(0);
        report.add(&other.join().unwrap());
        report
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
    let mut report = hold(0..DAYS, Size::Days);
    assert!(report.pod_hours >= 48 * DAYS);
    report.add(&hold(0..HOURS, Size::Hours));
    assert_eq!(report.missing(), Vec::<String>::new(), "never exercised:\n{}", report.table());
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..3_000).step_by(100) {
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
    let part = |first: u64| {
        for seed in (1_000_000 + first..1_000_000 + TRACES).step_by(2) {
            let steps = run(seed, &setup, &Changes::default()).steps;
            for step in 0..steps {
                let changes = Changes { crash_at: Some(step), ..Changes::default() };
                let outcome = run(seed, &setup, &changes);
                assert_eq!(outcome.failure, None, "step {step}, {}", story(seed, &setup, &changes));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| part(1));
        part(0);
    });
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
