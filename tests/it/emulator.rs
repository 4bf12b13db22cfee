//! The emulator as a program of its own: its file, its state, and the commands that steer and watch it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_marketplacemetering::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_marketplacemetering::primitives::DateTime;
use aws_sdk_marketplacemetering::{Client, Config};
use rustix::process::Signal;
use tokio::process::Command;
use tollgate_cli::control::{Control, Task};
use tollgate_cli::process::{Ended, Input, Process, Stream};

use crate::support::TOLLGATE;

const CONFIG: &str = r#"
start = "2026-11-20T14:30:00Z"
[[product]]
code = "thumbnails"
pricing = "custom"
[[product.dimension]]
key = "images"
price = "0.0025"
[[product.dimension]]
key = "start"
[[buyer]]
id = "123456789012"
subscribed = ["thumbnails"]
[behaviour]
quota = "none"
"#;

fn start(arguments: &[&str]) -> Process {
    let mut command = Command::new(TOLLGATE);
    command.args(arguments).env("NO_COLOR", "1");
    Process::start("tollgate", &mut command, Input::Nothing).unwrap()
}

async fn run(arguments: &[&str]) -> Ended {
    start(arguments).end().await.unwrap()
}

/// An emulator with the file above and its state in `folder`; where it listens.
async fn emulator(folder: &Path) -> (Process, Control) {
    let (config, state) = (folder.join("emulator.toml"), folder.join("state"));
    std::fs::write(&config, CONFIG).unwrap();
    let (config, state) = (config.to_str().unwrap(), state.to_str().unwrap());
    let listen = ["emulator", "--listen", "127.0.0.1:0", "--json"];
    let mut process = start(&[&listen[..], &["--config", config, "--state", state]].concat());
    let endpoint = |stream, line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok().filter(|_| stream == Stream::Stdout)?;
        Some(line["endpoint"].as_str()?.to_owned())
    };
    let (endpoint, _) = process.watch(0, endpoint).await.unwrap().expect("it says where it listens");
    (process, Control::new(endpoint))
}

fn client(control: &Control, task: &Task) -> Client {
    let (key, secret) = (task.access_key_id.clone(), task.secret_access_key.clone());
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key, secret, task.session_token.clone(), None, "test"))
        .endpoint_url(control.origin())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// Sends a record for one of the last hours; its id, if an answer came.
async fn send(client: &Client, quantity: i32, hours_ago: i64) -> Option<String> {
    let at = DateTime::from_secs(1_795_185_000 - 3_600 * hours_ago);
    let call = client.meter_usage().product_code("thumbnails").usage_dimension("images");
    let answer = call.usage_quantity(quantity).timestamp(at).send().await.ok()?;
    answer.metering_record_id().map(str::to_owned)
}

#[tokio::test]
async fn a_killed_emulator_has_lost_no_acknowledged_record() {
    let folder = tempfile::tempdir().unwrap();
    let (process, control) = emulator(folder.path()).await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..30 {
        tasks.push(control.task("ecs").await.unwrap());
    }
    let senders: Vec<_> = tasks.chunks(10).map(<[Task]>::to_vec).collect();
    let senders = senders.into_iter().map(|tasks| {
        let (control, acknowledged) = (control.clone(), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for task in &tasks {
                let client = client(&control, task);
                for hour in 0..6 {
                    let Some(id) = send(&client, 7, hour).await else { return ids };
                    ids.push((task.task_arn.clone(), id));
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            }
            ids
        })
    });
    let senders: Vec<_> = senders.collect();
    while acknowledged.load(Ordering::Relaxed) < 40 {
        tokio::task::yield_now().await;
    }
    process.signal(Signal::KILL);
    process.end().await.unwrap();
    let mut ids = Vec::new();
    for sender in senders {
        ids.extend(sender.await.unwrap());
    }
    assert!((40..180).contains(&ids.len()), "killed while they sent: {}", ids.len());

    let (process, control) = emulator(folder.path()).await;
    let kept = control.truth().await.unwrap().records;
    for (resource, id) in &ids {
        assert!(kept.iter().any(|record| record.record_id == *id && record.resource == *resource), "{id} is lost");
    }
    let (resource, id) = &ids[0];
    let task = tasks.iter().find(|task| task.task_arn == *resource).unwrap();
    assert_eq!(send(&client(&control, task), 7, 0).await.as_ref(), Some(id), "sent again, it is the same record");
    process.stop().await.unwrap();
}

#[tokio::test]
async fn a_running_emulator_is_steered_watched_and_checked_by_commands() {
    let folder = tempfile::tempdir().unwrap();
    let (process, control) = emulator(folder.path()).await;
    let at = ["--emulator", control.origin()];
    let task = control.task("ecs").await.unwrap();
    let client = client(&control, &task);
    assert!(send(&client, 12, 0).await.is_some());

    let told = run(&[&["trigger", "throttle"], &at[..]].concat()).await;
    assert_eq!((told.code, told.stderr.trim()), (Some(0), "ok    ThrottlingException"));
    assert_eq!(send(&client, 12, 1).await, None);
    assert_eq!(run(&[&["trigger", "unsubscribe"], &at[..]].concat()).await.code, Some(0));
    let newcomer = self::client(&control, &control.task("ecs").await.unwrap());
    assert_eq!(send(&newcomer, 1, 0).await, None);
    let unknown = run(&[&["trigger", "unsubscribe", "editor"], &at[..]].concat()).await;
    assert_eq!(unknown.code, Some(3));
    assert!(unknown.stderr.contains(r#"refuses: no product "editor""#), "{}", unknown.stderr);

    let holds = "exactly one record of 12 for images at 14:00";
    let good = run(&[&["assert", holds, "one call decided fault"], &at[..]].concat()).await;
    assert_eq!(good.code, Some(0), "{}", good.stderr);
    let wrong = run(&[&["assert", "exactly one record of 13 for images at 14:00", holds], &at[..]].concat()).await;
    assert_eq!(wrong.code, Some(1));
    let said = wrong.stderr.replace(control.origin(), "[emulator]").replace(&task.task_arn, "[task]");
    insta::assert_snapshot!(said, @r"
      FAIL  exactly one record of 13 for images at 14:00: there are 0
            there is: of 12 for images at 2026-11-20T14:00:00Z in thumbnails by 123456789012 from [task]
      ok    exactly one record of 12 for images at 14:00
    error: 1 of 2 assertions do not hold
    next step: all that was recorded: [emulator]/_tollgate/calls?format=csv
    ");

    let mut listen = start(&[&["listen", "--all", "--json"], &at[..]].concat());
    let third = |stream, line: &str| {
        let call: serde_json::Value = serde_json::from_str(line).ok().filter(|_| stream == Stream::Stdout)?;
        (call["seq"] == 3).then_some(call)
    };
    let (call, _) = listen.watch(0, third).await.unwrap().unwrap();
    assert_eq!((&call["verdict"], &call["rule"]), (&"refused".into(), &"CustomerNotEntitledException".into()));
    listen.signal(Signal::INT);
    assert_eq!(listen.end().await.unwrap().code, Some(0));
    process.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_with_mistakes_is_told_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.toml");
    std::fs::write(&file, "regoin = \"x\"\n[[product]]\npricing = \"monthy\"\n").unwrap();
    let ended = run(&["emulator", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(3));
    insta::assert_snapshot!(ended.stderr.replace(file.to_str().unwrap(), "[file]"), @r#"
    error: [file] cannot be used:
    line 1, column 1: the file has no key "regoin"
      next: remove it, or use one of: account, region, start, product, buyer, behaviour
    line 2, column 1: [[product]] has no code
      next: add code = "1abc2defghij3klmnopq4rstu"
    line 3, column 11: pricing is "monthy"
      next: use one of: custom, free, hourly, monthly, saas
    next step: correct these lines
    "#);
}

#[tokio::test]
async fn the_events_that_can_be_triggered_are_listed() {
    let ended = run(&["trigger", "--help"]).await;
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.stdout, @r"
    Makes something happen in a running emulator: an unsubscribe, an outage, an hour that passes

    Usage: tollgate trigger [OPTIONS] <COMMAND>

    Commands:
      unsubscribe          The buyer ends the subscription; containers that run go on
      resubscribe          The buyer subscribes, again or for the first time
      throttle             Calls are answered with ThrottlingException
      error-500            Calls are answered with InternalServiceErrorException
      error-503            Calls are answered with a 503 of a load balancer, in HTML
      expired-credentials  Calls are answered with ExpiredTokenException, as if the credentials had ended
      unprocessed          BatchMeterUsage hands its records back
      drop-after-commit    Calls are kept, then the connection closes without an answer
      drop-before-commit   The connection closes before anything is kept
      reset-after-commit   Calls are kept, then the connection is reset
      reset-before-commit  The connection is reset before anything is kept
      no-record-id         Records are kept, and answered without a MeteringRecordId
      truncate             Calls are kept, and their answers end in the middle
      delay                Answers come late
      clock-skew           The Date of answers is wrong
      outage               Every call is answered with InternalServiceErrorException, for a time on the emulator's clock
      advance              Time passes on the emulator's clock
      speed                The emulator's clock runs faster than the real one
      freeze               The emulator's clock stands still
      thaw                 The emulator's clock runs as the real one
      heal                 All faults end
      help                 Print this message or the help of the given subcommand(s)

    Options:
          --emulator <EMULATOR>  Where the emulator listens [default: http://127.0.0.1:4566]
      -h, --help                 Print help
    ");
}
