//! `tollgate trigger`: something happens to a running emulator, as it happens to products in the field.

use hyper::Method;
use serde_json::{Value, json};

use crate::arguments::{Event, Target, Trigger};
use crate::control::Control;
use crate::trouble::{Result, Trouble};
use crate::words;

/// Makes it happen.
///
/// # Errors
/// The emulator does not answer, refuses, or has several products and none is named.
pub async fn run(arguments: Trigger) -> Result<()> {
    let control = Control::new(arguments.emulator);
    let product = match &arguments.event {
        Event::Unsubscribe(Target { product: None, .. }) | Event::Resubscribe(Target { product: None, .. }) => {
            Some(only_product(&control).await?)
        }
        Event::Unsubscribe(target) | Event::Resubscribe(target) => target.product.clone(),
        _ => None,
    };
    let change = change(&arguments.event, product.as_deref().unwrap_or_default());
    control.change(change.method, &change.path, change.body.as_ref()).await?;
    words::good(&change.told);
    Ok(())
}

async fn only_product(control: &Control) -> Result<String> {
    let mut products = control.products().await?;
    match (products.pop(), products.is_empty()) {
        (Some(product), true) => Ok(product),
        (None, _) => Err(Trouble::new("no product is on sale", "", "start the emulator with --config or --product")),
        (Some(last), false) => {
            let names = [products, vec![last]].concat().join(", ");
            Err(Trouble::new(format!("several products are on sale: {names}"), "", "name one behind the event"))
        }
    }
}

/// One request of the control API.
#[derive(Debug)]
struct Change {
    method: Method,
    path: String,
    body: Option<Value>,
    /// What the user is told.
    told: String,
}

fn change(event: &Event, product: &str) -> Change {
    match event {
        Event::Unsubscribe(target) => subscribe(target, product, false),
        Event::Resubscribe(target) => subscribe(target, product, true),
        Event::Throttle(scope) => fault("throttle", scope.json(), "ThrottlingException"),
        Event::Error500(scope) => fault("error-500", scope.json(), "InternalServiceErrorException"),
        Event::Error503(scope) => fault("error-503", scope.json(), "503 without an error code"),
        Event::ExpiredCredentials(scope) => fault("expired-credentials", scope.json(), "ExpiredTokenException"),
        Event::Unprocessed(scope) => fault("unprocessed", scope.json(), "records are handed back"),
        Event::DropAfterCommit(scope) => fault("drop-after", scope.json(), "kept, and no answer"),
        Event::DropBeforeCommit(scope) => fault("drop-before", scope.json(), "not kept, and no answer"),
        Event::ResetAfterCommit(scope) => fault("reset-after", scope.json(), "kept, and the connection is reset"),
        Event::ResetBeforeCommit(scope) => fault("reset-before", scope.json(), "not kept, and the connection is reset"),
        Event::NoRecordId(scope) => fault("no-record-id", scope.json(), "kept, and an answer without a record id"),
        Event::Truncate(scope) => fault("truncate", scope.json(), "kept, and half an answer"),
        Event::Delay { by, scope } => {
            let body = with(scope.json(), "delay_ms", json!(by.seconds.saturating_mul(1_000)));
            fault("delay", body, &format!("answers come {by} late"))
        }
        Event::ClockSkew { by, scope } => {
            let body = with(scope.json(), "skew_s", json!(by.seconds));
            fault("wrong-date", body, &format!("the Date of answers is off by {by}"))
        }
        Event::Outage { lasting } => {
            let body = json!({ "for_s": lasting.seconds });
            fault("error-500", body, &format!("nothing works for {lasting} on the emulator's clock"))
        }
        Event::Advance { by } => clock(json!({ "advance_s": by.seconds }), &format!("the clock went on by {by}")),
        Event::Speed { times } => clock(json!({ "speed": times }), &format!("the clock runs {times} times as fast")),
        Event::Freeze => clock(json!({ "speed": 0 }), "the clock stands still"),
        Event::Thaw => clock(json!({ "speed": 1 }), "the clock runs"),
        Event::Heal => Change {
            method: Method::DELETE,
            path: "/_tollgate/faults".into(),
            body: None,
            told: "all faults are over".into(),
        },
    }
}

fn subscribe(target: &Target, product: &str, subscribed: bool) -> Change {
    let mut body = json!({ "subscribed": subscribed });
    if let Some(account) = &target.account {
        body["account"] = json!(account);
    }
    let who = target.account.as_deref().unwrap_or("the account");
    let what = if subscribed { "is subscribed to" } else { "is no longer subscribed to" };
    let path = format!("/_tollgate/subscriptions/{product}");
    Change { method: Method::PUT, path, body: Some(body), told: format!("{who} {what} {product}") }
}

fn fault(name: &str, body: Value, told: &str) -> Change {
    let body = with(body, "fault", json!(name));
    Change { method: Method::POST, path: "/_tollgate/faults".into(), body: Some(body), told: told.to_owned() }
}

fn clock(body: Value, told: &str) -> Change {
    Change { method: Method::POST, path: "/_tollgate/clock".into(), body: Some(body), told: told.to_owned() }
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn check(lines: &[&str]) -> String {
        let requests = lines.iter().map(|line| {
            let words = ["tollgate", "trigger"].into_iter().chain(line.split(' '));
            match Arguments::try_parse_from(words).map(|arguments| arguments.command) {
                Ok(Command::Trigger(trigger)) => {
                    let change = change(&trigger.event, "p");
                    let body = change.body.map(|body| body.to_string()).unwrap_or_default();
                    let request = format!("{} {} {body}", change.method, change.path);
                    format!("{line}\n  {}\n  {}\n", request.trim_end(), change.told)
                }
                Ok(_) => unreachable!("only trigger is parsed"),
                Err(error) => format!("{line}\n  {}\n", error.to_string().lines().next().unwrap_or_default()),
            }
        });
        requests.collect()
    }

    #[test]
    fn every_event_of_subscriptions_and_time_is_one_request() {
        insta::assert_snapshot!(check(&[
            "unsubscribe",
            "unsubscribe p --account 111122223333",
            "resubscribe p",
            "advance 1d",
            "speed 60",
            "freeze",
            "thaw",
            "outage soon",
            "outage",
        ]), @r#"
        unsubscribe
          PUT /_tollgate/subscriptions/p {"subscribed":false}
          the account is no longer subscribed to p
        unsubscribe p --account 111122223333
          PUT /_tollgate/subscriptions/p {"account":"111122223333","subscribed":false}
          111122223333 is no longer subscribed to p
        resubscribe p
          PUT /_tollgate/subscriptions/p {"subscribed":true}
          the account is subscribed to p
        advance 1d
          POST /_tollgate/clock {"advance_s":86400}
          the clock went on by 24 h
        speed 60
          POST /_tollgate/clock {"speed":60}
          the clock runs 60 times as fast
        freeze
          POST /_tollgate/clock {"speed":0}
          the clock stands still
        thaw
          POST /_tollgate/clock {"speed":1}
          the clock runs
        outage soon
          error: invalid value 'soon' for '<LASTING>': "soon" is not a time such as 90s, 10m, 2h or 1d
        outage
          error: the following required arguments were not provided:
        "#);
    }

    #[test]
    fn a_fault_says_which_calls_it_hits() {
        insta::assert_snapshot!(check(&[
            "throttle",
            "throttle --count 5 --operation MeterUsage --dimension images",
            "throttle --for 10m",
            "throttle --probability 0.2 --seed 7 --resource arn:aws:ecs:us-east-1:1:task/a",
            "throttle --seed 7",
        ]), @r#"
        throttle
          POST /_tollgate/faults {"fault":"throttle"}
          ThrottlingException
        throttle --count 5 --operation MeterUsage --dimension images
          POST /_tollgate/faults {"count":5,"dimension":"images","fault":"throttle","operation":"MeterUsage"}
          ThrottlingException
        throttle --for 10m
          POST /_tollgate/faults {"fault":"throttle","for_s":600}
          ThrottlingException
        throttle --probability 0.2 --seed 7 --resource arn:aws:ecs:us-east-1:1:task/a
          POST /_tollgate/faults {"fault":"throttle","probability":0.2,"resource":"arn:aws:ecs:us-east-1:1:task/a","seed":7}
          ThrottlingException
        throttle --seed 7
          error: the following required arguments were not provided:
        "#);
    }

    #[test]
    fn every_kind_of_fault_is_one_request() {
        insta::assert_snapshot!(check(&[
            "error-500 --count 2",
            "error-503",
            "expired-credentials",
            "unprocessed",
            "drop-after-commit",
            "drop-before-commit",
            "reset-after-commit",
            "reset-before-commit",
            "no-record-id",
            "truncate",
            "delay 2s",
            "clock-skew -90m",
            "outage 2h",
            "heal",
        ]), @r#"
        error-500 --count 2
          POST /_tollgate/faults {"count":2,"fault":"error-500"}
          InternalServiceErrorException
        error-503
          POST /_tollgate/faults {"fault":"error-503"}
          503 without an error code
        expired-credentials
          POST /_tollgate/faults {"fault":"expired-credentials"}
          ExpiredTokenException
        unprocessed
          POST /_tollgate/faults {"fault":"unprocessed"}
          records are handed back
        drop-after-commit
          POST /_tollgate/faults {"fault":"drop-after"}
          kept, and no answer
        drop-before-commit
          POST /_tollgate/faults {"fault":"drop-before"}
          not kept, and no answer
        reset-after-commit
          POST /_tollgate/faults {"fault":"reset-after"}
          kept, and the connection is reset
        reset-before-commit
          POST /_tollgate/faults {"fault":"reset-before"}
          not kept, and the connection is reset
        no-record-id
          POST /_tollgate/faults {"fault":"no-record-id"}
          kept, and an answer without a record id
        truncate
          POST /_tollgate/faults {"fault":"truncate"}
          kept, and half an answer
        delay 2s
          POST /_tollgate/faults {"delay_ms":2000,"fault":"delay"}
          answers come 2 s late
        clock-skew -90m
          POST /_tollgate/faults {"fault":"wrong-date","skew_s":-5400}
          the Date of answers is off by -90 min
        outage 2h
          POST /_tollgate/faults {"fault":"error-500","for_s":7200}
          nothing works for 2 h on the emulator's clock
        heal
          DELETE /_tollgate/faults
          all faults are over
        "#);
    }
}
