use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use aws_sdk_marketplacemetering::Client;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use insta::assert_snapshot;
use serde_json::{Value, json};
use tollgate_emulator::{ExpiredKey, RefusedResource};

use crate::world::{NOON, World, code};

#[tokio::test]
async fn the_token_verifies_with_the_published_key_and_carries_the_nonce() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let call = client.register_usage().product_code("editor").public_key_version(1).nonce("n-1");
    let output = call.send().await.unwrap();
    assert_eq!(output.public_key_rotation_timestamp(), None);
    let token = output.signature().unwrap();

    let pem = world.get("/_tollgate/keys/editor").await["1"].as_str().unwrap().to_owned();
    let base64: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, BASE64_STANDARD.decode(base64).unwrap());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(message.as_bytes(), &signature).unwrap();
    assert!(key.verify(b"another", &signature).is_err());

    let (header, claims) = message.split_once('.').unwrap();
    let json = |part: &str| -> Value { serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(json(header), json!({ "alg": "PS256", "typ": "JWT" }));
    let mut claims = json(claims);
    let iat = claims["iat"].take().as_u64().unwrap();
    assert!((NOON..NOON + 60).contains(&iat), "{iat}");
    assert_eq!(claims, json!({ "productCode": "editor", "publicKeyVersion": 1, "nonce": "n-1", "iat": null }));
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let mut answers = String::new();
    let good = || client.register_usage().product_code("editor").public_key_version(1);
    let cases = [
        ("good", good()),
        ("unknown product", good().product_code("other")),
        ("unknown key version", good().public_key_version(2)),
        ("key version zero", good().public_key_version(0)),
        ("no key version", good().set_public_key_version(None)),
        ("no product", good().set_product_code(None)),
        ("long nonce", good().nonce("n".repeat(256))),
    ];
    for (name, call) in cases {
        answers.push_str(&format!("{name}: {}\n", code(&call.send().await)));
    }
    for platform in ["eks-irsa", "eks-pod-identity", "node-role", "static"] {
        let client = world.client(&world.task_with(json!({ "platform": platform })).await);
        answers.push_str(&format!("{platform}: {}\n", register(&client).await));
    }
    let task = world.task_with(json!({ "platform": "ecs", "region": "eu-west-1" })).await;
    let token = Some(task.text("session_token").to_owned());
    let away = world.client_with(task.text("access_key_id"), task.text("secret_access_key"), token, "us-east-1");
    answers.push_str(&format!("another region: {}\n", register(&away).await));
    assert_snapshot!(answers, @"
    good: ok
    unknown product: InvalidProductCodeException
    unknown key version: InvalidPublicKeyVersionException
    key version zero: ValidationException
    no key version: ValidationException
    no product: ValidationException
    long nonce: ValidationException
    eks-irsa: ok
    eks-pod-identity: PlatformNotSupportedException
    node-role: PlatformNotSupportedException
    static: PlatformNotSupportedException
    another region: InvalidRegionException
    ");
}

#[tokio::test]
async fn only_the_first_call_of_a_task_is_refused_for_lack_of_a_subscription() {
    let world = World::new().await;
    let task = world.task().await;
    let (first, second) = (world.client(&task), world.client(&world.task().await));
    assert_eq!(register(&first).await, "ok");
    world.subscribe("editor", false).await;
    assert_eq!(register(&first).await, "ok", "it runs on");
    assert_eq!(register(&second).await, "CustomerNotEntitledException");
    assert_eq!(register(&second).await, "CustomerNotEntitledException");
    let registrations = world.truth().await["registrations"].take();
    assert_eq!(registrations.as_array().unwrap().len(), 1);
    assert_eq!(registrations[0]["resource"], task.json["task_arn"]);
    assert_snapshot!(world.calls().await, @"
    1 RegisterUsage 200 - accepted registered fault=-
    2 RegisterUsage 200 - accepted registered-before fault=-
    3 RegisterUsage 400 CustomerNotEntitledException refused CustomerNotEntitledException fault=-
    4 RegisterUsage 400 CustomerNotEntitledException refused CustomerNotEntitledException fault=-
    ");
}

#[tokio::test]
async fn by_the_letter_a_refused_task_passes_the_second_time() {
    let world = World::with(|options| options.refused_resource = RefusedResource::LetPass).await;
    world.subscribe("editor", false).await;
    let client = world.client(&world.task().await);
    assert_eq!(register(&client).await, "CustomerNotEntitledException");
    assert_eq!(register(&client).await, "ok");
}

#[tokio::test]
async fn the_publisher_is_in_preview_and_asked_for_no_subscription() {
    let world = World::new().await;
    world.subscribe("editor", false).await;
    let body = json!({ "pricing": "hourly", "publisher": "999999999999" });
    world.ask("PUT", "/_tollgate/products/editor", &body.to_string()).await;
    let task = world.task_with(json!({ "platform": "ecs", "account": "999999999999" })).await;
    assert_eq!(register(&world.client(&task)).await, "ok");
    assert_eq!(world.truth().await["registrations"], json!([]));
}

#[tokio::test]
async fn a_rotated_key_still_signs_and_tells_when_it_was_rotated() {
    let world = World::new().await;
    let before = world.get("/_tollgate/keys/editor").await;
    let body = json!({ "pricing": "hourly", "key_versions": [1, 2], "rotated": { "1": NOON - 60 } });
    world.ask("PUT", "/_tollgate/products/editor", &body.to_string()).await;
    let after = world.get("/_tollgate/keys/editor").await;
    assert_eq!(before["1"], after["1"], "a change keeps the keys");
    assert_ne!(after["1"], after["2"]);

    let client = world.client(&world.task().await);
    let call = client.register_usage().product_code("editor").public_key_version(1);
    let rotated = call.send().await.unwrap().public_key_rotation_timestamp().unwrap().secs();
    assert_eq!(u64::try_from(rotated).unwrap(), NOON - 60);
}

#[tokio::test]
async fn a_rotated_key_can_be_refused() {
    let world = World::with(|options| options.expired_key = ExpiredKey::Refuse).await;
    let body = json!({ "pricing": "hourly", "key_versions": [1, 2], "rotated": { "1": NOON - 60 } });
    world.ask("PUT", "/_tollgate/products/editor", &body.to_string()).await;
    let client = world.client(&world.task().await);
    assert_eq!(register(&client).await, "InvalidPublicKeyVersionException");
}

async fn register(client: &Client) -> String {
    code(&client.register_usage().product_code("editor").public_key_version(1).nonce("n").send().await)
}
