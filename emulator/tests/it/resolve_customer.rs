use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::{Answer, SELLER, Task, World};

async fn resolve(world: &World, task: &Task, token: &str) -> Answer {
    world.call(task, "ResolveCustomer", "us-east-1", &json!({ "RegistrationToken": token }).to_string()).await
}

/// The token that a buyer of `product_code` brings.
async fn token(world: &World, product_code: &str) -> String {
    let path = format!("/_tollgate/subscriptions/{product_code}");
    let agreement = world.ask("PUT", &path, r#"{"subscribed":true}"#).await;
    let body = json!({ "license_arn": agreement["license_arn"] });
    world.post("/_tollgate/registration-tokens", &body).await["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_names_the_customer_until_it_expires() {
    let world = World::new().await;
    let seller = world.seller().await;
    let token = token(&world, "board").await;
    let mut answer = resolve(&world, &seller, &token).await;
    assert_eq!(resolve(&world, &seller, &token).await.body, answer.body, "it can be used again");
    assert!(answer.body["LicenseArn"].take().as_str().unwrap().starts_with("arn:aws:license-manager::"));
    assert!(answer.body["Metadata"]["AgreementId"].take().as_str().unwrap().starts_with("agmt-"));
    assert_snapshot!(answer.body.to_string(), @r#"{"CustomerAWSAccountId":"123456789012","LicenseArn":null,"Metadata":{"AgreementId":null},"ProductCode":"board"}"#);

    let answers = [
        resolve(&world, &seller, "made-up").await,
        resolve(&world, &world.task().await, &token).await,
        world.call(&seller, "ResolveCustomer", "mx-central-1", r#"{"RegistrationToken":"t"}"#).await,
        resolve(&world, &seller, "").await,
    ];
    let codes = answers.map(|answer| format!("{} {}\n", answer.status, answer.code));
    assert_snapshot!(codes.concat(), @"
    400 InvalidTokenException
    400 InvalidTokenException
    400 DisabledApiException
    400 ValidationException
    ");
    world.advance(4 * 3_600).await;
    let expired = resolve(&world, &seller, &token).await;
    assert_eq!(expired.body["__type"], "com.amazonaws.marketplacemetering#ExpiredTokenException");
}

#[tokio::test]
async fn only_a_legacy_product_has_customer_identifiers() {
    let world = World::new().await;
    let seller = world.seller().await;
    let body = json!({ "pricing": "saas", "publisher": SELLER, "customer_identifiers": true });
    world.ask("PUT", "/_tollgate/products/old", &body.to_string()).await;
    let old = resolve(&world, &seller, &token(&world, "old").await).await;
    assert_eq!(old.body["CustomerIdentifier"].as_str().unwrap().len(), 12);
    let new = resolve(&world, &seller, &token(&world, "board").await).await;
    assert_eq!(new.body["CustomerIdentifier"], Value::Null);
}

#[tokio::test]
async fn an_account_can_hold_several_agreements_at_once() {
    let world = World::new().await;
    let one = world.post("/_tollgate/agreements", &json!({ "product_code": "board" })).await;
    let other = world.post("/_tollgate/agreements", &json!({ "product_code": "board" })).await;
    assert_ne!(one["license_arn"], other["license_arn"]);
    assert_ne!(one["agreement_id"], other["agreement_id"]);
    assert_eq!(one["customer_identifier"], other["customer_identifier"]);
    assert_eq!(world.post("/_tollgate/agreements", &json!({ "product_code": "none" })).await["status"], 404);
    let all = world.get("/_tollgate/agreements").await;
    assert_eq!(all["agreements"].as_array().unwrap().len(), 5);
}
