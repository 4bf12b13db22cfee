//! Why a command of `tollgate` stopped: what the user reads, and the exit code.

use std::fmt;
use std::process::ExitCode;

/// What kind of end it is; decides the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The command did its work and the answer is no: a check of the demo or of the doctor does not hold.
    Fails,
    /// The command could not do its work: a build failed, a port is taken, a program is missing.
    Broken,
    /// The user stopped it.
    Interrupted,
}

/// An error with all that its reader needs.
#[derive(Debug)]
pub struct Trouble {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed and where; may have several lines.
    pub what: String,
    /// The likely cause. Empty if `what` says it.
    pub cause: String,
    /// What to do next. Empty if `what` says it.
    pub next: String,
}

/// What the commands return.
pub type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    /// The command could not do its work.
    pub fn new(what: impl Into<String>, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind: Kind::Broken, what: what.into(), cause: cause.into(), next: next.into() }
    }

    /// The command did its work and the answer is no.
    pub fn fails(what: impl Into<String>, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind: Kind::Fails, ..Self::new(what, cause, next) }
    }

    /// The user pressed ctrl-c or sent SIGTERM.
    pub fn interrupted() -> Self {
        Self { kind: Kind::Interrupted, ..Self::new("interrupted; everything that was started is stopped", "", "") }
    }

    /// A file or folder that the machine would not give us.
    pub fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            format!("cannot {doing} {}: {error}", path.display()),
            "",
            "check that the path exists, that you may use it and that the disk is not full",
        )
    }

    /// The exit code of the process: 1 the answer is no, 3 the work could not be done, 130 interrupted.
    /// 2 is a wrong argument and belongs to clap; `lab-host` ends with the codes of the host.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Fails => 1,
            Kind::Broken => 3,
            Kind::Interrupted => 130,
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.what)?;
        for (label, words) in [("likely cause", &self.cause), ("next step", &self.next)] {
            if !words.is_empty() {
                writeln!(out, "{label}: {words}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Trouble {}

/// An error with its causes, in one line.
pub fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_cause_and_next_step() {
        let trouble = Trouble::new("no cargo", "Rust is not installed", "install it from https://rustup.rs");
        insta::assert_snapshot!(trouble, @r"
        no cargo
        likely cause: Rust is not installed
        next step: install it from https://rustup.rs
        ");
    }
}
