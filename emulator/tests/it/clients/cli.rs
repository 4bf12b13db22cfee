use std::{collections::BTreeMap, path::PathBuf, process::Output};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Case, Stage, apart, check, without};
use crate::install;

/// An AWS CLI, by its own entry point.
struct Cli {
    aws: PathBuf,
    /// Where Debian's package lies, for the version that comes from it.
    root: Option<PathBuf>,
}

impl Cli {
    fn v1() -> Self {
        Self { aws: install::python().join("bin/aws"), root: None }
    }

    fn v2() -> Self {
        let root = install::debian().join("root");
        Self { aws: root.join("usr/bin/aws"), root: Some(root) }
    }

    fn command(&self) -> Command {
        let Some(root) = &self.root else { return Command::new(&self.aws) };
        // Unpacked beside the system, the package is started with all that its first line would find there.
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"];
        let libraries = libraries.map(|path| root.join(path).display().to_string()).join(":");
        let mut command = Command::new(root.join("usr/bin/python3.11"));
        command.env("LD_LIBRARY_PATH", libraries).env("PYTHONHOME", root.join("usr"));
        command.env("PYTHONPATH", root.join("usr/lib/python3/dist-packages")).arg(&self.aws);
        command
    }

    /// Runs one command line after the other.
    async fn run(&self, lines: &[Line]) -> Vec<Ran> {
        let mut all = Vec::new();
        for Line { arguments, keys } in lines {
            let mut command = self.command();
            for (name, key) in [
                ("AWS_ACCESS_KEY_ID", "access_key_id"),
                ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
                ("AWS_SESSION_TOKEN", "session_token"),
            ] {
                match keys[key].as_str() {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            // Compiled once, it starts in a third of the time.
            let command = apart(&mut command).env_remove("PYTHONDONTWRITEBYTECODE").args(arguments);
            let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await.unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            all.push(Ran { status: status.code(), stdout: text(stdout), stderr: text(stderr) });
        }
        all
    }
}

struct Line {
    arguments: Vec<String>,
    keys: Value,
}

/// What a command line came to.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// `ok` with its answer, or the code in `An error occurred (CODE) when calling ...`.
    fn outcome(&self) -> (String, Value) {
        if self.status == Some(0) {
            return ("ok".to_owned(), serde_json::from_str(&self.stdout).unwrap());
        }
        let code =
            self.stderr.split_once("An error occurred (").and_then(|(_, rest)| rest.split_once(") when calling the "));
        (code.map_or("no error of the service", |(code, _)| code).to_owned(), json!(self.stderr))
    }
}

impl Stage {
    fn line(&self, caller: &str, region: &str, arguments: &[&str]) -> Line {
        let endpoint = format!("http://{}", self.world.addr);
        let common = ["--endpoint-url", &endpoint, "--region", region, "--output", "json"];
        let arguments = ["meteringmarketplace"].iter().chain(arguments).chain(&common).map(|word| (*word).to_owned());
        Line { arguments: arguments.collect(), keys: self.callers[caller].json.clone() }
    }

    fn lines(&self, cases: &[Case]) -> Vec<Line> {
        let line = |case: &Case| {
            let input = case.input.to_string();
            self.line(case.caller, case.region, &[command_name(case.operation), "--cli-input-json", &input])
        };
        cases.iter().map(line).collect()
    }
}

fn command_name(operation: &str) -> &'static str {
    match operation {
        "RegisterUsage" => "register-usage",
        "MeterUsage" => "meter-usage",
        "BatchMeterUsage" => "batch-meter-usage",
        _ => "resolve-customer",
    }
}

#[tokio::test]
async fn the_cli_v1_prints_each_answer() {
    let cli = Cli::v1();
    let stage = Stage::new().await;
    let cases = stage.cases();
    let ran = cli.run(&stage.lines(&cases)).await;
    check(&cases, &ran.iter().map(Ran::outcome).collect::<Vec<_>>());
}

/// Debian's is older than client tokens and licences.
#[tokio::test]
async fn the_cli_v2_prints_each_answer() {
    let cli = Cli::v2();
    let stage = Stage::new().await;
    let new = |case: &Case| {
        let text = case.input.to_string();
        text.contains("ClientToken") || text.contains("LicenseArn")
    };
    let cases: Vec<Case> = stage.cases().into_iter().filter(|case| !new(case)).collect();
    let ran = cli.run(&stage.lines(&cases)).await;
    check(&cases, &ran.iter().map(Ran::outcome).collect::<Vec<_>>());
}

/// Each operation with its options by hand; its caller.
fn by_hand(stage: &Stage) -> Vec<(&'static str, Vec<String>)> {
    let record =
        format!("Timestamp=2026-11-20T14:10:00Z,CustomerIdentifier={},Dimension=users,Quantity=2", stage.customer);
    let lines: [(&str, &str, Vec<&str>); 4] = [
        ("task", "register-usage --product-code editor --public-key-version 1 --nonce n", vec![]),
        (
            "task",
            "meter-usage --product-code thumbnails --timestamp 2026-11-20T14:10:00Z --usage-dimension images \
             --usage-quantity 3 --no-dry-run --usage-allocations",
            vec!["AllocatedUsageQuantity=3,Tags=[{Key=team,Value=a}]"],
        ),
        ("seller", "batch-meter-usage --product-code old --usage-records", vec![&record]),
        ("seller", "resolve-customer --registration-token", vec![&stage.token]),
    ];
    let words = lines
        .into_iter()
        .map(|(caller, words, last)| (caller, words.split_whitespace().chain(last).map(str::to_owned).collect()));
    words.collect()
}

/// The options by hand, and the skeletons of each operation: that of the output checks its input first.
async fn options(cli: &Cli, kinds: &[&str]) -> String {
    let stage = Stage::new().await;
    let calls = by_hand(&stage);
    let line = |caller: &str, words: &[String], more: &[&str]| {
        let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        stage.line(caller, "us-east-1", &words)
    };
    let mut lines: Vec<Line> = calls.iter().map(|(caller, words)| line(caller, words, &[])).collect();
    for kind in kinds {
        let needed = |words: &[String]| if *kind == "output" { words.len() } else { 1 };
        let skeleton = |(caller, words): &(&str, Vec<String>)| {
            line(caller, &words[..needed(words)], &["--generate-cli-skeleton", *kind])
        };
        lines.extend(calls.iter().map(skeleton));
    }
    let commands = ["register-usage", "meter-usage", "batch-meter-usage", "resolve-customer"];
    let ran = cli.run(&lines).await;
    let mut shown: String = ran[..4].iter().map(|ran| format!("{}\n", ran.outcome().0)).collect();
    for (index, ran) in ran[4..].iter().enumerate() {
        let text = &ran.stdout;
        let (kind, command) = (kinds[index / 4], commands[index % 4]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        let members = ["ProductCode", "UsageRecords", "RegistrationToken", "Signature", "MeteringRecordId", "Results"];
        let members: Vec<&str> = members.into_iter().filter(|name| text.contains(name)).collect();
        shown.push_str(&format!("{command} {kind}: {}\n", members.join(" ")));
    }
    // Only the first four reached the service.
    let calls = stage.world.get("/_tollgate/calls").await["last"].take();
    shown.push_str(&format!("{calls} calls\n"));
    shown
}

#[tokio::test]
async fn the_cli_v1_takes_options_and_makes_skeletons() {
    assert_snapshot!(options(&Cli::v1(), &["input", "output"]).await, @"
    ok
    ok
    ok
    ok
    register-usage input: ProductCode
    meter-usage input: ProductCode
    batch-meter-usage input: ProductCode UsageRecords
    resolve-customer input: RegistrationToken
    register-usage output: Signature
    meter-usage output: MeteringRecordId
    batch-meter-usage output: MeteringRecordId Results
    resolve-customer output: ProductCode
    4 calls
    ");
}

#[tokio::test]
async fn the_cli_v2_takes_options_and_makes_skeletons_also_in_yaml() {
    assert_snapshot!(options(&Cli::v2(), &["input", "yaml-input", "output"]).await, @"
    ok
    ok
    ok
    ok
    register-usage input: ProductCode
    meter-usage input: ProductCode
    batch-meter-usage input: ProductCode UsageRecords
    resolve-customer input: RegistrationToken
    register-usage yaml-input: ProductCode
    meter-usage yaml-input: ProductCode
    batch-meter-usage yaml-input: ProductCode UsageRecords
    resolve-customer yaml-input: RegistrationToken
    register-usage output: Signature
    meter-usage output: MeteringRecordId
    batch-meter-usage output: MeteringRecordId Results
    resolve-customer output: ProductCode
    4 calls
    ");
}

/// The values of a request by member; no two members of one name differ here.
fn values(input: &Value, all: &mut BTreeMap<String, Value>) {
    match input {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            values(value, all);
            if !value.is_object() && !value.is_array() {
                all.insert(name.clone(), value.clone());
            }
        }),
        Value::Array(items) => items.iter().for_each(|item| values(item, all)),
        _ => {}
    }
}

/// A skeleton with the values of a request; members without one are left out.
fn filled(skeleton: Value, values: &BTreeMap<String, Value>) -> Value {
    match skeleton {
        Value::Array(items) => items.into_iter().map(|item| filled(item, values)).collect(),
        Value::Object(members) => members
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::Object(_) | Value::Array(_) => Some((name, filled(value, values))),
                _ => values.get(&name).map(|value| (name, value.clone())),
            })
            .collect(),
        other => other,
    }
}

/// The same in YAML, with its comments.
fn filled_yaml(skeleton: &str, values: &BTreeMap<String, Value>) -> String {
    let line = |line: &str| {
        let (head, rest) = line.split_once(':')?;
        let (value, comment) = rest.split_once('#')?;
        if value.trim().is_empty() {
            return Some(format!("{line}\n"));
        }
        let value = values.get(head.trim_start_matches([' ', '-']))?;
        Some(format!("{head}: {value} #{comment}\n"))
    };
    skeleton.lines().filter_map(line).collect()
}

/// Each operation's skeleton, filled with a good request and given back in a file, arrives as that request.
async fn files(cli: &Cli, forms: &[(&str, &str)]) {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    let mut wanted = Vec::new();
    for cases in [stage.register_usage(), stage.meter_usage(), stage.batch_meter_usage(), stage.resolve_customer()] {
        let Case { operation, caller, region, input, .. } = &cases[0];
        let command = command_name(operation);
        let mut by_member = BTreeMap::new();
        values(input, &mut by_member);
        for (kind, option) in forms {
            let skeleton = stage.line(caller, region, &[command, "--generate-cli-skeleton", kind]);
            let skeleton = &cli.run(&[skeleton]).await[0].stdout;
            let text = match *kind {
                "input" => filled(serde_json::from_str(skeleton).unwrap(), &by_member).to_string(),
                _ => filled_yaml(skeleton, &by_member),
            };
            std::fs::write(&file, &text).unwrap();
            let line = stage.line(caller, region, &[command, option, &format!("file://{}", file.display())]);
            let ran = &cli.run(&[line]).await[0];
            assert_eq!(ran.outcome().0, "ok", "{command} {option}: {ran:?}\n{text}");
            wanted.push(input.clone());
        }
    }
    let calls = stage.world.get("/_tollgate/calls").await["calls"].take();
    // Newer ones draw a client token where none is given.
    let came = calls.as_array().unwrap().iter().map(|call| without(&call["request"], "ClientToken"));
    let came: Vec<Value> = came.collect();
    assert_eq!(came, wanted);
}

#[tokio::test]
async fn the_cli_v1_takes_filled_skeletons_from_files() {
    files(&Cli::v1(), &[("input", "--cli-input-json")]).await;
}

#[tokio::test]
async fn the_cli_v2_takes_filled_skeletons_from_files_in_json_and_yaml() {
    files(&Cli::v2(), &[("input", "--cli-input-json"), ("yaml-input", "--cli-input-yaml")]).await;
}
