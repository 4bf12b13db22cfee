//! What stands for 169.254.170.2, the agent of ECS, where a test says what it hands out.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tollgate_cli::control::Task;

/// Metadata of `task` below `/v4`, and elsewhere one of `credentials` after the other, the last for ever.
pub(crate) async fn agent(task: &Task, credentials: Vec<String>) -> SocketAddr {
    let metadata = serde_json::json!({ "TaskARN": task.task_arn }).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut turn = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let body = if request[..read].starts_with(b"GET /v4") {
                &metadata
            } else {
                turn += 1;
                &credentials[(turn - 1).min(credentials.len() - 1)]
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    address
}

/// Credentials of `caller` as the agent words them, good until `end`.
pub(crate) fn credentials(caller: &Task, end: &str) -> String {
    serde_json::json!({
        "RoleArn": caller.role_arn,
        "AccessKeyId": caller.access_key_id,
        "SecretAccessKey": caller.secret_access_key,
        "Token": caller.session_token,
        "Expiration": end,
    })
    .to_string()
}
