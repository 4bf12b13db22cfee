//! What `host/src/meter` does, step by step, with a place to die before and after each of them.
//!
//! The order is that of the host: admit, write, apply; a try is on disk before its request leaves; a failed write ends the
//! process. Decisions are the engine's.

use tollgate_metering::{HOUR_S, Hour, Phase, Record, Reply, Step, Trust, next_due, plan};

use crate::bug::Bug;
use crate::faults::Fault;
use crate::network::Kind;
use crate::pod::{Pod, Process, Stage};
use crate::shape::{DIMENSIONS, START};
use crate::store::Handed;
use crate::world::{Event, World};

/// The process has ended.
pub(crate) struct Gone;
pub(crate) type Alive = Result<(), Gone>;

/// Requests under way at once, as in the host.
const AT_ONCE_MAX: usize = 4;
/// While the clock is in doubt it is looked at this often, in seconds. The host does so every twenty; it asks AWS as
/// often as here.
const LOOK_AGAIN_S: u64 = 60;
/// Usage waits this long for the clock at the start, in seconds.
const HOLD_S: u64 = 30;
/// How long entitlement is asked for.
const START_BUDGET_S: u64 = 600;

/// Units that a guest hands over: dimension, number of the tag set, units.
pub(crate) type Delta = (usize, usize, u64);

impl World {
    /// A process takes the ledger.
    pub(crate) fn start(&mut self, p: usize) -> Alive {
        let now = self.now;
        let f = self.own_folder(p);
        self.pods[p].folder = f;
        if !self.take(p, f) {
            self.restart_later(p);
            return Err(Gone);
        }
        self.folders[f].retired = None;
        let others = self.other_folders(p);
        let Some(ledger) = self.open(f) else { return Err(Gone) };
        let (fresh, alive_at, boot) = (ledger.is_fresh(), ledger.alive_at(), ledger.boots() + 1);
        let created = fresh && ledger.id() == 0;
        let kept = (self.bug == Some(Bug::KeepOldIdentity) && !fresh).then(|| ledger.identity().to_owned());
        let pending = ledger.slots().filter(|(_, slot)| slot.attempts.pending);
        let pending: Vec<_> = pending.map(|(id, _)| id.clone()).collect();
        let pod = &mut self.pods[p];
        pod.serial += 1;
        let older = pod.starts > 0 && self.bug != Some(Bug::FirstHourFree);
        pod.starts += 1;
        let identity = kept.unwrap_or_else(|| pod.identity_name());
        pod.process = Some(Process {
            trust: Trust::new(pod.clocks(now), alive_at),
            phase: Phase::Running,
            stage: Stage::Asking { until: now + START_BUDGET_S, tries: 0 },
            others,
            in_flight: 0,
            began: now,
            began_right: pod.offset == 0 && pod.frozen.is_none(),
            wake: 0,
            sleeps_until: 0,
            asked: None,
            stopped: false,
        });
        let at = self.trusted(p).s;
        let mut records = Vec::new();
        if self.bug == Some(Bug::ForgetPending) {
            let forget = |slot| Record::Deferred { slot, unknown: false, code: String::new(), retry_at: at };
            records.extend(pending.into_iter().map(forget));
        }
        let first_hour_taken = fresh && older;
        records.extend(created.then_some(Record::Created { at, ledger: f as u64 + 1 }));
        records.push(Record::Started { at, identity, boot, first_hour_taken });
        self.tell(p, || format!("starts, boot {boot}{}", if first_hour_taken { ", first hour taken" } else { "" }));
        self.write(p, Vec::new(), records, &[])?;
        self.ask(p)
    }

    /// Asks for entitlement as the listing wants it.
    pub(crate) fn ask(&mut self, p: usize) -> Alive {
        if !(self.shape.asks && self.pods[p].listing == 0) {
            return self.granted(p, true);
        }
        let (now, trusted) = (self.now, self.trusted(p));
        let pod = &mut self.pods[p];
        let Some(process) = &mut pod.process else { return Ok(()) };
        let Stage::Asking { until, tries } = process.stage else { return Ok(()) };
        if now >= until {
            return self.end(p, "not granted in time");
        }
        process.stage = Stage::Asking { until, tries: tries + 1 };
        let Some(ledger) = self.folders[pod.folder].open.as_ref() else { return Err(Gone) };
        match ledger.ask(&pod.policy, DIMENSIONS[START], trusted.s) {
            Err(refusal) => self.fail(refusal.to_string()),
            Ok(ask) => {
                self.write(p, Vec::new(), ask.asked.into_iter().collect(), &[])?;
                self.leave(p, Kind::Ask, START, ask.request, 1)
            }
        }
    }

    /// From now on usage is taken.
    pub(crate) fn granted(&mut self, p: usize, provisional: bool) -> Alive {
        let at = self.trusted(p).s;
        let listing = self.pods[p].policy.listing.clone();
        let granted = Record::Granted { at, listing: listing.clone(), provisional };
        self.write(p, Vec::new(), vec![granted], &[])?;
        let unproven =
            self.ledger(p).is_some_and(|ledger| ledger.provisional_since(&listing).is_some_and(|since| since > 0));
        let proven = self.ledger(p).is_some_and(|ledger| ledger.provisional_since(&listing).is_none());
        self.ensure(if provisional { unproven } else { proven }, || format!("{listing} is granted, proven: {proven}"))?;
        if let Some(process) = &mut self.pods[p].process {
            process.stage = Stage::Serving;
        }
        self.adopt(p)
    }

    /// Commits of guests that arrived together.
    pub(crate) fn record(&mut self, p: usize, deltas: &[Delta]) -> Alive {
        let now = self.trusted(p).s;
        let pod = &self.pods[p];
        let family = self.families[pod.volume];
        let Some(ledger) = self.ledger(p) else { return Ok(()) };
        let mut used = Vec::new();
        let mut units = Vec::new();
        for (dimension, tags, sum) in deltas {
            let like = pod.policy.slot(DIMENSIONS[*dimension], Hour(0));
            let other = usize::from(self.bug == Some(Bug::CountUnderOtherTags));
            let set = self.shape.tags[(*tags + other) % self.shape.tags.len()].clone();
            used.push(ledger.used(&like, pod.pers[*dimension], "api", set, *sum, now));
            units.push(((pod.listing, *dimension, *sum), *tags));
        }
        let lost = self.bug == Some(Bug::LoseCommit) && self.uses.is_multiple_of(30);
        let early = lost || self.bug == Some(Bug::AckBeforeDurable);
        if early {
            self.acknowledge(family, &units)?;
        }
        if !lost {
            let again = (self.bug == Some(Bug::CommitTwice)).then(|| used.clone());
            self.write(p, used, Vec::new(), &units)?;
            self.write(p, again.unwrap_or_default(), Vec::new(), &[])?;
        }
        if early { Ok(()) } else { self.acknowledge(family, &units) }
    }

    fn acknowledge(&mut self, family: usize, units: &[(Handed, usize)]) -> Alive {
        for ((listing, dimension, units), _) in units {
            self.report.acknowledged += u128::from(*units);
            if let Err(problem) = self.oracle.acknowledged((family, *listing, *dimension), *units) {
                return self.fail(problem);
            }
        }
        Ok(())
    }

    /// At the start usage waits a moment for AWS to confirm a clock in doubt.
    pub(crate) fn holds_usage(&mut self, p: usize) -> bool {
        let confirmed = self.trusted(p).confirmed;
        let pod = &self.pods[p];
        let starting = pod.process.as_ref().is_some_and(|process| self.now < process.began + HOLD_S);
        starting && pod.policy.sends && !confirmed
    }

    /// All that follows from an event: carries the plan out, looks at the clock, goes to sleep.
    pub(crate) fn turn(&mut self, p: usize) -> Alive {
        let Some(process) = &self.pods[p].process else { return Ok(()) };
        if process.stage != Stage::Serving {
            return Ok(());
        }
        if self.finishing
            && let Some(process) = &mut self.pods[p].process
        {
            process.phase = Phase::Ending;
        }
        self.carry_out(p)?;
        self.ask_time(p)?;
        self.check_standing(p)?;
        let now = self.trusted(p);
        let pod = &mut self.pods[p];
        let Some(ledger) = self.folders[pod.folder].open.as_ref() else { return Ok(()) };
        let Some(process) = &mut pod.process else { return Ok(()) };
        if now.confirmed {
            let standing = ledger.standing(&pod.policy, now.s);
            process.stopped = standing.state == tollgate_metering::State::Stopping;
        }
        let sealed = || now.confirmed || ledger.unsent(&pod.policy) == 0;
        if process.phase == Phase::Ending && process.in_flight == 0 && sealed() && !ledger.waiting(&pod.policy) {
            return self.end(p, "has ended, everything is answered");
        }
        self.check_due(p)?;
        self.sleep(p);
        Ok(())
    }

    fn carry_out(&mut self, p: usize) -> Alive {
        let dropped = self.bug == Some(Bug::DropAtSixHours);
        // A plan that never comes to an end would hang the host.
        for _ in 0..1_000 {
            let now = self.trusted(p);
            let pod = &self.pods[p];
            let Some(process) = &pod.process else { return Ok(()) };
            let Some(ledger) = self.folders[pod.folder].open.as_ref() else { return Ok(()) };
            let (mut records, mut sends) = (Vec::new(), Vec::new());
            for step in plan(ledger, now, &pod.policy, process.phase) {
                match step {
                    Step::Write(batch) => records.extend(batch),
                    Step::Send { attempted, slot, request } => sends.push((attempted, slot, request)),
                }
            }
            records.retain(|record| !(dropped && matches!(record, Record::Ended { .. })));
            if !records.is_empty() {
                self.write(p, Vec::new(), records, &[])?;
                continue;
            }
            sends.truncate(AT_ONCE_MAX.saturating_sub(process.in_flight));
            self.compact(p)?;
            if sends.is_empty() {
                return Ok(());
            }
            let attempted: Vec<Record> = sends.iter().map(|(attempted, ..)| attempted.clone()).collect();
            if self.bug != Some(Bug::SendBeforeAttempted) {
                self.write(p, Vec::new(), attempted.clone(), &[])?;
            }
            for (_, slot, request) in sends {
                let per = self.ledger(p).and_then(|ledger| ledger.slot(&slot)).map_or(1, |slot| slot.per);
                let dimension = Pod::dimension(&slot.dimension);
                let request = self.altered(p, &slot, request);
                self.leave(p, Kind::Usage(slot), dimension, request, per)?;
            }
            if self.bug == Some(Bug::SendBeforeAttempted) {
                self.write(p, Vec::new(), attempted, &[])?;
            }
        }
        self.fail("the plan never comes to an end".to_owned())
    }

    fn ask_time(&mut self, p: usize) -> Alive {
        if !self.pods[p].policy.sends || !self.wants_date(p) {
            return Ok(());
        }
        let pod = &self.pods[p];
        let request = tollgate_metering::Request {
            product_code: pod.policy.product_code.clone(),
            quantity: 0,
            form: tollgate_metering::Form::Integer,
            allocations: Vec::new(),
            timestamp: pod.wall(self.now),
            token: String::new(),
        };
        self.leave(p, Kind::Time, 0, request, 1)
    }

    fn sleep(&mut self, p: usize) {
        let now = self.trusted(p);
        let true_now = self.now;
        let pod = &mut self.pods[p];
        let wall = pod.wall(true_now);
        let Some(process) = &mut pod.process else { return };
        let Some(ledger) = self.folders[pod.folder].open.as_ref() else { return };
        let due = next_due(ledger, now, &pod.policy, process.phase).saturating_sub(now.s);
        let due = due.min(HOUR_S - now.s % HOUR_S);
        let due = if now.confirmed { due.max(1) } else { due.clamp(1, LOOK_AGAIN_S) };
        // What is never written stays due; looking at it every second would only cost time.
        let due = if self.bug == Some(Bug::DropAtSixHours) { due.max(900) } else { due };
        process.sleeps_until = wall + due;
        process.wake += 1;
        let (serial, wake) = (pod.serial, process.wake);
        self.at(true_now + due, Event::Wake { p, serial, wake });
    }

    /// An answer, or that there is none. `date` is the time of AWS.
    pub(crate) fn answered(&mut self, p: usize, message: usize, reply: &Reply, date: Option<u64>) -> Alive {
        if self.faults.crashes(Fault::CrashBeforeAnswer) {
            return self.crash(p, true, "is killed before it heeds a reply");
        }
        let now = self.now;
        let pod = &mut self.pods[p];
        let clocks = pod.clocks(now);
        let Some(process) = &mut pod.process else { return Ok(()) };
        process.in_flight = process.in_flight.saturating_sub(1);
        if let Some(date) = date {
            let before = process.trust.clone();
            process.trust.date(self.messages[message].left, clocks, date);
            let (learnt, s) = (process.trust != before, process.trust.now(clocks).s);
            self.check_learnt(learnt, s)?;
        }
        match self.messages[message].kind.clone() {
            Kind::Time => Ok(()),
            Kind::Ask => self.ask_answered(p, message, reply),
            Kind::Usage(slot) => {
                let (slot, reply) = self.misread(p, slot, reply);
                let random = crate::random::hash(self.seed, 3, message as u64);
                let at = self.trusted(p).s;
                let Some(ledger) = self.ledger(p) else { return Ok(()) };
                let verdict = ledger.answer(&slot, &reply, at, random);
                let refused = matches!(reply, Reply::NotEntitled { .. });
                self.check_entitled(p, &slot, refused, verdict.not_entitled)?;
                self.tell(p, || format!("hears {reply:?} about {}@{}", slot.dimension, slot.hour));
                self.write(p, Vec::new(), verdict.records, &[])?;
                if verdict.not_entitled { self.end(p, "ends: not entitled") } else { Ok(()) }
            }
        }
    }

    fn ask_answered(&mut self, p: usize, message: usize, reply: &Reply) -> Alive {
        self.tell(p, || format!("hears {reply:?} about its entitlement"));
        let corrected = Hour::of(self.messages[message].request.timestamp) != Hour::of(self.trusted(p).s);
        match reply {
            // A stamp by a wrong clock, which the answer has put right.
            Reply::Refused { .. } if corrected => self.ask(p),
            Reply::Accepted { .. } => self.granted(p, false),
            Reply::NotProcessed { .. } | Reply::Unknown { .. } => {
                let serial = self.pods[p].serial;
                let Some(process) = &mut self.pods[p].process else { return Ok(()) };
                process.wake += 1;
                let (wake, tries) =
                    (process.wake, if let Stage::Asking { tries, .. } = process.stage { tries } else { 0 });
                let wait = tollgate_metering::backoff_s(tries, crate::random::hash(self.seed, 4, self.now));
                self.at(self.now + wait, Event::Wake { p, serial, wake });
                Ok(())
            }
            _ => self.end(p, "ends: entitlement was refused"),
        }
    }

    /// The last thing known by a process that dies; `known`: it must be what the disk says.
    pub(crate) fn crash(&mut self, p: usize, known: bool, how: &str) -> Alive {
        self.tell(p, || how.to_owned());
        self.trace.note(self.now, 40 + u64::from(known), p as u64);
        self.pods[p].process = None;
        for f in 0..self.folders.len() {
            if self.folders[f].holder == Some(p) {
                self.release(f, known);
            }
        }
        self.restart_later(p);
        Err(Gone)
    }

    /// Ends on its own account.
    pub(crate) fn end(&mut self, p: usize, how: &str) -> Alive {
        // A process that ended when everything ends is not started again; one that crashed is.
        self.pods[p].starting |= self.finishing;
        self.crash(p, true, how)
    }
}
