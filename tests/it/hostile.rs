//! A family of hostile guests. One host lives through all of them; beside each, a request to another component is
//! answered; and in the end AWS bills what was counted, no more and no less.

use std::collections::BTreeMap;
use std::time::Duration;

use tollgate_cli::host::Host;
use tollgate_cli::http::Http;
use tollgate_cli::process::Stream;

use crate::support::{Lab, METER_HTTP, body, guest};
use crate::walls::{self, World};

mod cases;
mod files;

fn manifest(egress: &str) -> String {
    let (product, _) = METER_HTTP.split_once("\n[[component]]").unwrap();
    product.to_owned() + &COMPONENTS.replace("EGRESS", egress)
}

/// Two of the same code: one under attack by its own clients, one that only counts.
const COMPONENTS: &str = r#"
[[dimension]]
key = "capped"
from = "guest"
max_per_hour = 1000

[[component]]
id = "hostile"
source = "guest.wasm"
run = "http"
route = "/hostile"
env = ["LOG_LEVEL"]
egress = [EGRESS]

[[component]]
id = "quiet"
source = "guest.wasm"
run = "http"
route = "/quiet"

[limits]
memory_mib = 32
request_timeout_s = 8
concurrency = 50
body_mib = 1
egress_requests = 4
egress_body_mib = 2
"#;

/// The host under attack.
struct Siege {
    lab: Lab,
    host: Host,
    world: World,
    /// What has to be billed.
    owed: BTreeMap<&'static str, u64>,
    /// Case by case, what the host did.
    story: Vec<String>,
}

impl Siege {
    async fn begin() -> Self {
        let world = World::start().await;
        // By its names the manifest allows everything, so that the address decides.
        let names = ["public", "six", "flip"].iter().chain(&cases::INWARD);
        let egress: Vec<String> = names.map(|name| format!("\"http://{name}.test\"")).collect();
        let manifest = manifest(&(egress.join(", ") + ", \"https://public.test\", \"https://public.test:8080\""));
        let lab = Lab::with(&std::fs::read(guest("hostile.wasm").await).unwrap(), &manifest).await;
        let secrets = [("LOG_LEVEL", "debug"), ("SECRET", "s3cr3t"), ("HTTP_PROXY", "http://127.0.0.1:80")];
        let command = secrets.iter().fold(lab.host().await, |command, (name, value)| command.variable(*name, *value));
        let host = command.serve().await.unwrap();
        Self { lab, host, world, owed: BTreeMap::new(), story: Vec::new() }
    }

    /// Lets one guest do its worst, and another one work beside it: past its deadline, the manifest's eight seconds, that
    /// request would be answered with 504.
    async fn check(&mut self, name: &str, case: &cases::Case) {
        let beside = async {
            let reply = Http::http1().get(&self.host.url("/quiet/add?n=1")).await;
            assert_eq!(body(reply), "counted 1", "the request beside {name}");
        };
        let (said, ()) = tokio::join!(case.run(&self.host), beside);
        // An answer between two traps: it is the single guest that is hostile, and not all of its component.
        assert_eq!(body(Http::http1().get(&self.host.url("/hostile/ok")).await), "ok", "after {name}");
        *self.owed.entry("images").or_default() += 1 + case.images;
        *self.owed.entry("requests").or_default() += 2 + case.requests;
        self.story.push(format!("{name}: {said}"));
    }

    /// The books after an hour: what the guests counted is what AWS bills, and what the host's own ledger says.
    async fn settle(mut self) -> String {
        self.lab.hour_passes(&mut self.host).await;
        for (dimension, units) in &self.owed {
            assert_eq!(self.lab.billed(dimension).await, *units, "billed {dimension}");
            let tallies = self.host.tallies().await.unwrap();
            let tally = tallies.iter().find(|tally| tally.dimension == *dimension).unwrap();
            assert_eq!((tally.recorded, tally.accepted), (*units, *units), "{dimension} in the ledger");
        }
        assert_eq!(self.lab.billed("capped").await, 0);
        assert_eq!(self.world.caught(), Vec::<String>::new(), "somebody got out");
        let ended = self.host.process.stop().await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for line in ended.stderr.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not a line of JSON: {line}");
            assert!(!line.contains("s3cr3t") && line.len() < 20_000, "{line}");
        }
        self.story.join("\n")
    }
}

/// Runs the body in a network of its own.
fn besieged(test: &str, story: impl AsyncFnOnce()) {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Before there is no network any more.
    threads.block_on(guest("hostile.wasm"));
    if walls::inside(test, "") {
        threads.block_on(story());
    }
}

#[test]
fn no_guest_reaches_an_address_that_is_not_its_own() {
    besieged("hostile::no_guest_reaches_an_address_that_is_not_its_own", async || {
        let mut siege = Siege::begin().await;
        for (name, case) in cases::addresses() {
            siege.check(&name, &case).await;
        }
        assert_eq!(siege.world.caught(), Vec::<String>::new());
        let metrics = siege.host.admin("/metrics").await.unwrap().text();
        for reason in ["origin", "address"] {
            let counted = format!("tollgate_egress_unanswered_total{{reason=\"{reason}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&counted)?.parse::<u64>().ok());
            assert!(count.is_some_and(|count| count > 0), "{reason}: {metrics}");
        }
        insta::assert_snapshot!(siege.settle().await);
    });
}

#[test]
fn no_guest_gets_more_than_its_share() {
    besieged("hostile::no_guest_gets_more_than_its_share", async || {
        let mut siege = Siege::begin().await;
        for (name, case) in cases::shares() {
            siege.check(&name, &case).await;
        }
        insta::assert_snapshot!(siege.settle().await);
    });
}

#[test]
fn a_guest_that_takes_time_takes_only_its_own() {
    besieged("hostile::a_guest_that_takes_time_takes_only_its_own", async || {
        let mut siege = Siege::begin().await;
        let cases = cases::slow();
        let host = &siege.host;
        let attacks: Vec<_> = cases.iter().map(|(name, case)| async move { (name, case.run(host).await) }).collect();
        let attacks = futures(attacks);
        let neighbours = async {
            for _ in 0..20 {
                assert_eq!(body(Http::http1().get(&host.url("/quiet/add?n=1")).await), "counted 1");
            }
        };
        let (said, ()) = tokio::join!(attacks, neighbours);
        siege.story = said.into_iter().map(|(name, said)| format!("{name}: {said}")).collect();
        let images: u64 = cases.iter().map(|(_, case)| case.images).sum();
        let requests: u64 = cases.iter().map(|(_, case)| case.requests).sum();
        siege.owed = BTreeMap::from([("images", 20 + images), ("requests", 20 + requests)]);
        siege.host.in_flight(0).await.unwrap();
        let log = siege.host.process.text(Stream::Stderr);
        assert!(log.len() < 64 << 20, "{} bytes of log", log.len());
        assert!(log.contains("lines dropped"), "the flood is told");
        insta::assert_snapshot!(siege.settle().await);
    });
}

#[tokio::test]
async fn a_component_that_only_traps_is_left_alone_for_a_while_and_its_neighbour_is_not() {
    let lab = Lab::with(&std::fs::read(guest("hostile.wasm").await).unwrap(), &manifest("")).await;
    let mut host = lab.host().await.serve().await.unwrap();
    let ask = async |path: &str| Http::http1().get(&host.url(path)).await.unwrap();
    for _ in 0..10 {
        assert_eq!(ask("/hostile/trap").await.status, 500);
    }
    let refused = ask("/hostile/ok").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"), "{}", refused.text());
    assert_eq!(body(Ok(ask("/quiet/add?n=1").await)), "counted 1");
    let answers = async { while ask("/hostile/ok").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(60), answers).await.unwrap();
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("images").await, 1);
    let log = host.process.text(Stream::Stderr);
    assert!(log.contains("this component only traps") && log.contains("this component answers again"), "{log}");
}

#[tokio::test]
async fn tables_end_where_the_limit_is() {
    let text = r#"(component
        (core module $m
            (table 1 funcref)
            (func (export "run") (result i32)
                (loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
                (i32.gt_u (table.size) (i32.const 400000))))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.12" (instance $e)))"#;
    let lab = Lab::with(&wat::parse_str(text).unwrap(), &crate::support::meter_command()).await;
    let ended = lab.host().await.start().unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Waits for all of them at once.
pub(crate) async fn futures<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, said) in all.iter_mut().filter(|(_, said)| said.is_none()) {
            if let std::task::Poll::Ready(value) = one.as_mut().poll(context) {
                *said = Some(value);
            }
        }
        if all.iter().all(|(_, said)| said.is_some()) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, said)| said).collect()
}
