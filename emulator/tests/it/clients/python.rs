use serde_json::{Value, json};
use tokio::process::Command;

use super::{Stage, check, outcomes, program, run};
use crate::install;

#[tokio::test]
async fn boto3_gets_each_answer_as_its_own_exception_and_the_token_verifies_by_pyjwt() {
    let python = install::python();
    let stage = Stage::new().await;
    let cases = stage.cases();
    let answer = run(Command::new(python.join("bin/python")).arg(program("boto.py")), &stage.script(&cases)).await;
    let answers = check(&cases, &outcomes(&answer));
    let token = &answers["RegisterUsage"]["Signature"];
    let pem = stage.world.get("/_tollgate/keys/editor").await["1"].take();
    let mut command = Command::new(python.join("bin/python"));
    let claims = run(command.arg(program("jwt_claims.py")), &json!({ "token": token, "pem": pem })).await;
    assert_eq!(
        (&claims["productCode"], &claims["publicKeyVersion"], &claims["nonce"]),
        (&json!("editor"), &json!(1), &json!("n-1"))
    );
    assert_eq!(claims["forged"], Value::Bool(false));
}
