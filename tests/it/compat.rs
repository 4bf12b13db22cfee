//! Components of every version of the contract still run: a vendor's component outlives the host it was built for.

use std::fs;

use tollgate_cli::http::Http;

use crate::support::{Lab, METER_HTTP, body, root};

#[tokio::test]
async fn each_published_component_still_counts_and_is_paid() {
    let mut tried = 0;
    for entry in fs::read_dir(root().join("tests/compat")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "wasm") {
            continue;
        }
        let lab = Lab::with(&fs::read(&path).unwrap(), METER_HTTP).await;
        let mut host = lab.host().await.serve().await.unwrap();
        body(Http::http1().get(&host.url("/add?n=7")).await);
        lab.hour_passes(&mut host).await;
        assert_eq!(lab.billed("images").await, 7, "{}", path.display());
        tried += 1;
    }
    assert!(tried > 0, "there is at least the component of 0.1.0");
}
