//! `tollgate dev`: a product on this machine, with the metering service beside it and each call as it happens.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::arguments::Dev;
use crate::control::{Call, Control};
use crate::environment;
use crate::host::{self, HostCommand};
use crate::interrupt;
use crate::process::{Ended, Input, Process, Stream};
use crate::product::Product;
use crate::service::Service;
use crate::trouble::{Result, Trouble};
use crate::words;

/// A product runs as long as its developer likes.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// In the host's own words, this message means that it serves.
const READY: &str = "ready";

/// Builds and runs the product until ctrl-c, or until a command product ends.
///
/// # Errors
/// The product cannot be built, the emulator cannot start, or the host ends with an error.
pub async fn run(arguments: Dev) -> Result<()> {
    let product = Product::read(&arguments.folder)?;
    interrupt::or(product.build()).await?;
    let stop = interrupt::wish()?;
    let service = Service::start(([127, 0, 0, 1], 0).into()).await?;
    product.sell(&service.control).await?;
    let ledger = tempfile::tempdir().map_err(|error| Trouble::file("make", Path::new("a temporary folder"), &error))?;
    let mut session = Session {
        process: command(&arguments, &product, &service.control, ledger.path()).await?.start()?.patient(FOR_EVER),
        control: service.control.clone(),
        json: arguments.json,
        calls_seen: 0,
        lines_seen: 0,
    };
    words::good(&format!("{} with an emulated AWS at {}", product.name(), service.control.origin()));
    words::detail(&format!("let an hour pass: tollgate trigger advance 80m --emulator {}", service.control.origin()));
    words::detail("ctrl-c stops: the host seals the running hour and sends it");
    session.follow(stop).await?;
    let ended = session.finish().await?;
    service.stop().await;
    match ended.code {
        Some(0) => Ok(()),
        _ => Err(Trouble::new(format!("the host ended with {}:\n{}", host::code(&ended), last_words(&ended)), "", "")),
    }
}

async fn command(arguments: &Dev, product: &Product, control: &Control, ledger: &Path) -> Result<HostCommand> {
    let program =
        std::env::current_exe().map_err(|error| Trouble::file("find", Path::new("tollgate itself"), &error))?;
    let task = control.task("ecs").await?;
    let mut command = HostCommand::new(&program, control.origin(), &task, &product.folder, ledger)
        .variable("TOLLGATE_LISTEN", arguments.listen.to_string())
        .variable("TOLLGATE_ADMIN", arguments.admin.to_string())
        .arguments(&arguments.arguments)
        .input(Input::Ours);
    if let Some(listing) = product.manifest.listings.first() {
        command = command.variable("TOLLGATE_LISTING", &listing.id);
    }
    let asked_for = product.manifest.components.iter().flat_map(|component| &component.env);
    for name in asked_for.map(String::as_str).chain(["TOLLGATE_LISTING", "TOLLGATE_LOG"]) {
        if let Some(value) = environment::operator_variable(name) {
            command = command.variable(name, value);
        }
    }
    Ok(command)
}

struct Session {
    process: Process,
    control: Control,
    json: bool,
    calls_seen: u64,
    lines_seen: usize,
}

impl Session {
    /// Shows what the host says and what the emulator is asked, until the host ends or the user wants to stop.
    async fn follow(&mut self, stop: impl Future<Output = ()>) -> Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut calls = Box::pin(new_calls(self.control.clone(), self.calls_seen));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                line = self.process.watch(self.lines_seen, any_line) => match line? {
                    Some((line, next)) => {
                        self.lines_seen = next;
                        show_line(&line);
                    }
                    None => return Ok(()),
                },
                answer = &mut calls => {
                    let (new, last) = answer?;
                    new.iter().for_each(|call| self.show_call(call));
                    self.calls_seen = last;
                    calls = Box::pin(new_calls(self.control.clone(), last));
                }
            }
        }
    }

    /// Stops the host, shows what it still sent.
    async fn finish(mut self) -> Result<Ended> {
        self.process.signal(Signal::TERM);
        while let Some((line, next)) = self.process.watch(self.lines_seen, any_line).await? {
            self.lines_seen = next;
            show_line(&line);
        }
        let (calls, _) = self.control.calls_so_far().await?;
        calls.iter().filter(|call| call.seq > self.calls_seen).for_each(|call| self.show_call(call));
        self.process.end().await
    }

    fn show_call(&self, call: &Call) {
        if self.json {
            words::data(&serde_json::to_string(call).unwrap_or_default());
        } else {
            words::say(&call_line(call));
        }
    }
}

async fn new_calls(control: Control, after: u64) -> Result<(Vec<Call>, u64)> {
    control.calls(after).await
}

/// A metering call in one line: when, what, and what came of it.
pub fn call_line(call: &Call) -> String {
    let time = i64::try_from(call.at_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let time = time.map_or_else(String::new, |time| time.strftime("%H:%M:%S").to_string());
    let text = |name: &str| call.request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let quantity = ["UsageQuantity", "UsageQuantityAsDecimal"].into_iter().find_map(|name| match &call.request[name] {
        Value::Number(whole) => Some(whole.to_string()),
        Value::String(decimal) => Some(decimal.clone()),
        _ => None,
    });
    let what = match (quantity, call.request["UsageRecords"].as_array()) {
        (Some(quantity), _) => format!("{} {quantity}", text("UsageDimension")),
        (None, Some(records)) => format!("{} records", records.len()),
        (None, None) => text("ProductCode"),
    };
    let result = match (&call.record_id, &call.code) {
        (Some(record_id), _) => format!("accepted, record {record_id}"),
        (None, Some(code)) => code.clone(),
        (None, None) if call.status == 0 => "no answer".into(),
        (None, None) if call.verdict == "accepted" => call.rule.clone(),
        (None, None) => format!("status {}", call.status),
    };
    format!("{time}  {:<15} {what:<24} {result}", call.operation)
}

#[expect(clippy::unnecessary_wraps, reason = "a finder that takes every line")]
fn any_line(stream: Stream, line: &str) -> Option<(Stream, String)> {
    Some((stream, line.to_owned()))
}

/// The host's log lines in few words; what a command product prints is data.
fn show_line((stream, line): &(Stream, String)) {
    if *stream == Stream::Stdout {
        return words::data(line);
    }
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return words::say(line);
    };
    let fields = event.get("fields").unwrap_or(&event);
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (level, target, message) = (text(&event, "level"), text(&event, "target"), text(fields, "message"));
    if message == READY {
        let (listen, admin) = (text(fields, "listen"), text(fields, "admin"));
        let what = if listen.is_empty() { "running".into() } else { format!("serving on http://{listen}") };
        words::good(&format!("{what}, admin on http://{admin}"));
    } else if target == "guest" {
        words::say(&format!("guest: {}", text(fields, "line")));
    } else if level == "WARN" || level == "ERROR" {
        words::say(&format!("host: {} {message}", level.to_lowercase()));
    } else {
        words::detail(&format!("host: {message}"));
    }
}

fn last_words(ended: &Ended) -> String {
    ended.stderr.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_one_line() {
        let call = |operation: &str, request: Value, code: Option<&str>, record_id: Option<&str>| Call {
            seq: 1,
            at_ms: 1_795_187_100_000,
            operation: operation.into(),
            resource: String::new(),
            account: String::new(),
            region: String::new(),
            request,
            status: 200,
            code: code.map(str::to_owned),
            record_id: record_id.map(str::to_owned),
            verdict: if code.is_some() { "refused".into() } else { "accepted".into() },
            rule: "2 recorded".into(),
            fault: None,
        };
        let decimal = json!({ "UsageDimension": "gigapixels", "UsageQuantityAsDecimal": "1.5" });
        let lines = [
            call("MeterUsage", json!({ "UsageDimension": "images", "UsageQuantity": 12 }), None, Some("a1")),
            call("MeterUsage", decimal, None, Some("a2")),
            call("RegisterUsage", json!({ "ProductCode": "code" }), Some("CustomerNotEntitledException"), None),
            call("BatchMeterUsage", json!({ "UsageRecords": [{}, {}] }), None, None),
        ];
        insta::assert_snapshot!(lines.iter().map(call_line).collect::<Vec<_>>().join("\n"), @r"
        15:05:00  MeterUsage      images 12                accepted, record a1
        15:05:00  MeterUsage      gigapixels 1.5           accepted, record a2
        15:05:00  RegisterUsage   code                     CustomerNotEntitledException
        15:05:00  BatchMeterUsage 2 records                2 recorded
        ");
    }
}
