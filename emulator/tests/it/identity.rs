use aws_sdk_sts::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    error::ProvideErrorMetadata as _,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::{Task, World, http_request, images, send};

fn sts(world: &World) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{}", world.addr))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

async fn assume(world: &World, role_arn: &str, token: &str, seconds: Option<i32>) -> Result<Task, String> {
    let call = sts(world).assume_role_with_web_identity().role_arn(role_arn).web_identity_token(token);
    let call = call.role_session_name("tollgate-test").set_duration_seconds(seconds);
    let output = call.send().await.map_err(|error| error.code().unwrap_or("no code").to_owned())?;
    assert!(output.assumed_role_user().unwrap().arn().ends_with(":assumed-role/tollgate/tollgate-test"));
    let credentials = output.credentials().unwrap();
    Ok(Task {
        json: json!({
            "access_key_id": credentials.access_key_id(),
            "secret_access_key": credentials.secret_access_key(),
            "session_token": credentials.session_token(),
            "region": "us-east-1",
            "ends_s": credentials.expiration().secs(),
        }),
    })
}

#[tokio::test]
async fn a_pod_takes_its_role_with_the_token_of_its_service_account() {
    let world = World::new().await;
    let pod = world.task_with(json!({ "platform": "eks-irsa" })).await;
    let token = pod.text("web_identity_token");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["kubernetes.io"]["pod"]["uid"], pod.json["pod_uid"]);
    assert_eq!(claims["sub"], "system:serviceaccount:default:tollgate");

    let session = assume(&world, pod.text("role_arn"), token, None).await.unwrap();
    let id = send(images(&world.client(&session), 5, 0)).await;
    assert_eq!(id.len(), 36, "{id}");
    let second = assume(&world, pod.text("role_arn"), token, Some(900)).await.unwrap();
    assert_ne!(session.text("access_key_id"), second.text("access_key_id"));
    assert_eq!(send(images(&world.client(&second), 5, 0)).await, id, "every session is the same pod");
    assert_eq!(world.truth().await["records"][0]["resource"], pod.json["task_arn"]);

    world.advance(901).await;
    assert_eq!(send(images(&world.client(&second), 5, 0)).await, "ExpiredTokenException");
    assert_eq!(send(images(&world.client(&session), 5, 0)).await, id);
}

#[tokio::test]
async fn sts_refuses_what_is_not_the_pods() {
    let world = World::new().await;
    let pod = world.task_with(json!({ "platform": "eks-irsa" })).await;
    let (role, token) = (pod.text("role_arn"), pod.text("web_identity_token"));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let code = async |role: &str, token: &str, seconds| assume(&world, role, token, seconds).await.err().unwrap();
    let mut answers = vec![
        ("another role", code("arn:aws:iam::123456789012:role/admin", token, None).await),
        ("no token at all", code(role, "token", None).await),
        ("a forged token", code(role, &format!("{message}x.{signature}"), None).await),
        ("too long", code(role, token, Some(7_200)).await),
        ("far too long", code(role, token, Some(50_000)).await),
    ];
    world.fault(json!({ "fault": "throttle", "operation": "AssumeRoleWithWebIdentity" })).await;
    answers.push(("throttled", code(role, token, None).await));
    world.advance(86_400).await;
    answers.push(("a day later", code(role, token, None).await));
    let answers: String = answers.into_iter().map(|(name, code)| format!("{name}: {code}\n")).collect();
    assert_snapshot!(answers, @"
    another role: AccessDenied
    no token at all: InvalidIdentityToken
    a forged token: InvalidIdentityToken
    too long: ValidationError
    far too long: ValidationError
    throttled: Throttling
    a day later: ExpiredTokenException
    ");

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut raw = String::new();
    for body in
        ["", "Action=GetCallerIdentity&Version=2011-06-15", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"]
    {
        let (status, answer) = world.raw(&http_request("POST", "/", &form, body)).await;
        let code = answer.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next()).unwrap_or("-");
        raw.push_str(&format!("{body:?}: {status} {code}\n"));
    }
    assert_snapshot!(raw, @r#"
    "": 400 MissingAction
    "Action=GetCallerIdentity&Version=2011-06-15": 400 InvalidAction
    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15": 400 ValidationError
    "#);
}

/// IMDSv2: a token first, then what it is asked for.
async fn instance(world: &World, prefix: &str, path: &str) -> (u16, String) {
    let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
    let (_, token) = world.raw(&http_request("PUT", &format!("{prefix}/latest/api/token"), &ttl, "")).await;
    let headers = [("x-aws-ec2-metadata-token", &*token)];
    world.raw(&http_request("GET", &format!("{prefix}/latest/{path}"), &headers, "")).await
}

#[tokio::test]
async fn an_instance_tells_its_region_and_credentials_to_who_has_a_token() {
    let world = World::new().await;
    let task = world.task_with(json!({ "platform": "ec2", "region": "eu-west-1" })).await;
    let below = task.text("instance_path");
    assert_eq!(instance(&world, "", "meta-data/placement/region").await, (200, "us-east-1".to_owned()));
    assert_eq!(instance(&world, below, "meta-data/placement/region").await, (200, "eu-west-1".to_owned()));
    assert_eq!(instance(&world, below, "meta-data/placement/availability-zone").await.1, "eu-west-1a");
    let role = instance(&world, below, "meta-data/iam/security-credentials/").await.1;
    let (_, keys) = instance(&world, below, &format!("meta-data/iam/security-credentials/{role}")).await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!((&keys["AccessKeyId"], &keys["Code"]), (&task.json["access_key_id"], &json!("Success")));
    let (_, document) = instance(&world, below, "dynamic/instance-identity/document").await;
    assert!(document.contains(r#""region":"eu-west-1""#), "{document}");

    let bare = http_request("GET", "/latest/meta-data/placement/region", &[], "");
    assert_eq!(world.raw(&bare).await.0, 401, "no token, no answer");
    let forged = [("x-aws-ec2-metadata-token", "7fffffffffffffff00")];
    assert_eq!(world.raw(&http_request("GET", "/latest/meta-data/placement/region", &forged, "")).await.0, 401);
    assert_eq!(world.raw(&http_request("PUT", "/latest/api/token", &[], "")).await.0, 400, "a token has an end");
    assert_eq!(instance(&world, "", "meta-data/nothing").await.0, 404);
    assert_eq!(instance(&world, "/imds/nobody", "meta-data/placement/region").await.0, 404);
}

#[tokio::test]
async fn pod_identity_hands_out_credentials_that_are_not_metered() {
    let world = World::new().await;
    let pod = world.task_with(json!({ "platform": "eks-pod-identity" })).await;
    let headers = [("authorization", pod.text("pod_identity_token"))];
    let (status, keys) = world.raw(&http_request("GET", "/v1/credentials", &headers, "")).await;
    assert_eq!(status, 200);
    assert!(keys.contains(pod.text("access_key_id")), "{keys}");
    assert_eq!(world.raw(&http_request("GET", "/v1/credentials", &[], "")).await.0, 401);
    assert_eq!(send(images(&world.client(&pod), 1, 0)).await, "PlatformNotSupportedException");
}
