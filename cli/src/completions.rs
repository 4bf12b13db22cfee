//! `tollgate completions SHELL`: a script for the shell, to stdout.

use clap::CommandFactory as _;

use crate::arguments::Arguments;
use crate::words;

/// Prints the completion script.
pub fn run(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tollgate", &mut script);
    words::raw(&script);
}
