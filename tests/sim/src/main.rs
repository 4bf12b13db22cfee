//! Runs seeds of the simulator and says what they found.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tollgate_sim::{Bug, Changes, Report, Setup, Size, run, shrink};

/// Runs of fewer seeds may leave something unexercised.
const SEEDS_FOR_ALL: u64 = 20_000;

/// Whole days of many pods against failing disks, networks and clocks.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Only this seed; if it fails, it is shrunk.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints what happened in the seed.
    #[arg(long)]
    story: bool,
    /// Plants a mistake, by its name.
    #[arg(long)]
    bug: Option<String>,
    /// Failing seeds that are named.
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// One pod for some hours instead of several for days.
    #[arg(long)]
    hours: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bug = arguments.bug.as_ref().and_then(|name| Bug::ALL.iter().find(|bug| format!("{bug:?}") == *name).copied());
    let size = if arguments.hours { Size::Hours } else { Size::Days };
    let setup = Setup { size, bug, story: false };
    let good = match arguments.seed {
        Some(seed) => one(seed, &setup, arguments.story),
        None => many(&arguments, &setup),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        // Nobody reads any more: that is no failure of the engine, and no success either.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn one(seed: u64, setup: &Setup, story: bool) -> io::Result<bool> {
    let outcome = run(seed, &Setup { story, ..*setup }, &Changes::default());
    let mut out = io::stdout().lock();
    write!(out, "{}", outcome.story.unwrap_or_default())?;
    let Some(shrunk) = shrink(seed, setup, &Changes::default()) else {
        writeln!(out, "seed {seed} holds, trace {:016x}", outcome.hash)?;
        return Ok(true);
    };
    writeln!(out, "seed {seed} fails: {}", outcome.failure.unwrap_or_default())?;
    writeln!(out, "the shortest story found in {} runs:", shrunk.runs)?;
    write!(out, "{}", shrunk.outcome.story.unwrap_or_default())?;
    writeln!(out, "=> {}", shrunk.outcome.failure.unwrap_or_default())?;
    Ok(false)
}

#[expect(clippy::disallowed_methods, reason = "the speed of the simulator is part of what it says")]
fn many(arguments: &Arguments, setup: &Setup) -> io::Result<bool> {
    let began = Instant::now();
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads = arguments.threads.max(1);
        let part = |number| {
            scope.spawn(move || {
                batch((arguments.from + number..arguments.from + arguments.seeds).step_by(step(threads)), setup)
            })
        };
        let running: Vec<_> = (0..threads).map(part).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut report = Report::default();
    let mut failures = Vec::new();
    for (part, failed) in parts {
        report.add(&part);
        failures.extend(failed);
    }
    failures.sort();
    let mut out = io::stdout().lock();
    write!(out, "{}", report.table())?;
    writeln!(
        out,
        "{} seeds, {} pod-hours, {} events in {seconds:.1} s on {} threads",
        report.seeds, report.pod_hours, report.events, arguments.threads
    )?;
    let per_second = |count: u64| format!("{:.0}", count_of(count) / seconds);
    writeln!(out, "{} seeds/s, {} pod-hours/s", per_second(report.seeds), per_second(report.pod_hours))?;
    writeln!(out, "{} units acknowledged, {} units billed", report.acknowledged, report.billed)?;
    let missing = if report.seeds >= SEEDS_FOR_ALL { report.missing() } else { Vec::new() };
    missing.iter().try_for_each(|name| writeln!(out, "never exercised: {name}"))?;
    failures.iter().take(arguments.show).try_for_each(|(seed, failure)| writeln!(out, "seed {seed}: {failure}"))?;
    writeln!(out, "{} seeds failed", failures.len())?;
    if let Some((seed, _)) = failures.first() {
        writeln!(out, "the shortest story of one: tollgate-sim --seed {seed}")?;
    }
    Ok(failures.is_empty() && missing.is_empty() && report.seeds == arguments.seeds)
}

fn batch(seeds: impl Iterator<Item = u64>, setup: &Setup) -> (Report, Vec<(u64, String)>) {
    let mut report = Report::default();
    let mut failures = Vec::new();
    for seed in seeds {
        let outcome = run(seed, setup, &Changes::default());
        report.add(&outcome.report);
        failures.extend(outcome.failure.map(|failure| (seed, failure)));
    }
    (report, failures)
}

fn step(threads: u64) -> usize {
    usize::try_from(threads).unwrap_or(1)
}

#[expect(clippy::cast_precision_loss, reason = "a speed for people")]
fn count_of(count: u64) -> f64 {
    count as f64
}
