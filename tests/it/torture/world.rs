//! One volume, one emulator, and the tasks that come and go on them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tollgate_cli::host::{Host, HostCommand, log_fields};
use tollgate_cli::http::Http;
use tollgate_cli::process::{Ended, PATIENCE, Stream};

use super::audit::{ANSWERS, Audit, SOLD, folder};
use super::calls::Calls;
use super::clients::Count;
use super::cut::{Break, Line};
use super::dice::Dice;
use super::report::Report;
use super::story::Story;
use crate::support::{HOUR_AND_SENT_S, Lab, TOLLGATE};

/// What happens to a call on the way to AWS, in AWS, or on the way back.
const FAULTS: [&str; 6] = ["throttle", "error-500", "drop-before", "drop-after", "no-record-id", "delay"];
/// No wait between two tries of a record is longer.
const BACKOFF_MAX_S: u64 = 600;
/// Within this time a host that has something to say to AWS says it.
const SOON: Duration = Duration::from_millis(150);
/// The host's clock follows the emulator's within this time.
const CLOCKS_DIFFER_S: u64 = 5;
/// So many looks at a host that does not settle, and it never will.
const LOOKS_MAX: usize = 400;

/// A task of this world, and how to start a host in it.
pub(super) struct Task {
    pub(super) arn: String,
    pub(super) command: HostCommand,
}

pub(super) struct World {
    pub(super) lab: Lab,
    pub(super) line: Line,
    pub(super) calls: Calls,
    pub(super) tasks: Vec<Task>,
    /// The one whose host ran last.
    pub(super) current: usize,
    pub(super) dice: Dice,
    pub(super) audit: Audit,
    pub(super) served: Count,
    pub(super) report: Report,
    pub(super) story: Story,
}

impl World {
    pub(super) async fn new(seed: u64, manifest: &str) -> Self {
        let lab = Lab::http(manifest).await;
        let line = Line::to(lab.service.address).await;
        let calls = Calls::of(lab.control().origin());
        let audit = Audit::of(lab.ledger());
        let mut world = Self {
            lab,
            line,
            calls,
            tasks: Vec::new(),
            current: 0,
            dice: Dice::new(seed),
            audit,
            served: Count::default(),
            report: Report::default(),
            story: Story::of(seed),
        };
        world.new_task().await;
        world
    }

    /// From now on the newest task is the current one.
    pub(super) async fn new_task(&mut self) {
        let task = self.lab.control().task("ecs").await.unwrap();
        let command =
            HostCommand::new(TOLLGATE.as_ref(), &self.line.origin, &task, &self.lab.product.folder, &self.lab.ledger());
        // Long enough for a test to choose its moment, short enough to wait for.
        let command = command.variable("TOLLGATE_GRACE", "4s");
        self.current = self.tasks.len();
        self.story.tell(format!("task {} is {}", self.current, task.task_arn));
        self.tasks.push(Task { arn: task.task_arn, command });
    }

    pub(super) fn task(&self) -> &Task {
        &self.tasks[self.current]
    }

    pub(super) fn folder(&self) -> String {
        folder(&self.task().arn)
    }

    pub(super) async fn advance(&mut self, seconds: u64) {
        self.story.tell(format!("{} min pass", seconds / 60));
        self.report.also("minutes passed", seconds / 60);
        self.lab.control().advance(seconds).await.unwrap();
    }

    /// One or several calls to come will go wrong.
    pub(super) async fn plan_fault(&mut self) {
        if self.dice.percent(25) {
            let what = self.dice.pick(&[Break::Truncated, Break::Page]);
            self.story.tell(format!("the next reply is spoilt: {what:?}"));
            return self.line.plan(what);
        }
        let fault = self.dice.pick(&FAULTS);
        let dimension = SOLD[self.dice.index(SOLD.len())].0;
        let count = self.dice.between(1, 4);
        self.fault(fault, dimension, count).await;
    }

    pub(super) async fn fault(&mut self, fault: &str, dimension: &str, count: u64) {
        let delay_ms = if fault == "delay" { self.dice.between(20, 400) } else { 0 };
        self.story.tell(format!("{fault} {count} times for {dimension}"));
        let body = json!({ "fault": fault, "dimension": dimension, "count": count, "delay_ms": delay_ms });
        let url = format!("{}/_tollgate/faults", self.lab.control().origin());
        let reply = Http::http1().send(Method::POST, &url, &[], body.to_string().into()).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(super) async fn no_faults(&mut self) {
        self.line.clear();
        self.lab.control().heal().await.unwrap();
    }

    /// With AWS in good health, waits until nothing waits: first at the time it is, then an hour later.
    pub(super) async fn settle(&mut self, host: &mut Host) {
        self.no_faults().await;
        self.nothing_waits(host).await;
        self.advance(HOUR_AND_SENT_S).await;
        self.nothing_waits(host).await;
        self.story.tell("settled".to_owned());
        self.report.also("times settled", 1);
    }

    async fn nothing_waits(&mut self, host: &mut Host) {
        let mut from = lines(host);
        for _ in 0..LOOKS_MAX {
            let usage = self.usage_now(host).await;
            if !waits(&usage) {
                let at = usage["at"].as_u64().unwrap();
                return self.audit.quiet.push((self.folder(), at));
            }
            let answered = |_, line: &str| {
                let said = ANSWERS.into_iter().find(|message| log_fields(line, message).is_some())?;
                Some(said == ANSWERS[0])
            };
            match tokio::time::timeout(SOON, host.process.watch(from, answered)).await {
                Ok(found) => {
                    let (deferred, next) = found.unwrap().expect("the host goes on");
                    from = next;
                    if deferred {
                        self.advance(BACKOFF_MAX_S).await;
                    }
                }
                // It waits for a moment that was set before we looked.
                Err(_) => self.advance(BACKOFF_MAX_S).await,
            }
        }
        panic!("the host does not settle: {}", host.admin("/usage").await.unwrap().text());
    }

    /// What the host says once it has heard what time it is.
    pub(super) async fn usage_now(&self, host: &Host) -> Value {
        let now = self.lab.control().clock().await.unwrap().now_ms / 1_000;
        let look = async {
            loop {
                let usage: Value = serde_json::from_slice(&host.admin("/usage").await.unwrap().body).unwrap();
                if usage["at"].as_u64().unwrap() + CLOCKS_DIFFER_S >= now {
                    return usage;
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the host hears of the time")
    }

    /// After each end of a host: nothing that a client got is missing, nothing is there that nobody asked for.
    pub(super) async fn examine(&mut self, ended: &Ended, count: Count) {
        assert_eq!(count.wrong, Vec::<String>::new(), "answers that no host may give");
        let before = SOLD.map(|(dimension, _)| self.audit.recorded(dimension));
        self.audit.look().unwrap_or_else(|problem| panic!("{problem}\n{}", tail(&ended.stderr)));
        self.calls.read().await;
        let truth = self.lab.control().truth().await.unwrap();
        let mut unanswered = 0;
        for ((dimension, per), before) in SOLD.into_iter().zip(before) {
            let (units, recorded) = (count.of(dimension), self.audit.recorded(dimension) - before);
            let fits = units.served..=units.served + units.uncertain;
            assert!(
                fits.contains(&recorded),
                "{dimension}: the clients got {} units and perhaps {} more, the ledger has {recorded} more than before\n{}",
                units.served,
                units.uncertain,
                tail(&ended.stderr)
            );
            unanswered += recorded - units.served;
            let billed = truth.billed.get(dimension).copied().unwrap_or(0);
            assert!(billed * per <= self.audit.recorded(dimension), "{dimension}: {billed} billed");
        }
        self.report.also("ends with usage on disk whose response never arrived", u64::from(unanswered > 0));
        let folded = ended.stderr.matches("folding the ledger into a checkpoint").count();
        self.report.also("checkpoints begun", u64::try_from(folded).unwrap());
        let adopted = ended.stderr.matches("the ledger of another task or pod was adopted").count();
        self.report.also("ledgers adopted", u64::try_from(adopted).unwrap());
        self.report.also("responses", count.responses);
        self.report.also("requests refused because AWS was late", count.refused);
        self.served.merge(count);
    }

    /// Nothing goes wrong any more: everything has its end, and all counts are compared.
    pub(super) async fn heal_and_compare(&mut self) {
        self.story.tell("everything is healed".to_owned());
        self.run_in_peace().await;
        // Whatever the last task could not adopt is too old then, and has to be said by name.
        self.advance(7 * 3_600).await;
        self.new_task().await;
        self.run_in_peace().await;
        for name in self.audit.folders() {
            verify(self.lab.ledger().join(&name));
        }
        let truth = self.lab.control().truth().await.unwrap();
        let spoilt: BTreeSet<String> = self.line.spoilt().into_iter().collect();
        let wrong = self.audit.compare(&truth, &self.calls, &spoilt, &self.served);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        self.sum_up(&truth);
    }

    async fn run_in_peace(&mut self) {
        self.no_faults().await;
        let mut host = self.task().command.serve().await.unwrap();
        self.settle(&mut host).await;
        let ended = host.process.stop().await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", tail(&ended.stderr));
        self.examine(&ended, Count::default()).await;
    }

    fn sum_up(&mut self, truth: &tollgate_cli::control::Truth) {
        for (dimension, per) in SOLD {
            let units = self.served.of(dimension);
            let billed = truth.billed.get(dimension).copied().unwrap_or(0) * per;
            let states = self.report.units.entry(dimension).or_default();
            states.insert("served to clients", units.served);
            states.insert("uncertain to clients", units.uncertain);
            states.insert("billed by AWS", billed);
            for state in ["recorded", "acked", "in_doubt", "expired", "rejected", "remainder", "carried", "adopted"] {
                states.insert(state, self.audit.total(dimension, state));
            }
        }
        for slot in self.audit.slots.values() {
            *self.report.slots.entry(slot.state).or_default() += 1;
        }
        self.report.faults = self.calls.faults.clone();
        for (what, number) in self.line.counted() {
            self.report.faults.insert(format!("{what:?}").to_lowercase(), number);
        }
        self.report.also("tasks", u64::try_from(self.tasks.len()).unwrap());
        self.report.also("records at AWS", u64::try_from(truth.records.len()).unwrap());
        self.report.also("requests with usage at AWS", self.calls.records);
    }
}

/// True if a record could have its answer by now, or soon.
fn waits(usage: &Value) -> bool {
    let at = usage["at"].as_u64().unwrap();
    usage["rows"].as_array().unwrap().iter().any(|row| {
        let number = |name: &str| row[name].as_u64().unwrap();
        let over = number("hour") + 3_600 <= at;
        match row["state"].as_str().unwrap() {
            "sealed" | "attempted" => number("hour") + 3_600 + 20 * 60 <= at || number("attempts") > 0,
            "open" => over && number("open") >= number("per"),
            _ => false,
        }
    })
}

/// How many lines the host has said.
pub(super) fn lines(host: &Host) -> usize {
    host.process.text(Stream::Stderr).lines().count() + host.process.text(Stream::Stdout).lines().count()
}

/// As an auditor does it.
fn verify(ledger: PathBuf) {
    let arguments = ["verify".to_owned(), "--ledger".to_owned(), ledger.display().to_string()];
    let mut out = Vec::new();
    let said = tollgate_host::usage::Command::parse(&arguments).and_then(|command| command.run(&mut out));
    assert!(said.is_ok(), "{said:?}");
}

/// The newest lines.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
