//! Where a product runs: what an operator is told in a place that AWS does not take, without a permission, and in a region
//! without the service. Pods that AWS takes are in `pod`.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tollgate_cli::host::{HostCommand, Started};
use tollgate_cli::http::Http;

use crate::entitlement::{hourly_lab, refused};
use crate::support::{Lab, METER_HTTP, body, operator_sees};

/// A task, pod or holder of keys as the emulator is asked for it.
async fn caller(lab: &Lab, wanted: Value) -> Value {
    let url = format!("{}/_tollgate/tasks", lab.control().origin());
    let wanted = Bytes::from(wanted.to_string());
    let reply = Http::http1().send(Method::POST, &url, &[("content-type", "application/json")], wanted).await;
    serde_json::from_str(&body(reply)).unwrap()
}

fn field(caller: &Value, name: &str) -> String {
    caller[name].as_str().unwrap().to_owned()
}

/// A host with nothing of a place around it.
async fn nowhere(lab: &Lab) -> HostCommand {
    lab.host().await.without("ECS_CONTAINER_METADATA_URI_V4").without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
}

/// The host moved to the task that is asked for.
pub(crate) async fn moved(lab: &Lab, host: HostCommand, wanted: Value) -> HostCommand {
    let task = caller(lab, wanted).await;
    let metadata = format!("{}{}", lab.control().origin(), field(&task, "metadata_path"));
    host.variable("ECS_CONTAINER_METADATA_URI_V4", metadata)
        .variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", field(&task, "credentials_path"))
}

async fn in_task(lab: &Lab, wanted: Value) -> HostCommand {
    moved(lab, lab.host().await, wanted).await
}

async fn said(lab: &Lab, command: &HostCommand) -> String {
    let Started::Ended(ended) = command.run().await.unwrap() else { panic!("it serves") };
    operator_sees(&ended, lab.folder.path())
}

#[tokio::test]
async fn every_other_place_is_told_what_to_do_instead() {
    let lab = Lab::http(METER_HTTP).await;
    let bare = nowhere(&lab).await;
    let in_kubernetes = bare.clone().variable("KUBERNETES_SERVICE_HOST", "10.100.0.1");
    let identity = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    let mut told = Vec::new();
    for (place, command) in [
        ("a laptop", bare.clone()),
        (
            "a laptop with keys",
            bare.clone().variable("AWS_ACCESS_KEY_ID", "AKIA").variable("AWS_SECRET_ACCESS_KEY", "s"),
        ),
        ("a laptop with a profile", bare.variable("AWS_PROFILE", "work").variable("HOME", "/home/me")),
        ("a pod with EKS Pod Identity", in_kubernetes.clone().variable(identity.0, identity.1)),
        ("a pod with its node's role", in_kubernetes),
        ("a task without a role", lab.host().await.without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")),
    ] {
        told.push(format!("{place}\n{}", said(&lab, &command).await));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_with_the_policy_that_has_it() {
    let custom = Lab::http(METER_HTTP).await;
    let hourly = hourly_lab().await;
    let dry = Lab::http(&METER_HTTP.replace("entitlement_dimension = \"start\"", "entitlement = \"dry-run\"")).await;
    let task = |permits: &str| json!({ "platform": "ecs", "permits": [permits] });
    let mut told = Vec::new();
    for (what, lab, command) in [
        ("MeterUsage is missing", &custom, in_task(&custom, task("RegisterUsage")).await),
        ("MeterUsage is missing, asked by a dry run", &dry, in_task(&dry, task("RegisterUsage")).await),
        ("RegisterUsage is missing", &hourly, in_task(&hourly, task("MeterUsage")).await),
    ] {
        told.push(format!("{what}\n{}", said(lab, &command).await));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test]
async fn where_aws_meters_no_containers_it_is_not_asked() {
    let lab = Lab::http(METER_HTTP).await;
    let (calls, _) = lab.control().calls_so_far().await.unwrap();
    for region in ["us-gov-west-1", "cn-north-1"] {
        let command = in_task(&lab, json!({ "platform": "ecs", "region": region })).await;
        let said = refused(&lab, &command, 76).await;
        assert!(said.contains(&format!("AWS Marketplace does not meter containers in {region}")), "{said}");
    }
    assert_eq!(lab.control().calls_so_far().await.unwrap().0.len(), calls.len());
    // A list in a binary grows old: what is not in it is asked, and warned of.
    let command = in_task(&lab, json!({ "platform": "ecs", "region": "ca-west-1" })).await;
    let said = refused(&lab, &command, 76).await;
    assert!(said.contains("AWS did not list this region for this call"), "{said}");
    assert!(said.contains("DisabledApiException"), "{said}");
}
