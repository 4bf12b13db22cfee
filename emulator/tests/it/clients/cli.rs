use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Case, Stage, check, program, run};
use crate::install;

/// An AWS CLI: the command that runs Python with it.
struct Cli {
    python: PathBuf,
    /// Where Debian's package lies, for the version that comes from it.
    root: Option<PathBuf>,
}

impl Cli {
    fn v1() -> Self {
        Self { python: install::python().join("bin/python"), root: None }
    }

    fn v2() -> Self {
        let root = install::debian().join("root");
        Self { python: root.join("usr/bin/python3.11"), root: Some(root) }
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(&self.python);
        if let Some(root) = &self.root {
            let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"];
            let libraries = libraries.map(|path| root.join(path).display().to_string()).join(":");
            let packages = root.join("usr/lib/python3/dist-packages");
            command.env("LD_LIBRARY_PATH", libraries).env("PYTHONHOME", root.join("usr"));
            command.env("PYTHONPATH", packages);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(program.as_ref());
        command
    }

    /// Runs one command line after the other in one process, each with a driver of its own.
    async fn run(&self, lines: &[Line]) -> Vec<Value> {
        let lines: Vec<Value> =
            lines.iter().map(|line| json!({ "arguments": line.arguments, "keys": line.keys })).collect();
        let answer = run(&mut self.command(program("cli.py")), &json!(lines)).await;
        answer.as_array().unwrap().clone()
    }
}

struct Line {
    arguments: Vec<String>,
    keys: Value,
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

/// `ok` with its answer, or the code in `An error occurred (CODE) when calling ...`.
fn outcome(ran: &Value) -> (String, Value) {
    if ran["status"] == 0 {
        return ("ok".to_owned(), serde_json::from_str(ran["stdout"].as_str().unwrap()).unwrap());
    }
    let said = ran["stderr"].as_str().unwrap();
    let code = said.split_once("An error occurred (").and_then(|(_, rest)| rest.split_once(") when calling the "));
    (code.map_or("no error of the service", |(code, _)| code).to_owned(), json!(said))
}

#[tokio::test]
async fn the_cli_v1_prints_each_answer() {
    let cli = Cli::v1();
    let stage = Stage::new().await;
    let cases = stage.cases();
    let ran = cli.run(&stage.lines(&cases)).await;
    check(&cases, &ran.iter().map(outcome).collect::<Vec<_>>());
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
    check(&cases, &ran.iter().map(outcome).collect::<Vec<_>>());
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
    let mut shown: String = ran[..4].iter().map(|ran| format!("{}\n", outcome(ran).0)).collect();
    for (index, ran) in ran[4..].iter().enumerate() {
        let text = ran["stdout"].as_str().unwrap();
        let (kind, command) = (kinds[index / 4], commands[index % 4]);
        assert_eq!(ran["status"], 0, "{ran}");
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

#[tokio::test]
async fn the_cli_v2_takes_a_filled_skeleton_from_a_file_in_json_and_yaml() {
    let cli = Cli::v2();
    let stage = Stage::new().await;
    let skeletons = ["input", "yaml-input"]
        .map(|kind| stage.line("task", "us-east-1", &["register-usage", "--generate-cli-skeleton", kind]));
    let ran = cli.run(&skeletons).await;
    let [json, yaml] = [0, 1].map(|n: usize| ran[n]["stdout"].as_str().unwrap().to_owned());
    let mut filled: Value = serde_json::from_str(&json).unwrap();
    (filled["ProductCode"], filled["PublicKeyVersion"], filled["Nonce"]) =
        (json!("editor"), json!(1), json!("from JSON"));
    let yaml =
        yaml.replace("ProductCode: ''", "ProductCode: editor").replace("PublicKeyVersion: 0", "PublicKeyVersion: 1");
    let yaml = yaml.replace("Nonce: ''", "Nonce: from YAML");
    let folder = tempfile::tempdir().unwrap();
    let (json_file, yaml_file) = (folder.path().join("input.json"), folder.path().join("input.yaml"));
    std::fs::write(&json_file, filled.to_string()).unwrap();
    std::fs::write(&yaml_file, yaml).unwrap();
    let file = |path: &Path| format!("file://{}", path.display());
    let lines = [
        stage.line("task", "us-east-1", &["register-usage", "--cli-input-json", &file(&json_file)]),
        stage.line("task", "us-east-1", &["register-usage", "--cli-input-yaml", &file(&yaml_file)]),
    ];
    let ran = cli.run(&lines).await;
    let answers: Vec<String> = ran.iter().map(|ran| outcome(ran).0).collect();
    assert_eq!(answers, ["ok", "ok"], "{ran:?}");
    let calls = stage.world.get("/_tollgate/calls").await["calls"].take();
    let nonces: Vec<&Value> = calls.as_array().unwrap().iter().map(|call| &call["request"]["Nonce"]).collect();
    assert_eq!(nonces, ["from JSON", "from YAML"]);
}
