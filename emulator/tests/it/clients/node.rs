use tokio::process::Command;

use super::{Stage, check, outcomes, program, run};
use crate::install;

#[tokio::test]
async fn the_sdk_for_javascript_gets_each_answer_as_its_own_class() {
    let node = install::node();
    let stage = Stage::new().await;
    let cases = stage.cases();
    // A module is looked up from where the program lies.
    let script = node.join("sdk.mjs");
    std::fs::copy(program("sdk.mjs"), &script).unwrap();
    let answer = run(Command::new("node").arg(script), &stage.script(&cases)).await;
    check(&cases, &outcomes(&answer));
}
