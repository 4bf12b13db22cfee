//! One line of text for each record: what the chain hashes and an auditor reads.
//!
//! A word and then `name=value` in a fixed order. Reading is strict, so that one record has exactly one text.

mod state;

use alloc::format;
use alloc::string::{String, ToString};

use super::words::{buckets, escape, read_buckets, unescape};
use super::{Close, End, Part, Record};
use crate::allocation::Allocation;
use crate::hour::Hour;
use crate::slot::{Form, Payer, Request, SlotId};
use crate::units::{Buckets, Tags};

/// A line is not a record of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// What was expected.
    pub expected: &'static str,
}

impl core::fmt::Display for TextError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "not a ledger entry of this version: expected {}", self.expected)
    }
}

impl core::error::Error for TextError {}

impl Record {
    /// The line, without a line end.
    pub fn to_text(&self) -> String {
        match self {
            Self::Created { at, ledger } => Line::new("created").with("at", at).with("ledger", ledger),
            Self::Started { at, identity, boot, first_hour_taken } => Line::new("started")
                .with("at", at)
                .text("identity", identity)
                .with("boot", boot)
                .with("first_hour_taken", first_hour_taken),
            Self::Granted { at, listing, provisional } => {
                Line::new("granted").with("at", at).text("listing", listing).with("provisional", provisional)
            }
            Self::Heartbeat { at } => Line::new("heartbeat").with("at", at),
            Self::Sealed { slot, request, per, remainder } => {
                Line::new("sealed").slot(slot).request(request).with("per", per).with("remainder", &buckets(remainder))
            }
            Self::Closed { slot, why } => Line::new("closed").slot(slot).with("why", close_word(*why)),
            Self::Resealed { slot, request } => Line::new("resealed").slot(slot).request(request),
            Self::Carried { from, to, part, units, at } => Line::new("carried")
                .slot(from)
                .with("to", to)
                .with("part", part_word(*part))
                .with("units", &buckets(units))
                .with("at", at),
            Self::Beyond { slot, units } => Line::new("beyond").slot(slot).with("units", &buckets(units)),
            Self::Attempted { slot, identity, attempt, at } => {
                Line::new("attempted").slot(slot).text("identity", identity).with("attempt", attempt).with("at", at)
            }
            Self::Deferred { slot, unknown, code, retry_at } => {
                Line::new("deferred").slot(slot).with("unknown", unknown).text("code", code).with("retry_at", retry_at)
            }
            Self::Ended { slot, end, at } => {
                let (word, detail) = end_words(end);
                Line::new("ended").slot(slot).with("as", word).text("detail", detail).with("at", at)
            }
            Self::Settled { slot, billed, evidence, reason, at } => {
                let line =
                    Line::new("settled").slot(slot).with("billed", billed).text("evidence", evidence).with("at", at);
                // Entries from before a reason was asked for have none.
                if reason.is_empty() { line } else { line.text("reason", reason) }
            }
            Self::Asked { slot, identity, request, at } => {
                Line::new("asked").slot(slot).text("identity", identity).request(request).with("at", at)
            }
            Self::HandedOver(handed) => Line::new("handed_over").handed_over(handed),
            Self::Adopted { from, number, slot, per, units, used_at } => Line::new("adopted")
                .with("from", from)
                .with("number", number)
                .slot(slot)
                .with("per", per)
                .with("units", &buckets(units))
                .with("used_at", used_at),
            Self::Checkpoint(checkpoint) => Line::new("checkpoint").checkpoint(checkpoint),
            Self::Past { listing, dimension, balance } => {
                Line::new("past").text("listing", listing).text("dimension", dimension).balance(balance)
            }
            Self::Kept { slot, state } => Line::new("kept").slot(slot).state(state),
        }
        .0
    }

    /// Reads what [`Record::to_text`] wrote.
    ///
    /// # Errors
    /// Anything else, with the first thing that was missing.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let (word, rest) = text.split_once(' ').ok_or(TextError { expected: "an entry" })?;
        let record = Fields(rest.split(' ')).record(word)?;
        // Other numbers, orders, escapes or more fields would be a second text for the same record.
        if record.to_text() == text { Ok(record) } else { Err(TextError { expected: "the only text of the entry" }) }
    }
}

struct Line(String);

impl Line {
    fn new(word: &str) -> Self {
        Self(word.into())
    }

    fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.0.push_str(&format!(" {name}={}", value.to_string()));
        self
    }

    fn text(self, name: &str, value: &str) -> Self {
        self.with(name, &escape(value))
    }

    /// Nothing, if it is zero, false or empty.
    fn some<T: Default + PartialEq + ToString>(self, name: &str, value: &T) -> Self {
        if *value == T::default() { self } else { self.with(name, value) }
    }

    fn slot(self, slot: &SlotId) -> Self {
        let Payer::Own = slot.payer;
        self.text("listing", &slot.listing)
            .with("payer", "self")
            .text("dimension", &slot.dimension)
            .with("hour", &slot.hour)
    }

    fn request(self, request: &Request) -> Self {
        let Form::Integer = request.form;
        let parts = request.allocations.iter().map(|a| (a.tags.clone(), u64::from(a.quantity))).collect();
        self.text("product", &request.product_code)
            .with("quantity", &request.quantity)
            .with("form", "integer")
            .with("allocations", &buckets(&parts))
            .with("timestamp", &request.timestamp)
            .text("token", &request.token)
    }
}

struct Fields<'a>(core::str::Split<'a, char>);

impl Fields<'_> {
    fn record(&mut self, word: &str) -> Result<Record, TextError> {
        Ok(match word {
            "created" => Record::Created { at: self.number("at")?, ledger: self.number("ledger")? },
            "started" => Record::Started {
                at: self.number("at")?,
                identity: self.text("identity")?,
                boot: self.number("boot")?,
                first_hour_taken: self.number("first_hour_taken")?,
            },
            "granted" => Record::Granted {
                at: self.number("at")?,
                listing: self.text("listing")?,
                provisional: self.number("provisional")?,
            },
            "heartbeat" => Record::Heartbeat { at: self.number("at")? },
            "sealed" => Record::Sealed {
                slot: self.slot()?,
                request: self.request()?,
                per: self.number("per")?,
                remainder: self.buckets("remainder")?,
            },
            "closed" => Record::Closed { slot: self.slot()?, why: self.close()? },
            "resealed" => Record::Resealed { slot: self.slot()?, request: self.request()? },
            "carried" => Record::Carried {
                from: self.slot()?,
                to: Hour(self.number("to")?),
                part: self.part()?,
                units: self.buckets("units")?,
                at: self.number("at")?,
            },
            "beyond" => Record::Beyond { slot: self.slot()?, units: self.buckets("units")? },
            "attempted" => Record::Attempted {
                slot: self.slot()?,
                identity: self.text("identity")?,
                attempt: self.number("attempt")?,
                at: self.number("at")?,
            },
            "deferred" => Record::Deferred {
                slot: self.slot()?,
                unknown: self.number("unknown")?,
                code: self.text("code")?,
                retry_at: self.number("retry_at")?,
            },
            "ended" => Record::Ended { slot: self.slot()?, end: self.end()?, at: self.number("at")? },
            "settled" => Record::Settled {
                slot: self.slot()?,
                billed: self.number("billed")?,
                evidence: self.text("evidence")?,
                at: self.number("at")?,
                reason: if self.is_over() { String::new() } else { self.text("reason")? },
            },
            "asked" => Record::Asked {
                slot: self.slot()?,
                identity: self.text("identity")?,
                request: self.request()?,
                at: self.number("at")?,
            },
            _ => return self.record_of_state(word),
        })
    }

    fn is_over(&self) -> bool {
        self.0.clone().next().is_none()
    }

    fn raw(&mut self, name: &'static str) -> Result<&str, TextError> {
        let field = self.0.next().and_then(|field| field.split_once('='));
        field.filter(|(have, _)| *have == name).map(|(_, value)| value).ok_or(TextError { expected: name })
    }

    fn number<T: core::str::FromStr>(&mut self, name: &'static str) -> Result<T, TextError> {
        self.raw(name)?.parse().map_err(|_| TextError { expected: name })
    }

    fn text(&mut self, name: &'static str) -> Result<String, TextError> {
        self.raw(name).and_then(|raw| unescape(raw).ok_or(TextError { expected: name }))
    }

    /// What [`Line::some`] left out is empty.
    fn raw_some(&mut self, name: &str) -> &str {
        let next = self.0.clone().next().and_then(|field| field.split_once('='));
        next.filter(|(have, _)| *have == name).map_or("", |(_, value)| {
            self.0.next();
            value
        })
    }

    fn some<T: core::str::FromStr + Default>(&mut self, name: &'static str) -> Result<T, TextError> {
        match self.raw_some(name) {
            "" => Ok(T::default()),
            raw => raw.parse().map_err(|_| TextError { expected: name }),
        }
    }

    fn some_text(&mut self, name: &'static str) -> Result<String, TextError> {
        unescape(self.raw_some(name)).ok_or(TextError { expected: name })
    }

    fn word(&mut self, name: &'static str, word: &str) -> Result<(), TextError> {
        if self.raw(name)? == word { Ok(()) } else { Err(TextError { expected: name }) }
    }

    fn slot(&mut self) -> Result<SlotId, TextError> {
        let listing = self.text("listing")?;
        self.word("payer", "self")?;
        let dimension = self.text("dimension")?;
        Ok(SlotId { listing, payer: Payer::Own, dimension, hour: Hour(self.number("hour")?) })
    }

    fn request(&mut self) -> Result<Request, TextError> {
        let product_code = self.text("product")?;
        let quantity = self.number("quantity")?;
        self.word("form", "integer")?;
        let parts = self.buckets("allocations")?;
        let narrow = |(tags, units): (&Tags, u64)| {
            let quantity = u32::try_from(units).map_err(|_| TextError { expected: "allocations" })?;
            Ok(Allocation { quantity, tags: tags.clone() })
        };
        let allocations = parts.iter().map(narrow).collect::<Result<_, _>>()?;
        let timestamp = self.number("timestamp")?;
        Ok(Request { product_code, quantity, form: Form::Integer, allocations, timestamp, token: self.text("token")? })
    }

    fn buckets(&mut self, name: &'static str) -> Result<Buckets, TextError> {
        read_buckets(self.raw(name)?).ok_or(TextError { expected: name })
    }

    fn close(&mut self) -> Result<Close, TextError> {
        match self.raw("why")? {
            "idle" => Ok(Close::Idle),
            "counted" => Ok(Close::Counted),
            _ => Err(TextError { expected: "why" }),
        }
    }

    fn part(&mut self) -> Result<Part, TextError> {
        match self.raw("part")? {
            "beyond" => Ok(Part::Beyond),
            "remainder" => Ok(Part::Remainder),
            "request" => Ok(Part::Request),
            "open" => Ok(Part::Open),
            _ => Err(TextError { expected: "part" }),
        }
    }

    fn end(&mut self) -> Result<End, TextError> {
        let word: String = self.raw("as")?.into();
        let detail = self.text("detail")?;
        let end = match word.as_str() {
            "acked" => End::Acked { record_id: detail },
            "conflict" => End::Conflict,
            "expired" => End::Expired,
            "rejected" => End::Rejected { code: detail },
            "in_doubt" => End::InDoubt { why: detail },
            _ => return Err(TextError { expected: "as" }),
        };
        Ok(end)
    }
}

fn close_word(why: Close) -> &'static str {
    match why {
        Close::Idle => "idle",
        Close::Counted => "counted",
    }
}

fn part_word(part: Part) -> &'static str {
    match part {
        Part::Beyond => "beyond",
        Part::Remainder => "remainder",
        Part::Request => "request",
        Part::Open => "open",
    }
}

fn end_words(end: &End) -> (&'static str, &str) {
    match end {
        End::Acked { record_id } => ("acked", record_id),
        End::Conflict => ("conflict", ""),
        End::Expired => ("expired", ""),
        End::Rejected { code } => ("rejected", code),
        End::InDoubt { why } => ("in_doubt", why),
    }
}
