//! How fast requests are served, beside other servers in the same run: `script/bench`, or
//! `cargo bench --profile release --workspace --bench serving -- [CASE...] [--rounds N] [--seconds N] [--connections N]`.
//!
//! Load comes from `wrk` and `h2load` of Debian's packages, on the same machine, so only figures of one run compare.
//! Everything is measured in turns, round by round, so that a busy moment of the machine meets all of them. Never passes
//! or fails: what a machine reaches is not a property of the code.
//!
//! This program is also the servers that the host is compared with (`bare`, `native`), and the wrappers that take
//! `PAGEMAP_SCAN` from another program (`without-pagemap-scan`) or give it a slower disk (`slow-disk`), each as a process of
//! its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tollgate_cli::trouble::{Result, Trouble};

mod bare;
mod bare_later;
mod facts;
mod growth;
mod held;
mod lab;
mod later;
mod load;
mod native;
mod older_kernel;
mod overload;
mod peers;
mod pressure;
mod slow_disk;
mod table;
mod throughput;
mod thumbnails;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
    pub(crate) connections: usize,
    /// How long the host is overloaded.
    pub(crate) overload: Duration,
    /// Of the servers that are compared in throughput, those with this in their name.
    pub(crate) only: Option<String>,
    /// Another build of `host.rs`, such as that of an older commit, to be compared in throughput.
    pub(crate) beside: Option<PathBuf>,
}

const CASES: [&str; 7] = ["throughput", "later", "neighbour", "overload", "slow", "growth", "thumbnails"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["bare", address, component] => bare::serve(address, Path::new(component), 1, None),
        ["bare-later", address, component] => bare_later::serve(address, Path::new(component)),
        ["bare-copies", address, component, copies] => {
            bare::serve(address, Path::new(component), copies.parse().unwrap_or(1), None)
        }
        ["bare-held", address, component, file] => bare::serve(address, Path::new(component), 1, Some(Path::new(file))),
        ["native", address] => native::serve(address),
        [peers::SELF_AS_OLDER_KERNEL, program, rest @ ..] => older_kernel::run(program, rest),
        [slow_disk::SELF_AS_SLOW_DISK, program, rest @ ..] => slow_disk::run(program, rest),
        [slow_disk::SELF_AS_ITS_CLOCK, descriptor] => slow_disk::clock(descriptor),
        words => measure(words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            print_error(&trouble);
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[&str]) -> Result<()> {
    let (effort, cases) = asked(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::new(format!("cannot start: {error}"), "", ""))?;
    runtime.block_on(async {
        let lab = lab::Lab::start().await?;
        print(&facts::text(lab.disk()));
        for case in cases {
            print(&match case {
                "throughput" => throughput::measured(&lab, &effort).await?,
                "later" => later::measured(&lab, &effort).await?,
                "neighbour" => pressure::neighbour(&lab, &effort).await?,
                "slow" => pressure::slow(&lab).await?,
                "overload" => overload::measured(&lab, &effort).await?,
                "growth" => growth::measured(&lab, &effort).await?,
                _ => thumbnails::measured(&lab, &effort).await?,
            });
        }
        lab.stop().await;
        Ok(())
    })
}

fn asked<'a>(words: &[&'a str]) -> Result<(Effort, Vec<&'a str>)> {
    let (slice, overload) = (Duration::from_secs(4), Duration::from_secs(60));
    let mut effort = Effort { rounds: 5, slice, connections: 256, overload, only: None, beside: None };
    let mut cases = Vec::new();
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse::<u32>().ok()).filter(|&number| number > 0);
        let said = match word {
            "--rounds" => number().map(|number| effort.rounds = number as usize),
            "--seconds" => number().map(|number| effort.slice = Duration::from_secs(number.into())),
            "--connections" => number().map(|number| effort.connections = number as usize),
            "--overload" => number().map(|number| effort.overload = Duration::from_secs(number.into())),
            "--beside" => words.next().map(|file| effort.beside = Some(PathBuf::from(file))),
            "--only" => words.next().map(|name| effort.only = Some((*name).to_owned())),
            case if CASES.contains(&case) => {
                cases.push(case);
                Some(())
            }
            _ => None,
        };
        if said.is_none() {
            let usage = format!(
                "{} [--rounds N] [--seconds N] [--connections N] [--overload SECONDS] [--only NAME] [--beside HOST]",
                CASES.join(" ")
            );
            return Err(Trouble::new(format!("\"{word}\" is not understood"), "", format!("any of: {usage}")));
        }
    }
    Ok((effort, if cases.is_empty() { CASES.to_vec() } else { cases }))
}

#[expect(clippy::print_stdout, reason = "a benchmark is its output")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a benchmark is its output")]
fn print_error(trouble: &Trouble) {
    eprintln!("{trouble}");
}

/// What is under way: a whole run takes long.
#[expect(clippy::print_stderr, reason = "a benchmark is its output")]
pub(crate) fn progress(text: &str) {
    eprintln!("  {text}");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// For errors of the system that nothing can be done about here.
pub(crate) fn failed(what: &str, error: impl std::fmt::Display) -> Trouble {
    Trouble::new(format!("{what}: {error}"), "", "")
}
