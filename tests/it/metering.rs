//! Usage from the guest to the bill: what was done is what AWS accepts, once.

use bytes::Bytes;
use hyper::Method;
use tollgate_cli::control::Fault;
use tollgate_cli::host::{Host, Tally};
use tollgate_cli::http::{Http, Reply};
use tollgate_cli::process::Input;

use crate::support::{Lab, METER_HTTP, body, meter_command, sample};

async fn tally(host: &Host, dimension: &str) -> Tally {
    host.tallies().await.unwrap().into_iter().find(|tally| tally.dimension == dimension).unwrap()
}

#[tokio::test]
async fn thumbnails_are_paid_by_picture_and_pixel_and_allocated_to_teams() {
    let lab = Lab::example("thumbnails").await;
    let mut host = lab.host().await.serve().await.unwrap();
    let send = async |file: &str, team: Option<&str>| -> Reply {
        let headers: Vec<(&str, &str)> = team.map(|team| ("x-team", team)).into_iter().collect();
        let picture = Bytes::from(sample(&format!("thumbnails/samples/{file}")));
        Http::http1().send(Method::POST, &host.url("/?width=64"), &headers, picture).await.unwrap()
    };
    for (file, team, kind) in [
        ("picture.jpg", Some("red"), "image/jpeg"),
        ("picture.png", Some("red"), "image/png"),
        ("picture.webp", Some("blue"), "image/webp"),
        ("picture.png", None, "image/png"),
    ] {
        let reply = send(file, team).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, kind), "{}", reply.text());
    }
    let free = Http::http1().send(Method::POST, &host.url("/?width=64"), &[], Bytes::from_static(b"no picture")).await;
    assert_eq!(free.unwrap().status, 415);
    lab.hour_passes(&mut host).await;

    let records = lab.records("images").await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].quantity, 4);
    let mut parts: Vec<String> =
        records[0].allocations.iter().map(|part| format!("{} {:?}", part.quantity, part.tags)).collect();
    parts.sort();
    insta::assert_snapshot!(parts.join("\n"), @r#"
    1 [("team", "blue")]
    1 []
    2 [("team", "red")]
    "#);
    // 64000 pixels each are no gigapixel yet: nothing is billed, nothing is lost.
    let pixels = tally(&host, "gigapixels").await;
    assert_eq!((pixels.recorded, pixels.accepted, pixels.per), (4 * 64_000, 0, 1_000_000_000));
    assert_eq!(lab.billed("gigapixels").await, 0);
}

#[tokio::test]
async fn plain_http_is_sold_by_the_request_without_knowing_it() {
    let lab = Lab::example("plain-http").await;
    let command = lab.host().await.variable("TOLLGATE_LISTING", "by-request");
    let mut host = command.serve().await.unwrap();
    for _ in 0..5 {
        let text = Bytes::from(sample("plain-http/samples/text.txt"));
        let reply = Http::http1().send(Method::POST, &host.url("/"), &[], text).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(body(Http::http1().get(&host.url("/healthz")).await).trim(), "ok");
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("requests").await, 5, "the health check is free");
}

#[tokio::test]
async fn log_report_is_paid_by_the_line_before_its_exit_is_reported() {
    let lab = Lab::example("log-report").await;
    let log = sample("log-report/samples/access.log");
    let lines = log.split_inclusive(|byte| *byte == b'\n').count();
    let ended = lab.host().await.input(Input::Bytes(log)).start().unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.is_empty(), "the report is on stdout");
    let billed = lab.billed("lines").await;
    assert!(billed > 0 && billed <= u64::try_from(lines).unwrap(), "{billed} of {lines}");
    assert!(ended.stdout.contains(&billed.to_string()), "{billed} is in the report:\n{}", ended.stdout);
}

#[tokio::test]
async fn an_idle_hour_sends_nothing() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    lab.hour_passes(&mut host).await;
    body(Http::http1().get(&host.url("/add?n=2")).await);
    lab.hour_passes(&mut host).await;
    let images = lab.records("images").await;
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].quantity, 2);
}

#[tokio::test]
async fn throttling_and_outages_delay_a_record_and_change_nothing_in_it() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    body(Http::http1().get(&host.url("/add?n=7")).await);
    for fault in ["throttle", "error-500", "throttle"] {
        lab.control().fault(&Fault { fault, operation: None, dimension: Some("images"), count: 2 }).await.unwrap();
    }
    lab.hour_passes(&mut host).await;
    let records = lab.records("images").await;
    assert_eq!((records.len(), records[0].quantity, records[0].seen), (1, 7, 1));
    let (calls, _) = lab.control().calls_so_far().await.unwrap();
    let requests: Vec<String> = calls
        .iter()
        .filter(|call| call.request["UsageDimension"] == "images")
        .map(|call| call.request.to_string())
        .collect();
    assert_eq!(requests.len(), 7);
    assert!(requests.iter().all(|request| *request == requests[0]), "each try is the same request");
}

#[tokio::test]
async fn a_record_whose_answer_was_lost_is_sent_again_as_it_was_and_billed_once() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    body(Http::http1().get(&host.url("/add?n=7")).await);
    let fault = Fault { fault: "drop-after", operation: None, dimension: Some("images"), count: 1 };
    lab.control().fault(&fault).await.unwrap();
    lab.hour_passes(&mut host).await;
    let records = lab.records("images").await;
    assert_eq!((records.len(), records[0].quantity, records[0].seen), (1, 7, 2));
    assert_eq!(lab.billed("images").await, 7);
    assert_eq!(tally(&host, "images").await.accepted, 7);
}

#[tokio::test]
async fn a_guest_cannot_count_what_the_manifest_does_not_declare() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    let ask = async |path: &str| body(Http::http1().get(&host.url(path)).await);
    assert_eq!(ask("/unknown").await, "unknown-dimension");
    assert_eq!(ask("/add-number?number=77").await, "unknown");
    assert_eq!(ask("/add?dim=requests").await, "unknown-dimension");
    assert_eq!(ask("/tags?").await, "invalid-tag");
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("images").await, 0);
    assert_eq!(lab.billed("requests").await, 4);
}

#[tokio::test]
async fn a_command_that_traps_has_paid_for_what_it_did() {
    let lab = Lab::command(&meter_command()).await;
    let arguments = ["add", "images", "5", "trap"].map(str::to_owned);
    let ended = lab.host().await.arguments(&arguments).start().unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(79), "{}", ended.stderr);
    assert_eq!(ended.stdout, "done\n");
    assert_eq!(lab.billed("images").await, 5);
}

#[tokio::test]
async fn a_command_ends_with_its_own_code_once_its_usage_is_accepted() {
    let lab = Lab::command(&meter_command()).await;
    let arguments = ["tagged", "images", "3", "team=red", "exit", "1"].map(str::to_owned);
    let ended = lab.host().await.arguments(&arguments).start().unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let records = lab.records("images").await;
    assert_eq!((records.len(), records[0].quantity), (1, 3));
    assert_eq!(records[0].allocations[0].tags, [("team".to_owned(), "red".to_owned())]);
}

#[tokio::test]
async fn a_host_follows_a_clock_that_runs_fast() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=3")).await), "counted");
    // Ten minutes a second: nobody has to say that the hour is over.
    lab.control().run_clock(600).await.unwrap();
    host.settled(lab.control()).await.unwrap();
    let images = lab.records("images").await;
    assert_eq!(images.iter().map(|record| record.quantity).collect::<Vec<_>>(), [3]);
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
}
