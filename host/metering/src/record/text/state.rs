//! Text of the entries of a checkpoint, and of those between two ledgers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Fields, Line, TextError, buckets, escape, part_word, read_buckets};
use crate::hour::Hour;
use crate::ledger::{Balance, Checkpoint};
use crate::record::{HandedOver, Record};
use crate::slot::{Attempts, Life, Slot};
use crate::units::Buckets;

impl Line {
    pub(super) fn checkpoint(self, checkpoint: &Checkpoint) -> Self {
        let taken_through = checkpoint.taken_through.map(|hour| hour.to_string()).unwrap_or_default();
        let line = self
            .with("ledger", &checkpoint.ledger)
            .text("identity", &checkpoint.identity)
            .with("boots", &checkpoint.boots)
            .with("started_at", &checkpoint.started_at)
            .with("alive_at", &checkpoint.alive_at)
            .with("continuous_since", &checkpoint.continuous_since)
            .with("newest", &checkpoint.newest)
            .with("taken_through", &taken_through)
            .text("accepted_under", checkpoint.accepted_under.as_deref().unwrap_or_default());
        let adopted: Vec<String> = checkpoint.adopted.iter().map(|(from, number)| format!("{from}:{number}")).collect();
        let line = line.with("adopted", &adopted.join(",")).with("handed_over", &checkpoint.handed_over.len());
        checkpoint.handed_over.iter().fold(line, Self::handed_over)
    }

    pub(super) fn handed_over(self, handed: &HandedOver) -> Self {
        self.with("number", &handed.number)
            .with("to_ledger", &handed.to)
            .slot(&handed.slot)
            .with("part", part_word(handed.part))
            .with("per", &handed.per)
            .with("units", &buckets(&handed.units))
            .with("used_at", &handed.used_at)
    }

    /// A slot that is forgotten has nothing in any other place.
    pub(super) fn balance(self, balance: &Balance) -> Self {
        self.with("recorded", &balance.recorded)
            .with("carried_in", &balance.carried_in)
            .with("adopted", &balance.adopted)
            .with("acked", &balance.acked)
            .with("counted", &balance.counted)
            .with("carried_out", &balance.carried_out)
            .with("handed_over", &balance.handed_over)
            .with("expired", &balance.expired)
            .with("rejected", &balance.rejected)
    }

    /// What is zero or empty is left out: an archive has hundreds of thousands of them.
    /// What is open is not told: it is what the sums of usage and `brought` come to.
    pub(super) fn state(self, slot: &Slot) -> Self {
        let attempts = &slot.attempts;
        let line = self
            .with("life", slot.life.name())
            .some("detail", &escape(detail(&slot.life)))
            .with("per", &slot.per)
            .with("recorded", &slot.recorded)
            .some("late", &slot.late)
            .some("carried_in", &slot.carried_in)
            .some("adopted", &slot.adopted)
            .some("carried_out", &slot.carried_out)
            .some("handed_over", &slot.handed_over)
            .some("beyond", &slot.beyond)
            .some("brought", &buckets(&slot.brought))
            .some("remainder", &buckets(&slot.remainder))
            .with("last_at", &slot.last_at)
            .some("attempts", &attempts.count)
            .some("unknown", &attempts.unknown)
            .some("pending", &attempts.pending)
            .some("identity", &escape(&attempts.identity))
            .some("attempted_at", &attempts.at)
            .some("retry_at", &attempts.retry_at)
            .some("code", &escape(&attempts.code))
            .with("generation", &slot.generation);
        match &slot.request {
            Some(request) => line.request(request),
            None => line,
        }
    }
}

impl Fields<'_> {
    /// Entries of checkpoints and between ledgers.
    pub(super) fn record_of_state(&mut self, word: &str) -> Result<Record, TextError> {
        Ok(match word {
            "handed_over" => Record::HandedOver(self.handed_over()?.into()),
            "adopted" => Record::Adopted {
                from: self.number("from")?,
                number: self.number("number")?,
                slot: self.slot()?,
                per: self.number("per")?,
                units: self.buckets("units")?,
                used_at: self.number("used_at")?,
            },
            "checkpoint" => Record::Checkpoint(self.checkpoint()?.into()),
            "past" => Record::Past {
                listing: self.text("listing")?,
                dimension: self.text("dimension")?,
                balance: self.balance()?.into(),
            },
            "kept" => Record::Kept { slot: self.slot()?, state: self.state()?.into() },
            _ => return Err(TextError { expected: "a known word" }),
        })
    }

    pub(super) fn checkpoint(&mut self) -> Result<Checkpoint, TextError> {
        Ok(Checkpoint {
            ledger: self.number("ledger")?,
            identity: self.text("identity")?,
            boots: self.number("boots")?,
            started_at: self.number("started_at")?,
            alive_at: self.number("alive_at")?,
            continuous_since: self.number("continuous_since")?,
            newest: Hour(self.number("newest")?),
            taken_through: match self.raw("taken_through")? {
                "" => None,
                hour => Some(Hour(hour.parse().map_err(|_| TextError { expected: "taken_through" })?)),
            },
            accepted_under: Some(self.text("accepted_under")?).filter(|identity| !identity.is_empty()),
            adopted: self.adopted()?,
            handed_over: {
                let count: usize = self.number("handed_over")?;
                (0..count).map(|_| self.handed_over()).collect::<Result<_, _>>()?
            },
        })
    }

    fn adopted(&mut self) -> Result<Vec<(u64, u64)>, TextError> {
        let raw = self.raw("adopted")?;
        let pair = |pair: &str| {
            pair.split_once(':').and_then(|(from, number)| Some((from.parse().ok()?, number.parse().ok()?)))
        };
        let pairs = raw.split(',').filter(|_| !raw.is_empty());
        pairs.map(|text| pair(text).ok_or(TextError { expected: "adopted" })).collect()
    }

    pub(super) fn handed_over(&mut self) -> Result<HandedOver, TextError> {
        Ok(HandedOver {
            number: self.number("number")?,
            to: self.number("to_ledger")?,
            slot: self.slot()?,
            part: self.part()?,
            per: self.number("per")?,
            units: self.buckets("units")?,
            used_at: self.number("used_at")?,
        })
    }

    pub(super) fn balance(&mut self) -> Result<Balance, TextError> {
        Ok(Balance {
            recorded: self.number("recorded")?,
            carried_in: self.number("carried_in")?,
            adopted: self.number("adopted")?,
            acked: self.number("acked")?,
            counted: self.number("counted")?,
            carried_out: self.number("carried_out")?,
            handed_over: self.number("handed_over")?,
            expired: self.number("expired")?,
            rejected: self.number("rejected")?,
            ..Balance::default()
        })
    }

    pub(super) fn state(&mut self) -> Result<Slot, TextError> {
        let (word, text) = (String::from(self.raw("life")?), self.some_text("detail")?);
        let slot = Slot {
            life: life(&word, text).ok_or(TextError { expected: "life" })?,
            per: self.number("per")?,
            recorded: self.number("recorded")?,
            late: self.some("late")?,
            carried_in: self.some("carried_in")?,
            adopted: self.some("adopted")?,
            carried_out: self.some("carried_out")?,
            handed_over: self.some("handed_over")?,
            beyond: self.some("beyond")?,
            brought: read_buckets(self.raw_some("brought")).ok_or(TextError { expected: "brought" })?,
            remainder: read_buckets(self.raw_some("remainder")).ok_or(TextError { expected: "remainder" })?,
            last_at: self.number("last_at")?,
            attempts: Attempts {
                count: self.some("attempts")?,
                unknown: self.some("unknown")?,
                pending: self.some("pending")?,
                identity: self.some_text("identity")?,
                at: self.some("attempted_at")?,
                retry_at: self.some("retry_at")?,
                code: self.some_text("code")?,
            },
            generation: self.number("generation")?,
            open: Buckets::default(),
            request: None,
        };
        // The last fields are there if the request was written at all.
        let request = if slot.generation > 0 { Some(self.request()?) } else { None };
        Ok(Slot { request, ..slot })
    }
}

fn detail(life: &Life) -> &str {
    match life {
        Life::Acked { record_id } => record_id,
        Life::Rejected { code } => code,
        _ => "",
    }
}

fn life(word: &str, detail: String) -> Option<Life> {
    let plain = [
        Life::Open,
        Life::Counted,
        Life::Idle,
        Life::Sealed,
        Life::Attempted,
        Life::Conflict,
        Life::Expired,
        Life::InDoubt,
        Life::Moved,
        Life::HandedOver,
    ];
    match word {
        "acked" => Some(Life::Acked { record_id: detail }),
        "rejected" => Some(Life::Rejected { code: detail }),
        _ => plain.into_iter().find(|life| life.name() == word),
    }
}
