//! `tollgate-host usage`: looks at a ledger that no host uses, as a file.

use std::path::{Path, PathBuf};

use crate::exit::{Exit, Why};
use crate::ledger;
use crate::meter::Row;

mod table;

const USAGE: &str = "tollgate-host usage show --ledger DIR [--json] | tollgate-host usage verify --ledger DIR";

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What is known of each hour and dimension.
    Show {
        /// The folder of one identity.
        ledger: PathBuf,
        /// As JSON instead of a table.
        json: bool,
    },
    /// Whether the ledger is as it was written.
    Verify {
        /// The folder of one identity.
        ledger: PathBuf,
    },
}

impl Command {
    /// What the arguments after `usage` say.
    ///
    /// # Errors
    /// The operator's words.
    pub fn parse(args: &[String]) -> Result<Self, Exit> {
        let wrong = |what: String| Exit::new(Why::Configuration, what, "", USAGE);
        let (word, options) = args.split_first().ok_or_else(|| wrong("usage: what should it do?".to_owned()))?;
        let (mut ledger, mut json) = (None, false);
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match option.as_str() {
                "--ledger" => ledger = options.next().map(PathBuf::from),
                "--json" if word == "show" => json = true,
                _ => return Err(wrong(format!("argument {option:?}: is not known"))),
            }
        }
        let ledger =
            ledger.ok_or_else(|| wrong("argument \"--ledger\": needs the folder of a task or pod".to_owned()))?;
        match word.as_str() {
            "show" => Ok(Self::Show { ledger, json }),
            "verify" => Ok(Self::Verify { ledger }),
            _ => Err(wrong(format!("usage {word:?}: is not known"))),
        }
    }

    /// Does it; the text is for stdout.
    ///
    /// # Errors
    /// The ledger is damaged (exit 73) or in use (exit 75).
    pub fn run(&self) -> Result<String, Exit> {
        match self {
            Self::Show { ledger, json } => show(ledger, *json),
            Self::Verify { ledger } => verify(ledger),
        }
    }
}

fn show(folder: &Path, json: bool) -> Result<String, Exit> {
    let ledger = ledger::inspect(folder).map_err(|error| error.exit())?;
    let rows: Vec<Row> = ledger.slots().map(|(id, slot)| Row::of(id, slot)).collect();
    if json {
        let text = serde_json::to_string_pretty(&rows).map_err(|error| Exit::internal(&anyhow::Error::new(error)))?;
        return Ok(text + "\n");
    }
    Ok(table::of(&rows))
}

fn verify(folder: &Path) -> Result<String, Exit> {
    let ledger = ledger::inspect(folder).map_err(|error| error.exit())?;
    let sum = ledger.balance();
    let billed = [("acked", sum.acked), ("in doubt", sum.in_doubt), ("conflict", sum.conflict)];
    let billed: Vec<String> = billed.iter().map(|(name, units)| format!("{name} {units}")).collect();
    let identity = ledger.identity();
    Ok(format!("{identity}: the ledger is whole; recorded {}, {}\n", sum.recorded, billed.join(", ")))
}

#[cfg(test)]
mod tests;
