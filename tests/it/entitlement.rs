//! The gate: before AWS has said yes, no component is opened, so none is read, compiled or run. The kernel is the
//! witness, for each way to be refused, beside a run in which it sees the file opened.

use tollgate_cli::control::Fault;
use tollgate_cli::host::{HostCommand, Started};
use tollgate_cli::http::Http;
use tollgate_cli::open_watch::OpenWatch;
use tollgate_cli::process::Input;

use crate::agent::{agent, credentials};
use crate::support::{CODE, Lab, METER_HTTP, body, sample};

/// Runs the host to its end, and holds that it never opened the component.
pub(crate) async fn refused(lab: &Lab, command: &HostCommand, code: i32) -> String {
    let mut watch = OpenWatch::on(&lab.product.sources()[0]).unwrap();
    let Started::Ended(ended) = command.run().await.unwrap() else { panic!("the host serves") };
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(watch.opened().unwrap(), 0, "the component was opened before AWS said yes");
    ended.stderr
}

fn hourly() -> String {
    METER_HTTP.replace(
        "pricing = \"custom\"\nentitlement_dimension = \"start\"",
        "pricing = \"hourly\"\npublic_keys = { 1 = \"key.pem\" }",
    )
}

/// The key that AWS signs with is made by the emulator, so the manifest's comes from there.
pub(crate) async fn hourly_lab() -> Lab {
    let lab = Lab::http(METER_HTTP).await;
    lab.control().product(CODE, "hourly", &[]).await.unwrap();
    let keys = lab.control().keys(CODE).await.unwrap();
    std::fs::write(lab.product.folder.join("key.pem"), &keys[&1]).unwrap();
    std::fs::write(lab.product.folder.join("product.toml"), hourly()).unwrap();
    lab
}

#[tokio::test]
async fn with_entitlement_the_same_watch_sees_the_component_opened() {
    let lab = Lab::http(METER_HTTP).await;
    let mut watch = OpenWatch::on(&lab.product.sources()[0]).unwrap();
    let host = lab.host().await.serve().await.unwrap();
    assert!(watch.opened().unwrap() > 0);
    assert_eq!(body(Http::http1().get(&host.url("/healthz")).await), "ok");
}

#[tokio::test]
async fn without_a_subscription_exit_77() {
    let lab = Lab::http(METER_HTTP).await;
    lab.control().subscribe(CODE, false).await.unwrap();
    refused(&lab, &lab.host().await, 77).await;
}

#[tokio::test]
async fn without_a_subscription_to_an_hourly_listing_exit_77() {
    let lab = hourly_lab().await;
    lab.control().subscribe(CODE, false).await.unwrap();
    refused(&lab, &lab.host().await, 77).await;
    assert!(lab.control().truth().await.unwrap().registrations.is_empty());
}

#[tokio::test]
async fn on_a_platform_that_aws_does_not_serve_exit_76() {
    let lab = Lab::http(METER_HTTP).await;
    let task = lab.control().task("ecs").await.unwrap();
    let node = lab.control().task("node-role").await.unwrap();
    let container = agent(&task, vec![credentials(&node, "2099-01-01T00:00:00Z")]).await;
    let command = lab
        .host()
        .await
        .container(container)
        .variable("ECS_CONTAINER_METADATA_URI_V4", format!("http://{container}/v4/task"))
        .variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/task");
    refused(&lab, &command, 76).await;
}

#[tokio::test]
async fn a_listing_that_aws_does_not_know_exit_78() {
    let lab = Lab::http(METER_HTTP).await;
    let manifest = METER_HTTP.replace(CODE, "another-code");
    std::fs::write(lab.product.folder.join("product.toml"), manifest).unwrap();
    refused(&lab, &lab.host().await, 78).await;
}

#[tokio::test]
async fn throttled_for_the_whole_start_budget_exit_71() {
    let lab = Lab::http(METER_HTTP).await;
    lab.control().fault(&Fault { fault: "throttle", operation: None, dimension: None, count: 1000 }).await.unwrap();
    refused(&lab, &lab.host().await.variable("TOLLGATE_START_BUDGET", "1s"), 71).await;
}

#[tokio::test]
async fn throttled_at_first_it_asks_again_and_starts() {
    let lab = Lab::http(METER_HTTP).await;
    lab.control().fault(&Fault { fault: "throttle", operation: None, dimension: None, count: 2 }).await.unwrap();
    let host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/healthz")).await), "ok");
}

#[tokio::test]
async fn no_credentials_exit_69() {
    let lab = Lab::http(METER_HTTP).await;
    refused(&lab, &lab.host().await.without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), 69).await;
}

#[tokio::test]
async fn an_hourly_listing_registers_once_and_sends_no_usage() {
    let lab = hourly_lab().await;
    let host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=5")).await), "counted");
    let grant = body(Http::http1().get(&host.url("/grant")).await);
    assert!(grant.starts_with("guest paid hourly 20"), "{grant}");
    let tallies = host.tallies().await.unwrap();
    assert!(tallies.iter().any(|tally| tally.dimension == "images" && tally.recorded == 5), "{tallies:?}");
    let ended = host.process.stop().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let truth = lab.control().truth().await.unwrap();
    assert_eq!((truth.registrations.len(), truth.records.len()), (1, 0));
}

/// A dry run proves the permission, not the subscription; the first real record proves that.
#[tokio::test]
async fn a_provisional_grant_ends_with_77_at_the_first_real_record() {
    let lab = Lab::example("log-report").await;
    lab.control().subscribe(&lab.product.manifest.listings[0].product_code, false).await.unwrap();
    let log = Input::Bytes(sample("log-report/samples/access.log"));
    let ended = lab.host().await.input(log).start().unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(77), "{}", ended.stderr);
    assert!(ended.stderr.contains("AWS refused the first usage record of this task or pod"), "{}", ended.stderr);
    assert_eq!(lab.billed("lines").await, 0);
}
