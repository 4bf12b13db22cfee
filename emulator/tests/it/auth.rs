use insta::assert_snapshot;

use crate::world::{World, http_request, images, send};

#[tokio::test]
async fn only_the_holder_of_the_credentials_gets_in() {
    let world = World::new().await;
    let task = world.task().await;
    let token = Some(task.text("session_token").to_owned());
    let (key, secret) = (task.text("access_key_id"), task.text("secret_access_key"));
    let cases = [
        ("the holder", world.client_with(key, secret, token.clone(), "us-east-1")),
        ("another secret", world.client_with(key, "guessed", token.clone(), "us-east-1")),
        ("an unknown key", world.client_with("ASIAUNKNOWN", secret, token.clone(), "us-east-1")),
        ("no session token", world.client_with(key, secret, None, "us-east-1")),
        ("another token", world.client_with(key, secret, Some("token".to_owned()), "us-east-1")),
        ("another region", world.client_with(key, secret, token.clone(), "eu-west-1")),
        ("a region with a dot", world.client_with(key, secret, token, "s3.us-east-1")),
    ];
    let mut answers = String::new();
    for (name, client) in cases {
        let answer = send(images(&client, 1, 0)).await;
        answers.push_str(&format!("{name}: {}\n", if answer.len() == 36 { "recorded" } else { &answer }));
    }
    assert_snapshot!(answers, @"
    the holder: recorded
    another secret: InvalidSignatureException
    an unknown key: UnrecognizedClientException
    no session token: UnrecognizedClientException
    another token: UnrecognizedClientException
    another region: InvalidEndpointRegionException
    a region with a dot: InvalidSignatureException
    ");
    assert_eq!(world.truth().await["billed"]["images"], 1);
}

/// The scope of a signature is looked at before the signature itself.
#[tokio::test]
async fn a_scope_for_another_service_or_day_is_refused() {
    let world = World::new().await;
    let task = world.task().await;
    let mut answers = String::new();
    for (date, scope) in [
        ("20261120T143000Z", "20261120/us-east-1/execute-api/aws4_request"),
        ("20261120T143000Z", "20261119/us-east-1/aws-marketplace/aws4_request"),
        ("20200101T000000Z", "20200101/us-east-1/aws-marketplace/aws4_request"),
        ("20261120T143000Z", "20261120/us-east-1/aws-marketplace"),
        ("yesterday", "yesterday/us-east-1/aws-marketplace/aws4_request"),
    ] {
        let key = task.text("access_key_id");
        let authorization = format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=00");
        let token = task.text("session_token");
        let headers =
            [("authorization", &*authorization), ("x-amz-date", date), ("x-amz-security-token", token), TARGET];
        let (status, body) = world.raw(&http_request("POST", "/", &headers, "{}")).await;
        answers.push_str(&format!("{status} {body}\n"));
    }
    let (status, body) = world.raw(&http_request("POST", "/", &[TARGET], "{}")).await;
    answers.push_str(&format!("{status} {body}\n"));
    assert_snapshot!(answers, @r#"
    400 {"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Credential should be scoped to correct service: 'aws-marketplace'."}
    400 {"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Date in Credential scope does not match X-Amz-Date: '20261119'."}
    400 {"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired or not yet current: 20200101T000000Z."}
    400 {"__type":"com.amazon.coral.service#IncompleteSignatureException","message":"Credential must be KEY/DATE/REGION/SERVICE/aws4_request."}
    400 {"__type":"com.amazon.coral.service#IncompleteSignatureException","message":"Date must be given in the X-Amz-Date header as YYYYMMDD'T'HHMMSS'Z'."}
    400 {"__type":"com.amazon.coral.service#MissingAuthenticationTokenException","message":"Missing Authentication Token"}
    "#);
}

#[tokio::test]
async fn the_target_must_be_under_the_signature() {
    let world = World::new().await;
    let task = world.task().await;
    let key = task.text("access_key_id");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key}/20261120/us-east-1/aws-marketplace/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=00"
    );
    let token = task.text("session_token");
    let headers = [
        ("authorization", &*authorization),
        ("x-amz-date", "20261120T143000Z"),
        ("x-amz-security-token", token),
        TARGET,
    ];
    let (_, body) = world.raw(&http_request("POST", "/", &headers, "{}")).await;
    assert!(body.contains("'x-amz-target' must be a signed header."), "{body}");
}

#[tokio::test]
async fn the_status_of_a_refused_signature_is_a_choice() {
    let world = World::with(|options| options.auth_error_status = 403).await;
    let (status, _) = world.raw(&http_request("POST", "/", &[TARGET], "{}")).await;
    assert_eq!(status, 403);
}

const TARGET: (&str, &str) = ("x-amz-target", "AWSMPMeteringService.MeterUsage");
