//! What a person found out about an hour of which no machine could know.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollgate_metering::{Hour, Ledger, Life, Payer, Record, SlotId};

use crate::exit::{Exit, Why};

/// A reason is for people, not for documents.
const REASON_BYTES_MAX: usize = 2_000;

/// A settlement as it is asked for, on the command line or at the admin port.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The id of the listing.
    pub listing: String,
    /// The key of the dimension.
    pub dimension: String,
    /// The start of the hour, RFC 3339.
    pub hour: String,
    /// True: AWS holds the record. False: it does not.
    pub billed: bool,
    /// Why, in the words of who settles.
    pub reason: String,
    /// `eventID` of the event in CloudTrail that shows it.
    pub event: String,
}

/// A settlement that can be one: which hour, what is true of it, why, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    slot: SlotId,
    billed: bool,
    reason: String,
    event: String,
}

/// Why a settlement does not fit the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing was used then.
    #[error("{0}: the ledger has no such hour")]
    NoSuchHour(String),
    /// Its outcome is known, or may still become known.
    #[error("{hour}: is {state}, neither in doubt nor in conflict")]
    NotInDoubt {
        /// Listing, dimension, hour.
        hour: String,
        /// The state that it is in.
        state: &'static str,
    },
}

impl Settlement {
    /// What was asked, checked.
    ///
    /// # Errors
    /// What cannot be so.
    pub fn parse(asked: Asked) -> Result<Self, String> {
        let Asked { listing, dimension, hour, billed, reason, event } = asked;
        let reason = reason.trim().to_owned();
        if reason.is_empty() {
            return Err("reason: is empty; the next reader of the ledger wants to know what you saw".to_owned());
        }
        if reason.len() > REASON_BYTES_MAX {
            return Err(format!("reason: has {} bytes, at most {REASON_BYTES_MAX} are kept", reason.len()));
        }
        if !is_event_id(&event) {
            let such =
                "such as 8f2f6a5c-3c1d-4b7e-9a57-0f6d0a4c8b12, the `eventID` of the MeterUsage call in CloudTrail";
            return Err(format!("event: {event:?} is not an event id {such}"));
        }
        let slot = SlotId { listing, payer: Payer::Own, dimension, hour: hour_of(&hour)? };
        Ok(Self { slot, billed, reason, event: event.to_ascii_lowercase() })
    }

    /// The entry that settles it.
    ///
    /// # Errors
    /// [`Refused`]: it does not fit the ledger.
    pub fn record(&self, ledger: &Ledger, at: u64) -> Result<Record, Refused> {
        let slot = ledger.slot(&self.slot).ok_or_else(|| Refused::NoSuchHour(self.name()))?;
        if !matches!(slot.life, Life::InDoubt | Life::Conflict) {
            return Err(Refused::NotInDoubt { hour: self.name(), state: slot.life.name() });
        }
        let (slot, billed, reason, evidence) =
            (self.slot.clone(), self.billed, self.reason.clone(), self.event.clone());
        Ok(Record::Settled { slot, billed, evidence, reason, at })
    }

    /// The same as it was asked for.
    pub fn asked(&self) -> Asked {
        Asked {
            listing: self.slot.listing.clone(),
            dimension: self.slot.dimension.clone(),
            hour: rfc3339(self.slot.hour),
            billed: self.billed,
            reason: self.reason.clone(),
            event: self.event.clone(),
        }
    }

    /// What to tell who asked.
    pub fn done(&self) -> String {
        let how =
            if self.billed { "billed: its units count as acked" } else { "not billed: its units count as expired" };
        format!("{}: settled as {how}\n", self.name())
    }

    fn name(&self) -> String {
        format!("{} {} under {}", rfc3339(self.slot.hour), self.slot.dimension, self.slot.listing)
    }
}

impl Refused {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        let cause = match self {
            Self::NoSuchHour(_) => "a typing error, another task's ledger, or an hour that is over and forgotten",
            Self::NotInDoubt { .. } => "it was settled before, or AWS's answer is known or still awaited",
        };
        Exit::new(Why::Configuration, self.to_string(), cause, "see `tollgate-host usage show` for the hours there are")
    }
}

/// The start of an hour, as `show` writes it.
pub(super) fn rfc3339(hour: Hour) -> String {
    let start = i64::try_from(hour.start()).ok().and_then(|start| Timestamp::from_second(start).ok());
    start.map_or_else(|| hour.to_string(), |start| start.to_string())
}

fn hour_of(text: &str) -> Result<Hour, String> {
    let such = "the start of an hour such as 2026-11-21T09:00:00Z";
    let at: Timestamp = text.parse().map_err(|_| format!("hour: {text:?} is not {such}"))?;
    let second = u64::try_from(at.as_second()).map_err(|_| format!("hour: {text:?} is before 1970"))?;
    let hour = Hour::of(second);
    if hour.start() != second || at.subsec_nanosecond() != 0 {
        return Err(format!("hour: {text:?} is not {such}"));
    }
    Ok(hour)
}

/// CloudTrail gives every event a GUID (its user guide, "record contents": `eventID`).
fn is_event_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
