//! `tollgate listen`: the calls that a running emulator gets and what it answers, as they happen.

use serde_json::Value;

use crate::arguments::Listen;
use crate::control::{Call, Control, Page};
use crate::dev::call_line;
use crate::interrupt;
use crate::trouble::Result;
use crate::words;

/// Shows calls until ctrl-c.
///
/// # Errors
/// The emulator does not answer.
pub async fn run(arguments: Listen) -> Result<()> {
    let stop = interrupt::wish()?;
    let control = Control::new(arguments.emulator);
    let after = if arguments.all { 0 } else { control.page(0, 0).await?.newest };
    words::detail(&format!("calls of {}; ctrl-c ends", control.origin()));
    tokio::select! {
        () = stop => Ok(()),
        result = follow(&control, after, arguments.json) => result,
    }
}

async fn follow(control: &Control, mut after: u64, json: bool) -> Result<()> {
    loop {
        let page = control.page(after, Control::POLL_S).await?;
        if page.newest < after {
            words::detail("the emulator was started anew");
            after = 0;
            continue;
        }
        show(&page, json);
        after = page.last;
    }
}

fn show(page: &Page, json: bool) {
    for call in &page.calls {
        words::data(&if json { call.to_string() } else { line(call) });
    }
}

/// The call as in `dev`, and the rule that decided it.
fn line(call: &Value) -> String {
    let Ok(call) = serde_json::from_value::<Call>(call.clone()) else { return call.to_string() };
    let fault = call.fault.as_ref().map(|fault| format!(", fault {fault}")).unwrap_or_default();
    format!("{}  [{}: {}{fault}]", call_line(&call), call.verdict, call.rule)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_what_was_asked_what_was_answered_and_why() {
        let call = |code: Option<&str>, record_id: Option<&str>, rule: &str, fault: Option<&str>| {
            line(&json!({
                "seq": 1, "at_ms": 1_795_187_100_000_u64, "operation": "MeterUsage", "resource": "task",
                "account": "123456789012", "region": "us-east-1",
                "request": { "UsageDimension": "images", "UsageQuantity": 12 }, "status": 200, "code": code,
                "record_id": record_id, "verdict": if code.is_some() { "refused" } else { "accepted" }, "rule": rule,
                "fault": fault,
            }))
        };
        let lines = [
            call(None, Some("a1"), "recorded", None),
            call(Some("DuplicateRequestException"), None, "DuplicateRequestException", None),
            call(None, Some("a1"), "identical-record-was-there", Some("drop-after")),
        ];
        insta::assert_snapshot!(lines.join("\n"), @"
        15:05:00  MeterUsage      images 12                accepted, record a1  [accepted: recorded]
        15:05:00  MeterUsage      images 12                DuplicateRequestException  [refused: DuplicateRequestException]
        15:05:00  MeterUsage      images 12                accepted, record a1  [accepted: identical-record-was-there, fault drop-after]
        ");
    }
}
