//! Reads an access log on standard input and prints a report, paid by the line.
//!
//! `log-report [--top N]` takes the common and the combined log format. A line that is neither is counted as unreadable, and is free.

mod report;

use std::io::{self, BufRead};
use std::process::ExitCode;

use report::Report;
use tollgate::Dimension;

static LINES: Dimension = Dimension::new("lines");

/// One line of a log; what is longer is somebody's attack or no log, and is cut.
const LINE_BYTES_MAX: u64 = 64 * 1024;

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("log-report: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// How many rows of each table to print.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<usize, String> {
    let mut top = 5;
    while let Some(word) = words.next() {
        match (word.as_str(), words.next().map(|value| value.parse())) {
            ("--top", Some(Ok(value))) => top = value,
            _ => return Err("usage: log-report [--top N] < access.log".to_owned()),
        }
    }
    Ok(top)
}

fn run(top: usize) -> Result<(), String> {
    let report = read(io::stdin().lock()).map_err(|error| format!("standard input: {error}"))?;
    // Counted once, when the work is done and before it is delivered: a report that is refused is neither paid for nor printed, and
    // so is one that never came to its end.
    LINES.add(report.lines()).map_err(|error| format!("no report: {error}"))?;
    print!("{}", report.text(top));
    Ok(())
}

fn read(mut log: impl BufRead) -> io::Result<Report> {
    let mut report = Report::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut part = io::Read::take(&mut log, LINE_BYTES_MAX);
        if part.read_until(b'\n', &mut line)? == 0 {
            return Ok(report);
        }
        report.take(&String::from_utf8_lossy(&line));
    }
}
