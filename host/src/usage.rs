//! `tollgate-host usage`: looks at a ledger and closes what only a person can. Beside a running host, through its admin
//! port; else as a file.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tollgate_metering::Ledger;

use crate::clock::Clock;
use crate::exit::{Exit, Why};
use crate::ledger::{self, OpenError, Other};
use crate::meter::{Row, Total};

mod access;
mod arguments;
mod export;
mod remote;
mod settlement;
mod table;

pub use access::Access;
pub use export::export;
pub(crate) use remote::TOKEN;
pub use settlement::{Asked, Refused, Settlement};

/// What was asked, and of which ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What to do.
    pub what: What,
    /// Where the ledger is.
    pub of: Of,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// The folder of one identity. If a host runs on it, that host is asked.
    Folder(PathBuf),
    /// The admin port of a running host.
    Admin(SocketAddr),
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What is known of each hour and dimension.
    Show {
        /// As JSON instead of a table.
        json: bool,
    },
    /// Whether the ledger is as it was written.
    Verify,
    /// Everything, for an auditor.
    Export,
    /// Closes an hour that is in doubt or in conflict.
    Settle(Settlement),
}

impl Command {
    /// What the arguments after `usage` say.
    ///
    /// # Errors
    /// The operator's words.
    pub fn parse(args: &[String]) -> Result<Self, Exit> {
        arguments::parse(args)
    }

    /// Does it; the answer goes to `out`.
    ///
    /// # Errors
    /// The ledger is damaged (exit 73) or in use by a host that does not answer (exit 75), or the question does not fit it
    /// (exit 64).
    pub fn run(&self, out: &mut dyn Write) -> Result<(), Exit> {
        match &self.of {
            Of::Admin(address) => remote::ask(*address, None, &self.what, out),
            Of::Folder(folder) => match self.on(folder, out) {
                Err(Failed::Open(OpenError::Locked(_))) => self.beside(folder, out),
                Err(Failed::Open(error)) => Err(error.exit()),
                Err(Failed::Exit(exit)) => Err(exit),
                Ok(()) => Ok(()),
            },
        }
    }

    /// A host has the ledger: it says where it answers.
    fn beside(&self, folder: &Path, out: &mut dyn Write) -> Result<(), Exit> {
        match Access::read(folder) {
            Some(Access { address, token }) => remote::ask(address, Some(token.as_str()), &self.what, out),
            None => Err(Exit::new(
                Why::Locked,
                format!("{} is in use by a host", folder.display()),
                "the host does not say in the file `admin` there where it answers, or that file is not for this user",
                "ask its admin port: tollgate-host usage show --admin HOST:PORT; or stop the host",
            )),
        }
    }

    fn on(&self, folder: &Path, out: &mut dyn Write) -> Result<(), Failed> {
        match &self.what {
            What::Show { json } => {
                let ledger = ledger::inspect(folder)?;
                let text = if *json { json_of(&ledger) } else { Ok(show(&ledger)) };
                Ok(put(out, &text?)?)
            }
            What::Verify => Ok(put(out, &verified(&ledger::inspect(folder)?))?),
            What::Export => {
                let mut held = Other::unread(folder)?;
                let image = held.image()?;
                match export(&image, &mut |after| held.archived(after), out) {
                    Ok(None) => Ok(()),
                    // The rows are worth having all the same.
                    Ok(Some(problem)) => Err(damaged(folder, &problem).into()),
                    Err(error) => Ok(written(Err(error))?),
                }
            }
            What::Settle(settlement) => {
                let mut held = Other::hold(folder)?;
                let at = Clock::system().now_ms() / 1_000;
                let record = settlement.record(&held.ledger, at).map_err(|refused| refused.exit())?;
                held.write(vec![record]).map_err(|problem| Exit::new(Why::Ledger, problem, "", ""))?;
                Ok(put(out, &settlement.done())?)
            }
        }
    }
}

/// Why a file could not be asked.
enum Failed {
    Open(OpenError),
    Exit(Exit),
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<Exit> for Failed {
    fn from(exit: Exit) -> Self {
        Self::Exit(exit)
    }
}

/// Rows and sums as a table.
pub fn show(ledger: &Ledger) -> String {
    let rows: Vec<Row> = ledger.slots().map(|(id, slot)| Row::of(id, slot)).collect();
    table(&rows, &Total::all(ledger, |_, _| 0))
}

/// The same, of rows and sums that are there.
pub fn table(rows: &[Row], totals: &[Total]) -> String {
    table::of(rows, totals)
}

/// What `verify` says of a ledger that is whole.
pub fn verified(ledger: &Ledger) -> String {
    let sum = ledger.balance();
    let billed = [("acked", sum.acked), ("in doubt", sum.in_doubt), ("conflict", sum.conflict)];
    let billed: Vec<String> = billed.iter().map(|(name, units)| format!("{name} {units}")).collect();
    let identity = ledger.identity();
    format!("{identity}: the ledger is whole; recorded {}, {}\n", sum.recorded, billed.join(", "))
}

/// The part of a running host's `/usage` that is in the ledger alone.
fn json_of(ledger: &Ledger) -> Result<String, Exit> {
    #[derive(Serialize)]
    struct Shown {
        identity: String,
        rows: Vec<Row>,
        totals: Vec<Total>,
    }
    let rows = ledger.slots().map(|(id, slot)| Row::of(id, slot)).collect();
    let shown = Shown { identity: ledger.identity().to_owned(), rows, totals: Total::all(ledger, |_, _| 0) };
    let text = serde_json::to_string_pretty(&shown).map_err(|error| Exit::internal(&anyhow::Error::new(error)))?;
    Ok(text + "\n")
}

fn damaged(folder: &Path, problem: &str) -> Exit {
    OpenError::Damaged { path: folder.to_owned(), problem: problem.to_owned() }.exit()
}

fn put(out: &mut dyn Write, text: &str) -> Result<(), Exit> {
    written(out.write_all(text.as_bytes()))
}

/// Who reads only the beginning has what they wanted.
fn written(written: std::io::Result<()>) -> Result<(), Exit> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Exit::new(Why::Internal, format!("cannot write the answer: {error}"), "", ""))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
