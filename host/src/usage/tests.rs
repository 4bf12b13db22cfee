use super::*;
use crate::ledger::tests::{FIRST, LAST, database, lived, written};

mod audit;
mod broken;

/// The folder of the one task on a volume.
fn folder(volume: &tempfile::TempDir) -> PathBuf {
    database(volume).parent().unwrap().to_owned()
}

/// What the command says, on stdout or as the message of its exit.
fn run(line: &str, folder: &Path) -> String {
    let mut args: Vec<String> = line.split('|').map(str::to_owned).collect();
    args.extend(["--ledger".to_owned(), folder.display().to_string()]);
    let mut out = Vec::new();
    let said = match Command::parse(&args).and_then(|command| command.run(&mut out)) {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(exit) => String::from_utf8(out).unwrap() + &exit.message(),
    };
    said.replace(&folder.display().to_string(), "FOLDER")
}

fn settle(dimension: &str, hour: &str, more: &str) -> String {
    format!("settle|--listing|paid|--dimension|{dimension}|--hour|{hour}|{more}")
}

const EVENT: &str = "--event|8f2f6a5c-3c1d-4b7e-9a57-0f6d0a4c8b12";

#[test]
fn a_stopped_ledger_is_shown_and_verified_as_a_file() {
    let volume = lived();
    insta::assert_snapshot!(run("show", &folder(&volume)), @r"
    hour                  listing  dimension  state     recorded  late  in  out  sealed  sent  in doubt  conflict  remainder  record id or code
    2025-11-24T16:00:00Z  paid     audio      idle      7         0     0   0            0     0         0         7
    2025-11-27T04:00:00Z  paid     images     acked     9         0     0   0    9       1     0         0         0          R-1
    2025-11-28T17:00:00Z  paid     images     open      8         0     0   0            0     0         0         0
    2025-11-24T16:00:00Z  paid     pixels     in_doubt  94        0     0   0    9       19    90        0         4          six hours passed after an unknown outcome
    2025-11-24T16:00:00Z  paid     videos     conflict  5         0     0   0    5       1     0         5         0
    since the beginning   paid     audio      acked 0   7               0   0                  0         0         7
    since the beginning   paid     images     acked 16  24              0   0                  0         0         0
    since the beginning   paid     pixels     acked 0   94              0   0                  90        0         4
    since the beginning   paid     videos     acked 0   5               0   0                  0         5         0
    sealed: billed units in the request; sent: tries to send it; all else in units of the guest
    ");
    insta::assert_snapshot!(run("verify", &folder(&volume)), @"arn:aws:ecs:eu-west-1:111122223333:task/shop/0123456789abcdef: the ledger is whole; recorded 130, acked 16, in doubt 90, conflict 5");
    assert!(run("show|--json", &folder(&volume)).contains("\"recorded\": 94"));
}

#[test]
fn a_folder_without_a_ledger_stays_without_one() {
    let empty = tempfile::tempdir().unwrap();
    for word in ["verify", "show", "export"] {
        let said = run(word, empty.path());
        assert!(said.contains("there is no ledger"), "{said}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn an_hour_in_doubt_is_settled_with_a_reason_and_an_event() {
    let volume = lived();
    let hour = settlement::rfc3339(tollgate_metering::Hour(FIRST));
    let found = format!("--billed|--reason|MeterUsage of 90 at 17:03, status 200|{EVENT}");
    insta::assert_snapshot!(run(&settle("pixels", &hour, &found), &folder(&volume)), @"2025-11-24T16:00:00Z pixels under paid: settled as billed: its units count as acked");
    let not = format!("--not-billed|--reason|nothing in CloudTrail|{EVENT}");
    insta::assert_snapshot!(run(&settle("videos", &hour, &not), &folder(&volume)), @"2025-11-24T16:00:00Z videos under paid: settled as not billed: its units count as expired");
    insta::assert_snapshot!(run("verify", &folder(&volume)), @"arn:aws:ecs:eu-west-1:111122223333:task/shop/0123456789abcdef: the ledger is whole; recorded 130, acked 106, in doubt 0, conflict 0");
    let entries: Vec<String> =
        run("export", &folder(&volume)).lines().filter(|line| line.contains("\"settled ")).map(str::to_owned).collect();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].contains("billed=true evidence=8f2f6a5c-3c1d-4b7e-9a57-0f6d0a4c8b12"), "{}", entries[0]);
}

#[test]
fn a_settlement_that_cannot_be_one_is_refused_and_changes_nothing() {
    let volume = lived();
    let hour = settlement::rfc3339(tollgate_metering::Hour(FIRST));
    let last = settlement::rfc3339(tollgate_metering::Hour(LAST));
    let whole = format!("--billed|--reason|seen|{EVENT}");
    let before = run("export", &folder(&volume));
    let cases = [
        settle("pixels", &last, &whole),
        settle("pixel", &hour, &whole),
        settle("images", &hour, &whole),
        settle("images", &last, &whole),
        settle("pixels", "yesterday", &whole),
        settle("pixels", "2026-11-21T09:30:00Z", &whole),
        settle("pixels", &hour, &format!("--reason|seen|{EVENT}")),
        settle("pixels", &hour, &format!("--billed|--not-billed|--reason|seen|{EVENT}")),
        settle("pixels", &hour, &format!("--billed|--reason| |{EVENT}")),
        settle("pixels", &hour, &format!("--billed|{EVENT}")),
        settle("pixels", &hour, "--billed|--reason|seen"),
        settle("pixels", &hour, "--billed|--reason|seen|--event|12345"),
        settle("pixels", &hour, "--billed|--reason|seen|--event"),
        settle("pixels", &hour, &format!("{whole}|--json")),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|line| run(line, &folder(&volume)).lines().nth(1).unwrap_or_default().trim().replace("what : ", ""))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    2025-11-28T17:00:00Z pixels under paid: the ledger has no such hour
    2025-11-24T16:00:00Z pixel under paid: the ledger has no such hour
    2025-11-24T16:00:00Z images under paid: the ledger has no such hour
    2025-11-28T17:00:00Z images under paid: is open, neither in doubt nor in conflict
    hour: "yesterday" is not the start of an hour such as 2026-11-21T09:00:00Z
    hour: "2026-11-21T09:30:00Z" is not the start of an hour such as 2026-11-21T09:00:00Z
    settle: needs --billed or --not-billed: does AWS hold the record?
    --billed and --not-billed: only one of them can be true
    reason: is empty; the next reader of the ledger wants to know what you saw
    settle: needs --reason
    settle: needs --event
    event: "12345" is not an event id such as 8f2f6a5c-3c1d-4b7e-9a57-0f6d0a4c8b12, the `eventID` of the MeterUsage call in CloudTrail
    argument "--event": needs a value
    argument "--json": is not known
    "#);
    assert_eq!(run("export", &folder(&volume)), before);
}

#[test]
fn mistakes_in_the_arguments_are_told() {
    let cases = ["", "prove", "show|--jsn", "verify|--admin|127.0.0.1:9080", "verify|--admin", "show|--ledger|/x"];
    let said: Vec<String> = cases
        .iter()
        .map(|line| run(line, Path::new("/nowhere")).lines().nth(1).unwrap_or_default().trim().replace("what : ", ""))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    usage "": is not known
    usage "prove": is not known
    argument "--jsn": is not known
    --ledger and --admin: give one of them
    argument "--admin": needs a value
    argument "--ledger": is given twice
    "#);
    let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let said = [
        "show",
        "show --admin localhost",
        "settle --admin 127.0.0.1:9080 --listing paid",
        "show --admin localhost:9080",
    ]
    .map(|line| match Command::parse(&args(line)) {
        Ok(command) => format!("{:?}", command.of),
        Err(exit) => exit.what,
    });
    insta::assert_snapshot!(said.join("\n"), @r#"
    --ledger: needs the folder of a task or pod, below that of TOLLGATE_LEDGER; or --admin: the admin port of a running host
    --admin: "localhost" is not an address such as 127.0.0.1:9080
    settle: needs --ledger DIR: only who can read the folder may settle, also beside a running host
    Admin(127.0.0.1:9080)
    "#);
}

#[test]
fn a_ledger_in_use_by_a_silent_host_names_the_command() {
    let volume = written();
    let lock = std::fs::File::open(folder(&volume).join("lock")).unwrap();
    lock.try_lock().unwrap();
    insta::assert_snapshot!(run("show", &folder(&volume)), @r"
    tollgate-host: ledger locked (exit 75)
      what : FOLDER is in use by a host
      cause: the host does not say in the file `admin` there where it answers, or that file is not for this user
      next : ask its admin port: tollgate-host usage show --admin HOST:PORT; or stop the host
    ");
}
