//! The world: virtual time, the queue of what happens next, pods, disks, AWS, and the mishaps that come over them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tollgate_metering::Phase;

use crate::aws::Aws;
use crate::bug::Bug;
use crate::check::Seen;
use crate::driver::{Alive, Gone};
use crate::faults::{Changes, Fault, Faults};
use crate::folder::Folder;
use crate::network::Message;
use crate::oracle::Oracle;
use crate::pod::{Pod, Stage};
use crate::report::Report;
use crate::shape::{BEGIN, Shape};
use crate::trace::Trace;
use crate::{Outcome, Setup};

/// What happens at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Start { p: usize },
    Wake { p: usize, serial: u32, wake: u32 },
    Use { p: usize },
    Arrive { message: usize },
    Reply { message: usize },
    Timeout { message: usize },
    Deadline { p: usize, serial: u32 },
    Mishap { fault: Fault, n: u64, p: usize },
    OutageOver { fault: Fault },
    Heal,
    Settle,
    Redeploy,
    Finish,
}

/// Everything that a run consists of.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    pub(crate) shape: Shape,
    pub(crate) faults: Faults,
    pub(crate) changes: Changes,
    pub(crate) bug: Option<Bug>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) folders: Vec<Folder>,
    /// Volumes of one family are copies of each other.
    pub(crate) families: Vec<usize>,
    /// The volume takes no writes until then.
    pub(crate) full_until: Vec<u64>,
    pub(crate) messages: Vec<Message>,
    pub(crate) aws: Aws,
    pub(crate) outage: Option<Fault>,
    pub(crate) oracle: Oracle,
    pub(crate) seen: Seen,
    pub(crate) report: Report,
    pub(crate) trace: Trace,
    pub(crate) failure: Option<String>,
    /// Commits of guests so far.
    pub(crate) uses: u64,
    /// Numbers identities.
    pub(crate) identities: u32,
    pub(crate) finishing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, setup: &Setup, changes: &Changes) -> Self {
        let shape = Shape::new(seed, setup.size);
        let mut world = Self {
            seed,
            now: BEGIN,
            queue: BinaryHeap::new(),
            order: 0,
            faults: Faults::new(seed, changes),
            changes: changes.clone(),
            bug: setup.bug,
            pods: Vec::new(),
            folders: Vec::new(),
            families: Vec::new(),
            full_until: Vec::new(),
            messages: Vec::new(),
            aws: Aws::new(&shape),
            outage: None,
            oracle: Oracle::default(),
            seen: Seen::default(),
            report: Report { seeds: 1, ..Report::default() },
            trace: Trace::new(setup.story),
            failure: None,
            uses: 0,
            identities: 0,
            finishing: false,
            shape,
        };
        world.populate();
        world
    }

    /// Runs to the end, or to the first thing that is wrong.
    pub(crate) fn run(mut self) -> Outcome {
        while self.step() {}
        self.into_outcome()
    }

    /// The next event. False: it was the last.
    pub(crate) fn step(&mut self) -> bool {
        let Some(Reverse((at, _, event))) = self.queue.pop() else { return false };
        if self.failure.is_some() || at > BEGIN + self.shape.end_s {
            return false;
        }
        self.now = at;
        self.report.events += 1;
        self.happen(event);
        true
    }

    /// What came of it.
    pub(crate) fn into_outcome(mut self) -> Outcome {
        self.conclude();
        for (number, &fault) in Fault::ALL.iter().enumerate() {
            if self.faults.fired[number] > 0 {
                self.report.fault(fault, self.faults.fired[number]);
            }
        }
        Outcome {
            seed: self.seed,
            hash: self.trace.hash(),
            steps: self.faults.steps,
            uses: self.uses,
            struck: self.faults.struck,
            failure: self.failure,
            report: self.report,
            story: self.trace.into_story(),
        }
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((at.max(self.now), self.order, event)));
    }

    pub(crate) fn tell(&mut self, p: usize, line: impl FnOnce() -> String) {
        let identity = self.pods[p].identity;
        self.trace.tell(self.now, || format!("pod {p} (task-{identity}) {}", line()));
    }

    fn happen(&mut self, event: Event) {
        self.trace.note(self.now, 3, self.order);
        if let Some(p) = self.pod_of(event)
            && self.now < self.pods[p].paused_until
        {
            let heals = BEGIN + self.shape.heal_s;
            self.at(self.pods[p].paused_until.min(heals), event);
            return;
        }
        let outcome: Alive = match event {
            Event::Start { p } => self.started(p),
            Event::Wake { p, serial, wake } => self.wakes(p, serial, wake),
            Event::Use { p } => self.uses(p),
            Event::Arrive { message } => {
                self.arrive(message);
                Ok(())
            }
            Event::Reply { message } => self.deliver(message, false),
            Event::Timeout { message } => self.deliver(message, true),
            Event::Deadline { p, serial } => self.deadline(p, serial),
            Event::Mishap { fault, n, p } => self.mishap(fault, n, p),
            Event::OutageOver { fault } => {
                self.outage_over(fault);
                Ok(())
            }
            Event::Heal => self.heal(),
            Event::Settle => self.settle(),
            Event::Redeploy => self.redeploy(),
            Event::Finish => self.finish(),
        };
        // A process that is gone was dealt with where it went.
        drop(outcome.or(Ok::<(), Gone>(())));
    }

    /// Whose host has to run for it to happen.
    fn pod_of(&self, event: Event) -> Option<usize> {
        match event {
            Event::Start { p } | Event::Wake { p, .. } | Event::Use { p } | Event::Deadline { p, .. } => Some(p),
            Event::Mishap { fault: Fault::Stopped, p, .. } => Some(p),
            Event::Reply { message } | Event::Timeout { message } => Some(self.messages[message].p),
            _ => None,
        }
    }

    fn started(&mut self, p: usize) -> Alive {
        self.pods[p].starting = false;
        if self.pods[p].process.is_some() || self.pods[p].gone.is_some() {
            return Ok(());
        }
        if !self.finishing {
            self.before_start(p);
        }
        self.start(p)?;
        self.turn(p)
    }

    fn wakes(&mut self, p: usize, serial: u32, wake: u32) -> Alive {
        let (now, wall) = (self.now, self.pods[p].wall(self.now));
        let pod = &mut self.pods[p];
        let current = pod.serial == serial;
        let Some(process) = pod.process.as_mut().filter(|process| current && process.wake == wake) else {
            return Ok(());
        };
        if process.stage != Stage::Serving {
            self.ask(p)?;
            return self.turn(p);
        }
        if wall < process.sleeps_until && process.phase == Phase::Running {
            // The wall clock was set back or stands still: the host naps until it has come far enough.
            let nap = (process.sleeps_until - wall).min(600);
            self.at(now + nap, Event::Wake { p, serial, wake });
            return Ok(());
        }
        self.turn(p)
    }

    fn deadline(&mut self, p: usize, serial: u32) -> Alive {
        let pod = &self.pods[p];
        if pod.serial == serial && pod.process.is_some() {
            return self.end(p, "has ended, its time was over");
        }
        Ok(())
    }

    /// The cluster tells a process to end, and gives it some seconds.
    pub(crate) fn stop(&mut self, p: usize, grace: u64) -> Alive {
        let serial = self.pods[p].serial;
        let Some(process) = &mut self.pods[p].process else { return Ok(()) };
        if process.stage != Stage::Serving {
            // At the very end it goes on until it serves, and ends then.
            return if self.finishing { Ok(()) } else { self.end(p, "ends before it has begun") };
        }
        process.phase = Phase::Ending;
        self.tell(p, || "is told to end".to_owned());
        self.at(self.now + grace, Event::Deadline { p, serial });
        self.turn(p)
    }

    /// Every pod starts once more, so that what those that are gone have left is adopted.
    fn redeploy(&mut self) -> Alive {
        for p in 0..self.pods.len() {
            drop(self.stop(p, 25).or(Ok::<(), Gone>(())));
        }
        Ok(())
    }

    fn finish(&mut self) -> Alive {
        self.finishing = true;
        for p in 0..self.pods.len() {
            drop(self.stop(p, 300).or(Ok::<(), Gone>(())));
        }
        Ok(())
    }

    fn conclude(&mut self) {
        let end = if self.failure.is_some() { self.now } else { BEGIN + self.shape.end_s };
        let seconds = self.pods.iter().map(|pod| pod.gone.unwrap_or(end).max(pod.born) - pod.born);
        self.report.pod_hours = seconds.sum::<u64>() / 3_600;
        if self.failure.is_some() {
            return;
        }
        self.report.shortest = self.report.pod_hours;
        let mut ledgers = Vec::new();
        for f in 0..self.folders.len() {
            match self.folders[f].disk.load() {
                Ok(ledger) if !self.folders[f].lost => ledgers.push((f, ledger)),
                Ok(_) => {}
                Err(problem) => drop(self.fail(problem)),
            }
        }
        for (f, ledger) in &ledgers {
            self.check_settled(*f, ledger);
        }
        self.check_hand_overs();
        self.check_truth(&ledgers);
    }
}
