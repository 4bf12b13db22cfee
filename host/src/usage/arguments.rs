//! The arguments of `tollgate-host usage`.

use std::path::PathBuf;

use super::settlement::{Asked, Settlement};
use super::{Command, Of, What};
use crate::exit::{Exit, Why};

const USAGE: &str = "\
tollgate-host usage show [--json] | verify | export, each with --ledger DIR or --admin HOST:PORT
tollgate-host usage settle --ledger DIR --listing L --dimension D --hour 2026-11-21T09:00:00Z
    --billed | --not-billed --reason TEXT --event CLOUDTRAIL_EVENT_ID";

#[derive(Default)]
struct Options {
    ledger: Option<String>,
    admin: Option<String>,
    json: bool,
    listing: Option<String>,
    dimension: Option<String>,
    hour: Option<String>,
    billed: Option<bool>,
    reason: Option<String>,
    event: Option<String>,
}

pub(super) fn parse(args: &[String]) -> Result<Command, Exit> {
    let (word, args) = args.split_first().ok_or_else(|| wrong("usage: what should it do?".to_owned()))?;
    if !["show", "verify", "export", "settle"].contains(&word.as_str()) {
        return Err(wrong(format!("usage {word:?}: is not known")));
    }
    let options = Options::read(word, args).map_err(wrong)?;
    let of = options.of().map_err(wrong)?;
    let what = match word.as_str() {
        "show" => What::Show { json: options.json },
        "verify" => What::Verify,
        "export" => What::Export,
        _ if matches!(of, Of::Admin(_)) => {
            return Err(wrong(
                "settle: needs --ledger DIR: only who can read the folder may settle, also beside a running host"
                    .into(),
            ));
        }
        _ => What::Settle(options.settlement().map_err(wrong)?),
    };
    Ok(Command { what, of })
}

impl Options {
    fn read(word: &str, args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let settles = word == "settle";
            match name.as_str() {
                "--json" if word == "show" => options.json = true,
                "--billed" | "--not-billed" if settles => {
                    let billed = name == "--billed";
                    if options.billed.is_some_and(|before| before != billed) {
                        return Err("--billed and --not-billed: only one of them can be true".to_owned());
                    }
                    options.billed = Some(billed);
                }
                _ => {
                    let place =
                        options.place(name, settles).ok_or_else(|| format!("argument {name:?}: is not known"))?;
                    let value = args.next().filter(|value| !value.starts_with("--"));
                    let value = value.ok_or_else(|| format!("argument {name:?}: needs a value"))?;
                    if place.replace(value.clone()).is_some() {
                        return Err(format!("argument {name:?}: is given twice"));
                    }
                }
            }
        }
        Ok(options)
    }

    fn place(&mut self, name: &str, settles: bool) -> Option<&mut Option<String>> {
        Some(match name {
            "--ledger" => &mut self.ledger,
            "--admin" => &mut self.admin,
            "--listing" if settles => &mut self.listing,
            "--dimension" if settles => &mut self.dimension,
            "--hour" if settles => &mut self.hour,
            "--reason" if settles => &mut self.reason,
            "--event" if settles => &mut self.event,
            _ => return None,
        })
    }

    fn of(&self) -> Result<Of, String> {
        match (&self.ledger, &self.admin) {
            (Some(folder), None) => Ok(Of::Folder(PathBuf::from(folder))),
            (None, Some(address)) => {
                let parsed = address.replace("localhost", "127.0.0.1").parse();
                parsed
                    .map(Of::Admin)
                    .map_err(|_| format!("--admin: {address:?} is not an address such as 127.0.0.1:9080"))
            }
            (Some(_), Some(_)) => Err("--ledger and --admin: give one of them".to_owned()),
            (None, None) => Err("--ledger: needs the folder of a task or pod, below that of TOLLGATE_LEDGER; \
                                 or --admin: the admin port of a running host"
                .to_owned()),
        }
    }

    fn settlement(self) -> Result<Settlement, String> {
        let given = |name: &str, value: Option<String>| value.ok_or_else(|| format!("settle: needs --{name}"));
        let asked = Asked {
            listing: given("listing", self.listing)?,
            dimension: given("dimension", self.dimension)?,
            hour: given("hour", self.hour)?,
            billed: self.billed.ok_or("settle: needs --billed or --not-billed: does AWS hold the record?")?,
            reason: given("reason", self.reason)?,
            event: given("event", self.event)?,
        };
        Settlement::parse(asked)
    }
}

fn wrong(what: String) -> Exit {
    Exit::new(Why::Configuration, what, "", USAGE)
}
