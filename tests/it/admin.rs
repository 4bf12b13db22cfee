//! What the operator's page promises of the admin port.

use std::fs;

use tollgate_cli::http::Http;

use crate::support::{Lab, METER_HTTP, body, root};

#[tokio::test]
async fn a_running_host_answers_what_the_operators_page_names() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    body(Http::http1().get(&host.url("/add?n=3")).await);
    lab.hour_passes(&mut host).await;

    assert_eq!(host.admin("/healthz").await.unwrap().status, 200);
    let ready = host.admin("/readyz").await.unwrap();
    assert_eq!((ready.status.as_u16(), ready.text().as_str()), (200, r#"{"phase":"ready","standing":"good"}"#));
    let usage: serde_json::Value = serde_json::from_slice(&host.admin("/usage").await.unwrap().body).unwrap();
    assert_eq!(usage["balanced"], true);
    let verified = host.admin("/usage/verify").await.unwrap();
    assert_eq!((verified.status.as_u16(), verified.text().contains("the ledger is whole; recorded ")), (200, true));
    assert!(host.admin("/usage/table").await.unwrap().text().starts_with("hour "));
    let exported = host.admin("/usage/export").await.unwrap().text();
    assert!(exported.lines().last().unwrap().starts_with("{\"kind\":\"end\","), "{exported}");

    let metrics = host.admin("/metrics").await.unwrap().text();
    assert!(metrics.ends_with("# EOF\n"), "OpenMetrics");
    let page = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let named: Vec<&str> = page.split('`').filter(|word| word.starts_with("tollgate_")).collect();
    assert!(!named.is_empty());
    for metric in named {
        let (name, label) = metric.trim_end_matches('}').split_once('{').unwrap_or((metric, ""));
        let shown = metrics.lines().any(|line| line.starts_with(name) && line.contains(label));
        assert!(shown, "{metric} is on the operators' page and not in:\n{metrics}");
    }
    let acked = r#"tollgate_usage_units{listing="paid",dimension="images",state="acked"} 3"#;
    assert!(metrics.contains(acked), "{metrics}");
}
