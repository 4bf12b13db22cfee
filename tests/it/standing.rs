//! Promise 6 as guests, buyers and operators see it: usage that AWS does not accept is late first, then new work is
//! refused; a restart changes nothing; and when AWS accepts it, all is as before.

use hyper::Method;
use rustix::process::Signal;
use tollgate_cli::control::Fault;
use tollgate_cli::host::{Host, log_fields};
use tollgate_cli::http::{Http, Reply};
use tollgate_cli::process::{PATIENCE, Stream};

use crate::support::{Begun, HOUR_AND_SENT_S, Lab, METER_HTTP, body};

/// Asks `/readyz` until it tells this standing.
async fn until(host: &Host, standing: &str) -> Reply {
    let wanted = format!("\"standing\":\"{standing}\"");
    let asking = async {
        loop {
            let reply = host.admin("/readyz").await.unwrap();
            if reply.text().contains(&wanted) {
                return reply;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("not {standing}: {}", log(host)))
}

fn log(host: &Host) -> String {
    host.process.text(Stream::Stderr)
}

/// `/readyz`, the metric and the log say the same; the answer to a request that counts.
async fn check(host: &Host, standing: &str, ready: u16, logged: &str) -> Reply {
    assert_eq!(until(host, standing).await.status, ready, "{standing}");
    let metrics = host.admin("/metrics").await.unwrap().text();
    for state in ["good", "late", "stopping"] {
        let line = format!("tollgate_standing{{state=\"{state}\"}} {}", u8::from(state == standing));
        assert!(metrics.contains(&line), "{line} is not in:\n{metrics}");
    }
    let log = log(host);
    assert!(log.lines().any(|line| log_fields(line, logged).is_some()), "{logged}: is not in:\n{log}");
    Http::http1().get(&host.url("/add?n=1")).await.unwrap()
}

const LATE: &str = "usage is late: an hour is not accepted by AWS; work goes on";
const STOPPING: &str = "usage was not accepted by AWS for too long; new billable work is refused";
const GOOD: &str = "usage reaches AWS in time again; all work is taken";

/// AWS takes no record of `images` until [`heal`].
async fn hold_back(lab: &Lab) {
    let fault = Fault { fault: "throttle", operation: None, dimension: Some("images"), count: 1_000_000 };
    lab.control().fault(&fault).await.unwrap();
}

/// AWS takes everything again, and the host tries once more.
async fn heal(lab: &Lab) {
    let faults = format!("{}/_tollgate/faults", lab.control().origin());
    Http::http1().send(Method::DELETE, &faults, &[], bytes::Bytes::new()).await.unwrap();
    lab.control().advance(15 * 60).await.unwrap();
}

#[tokio::test]
async fn usage_that_aws_does_not_accept_is_late_then_stops_new_work_over_restarts_until_it_is_accepted() {
    let lab = Lab::http(METER_HTTP).await;
    let command = lab.host().await;
    let host = command.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=3")).await), "counted");
    hold_back(&lab).await;
    lab.control().advance(HOUR_AND_SENT_S).await.unwrap();
    assert_eq!(until(&host, "good").await.status, 200);

    lab.control().advance(3600).await.unwrap();
    let late = check(&host, "late", 200, LATE).await;
    assert_eq!((late.status.as_u16(), late.text().as_str()), (200, "counted"));
    let seen = body(Http::http1().get(&host.url("/standing")).await);
    assert!(seen.starts_with("late "), "a guest can do less: {seen}");

    lab.control().advance(3 * 3600).await.unwrap();
    let stopped = check(&host, "stopping", 503, STOPPING).await;
    assert_eq!(stopped.status, 503);
    assert!(stopped.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{:?}", stopped.headers);

    host.process.signal(Signal::KILL);
    host.process.end().await.unwrap();
    let host = command.serve().await.unwrap();
    assert_eq!(check(&host, "stopping", 503, STOPPING).await.status, 503, "a restart is no way round");

    heal(&lab).await;
    let good = check(&host, "good", 200, GOOD).await;
    assert_eq!((good.status.as_u16(), good.text().as_str()), (200, "counted"));
    let ended = host.process.stop().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lab.billed("images").await, 3 + 1 + 1);
}

/// New requests are refused by then, so the guest is in one that began before.
#[tokio::test]
async fn a_guest_that_is_at_work_when_work_stops_is_told_and_adds_no_more() {
    let lab = Lab::http(&format!("{METER_HTTP}\n[limits]\nrequest_timeout_s = 600\n")).await;
    let host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=3")).await), "counted");
    hold_back(&lab).await;
    lab.control().advance(HOUR_AND_SENT_S + 3600).await.unwrap();
    until(&host, "late").await;
    let before = Begun::new(&host, "/standings?n=5", 1).await;
    let meanwhile = Begun::new(&host, "/hold?n=7", 2).await;
    lab.control().advance(3 * 3600).await.unwrap();
    until(&host, "stopping").await;
    assert_eq!(check(&host, "stopping", 503, STOPPING).await.status, 503);

    let answer = before.end().await;
    let said = answer.lines().find_map(|line| line.strip_prefix("late 20")?.split_once(": counted; stopping 20"));
    let (late, stopping) = said.unwrap_or_else(|| panic!("{answer}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "what was counted is on disk, so the response leaves: {answer}");
    assert!(stopping.ends_with(": stopped") && late < stopping, "since when, and nothing is added: {answer}");
    assert!(meanwhile.end().await.contains("counted 4"), "what was counted before is answered");
    heal(&lab).await;
    until(&host, "good").await;
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
    assert_eq!(lab.billed("images").await, 3 + 5 + 7);
}
