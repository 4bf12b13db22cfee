use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::{NOON, World};

/// For each platform and region: what each operation says.
#[tokio::test]
async fn an_operation_answers_only_where_and_to_whom_it_is_offered() {
    let world = World::new().await;
    let usage = json!({ "ProductCode": "thumbnails", "Timestamp": NOON, "UsageDimension": "images" });
    let register = json!({ "ProductCode": "editor", "PublicKeyVersion": 1 });
    let calls: [(&str, Value); 4] = [
        ("RegisterUsage", register),
        ("MeterUsage", usage),
        ("BatchMeterUsage", json!({ "UsageRecords": [] })),
        ("ResolveCustomer", json!({ "RegistrationToken": "none" })),
    ];
    let mut answers = String::new();
    for platform in ["ecs", "eks-irsa", "ec2", "agent-core", "node-role", "static"] {
        for region in ["us-east-1", "ap-east-1", "af-south-1", "us-gov-west-1", "cn-northwest-1", "ca-west-1"] {
            let task = world.task_with(json!({ "platform": platform, "region": region })).await;
            answers.push_str(&format!("{platform} in {region}:"));
            for (operation, body) in &calls {
                let mut body = body.clone();
                body["ClientToken"] = if *operation == "MeterUsage" { json!("t") } else { Value::Null };
                let answer = world.call(&task, operation, region, &body.to_string()).await;
                let code = answer.code.replace("Exception", "");
                answers.push_str(&format!(" {}", if answer.status == 200 { "ok" } else { &code }));
            }
            answers.push('\n');
        }
    }
    assert_snapshot!(answers, @"
    ecs in us-east-1: ok ok ok InvalidToken
    ecs in ap-east-1: DisabledApi ok ok InvalidToken
    ecs in af-south-1: ok ok ok InvalidToken
    ecs in us-gov-west-1: DisabledApi DisabledApi DisabledApi DisabledApi
    ecs in cn-northwest-1: DisabledApi DisabledApi ok InvalidToken
    ecs in ca-west-1: DisabledApi DisabledApi DisabledApi DisabledApi
    eks-irsa in us-east-1: ok ok ok InvalidToken
    eks-irsa in ap-east-1: DisabledApi ok ok InvalidToken
    eks-irsa in af-south-1: DisabledApi DisabledApi ok InvalidToken
    eks-irsa in us-gov-west-1: DisabledApi DisabledApi DisabledApi DisabledApi
    eks-irsa in cn-northwest-1: DisabledApi DisabledApi ok InvalidToken
    eks-irsa in ca-west-1: DisabledApi DisabledApi DisabledApi DisabledApi
    ec2 in us-east-1: PlatformNotSupported ok ok InvalidToken
    ec2 in ap-east-1: PlatformNotSupported ok ok InvalidToken
    ec2 in af-south-1: PlatformNotSupported ok ok InvalidToken
    ec2 in us-gov-west-1: PlatformNotSupported ok DisabledApi DisabledApi
    ec2 in cn-northwest-1: PlatformNotSupported DisabledApi ok InvalidToken
    ec2 in ca-west-1: PlatformNotSupported DisabledApi DisabledApi DisabledApi
    agent-core in us-east-1: PlatformNotSupported ok ok InvalidToken
    agent-core in ap-east-1: PlatformNotSupported ok ok InvalidToken
    agent-core in af-south-1: PlatformNotSupported ok ok InvalidToken
    agent-core in us-gov-west-1: PlatformNotSupported ok DisabledApi DisabledApi
    agent-core in cn-northwest-1: PlatformNotSupported DisabledApi ok InvalidToken
    agent-core in ca-west-1: PlatformNotSupported DisabledApi DisabledApi DisabledApi
    node-role in us-east-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    node-role in ap-east-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    node-role in af-south-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    node-role in us-gov-west-1: PlatformNotSupported PlatformNotSupported DisabledApi DisabledApi
    node-role in cn-northwest-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    node-role in ca-west-1: PlatformNotSupported PlatformNotSupported DisabledApi DisabledApi
    static in us-east-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    static in ap-east-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    static in af-south-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    static in us-gov-west-1: PlatformNotSupported PlatformNotSupported DisabledApi DisabledApi
    static in cn-northwest-1: PlatformNotSupported PlatformNotSupported ok InvalidToken
    static in ca-west-1: PlatformNotSupported PlatformNotSupported DisabledApi DisabledApi
    ");
}
