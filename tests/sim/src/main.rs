//! Runs seeds of the simulator and says what they found.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use tollgate_sim::{Bug, Changes, Report, Setup, Size, run, shrink};

/// Runs of fewer seeds may leave something unexercised.
const SEEDS_FOR_ALL: u64 = 5_000;
/// Progress is told so often.
const SEEDS_A_LINE: u64 = 50_000;
/// Seeds that a thread takes at once.
const SEEDS_AT_ONCE: u64 = 64;

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
    /// No new seeds after so many minutes: what was run until then is summed up.
    #[arg(long)]
    minutes: Option<u64>,
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
    /// One or two pods for some hours instead of up to three for days.
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

/// What the threads of a batch share.
#[derive(Debug)]
struct Batch {
    setup: Setup,
    next: AtomicU64,
    end: u64,
    began: Instant,
    seconds: Option<u64>,
}

impl Batch {
    /// Seeds that nobody has taken yet; empty at the end.
    fn take(&self) -> std::ops::Range<u64> {
        let over = self.seconds.is_some_and(|seconds| self.began.elapsed().as_secs() >= seconds);
        if over {
            return 0..0;
        }
        let first = self.next.fetch_add(SEEDS_AT_ONCE, Ordering::Relaxed);
        first.min(self.end)..(first + SEEDS_AT_ONCE).min(self.end)
    }

    fn work(&self) -> (Report, Vec<(u64, String)>) {
        let mut report = Report::default();
        let mut failures = Vec::new();
        loop {
            let seeds = self.take();
            if seeds.is_empty() {
                return (report, failures);
            }
            for seed in seeds {
                let outcome = run(seed, &self.setup, &Changes::default());
                report.add(&outcome.report);
                if let Some(failure) = outcome.failure {
                    // Told at once: a long run need not be waited for.
                    drop(writeln!(io::stdout(), "seed {seed}: {failure}"));
                    failures.push((seed, failure));
                }
                if (seed + 1).is_multiple_of(SEEDS_A_LINE) {
                    drop(writeln!(io::stdout(), "seed {seed} after {} s", self.began.elapsed().as_secs()));
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the speed of the simulator is part of what it says")]
fn many(arguments: &Arguments, setup: &Setup) -> io::Result<bool> {
    let batch = Batch {
        setup: *setup,
        next: AtomicU64::new(arguments.from),
        end: arguments.from + arguments.seeds,
        began: Instant::now(),
        seconds: arguments.minutes.map(|minutes| minutes * 60),
    };
    let threads = arguments.threads.max(1);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| batch.work())).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let seconds = batch.began.elapsed().as_secs_f64();
    let mut report = Report::default();
    let mut failures = Vec::new();
    for (part, failed) in parts {
        report.add(&part);
        failures.extend(failed);
    }
    failures.sort();
    let missing = if report.seeds >= SEEDS_FOR_ALL { report.missing() } else { Vec::new() };
    summary(&report, seconds, threads)?;
    let mut out = io::stdout().lock();
    missing.iter().try_for_each(|name| writeln!(out, "never exercised: {name}"))?;
    failures.iter().take(arguments.show).try_for_each(|(seed, failure)| writeln!(out, "seed {seed}: {failure}"))?;
    writeln!(out, "{} seeds failed", failures.len())?;
    if let Some((seed, _)) = failures.first() {
        writeln!(out, "the shortest story of one: tollgate-sim --seed {seed}")?;
    }
    let whole = arguments.minutes.is_some() || report.seeds == arguments.seeds;
    Ok(failures.is_empty() && missing.is_empty() && whole)
}

fn summary(report: &Report, seconds: f64, threads: u64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{}", report.table())?;
    let (seeds, hours) = (report.seeds, report.pod_hours);
    writeln!(out, "{seeds} seeds, {hours} pod-hours, {} events in {seconds:.1} s on {threads} threads", report.events)?;
    writeln!(out, "the shortest seed: {} pod-hours", report.shortest)?;
    let per_second = |count: u64| count_of(count) / seconds;
    writeln!(out, "{:.0} seeds/s, {:.0} pod-hours/s", per_second(seeds), per_second(hours))?;
    let cpu = cpu_seconds();
    let per_core = |count: u64| count_of(count) / cpu;
    writeln!(
        out,
        "{cpu:.0} s of cores: {:.0} seeds, {:.0} pod-hours a second of a core",
        per_core(seeds),
        per_core(hours)
    )?;
    writeln!(out, "{} units acknowledged, {} units billed", report.acknowledged, report.billed)?;
    writeln!(out, "{} units billed twice in the documented ways", report.billed_twice())
}

/// What this process has used of all cores: on a machine that does other things as well, time says little.
fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    count_of(spent.tv_sec.unsigned_abs()) + count_of(spent.tv_nsec.unsigned_abs()) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a speed for people")]
fn count_of(count: u64) -> f64 {
    count as f64
}
