use super::*;
use crate::ledger::tests::{database, spoil, written};

fn run(line: &str, folder: &Path) -> String {
    let args: Vec<String> =
        line.split(' ').map(str::to_owned).chain(["--ledger".to_owned(), folder.display().to_string()]).collect();
    match Command::parse(&args).and_then(|command| command.run()) {
        Ok(text) => text,
        Err(exit) => exit.message().replace(&folder.display().to_string(), "FOLDER"),
    }
}

#[test]
fn a_stopped_ledger_is_shown_and_verified_as_a_file() {
    let volume = written();
    let folder = database(&volume).parent().unwrap().to_owned();
    insta::assert_snapshot!(run("show", &folder), @r"
    hour                  listing  dimension  state  recorded  late  in  out  remainder  quantity  record id or code
    1970-01-01T02:00:00Z  paid     images     open   7         0     0   0    0
    ");
    insta::assert_snapshot!(run("verify", &folder), @"arn:aws:ecs:eu-west-1:111122223333:task/shop/0123456789abcdef: the ledger is whole; recorded 7, acked 0, in doubt 0, conflict 0");
    assert!(run("show --json", &folder).contains("\"recorded\": 7"));
}

#[test]
fn a_ledger_that_was_changed_is_found_and_the_first_wrong_row_named() {
    let volume = written();
    let folder = database(&volume).parent().unwrap().to_owned();
    let change = "UPDATE transitions SET text = replace(text, 'at=7200', 'at=7201') WHERE seq = 2";
    spoil(&volume, change);
    let said = run("verify", &folder);
    assert!(said.starts_with("tollgate-host: ledger unusable (exit 73)"), "{said}");
    assert!(said.contains("entry 2 or one before it was changed"), "{said}");
}

#[test]
fn a_folder_without_a_ledger_stays_without_one() {
    let empty = tempfile::tempdir().unwrap();
    let said = run("verify", empty.path());
    assert!(said.contains("there is no ledger"), "{said}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
