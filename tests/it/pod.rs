//! The host in a pod whose service account has a role (IRSA): credentials by STS, the region by its variable or by the
//! instance below, the identity by its token. The code is the production host's; the emulator is the cluster and AWS.

use tollgate_cli::control::Task;
use tollgate_cli::host::{HostCommand, Started};
use tollgate_cli::http::Http;

use crate::entitlement::hourly_lab;
use crate::support::{Lab, METER_HTTP, body, host_command, operator_sees};

/// The host in `pod`, with the token of its service account where the kubelet would put it.
fn host_in(lab: &Lab, pod: &Task) -> HostCommand {
    let token = lab.folder.path().join("token");
    std::fs::write(&token, pod.web_identity_token.as_ref().unwrap()).unwrap();
    host_command(&lab.service, pod, &lab.product.folder, &lab.ledger()).pod(pod, &token)
}

/// Operation, region and resource of each call, and what came of it; equal ones once.
async fn calls(lab: &Lab) -> Vec<(String, String, String, String)> {
    let (calls, _) = lab.control().calls_so_far().await.unwrap();
    let mut seen: Vec<_> =
        calls.into_iter().map(|call| (call.operation, call.region, call.resource, call.verdict)).collect();
    seen.dedup();
    seen
}

#[tokio::test]
async fn usage_arrives_under_the_identity_of_the_pod_also_with_the_next_credentials() {
    let lab = Lab::http(METER_HTTP).await;
    let pod = lab.control().task("eks-irsa").await.unwrap();
    let mut host = host_in(&lab, &pod).serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=5")).await), "counted");
    // The credentials are good for an hour, so that the record goes out with others.
    lab.hour_passes(&mut host).await;
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));

    let images = lab.records("images").await;
    assert_eq!(images.len(), 1);
    assert_eq!((images[0].quantity, &images[0].resource), (5, &pod.task_arn));
    let of_the_pod = ("MeterUsage".into(), "us-east-1".into(), pod.task_arn, "accepted".into());
    assert_eq!(calls(&lab).await, [of_the_pod]);
}

#[tokio::test]
async fn without_the_variable_the_region_is_that_of_the_instance_below() {
    let lab = Lab::http(METER_HTTP).await;
    let pod = lab.control().task_in("eks-irsa", "eu-west-1").await.unwrap();
    let host = host_in(&lab, &pod).without("AWS_REGION").serve().await.unwrap();
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
    assert!(pod.task_arn.contains(":eu-west-1:"), "{}", pod.task_arn);
    assert_eq!(calls(&lab).await, [("MeterUsage".into(), "eu-west-1".into(), pod.task_arn, "accepted".into())]);
}

#[tokio::test]
async fn an_hourly_listing_registers_the_pod() {
    let lab = hourly_lab().await;
    let pod = lab.control().task("eks-irsa").await.unwrap();
    let host = host_in(&lab, &pod).serve().await.unwrap();
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
    let registrations = lab.control().truth().await.unwrap().registrations;
    let resources: Vec<_> = registrations.iter().map(|registration| registration["resource"].clone()).collect();
    assert_eq!(resources, [pod.task_arn]);
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_pod_ends_the_start() {
    let lab = Lab::http(METER_HTTP).await;
    let pod = lab.control().task("eks-irsa").await.unwrap();
    let command = host_in(&lab, &pod).variable("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/another");
    let Started::Ended(ended) = command.run().await.unwrap() else { panic!("the host serves") };
    insta::assert_snapshot!(operator_sees(&ended, lab.folder.path()), @r#"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the role of this task or pod: MeterUsage said AccessDenied
      cause: the role of the task or pod has no permission for aws-marketplace:MeterUsage, or its trust policy does not let this workload take it
      next : attach the managed policy AWSMarketplaceMeteringFullAccess, or allow aws-marketplace:MeterUsage on resource "*", to the task role (not the execution role) or the IRSA role (not the node role)
    [exit 78]
    "#);
    assert_eq!(calls(&lab).await, [], "nobody was asked without credentials");
}
