//! A command that does, by its arguments, whatever a test of the host needs: each word is a step, with its operands behind it.
//! The steps are in tests/guests/README.md.

use std::hint::black_box;
use std::io::{self, BufRead};
use std::process::ExitCode;

use tollgate::{Dimension, Tags};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    while let Some(step) = words.next() {
        let mut word = || words.next().unwrap_or_else(|| panic!("{step} needs another word"));
        match step.as_str() {
            "add" => println!("{}", said(dimension(word()).add(number(&word())))),
            "tagged" => {
                let (dimension, units, pairs) = (dimension(word()), number(&word()), word());
                println!("{}", tagged(dimension, units, &pairs));
            }
            "commit" => println!("{}", said(tollgate::commit())),
            "grant" => println!("{:?}", tollgate::grant()),
            "standing" => println!("{:?}", tollgate::standing()),
            "attest" => println!("{}", tollgate::attest(&word()).unwrap_or_else(|error| error.to_string())),
            "read" => println!("{}", read(dimension(word()))),
            "line" => println!("{}", line()),
            "print" => println!("{}", word()),
            "eprint" => eprintln!("{}", word()),
            "env" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
            "exit" => return ExitCode::from(word().parse::<u8>().expect("an exit code")),
            "trap" => std::process::abort(),
            "panic" => panic!("the guest panics as asked"),
            "loop" => spin(),
            other => panic!("no step {other}"),
        }
    }
    ExitCode::SUCCESS
}

/// The SDK wants a `'static` key, as products have it.
fn dimension(key: String) -> &'static Dimension {
    Box::leak(Box::new(Dimension::new(key.leak())))
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn tagged(dimension: &Dimension, units: u64, pairs: &str) -> String {
    let pairs = pairs.split(',').map(|pair| pair.split_once('=').expect("KEY=VALUE"));
    match Tags::new(pairs) {
        Ok(tags) => said(dimension.add_tagged(tags, units)),
        Err(error) => error.to_string(),
    }
}

/// Counts one unit a line of the standard input.
fn read(dimension: &Dimension) -> String {
    let mut lines = 0;
    for line in io::stdin().lock().lines() {
        line.expect("text on the standard input");
        if let Err(error) = dimension.add(1) {
            return format!("{lines} lines, then: {error}");
        }
        lines += 1;
    }
    format!("{lines} lines")
}

/// Waits for one line, so that a test decides how long this guest lives.
fn line() -> String {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).expect("text on the standard input");
    line.trim_end().to_owned()
}

fn said<E: std::fmt::Display>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "done".to_owned())
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
