//! The state in a file: started again, the emulator knows what it knew.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_emulator::{BindError, Emulator, Options, StateError};

use crate::world::{World, images, send};

async fn world(file: &Path) -> World {
    let file = file.to_owned();
    World::with(move |options| options.state = Some(file)).await
}

/// What must be the same after a start: everything but the clock's time and ids that are drawn anew.
async fn known(world: &World) -> Vec<Value> {
    let mut known = Vec::new();
    for path in ["calls", "truth", "agreements", "subscriptions", "products", "keys/editor", "keys/late"] {
        known.push(world.get(&format!("/_tollgate/{path}")).await);
    }
    let bill = world.get("/_tollgate/bill").await;
    known.push(bill["usage"].clone());
    known
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let before = world(&file).await;
    let (task, pod) = (before.task().await, before.task_with(json!({ "platform": "eks-irsa" })).await);
    let client = before.client(&task);
    let id = send(images(&client, 5, 0).client_token("t")).await;
    send(images(&client, 5, 0)).await;
    send(images(&client, 6, 0)).await;
    client.register_usage().product_code("editor").public_key_version(1).send().await.unwrap();
    let body = json!({ "pricing": "hourly", "price_per_hour": "0.10", "key_versions": [1, 2] }).to_string();
    before.ask("PUT", "/_tollgate/products/late", &body).await;
    before.subscribe("late", true).await;
    before.subscribe("thumbnails", false).await;
    before.advance(7_200).await;
    before.post("/_tollgate/clock", &json!({ "speed": 0 })).await;
    let clock = before.get("/_tollgate/clock?wait_s=0").await;
    let knew = known(&before).await;
    before.stop().await;

    let after = world(&file).await;
    assert_eq!(known(&after).await, knew);
    assert_eq!(after.get("/_tollgate/clock?wait_s=0").await["now_ms"], clock["now_ms"]);
    let client = after.client(&task);
    assert_eq!(send(images(&client, 5, 0).client_token("t")).await, id, "the record and its token are known");
    assert_eq!(send(images(&client, 7, 0).client_token("t")).await, "IdempotencyConflictException");
    assert_eq!(send(images(&client, 1, 3_600)).await.len(), 36, "a resource that was let in stays so");
    let newcomer = after.client(&after.task().await);
    assert_eq!(send(images(&newcomer, 1, 3_600)).await, "CustomerNotEntitledException");
    let calls = after.get("/_tollgate/calls?after=4").await;
    assert_eq!((&calls["calls"][0]["seq"], &calls["newest"]), (&json!(5), &json!(8)));
    assert_eq!(pod.text("role_arn").len(), 39);
}

#[tokio::test]
async fn a_line_that_was_cut_off_was_never_acknowledged_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let before = world(&file).await;
    let task = before.task().await;
    send(images(&before.client(&task), 5, 0)).await;
    before.stop().await;
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, [&whole[..], b"[{\"call\":{\"seq\":2,"].concat()).unwrap();
    let after = world(&file).await;
    assert_eq!(after.truth().await["billed"]["images"], 5);
    send(images(&after.client(&task), 6, -3_600)).await;
    after.stop().await;
    assert_eq!(world(&file).await.truth().await["billed"]["images"], 11);
}

fn refused(file: &Path) -> String {
    let error =
        Emulator::bind("127.0.0.1:0", Options { state: Some(file.to_owned()), ..Options::default() }).unwrap_err();
    match error {
        BindError::State(error @ (StateError::InUse | StateError::Line { .. } | StateError::Io(_))) => {
            error.to_string()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    std::fs::write(&file, "my notes\n").unwrap();
    assert_eq!(refused(&file), "line 1 is no line of a state: the first line does not say that this is a state");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my notes\n");
    std::fs::write(&file, "my notes").unwrap();
    assert_eq!(refused(&file), "line 1 is no line of a state: the first line does not say that this is a state");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my notes");
    std::fs::remove_file(&file).unwrap();
    let first = world(&file).await;
    assert_eq!(refused(&file), "another process uses this state");
    first.stop().await;
    let text = std::fs::read_to_string(&file).unwrap() + "[{\"spent\":1}]\n";
    std::fs::write(&file, text).unwrap();
    assert!(refused(&file).contains("unknown variant `spent`"), "{}", refused(&file));
}
