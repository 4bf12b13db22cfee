//! What the operator sees when something is wrong: each a message with cause and next step, and its exit code.

use std::net::TcpListener;

use tollgate_cli::host::{HostCommand, Started};
use tollgate_cli::http::Http;
use tollgate_cli::process::Ended;

use crate::support::{Lab, METER_HTTP, body, operator_sees};

/// A component that exports nothing the host could run.
const ANOTHER_WORLD: &str = r#"
(component
  (core module $m (func (export "run") (result i32) i32.const 7))
  (core instance $i (instantiate $m))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))
"#;

async fn ends(command: &HostCommand) -> Ended {
    match command.run().await.unwrap() {
        Started::Ended(ended) => ended,
        Started::Ready(host) => panic!("the host serves on {}", host.listen),
    }
}

async fn with_component(bytes: &[u8]) -> String {
    let lab = Lab::http(METER_HTTP).await;
    std::fs::write(&lab.product.sources()[0], bytes).unwrap();
    operator_sees(&ends(&lab.host().await).await, lab.folder.path())
}

#[tokio::test]
async fn a_manifest_with_five_mistakes() {
    let lab = Lab::http(METER_HTTP).await;
    let manifest = METER_HTTP
        .replace("version = \"1.0.0\"\n", "")
        .replace("pricing = \"custom\"", "pricing = \"costum\"")
        .replace("from = \"host:requests\"", "from = \"host:request\"")
        .replace("tags = [\"team\"]", "tags = [\"team\"]\nper = 0")
        .replace("name = \"guest\"", "name = \"guest\"\ncolour = \"red\"");
    std::fs::write(lab.product.folder.join("product.toml"), manifest).unwrap();
    insta::assert_snapshot!(operator_sees(&ends(&lab.host().await).await, lab.folder.path()));
}

#[tokio::test]
async fn a_component_that_is_not_there() {
    let lab = Lab::http(METER_HTTP).await;
    std::fs::remove_file(&lab.product.sources()[0]).unwrap();
    insta::assert_snapshot!(operator_sees(&ends(&lab.host().await).await, lab.folder.path()));
}

#[tokio::test]
async fn a_core_module_in_place_of_a_component() {
    insta::assert_snapshot!(with_component(&wat::parse_str("(module)").unwrap()).await);
}

#[tokio::test]
async fn a_file_that_is_not_webassembly() {
    insta::assert_snapshot!(with_component(b"#!/bin/sh\n").await);
}

#[tokio::test]
async fn a_component_for_another_world() {
    insta::assert_snapshot!(with_component(&wat::parse_str(ANOTHER_WORLD).unwrap()).await);
}

#[tokio::test]
async fn a_guest_that_asks_for_an_unknown_dimension() {
    let lab = Lab::http(METER_HTTP).await;
    let host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/unknown")).await), "unknown-dimension");
    let ended = host.process.stop().await.unwrap();
    let said: Vec<String> = ended.stderr.lines().filter_map(unknown_dimension).collect();
    assert!(!said.is_empty(), "the operator hears of it");
    insta::assert_snapshot!(said.join("\n"));
}

/// The log line about it, without its time.
fn unknown_dimension(line: &str) -> Option<String> {
    let mut event: serde_json::Value = serde_json::from_str(line).ok()?;
    let about = event.get("message")?.as_str()?.contains("dimension");
    event.as_object_mut()?.remove("timestamp");
    about.then(|| event.to_string())
}

#[tokio::test]
async fn a_port_in_use() {
    let lab = Lab::http(METER_HTTP).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let command = lab.host().await.variable("TOLLGATE_LISTEN", taken.local_addr().unwrap().to_string());
    insta::assert_snapshot!(operator_sees(&ends(&command).await, lab.folder.path()));
}

#[tokio::test]
async fn a_ledger_folder_that_cannot_be_written() {
    let lab = Lab::http(METER_HTTP).await;
    // A file in the place of the folder: nobody can write below it, root neither.
    std::fs::write(lab.ledger(), "").unwrap();
    insta::assert_snapshot!(operator_sees(&ends(&lab.host().await).await, lab.folder.path()));
}

#[tokio::test]
async fn a_second_host_on_the_same_ledger() {
    let lab = Lab::http(METER_HTTP).await;
    let command = lab.host().await;
    let first = command.serve().await.unwrap();
    insta::assert_snapshot!(operator_sees(&ends(&command).await, lab.folder.path()));
    assert_eq!(body(Http::http1().get(&first.url("/healthz")).await), "ok", "the first one goes on");
}

#[tokio::test]
async fn no_credentials() {
    let lab = Lab::http(METER_HTTP).await;
    let command =
        lab.host().await.without("ECS_CONTAINER_METADATA_URI_V4").without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    insta::assert_snapshot!(operator_sees(&ends(&command).await, lab.folder.path()));
}

#[tokio::test]
async fn no_region() {
    let lab = Lab::http(METER_HTTP).await;
    let token = lab.folder.path().join("token");
    std::fs::write(&token, pod_token()).unwrap();
    let command = lab
        .host()
        .await
        .without("ECS_CONTAINER_METADATA_URI_V4")
        .without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        .variable("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/product")
        .variable("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    insta::assert_snapshot!(operator_sees(&ends(&command).await, lab.folder.path()));
}

#[tokio::test]
async fn wrong_variables_all_at_once() {
    let lab = Lab::http(METER_HTTP).await;
    let command = lab
        .host()
        .await
        .variable("TOLLGATE_LISTEN", "here")
        .variable("TOLLGATE_GRACE", "soon")
        .variable("TOLLGATE_ENDPOINT", "http://127.0.0.1");
    insta::assert_snapshot!(operator_sees(&ends(&command).await, lab.folder.path()));
}

/// What the kubelet puts into a pod, as far as the host reads it. Its signature is for AWS to check.
pub(crate) fn pod_token() -> &'static str {
    // {"alg":"none"} . {"kubernetes.io":{"namespace":"shop","pod":{"name":"api-0","uid":"0c2f1d4e-93a3-4d0a-8c63-1f6f0c9f2b11"}},
    //  "sub":"system:serviceaccount:shop:api"} . nothing
    "eyJhbGciOiJub25lIn0.eyJrdWJlcm5ldGVzLmlvIjp7Im5hbWVzcGFjZSI6InNob3AiLCJwb2QiOnsibmFtZSI6ImFwaS0wIiwidWlkIjoiMGMyZjFk\
     NGUtOTNhMy00ZDBhLThjNjMtMWY2ZjBjOWYyYjExIn19LCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDphcGkifQ.bm90aGluZw"
}
