//! What the process gives up before it reads anything: rights it does not need, traces of what is secret, and going on
//! after a fault.
//!
//! Each measure stands for itself. Where a kernel refuses one, the host runs without it and says so in the log: a sandbox
//! around it (gVisor, an old Fargate platform) may refuse what it does itself.
//! [docs/operating.md](https://github.com/tollgate/tollgate/blob/main/docs/operating.md) says what an operator sees of it.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::exit;

mod calls;
mod filter;

/// What shows that [`harden`] was called; [`crate::app::run`] wants it.
#[derive(Debug)]
pub struct Hardened {
    refused: Vec<Refused>,
}

/// A measure that this kernel does not take.
#[derive(Debug)]
struct Refused {
    measure: &'static str,
    error: String,
}

type Measure = (&'static str, fn() -> Result<(), String>);

/// In this order: seccomp comes last, because it also refuses the calls of the others.
const MEASURES: [Measure; 5] = [
    // A program that is set-uid would gain nothing, if there were one; seccomp asks for it.
    ("no new privileges", || rustix::thread::set_no_new_privs(true).map_err(words)),
    ("no core files", no_core),
    // Neither a core handler, nor a debugger or `/proc/PID/mem` for other processes of the same user.
    ("no dumps", || rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(words)),
    ("seccomp: the end at hostile calls", || apply(filter::hostile())),
    ("seccomp: only calls that are needed", || apply(filter::needed())),
];

/// Takes every measure for this process, all of its threads and all to come.
///
/// Call it first in `main`: what happens before it is not covered, and memory that was secret before it can be read.
pub fn harden() -> Hardened {
    exit::end_on_panic();
    // It belongs to root as soon as there are no dumps, and an open one stays open.
    tollgate_runtime::engine::open_pagemap();
    let take = |(measure, take): &Measure| take().err().map(|error| Refused { measure, error });
    Hardened { refused: MEASURES.iter().filter_map(take).collect() }
}

impl Hardened {
    /// Names what the kernel refused, in the log.
    pub(crate) fn log(&self) {
        for Refused { measure, error } in &self.refused {
            tracing::warn!(measure, error, "the kernel refuses a measure of hardening; the host runs without it");
        }
    }
}

/// The limit alone is not enough: a handler that the kernel pipes cores to gets them whatever it says.
fn no_core() -> Result<(), String> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(words)
}

fn apply(program: Result<seccompiler::BpfProgram, seccompiler::BackendError>) -> Result<(), String> {
    let program = program.map_err(|error| error.to_string())?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())
}

fn words(error: rustix::io::Errno) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
