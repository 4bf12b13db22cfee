//! kill -9 under load: nothing that was served is lost, and nothing is billed twice.

use tokio::sync::mpsc;
use tollgate_cli::host::Host;
use tollgate_cli::http::{Http, NoReply};

use crate::support::{Lab, METER_HTTP};

/// Clients at the same time.
const CLIENTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_match_after_each_of_several_kills() {
    let lab = Lab::http(METER_HTTP).await;
    let command = lab.host().await;
    let (mut served, mut uncertain) = (0, 0);
    // Killed early, in the middle, and late enough for many group commits.
    for responses in [1, 40, 300] {
        let host = command.serve().await.unwrap();
        let (got, lost) = killed_after(host, responses).await;
        served += got;
        uncertain += lost;
    }
    let mut host = command.serve().await.unwrap();
    lab.hour_passes(&mut host).await;
    let billed = lab.billed("images").await;
    assert!((served..=served + uncertain).contains(&billed), "{served} served, {uncertain} uncertain, {billed} billed");
    let recorded: u64 = host
        .tallies()
        .await
        .unwrap()
        .iter()
        .filter(|tally| tally.dimension == "images")
        .map(|tally| tally.recorded)
        .sum();
    assert_eq!(recorded, billed);
    assert!(lab.records("images").await.iter().all(|record| record.seen == 1), "each record is sent once");
}

/// Units in responses that arrived, and units in requests whose response did not.
async fn killed_after(host: Host, responses: usize) -> (u64, u64) {
    let (tell, mut hear) = mpsc::unbounded_channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (url, tell) = (host.url("/add?n=3"), tell.clone());
            tokio::spawn(client(url, tell))
        })
        .collect();
    for _ in 0..responses {
        hear.recv().await.unwrap();
    }
    host.process.kill().await.unwrap();
    let mut sum = (0, 0);
    for client in clients {
        let (served, uncertain) = client.await.unwrap();
        sum = (sum.0 + served, sum.1 + uncertain);
    }
    sum
}

async fn client(url: String, tell: mpsc::UnboundedSender<()>) -> (u64, u64) {
    let http = Http::http1();
    let mut served = 0;
    loop {
        match http.get(&url).await {
            Ok(reply) => {
                assert_eq!(reply.text(), "counted");
                served += 3;
                let _ = tell.send(());
            }
            Err(NoReply { delivered: false, .. }) => return (served, 0),
            Err(_) => return (served, 3),
        }
    }
}
