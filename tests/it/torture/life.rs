//! One life of a host: started, put under load, led to the moment at which it is killed.

use std::time::Duration;

use rustix::process::Signal;
use tollgate_cli::host::{Host, log_fields};
use tollgate_cli::process::{Ended, Process};

use super::clients::{Count, Load};
use super::world::{World, lines, tail};
use crate::support::HOUR_AND_SENT_S;

/// A host that is started asks for entitlement by then.
const START: Duration = Duration::from_secs(30);
/// What has not happened by then does not happen in this life.
const PATIENCE: Duration = Duration::from_secs(4);

/// The moment at which a host is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Any moment before it is ready.
    Start,
    /// Under a new identity, while it takes over what others left.
    Adoption,
    /// Any moment of its work.
    Load,
    /// Just after requests have ended that were counted long before.
    Commit,
    /// A try is on disk, and the answer has not come.
    Attempt,
    /// While it folds its ledger into a checkpoint.
    Checkpoint,
    /// Asked to stop, it seals and sends.
    Flush,
    /// While the task that replaces it starts on the same volume.
    Replace,
}

/// How often each stage is aimed at.
const STAGES: [(Stage, u64); 8] = [
    (Stage::Start, 16),
    (Stage::Adoption, 14),
    (Stage::Load, 24),
    (Stage::Commit, 14),
    (Stage::Attempt, 16),
    (Stage::Checkpoint, 2),
    (Stage::Flush, 14),
    (Stage::Replace, 8),
];

impl World {
    /// Lives until one of them ends by a kill.
    pub(super) async fn one_kill(&mut self) {
        loop {
            let stage = self.stage();
            self.while_down().await;
            self.story.tell(format!("task {}: {stage:?}", self.current));
            let (ended, count, at) = match stage {
                Stage::Start => self.killed_at_start().await,
                Stage::Adoption => self.killed_in_adoption().await,
                Stage::Replace => self.killed_while_replaced().await,
                _ => self.killed_at_work(stage).await,
            };
            let killed = ended.code.is_none();
            assert!(killed || at == "flush", "{at}: it ended with {:?}\n{}", ended.code, tail(&ended.stderr));
            self.story.tell(format!("{} at {at}", if killed { "killed" } else { "it had ended" }));
            self.examine(&ended, count).await;
            if killed {
                return self.report.killed(at);
            }
            self.report.also("stopped in order before the kill", 1);
        }
    }

    fn stage(&mut self) -> Stage {
        let all = STAGES.iter().map(|(_, weight)| weight).sum();
        let mut left = self.dice.between(1, all);
        for (stage, weight) in STAGES {
            if left <= weight {
                return stage;
            }
            left -= weight;
        }
        Stage::Load
    }

    /// Time passes, and another task may be the next.
    async fn while_down(&mut self) {
        match self.dice.between(1, 20) {
            1..=3 => self.advance(600).await,
            4..=5 => self.advance(3_600).await,
            6 => self.advance(3 * 3_600).await,
            7 if self.dice.percent(50) => self.advance(5 * 3_600 + 1_800).await,
            7 => self.advance(9 * 3_600).await,
            _ => {}
        }
        match self.dice.between(1, 10) {
            1 => self.new_task().await,
            2 => self.current = self.dice.index(self.tasks.len()),
            _ => {}
        }
        match self.dice.between(1, 20) {
            1..=10 => self.no_faults().await,
            11 => {
                let fault = self.dice.pick(&["throttle", "drop-after", "no-record-id", "error-500"]);
                self.fault(fault, "start", 1).await;
            }
            _ => {}
        }
    }

    async fn killed_at_start(&mut self) -> (Ended, Count, &'static str) {
        let mut process = self.task().command.start().unwrap();
        let message = self.dice.pick(&["", "", "place found", "place found", "granted"]);
        let said = |_, line: &str| log_fields(line, message).map(|_| ());
        if !message.is_empty() {
            process.watch(0, said).await.unwrap();
        }
        let moment = self.dice.up_to_ms(if message == "granted" { 300 } else { 50 });
        // Ends only if the process does.
        let _ = tokio::time::timeout(moment, process.watch(0, |_, _| None::<()>)).await;
        let ended = kill(process).await;
        let at = match &ended.stderr {
            said if said.contains("\"ready\"") => "start: just ready",
            said if said.contains("\"granted\"") => "start: granted, loading",
            said if said.contains("place found") => "start: ledger open, asking AWS",
            _ => "start: before the ledger",
        };
        (ended, Count::default(), at)
    }

    async fn killed_in_adoption(&mut self) -> (Ended, Count, &'static str) {
        self.new_task().await;
        let arn = self.task().arn.clone();
        let mut process = self.task().command.start().unwrap();
        let asked = self.calls.until(START, |calls| calls.entitled.contains(&arn)).await;
        assert!(asked, "the host does not ask for entitlement\n{:?}", process);
        if self.dice.percent(30) {
            let adopted = |_, line: &str| log_fields(line, "the ledger of another task or pod was adopted").map(|_| ());
            let _ = tokio::time::timeout(Duration::from_millis(100), process.watch(0, adopted)).await;
        } else {
            let moment = self.dice.up_to_ms(60);
            let _ = tokio::time::timeout(moment, process.watch(0, |_, _| None::<()>)).await;
        }
        let ended = kill(process).await;
        let at = if ended.stderr.contains("\"granted\"") { "adoption: just after" } else { "adoption" };
        (ended, Count::default(), at)
    }

    /// A rolling update: both are there for a while. The new one is asked to stop in the end.
    async fn killed_while_replaced(&mut self) -> (Ended, Count, &'static str) {
        let old = self.task().command.serve().await.unwrap();
        let mut load = Load::on(&old, &mut self.dice);
        self.mischief(&old, &mut load).await;
        let folder = self.folder();
        self.new_task().await;
        let command = self.task().command.clone();
        let moment = self.dice.up_to_ms(300);
        let killed = async {
            load.responses(u64::MAX, moment).await;
            kill(old.process).await
        };
        let (ended, new) = tokio::join!(killed, command.serve());
        self.audit.cut_off(&folder, &ended.stderr);
        let new = new.unwrap();
        let mut count = load.end().await;
        let mut load = Load::on(&new, &mut self.dice);
        load.responses(20, Duration::from_millis(200)).await;
        let stopped = new.process.stop().await.unwrap();
        assert!(matches!(stopped.code, Some(0 | 74)), "{}", tail(&stopped.stderr));
        count.merge(load.end().await);
        (ended, count, "while another task starts")
    }

    async fn killed_at_work(&mut self, stage: Stage) -> (Ended, Count, &'static str) {
        let mut host = self.task().command.serve().await.unwrap();
        let mut load = Load::on(&host, &mut self.dice);
        for _ in 0..self.dice.between(0, 3) {
            self.mischief(&host, &mut load).await;
        }
        if self.dice.percent(10) {
            self.settle(&mut host).await;
        }
        let at = match stage {
            Stage::Commit => self.reach_commit(&mut load).await,
            Stage::Attempt => self.reach_attempt(&mut host).await,
            Stage::Checkpoint => self.reach_checkpoint(&mut host, &mut load).await,
            Stage::Flush => self.reach_flush(&mut host).await,
            _ => {
                let (responses, moment) = (self.dice.between(0, 150), self.dice.up_to_ms(300));
                load.responses(responses, moment).await;
                "load"
            }
        };
        let ended = kill(host.process).await;
        (ended, load.end().await, at)
    }

    /// Something changes while the host works.
    async fn mischief(&mut self, host: &Host, load: &mut Load) {
        match self.dice.between(1, 20) {
            1..=9 => self.faulty_hour().await,
            10 => self.no_faults().await,
            11..=17 => {
                let minutes = self.dice.pick(&[7, 25, 55, 61, 81, 81, 120, 180]);
                self.advance(minutes * 60).await;
            }
            18 => self.advance(5 * 3_600 + 2_400).await,
            _ => self.outage(host, load).await,
        }
        load.responses(self.dice.between(1, 30), Duration::from_millis(150)).await;
    }

    /// Some calls go wrong, most often while an hour is sent.
    async fn faulty_hour(&mut self) {
        for _ in 0..self.dice.between(1, 3) {
            self.plan_fault().await;
        }
        if self.dice.percent(80) {
            self.calls.read().await;
            let before = self.calls.records;
            self.advance(HOUR_AND_SENT_S).await;
            self.calls.until(Duration::from_millis(200), |calls| calls.records >= before + 3).await;
        }
    }

    /// AWS takes nothing of one dimension until its oldest record is near the end of its six hours.
    async fn outage(&mut self, host: &Host, load: &mut Load) {
        let dimension = self.dice.pick(&["images", "pixels", "requests"]);
        self.fault("throttle", dimension, 500).await;
        load.responses(10, Duration::from_millis(100)).await;
        for _ in 0..self.dice.between(7, 10) {
            self.advance(50 * 60).await;
            // A host that hears only every second time has a gap in its ledger, and may not carry.
            self.usage_now(host).await;
            load.responses(4, Duration::from_millis(100)).await;
        }
        self.report.also("outages of hours", 1);
    }

    async fn reach_commit(&mut self, load: &mut Load) -> &'static str {
        let mut held = load.hold(&mut self.dice).await;
        load.responses(8, Duration::from_millis(60)).await;
        held.let_go().await;
        load.join(held);
        load.responses(u64::MAX, self.dice.up_to_ms(4)).await;
        "between commit and response"
    }

    /// Some usage is there by now; it becomes a record that is sent.
    async fn reach_attempt(&mut self, host: &mut Host) -> &'static str {
        let from = lines(host);
        self.no_faults().await;
        let sending = |_, line: &str| log_fields(line, "sending usage").map(|_| ());
        match self.dice.between(1, 3) {
            1 => {
                self.advance(HOUR_AND_SENT_S).await;
                let seen = tokio::time::timeout(PATIENCE, host.process.watch(from, sending)).await;
                if seen.is_ok() { "attempt: on disk, leaving" } else { "load" }
            }
            2 => {
                self.calls.read().await;
                let before = self.calls.records;
                self.advance(HOUR_AND_SENT_S).await;
                let seen = self.calls.until(PATIENCE, |calls| calls.records > before).await;
                if seen { "attempt: AWS has it" } else { "load" }
            }
            _ => {
                self.calls.read().await;
                let before = self.calls.records;
                for dimension in ["images", "pixels", "requests"] {
                    self.fault("delay", dimension, 2).await;
                }
                self.advance(HOUR_AND_SENT_S).await;
                let seen = self.calls.until(PATIENCE, |calls| calls.records > before).await;
                if seen { "attempt: the answer is late" } else { "load" }
            }
        }
    }

    /// Once a day, and in the middle of the work.
    async fn reach_checkpoint(&mut self, host: &mut Host, load: &mut Load) -> &'static str {
        self.settle(host).await;
        for _ in 0..6 {
            let from = lines(host);
            load.responses(6, Duration::from_millis(200)).await;
            self.advance(5 * 3_600).await;
            let folding = |_, line: &str| log_fields(line, "folding the ledger into a checkpoint").map(|_| ());
            let seen = tokio::time::timeout(Duration::from_millis(500), host.process.watch(from, folding)).await;
            if seen.is_ok() {
                load.responses(u64::MAX, self.dice.up_to_ms(6)).await;
                return "checkpoint";
            }
        }
        "load"
    }

    async fn reach_flush(&mut self, host: &mut Host) -> &'static str {
        let from = lines(host);
        if self.dice.percent(60) {
            let fault = self.dice.pick(&["delay", "throttle", "drop-after"]);
            for dimension in ["images", "requests"] {
                self.fault(fault, dimension, 2).await;
            }
        }
        host.process.signal(Signal::TERM);
        let message = self.dice.pick(&["stopping", "sending usage", "usage accepted", "usage not accepted yet"]);
        let said = |_, line: &str| log_fields(line, message).map(|_| ());
        let _ = tokio::time::timeout(PATIENCE / 4, host.process.watch(from, said)).await;
        let moment = self.dice.up_to_ms(20);
        let _ = tokio::time::timeout(moment, host.process.watch(from, |_, _| None::<()>)).await;
        "flush"
    }
}

async fn kill(process: Process) -> Ended {
    process.signal(Signal::KILL);
    process.end().await.unwrap()
}
