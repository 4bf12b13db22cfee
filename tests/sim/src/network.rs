//! The way to AWS and back: what is lost, late, refused or broken on it.

use tollgate_metering::{Clocks, Reply, Request, SlotId};

use crate::aws::{Key, Said};
use crate::driver::{Alive, Gone};
use crate::faults::Fault;
use crate::world::{Event, World};

/// The host waits this long for an answer, in seconds.
const TIMEOUT_S: u64 = 10;

/// What a request is for.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Usage(SlotId),
    /// The zero record of the question for entitlement.
    Ask,
    /// A dry run for the `Date` of its answer.
    Time,
}

/// A request and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) p: usize,
    pub(crate) serial: u32,
    pub(crate) kind: Kind,
    identity: u32,
    pub(crate) folder: usize,
    pub(crate) listing: usize,
    dimension: usize,
    pub(crate) per: u64,
    pub(crate) request: Request,
    pub(crate) left: Clocks,
    gives_up_at: u64,
    /// Reply and the time of AWS in it.
    reply: Option<(Reply, Option<u64>)>,
    done: bool,
}

impl World {
    /// A request leaves the host.
    pub(crate) fn leave(&mut self, p: usize, kind: Kind, dimension: usize, request: Request, per: u64) -> Alive {
        if self.faults.crashes(Fault::CrashBeforeSend) {
            return self.crash(p, true, "is killed before it sends");
        }
        let now = self.now;
        let pod = &mut self.pods[p];
        let message = Message {
            p,
            serial: pod.serial,
            kind,
            identity: pod.identity,
            folder: pod.folder,
            listing: pod.listing,
            dimension,
            per,
            request,
            left: pod.clocks(now),
            gives_up_at: now + TIMEOUT_S,
            reply: None,
            done: false,
        };
        let Some(process) = &mut pod.process else { return Err(Gone) };
        process.in_flight += 1;
        let number = self.messages.len();
        self.check_leaving(p, &message.kind, dimension, &message.request)?;
        self.messages.push(message);
        self.travel(number);
        if self.faults.crashes(Fault::CrashAfterSend) {
            return self.crash(p, true, "is killed after it has sent");
        }
        if self.failure.is_some() { Err(Gone) } else { Ok(()) }
    }

    fn travel(&mut self, number: usize) {
        let now = self.now;
        if self.outage == Some(Fault::Unreachable) || self.faults.strikes(Fault::NoConnection) {
            self.messages[number].reply = Some((Reply::NotProcessed { code: "connect".to_owned() }, None));
            self.at(now + 1, Event::Reply { message: number });
            return;
        }
        let lost = self.outage == Some(Fault::BlackHole) || self.faults.strikes(Fault::RequestLost);
        if lost {
            self.at(now + TIMEOUT_S, Event::Timeout { message: number });
        } else if self.faults.strikes(Fault::RequestLate) {
            let delay = self.faults.amount(Fault::RequestLate, 2, 600);
            self.at(now + delay, Event::Arrive { message: number });
            if delay >= TIMEOUT_S {
                self.at(now + TIMEOUT_S, Event::Timeout { message: number });
            }
        } else {
            self.arrive(number);
        }
    }

    /// A request is at AWS.
    pub(crate) fn arrive(&mut self, number: usize) {
        let (reply, date) = self.served(number);
        let now = self.now;
        let message = &mut self.messages[number];
        message.reply = Some((reply, date));
        let (gives_up_at, answered_in) = (message.gives_up_at, 1 + number as u64 % 2);
        let silent = self.faults.strikes(Fault::ReplyLost) || self.faults.strikes(Fault::ReplyLate);
        if silent || now + answered_in >= gives_up_at {
            self.at(gives_up_at.max(now), Event::Timeout { message: number });
        } else {
            self.at(now + answered_in, Event::Reply { message: number });
        }
    }

    fn served(&mut self, number: usize) -> (Reply, Option<u64>) {
        let date = Some(self.now);
        if self.outage == Some(Fault::ThrottleStorm) || self.faults.strikes(Fault::Throttled) {
            return (Reply::NotProcessed { code: "ThrottlingException".to_owned() }, date);
        }
        if self.outage == Some(Fault::AccessDenied) {
            return (Reply::NotProcessed { code: "AccessDeniedException".to_owned() }, date);
        }
        let error = Reply::Unknown { detail: "InternalServiceErrorException".to_owned() };
        let broken = self.outage == Some(Fault::ServerErrors);
        if (broken && number.is_multiple_of(2)) || self.faults.strikes(Fault::ErrorNotTaken) {
            return (error, date);
        }
        let message = &self.messages[number];
        let who = (message.identity, message.folder);
        let dry = matches!(message.kind, Kind::Time);
        let hour = message.request.timestamp / 3_600;
        let again = matches!(message.kind, Kind::Usage(_)) && self.aws.billed(message.folder, message.dimension, hour);
        let said = self.aws.meter(self.now, who, message.dimension, &message.request, dry);
        let (p, quantity, dimension) = (message.p, message.request.quantity, message.dimension);
        let key = Key { identity: message.identity, dimension, hour };
        self.report.rule(&said);
        self.trace.note(self.now, 20 + said.rule() as u64, u64::from(quantity));
        self.tell(p, || format!("AWS: {said:?} for {quantity} of {}", crate::shape::DIMENSIONS[dimension]));
        if let Said::Taken { .. } = &said {
            let message = self.messages[number].clone();
            self.check_billed(&message, key, again);
        }
        if broken || self.faults.strikes(Fault::ErrorTaken) {
            return (error, date);
        }
        if self.faults.strikes(Fault::NoRecordId) && matches!(said, Said::Taken { .. } | Said::SameAgain { .. }) {
            return (Reply::Unknown { detail: "no record id".to_owned() }, date);
        }
        (word(said), date)
    }

    /// The reply is at the host, or nobody waits for it any more.
    pub(crate) fn deliver(&mut self, number: usize, timeout: bool) -> Alive {
        let message = &mut self.messages[number];
        let p = message.p;
        if message.done || self.pods[p].process.is_none() || self.pods[p].serial != message.serial {
            return Ok(());
        }
        message.done = true;
        // After a pause both the answer and the end of the wait are there, and either may be seen first.
        let missed = self.now > message.gives_up_at && number.is_multiple_of(2);
        let nothing = || (Reply::Unknown { detail: "timeout".to_owned() }, None);
        let (reply, date) = if timeout || missed { nothing() } else { message.reply.take().unwrap_or_else(nothing) };
        self.report.reply(name(&reply));
        self.answered(p, number, &reply, date)?;
        self.turn(p)
    }
}

/// As `host/src/marketplace/aws` sorts what AWS says.
fn word(said: Said) -> Reply {
    let refused = |code: &str| Reply::Refused { code: code.to_owned() };
    match said {
        Said::Taken { record_id } | Said::SameAgain { record_id } => Reply::Accepted { record_id },
        Said::DryRun => Reply::DryRunOk,
        Said::Duplicate => Reply::Duplicate,
        Said::TokenReused => refused("IdempotencyConflictException"),
        Said::NotEntitled => Reply::NotEntitled { code: "CustomerNotEntitledException".to_owned() },
        Said::TooOld | Said::InTheFuture => refused("TimestampOutOfBoundsException"),
        Said::UnknownDimension => refused("InvalidUsageDimensionException"),
        Said::TagsRefused => Reply::InvalidTags { code: "InvalidTagException".to_owned() },
        Said::BadAllocations => Reply::InvalidTags { code: "InvalidUsageAllocationsException".to_owned() },
    }
}

fn name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Accepted { .. } => "accepted",
        Reply::NotProcessed { .. } => "not processed",
        Reply::Unknown { .. } => "unknown",
        Reply::Duplicate => "duplicate",
        Reply::NotEntitled { .. } => "not entitled",
        Reply::InvalidTags { .. } => "invalid tags",
        Reply::Refused { .. } => "refused",
        Reply::DryRunOk => "dry run ok",
    }
}
