//! Components of WASI 0.3: the same metering, the same walls.

use bytes::Bytes;
use hyper::Method;
use tollgate_cli::host::Host;
use tollgate_cli::http::{Http, Reply};

use crate::bundle::{carrying, key, pack, packed, production_host};
use crate::support::{Lab, METER_HTTP, operator_sees};

fn manifest() -> String {
    let bytes = ["request-bytes", "response-bytes"]
        .map(|name| format!("[[dimension]]\nkey = \"{name}\"\nfrom = \"host:{name}\"\n\n"));
    METER_HTTP.replace("[[component]]", &format!("{}[[component]]", bytes.concat()))
}

async fn get(host: &Host, path: &str) -> Reply {
    Http::http1().get(&host.url(path)).await.unwrap()
}

/// What the client sees of each path.
async fn said(host: &Host, paths: &[&str]) -> String {
    let mut lines = Vec::new();
    for path in paths {
        let reply = get(host, path).await;
        let text = reply.text();
        let text = if text.len() > 80 { format!("{} bytes", text.len()) } else { text.trim().to_owned() };
        lines.push(format!("{path}: {} {text}", reply.status.as_u16()));
    }
    lines.join("\n").replace(&host.listen.to_string(), "[host]")
}

#[tokio::test]
async fn a_component_of_wasi_0_3_is_metered_as_any_other() {
    let lab = Lab::later(&manifest()).await;
    let mut host = lab.host().await.serve().await.unwrap();
    let paths = ["/add?n=3", "/commit?n=4", "/stream?n=5", "/later?n=6", "/trap-after-add?n=7", "/error", "/authority"];
    insta::assert_snapshot!(said(&host, &paths).await, @r#"
    /add?n=3: 200 Outcome::Counted
    /commit?n=4: 200 Outcome::Counted Ok(())
    /stream?n=5: 200 5000 bytes
    /later?n=6: 200 see you later
    /trap-after-add?n=7: 500 The request could not be answered.
    /error: 500 The request could not be answered.
    /authority: 200 Some(Scheme::Http) Some("[host]")
    "#);
    let sent = Bytes::from(vec![b'x'; 300_000]);
    let reply = Http::http1().send(Method::POST, &host.url("/echo"), &[], sent.clone()).await.unwrap();
    assert!(reply.body == sent, "{} of {}", reply.body.len(), sent.len());
    let h2 = Http::h2c().send(Method::POST, &host.url("/echo"), &[], sent.clone()).await.unwrap();
    assert!(h2.body == sent, "{} of {}", h2.body.len(), sent.len());
    // What is added after a response is complete is in the books before the host ends.
    lab.hour_passes(&mut host).await;
    let ended = host.process.stop().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lab.billed("images").await, 3 + 4 + 5 + 6 + 7);
    assert_eq!(lab.billed("requests").await, 9);
    assert_eq!(lab.billed("request-bytes").await, 600_000);
}

#[tokio::test]
async fn a_component_of_wasi_0_3_meets_the_same_walls() {
    let lab = Lab::later(&format!("{}\n[limits]\nrequest_timeout_s = 2\n", manifest())).await;
    let host = lab.host().await.variable("SECRET", "of the operator").serve().await.unwrap();
    let paths = ["/file", "/env", "/egress?169.254.169.254"];
    insta::assert_snapshot!(said(&host, &paths).await, @r"
    /file: 200 Err(NotFound)
    /env: 200 []
    /egress?169.254.169.254: 200 refused: ErrorCode::HttpRequestDenied
    ");
    // One that never ends is stopped, and the others are answered meanwhile.
    let endless = tokio::spawn({
        let url = host.url("/loop");
        async move { Http::http1().get(&url).await.unwrap().status.as_u16() }
    });
    host.in_flight(1).await.unwrap();
    for _ in 0..20 {
        assert_eq!(get(&host, "/add?n=1").await.text(), "Outcome::Counted");
    }
    assert!(!endless.is_finished(), "it was running all the time");
    assert_eq!(endless.await.unwrap(), 504);
}

#[tokio::test]
async fn a_packed_product_of_wasi_0_3_serves_and_is_billed() {
    let lab = Lab::later(&manifest()).await;
    let program = packed(&lab.product.folder, lab.folder.path()).await;
    let mut host = carrying(&lab, &program).await.serve().await.unwrap();
    assert_eq!(get(&host, "/add?n=8").await.text(), "Outcome::Counted");
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("images").await, 8);
}

#[tokio::test]
async fn a_host_that_is_not_built_for_wasi_0_3_is_not_packed_with_it() {
    let lab = Lab::later(&manifest()).await;
    let folder = lab.folder.path();
    let (key, output) = (key(folder, "vendor.pem").await, folder.join("packed"));
    let ended = pack(&lab.product.folder, &key, production_host().await, &output, &[]).await;
    let seen = operator_sees(&ended, folder).replace(&production_host().await.display().to_string(), "[host]");
    insta::assert_snapshot!(seen, @r"
    error: [host] does not run components of WASI 0.3, and the product has one
    likely cause: the engine has it as an experiment, so a host runs them only if it was built for it
    next step: leave --host out, or build it so: cargo build --release -p tollgate-host --features p3
    [exit 3]
    ");
    assert!(!output.exists());
}

#[tokio::test]
async fn an_instance_answers_as_many_requests_as_the_manifest_says() {
    let reuse = "route = \"/\"\n\n[component.reuse]\nrequests = 3\n";
    let lab = Lab::later(&manifest().replace("route = \"/\"", reuse)).await;
    let mut host = lab.host().await.serve().await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..30 {
        let text = get(&host, "/count?n=1").await.text();
        seen.push(text.strip_prefix("Outcome::Counted ").unwrap().parse::<u32>().unwrap());
    }
    let times = |number: u32| seen.iter().filter(|seen| **seen == number).count();
    // Each thread has an instance of its own, so where a row of three begins is not known.
    assert_eq!(times(1) + times(2) + times(3), 30, "{seen:?}");
    assert!(times(3) >= 8 && times(1) <= 12, "{seen:?}");
    // One that trapped remembers nothing any more, and one that works on after its response is not given the next request.
    assert_eq!(get(&host, "/trap-after-add?n=5").await.status, 500);
    assert_eq!(get(&host, "/later?n=6").await.text(), "see you later");
    lab.hour_passes(&mut host).await;
    let ended = host.process.stop().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lab.billed("images").await, 30 + 5 + 6);
    assert_eq!(lab.billed("requests").await, 32);
}

#[tokio::test]
async fn a_component_of_wasi_0_2_is_not_used_again() {
    let reuse = "route = \"/\"\n\n[component.reuse]\n";
    let lab = Lab::http(&METER_HTTP.replace("route = \"/\"", reuse)).await;
    let ended = lab.host().await.start().unwrap().end().await.unwrap();
    insta::assert_snapshot!(operator_sees(&ended, lab.folder.path()), @r#"
    tollgate-host: bad product (exit 65)
      what : component "api": [component.reuse] is for components of WASI 0.3, and this one is of WASI 0.2, where what an instance has left open after a request would keep the next one waiting. Remove it, or build for WASI 0.3
             file: [folder]/product/guest.wasm
      next : the vendor corrects the component and builds the image again
    [exit 65]
    "#);
}
