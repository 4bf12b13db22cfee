//! What one `add` of a guest costs: `cargo bench -p tollgate-runtime --features compiler --bench add`.
//!
//! The same guest, compiled as `tollgate pack` does it (the counting is inlined), and compiled so that each add calls the
//! host; and its loop alone, with the check of the epoch that is in every loop, and without an add. Criterion runs them one
//! after the other and says what an instance and an add take; the last line of each group has ratio and difference of the
//! medians of all runs. Never passes or fails.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use tokio::sync::watch;
use tollgate_runtime::code::{Code, map};
use tollgate_runtime::command;
use tollgate_runtime::compile::{compile, compile_calling};
use tollgate_runtime::component::{Component, ComponentSpec, Run};
use tollgate_runtime::egress::Network;
use tollgate_runtime::engine::{EngineOptions, Runtime};
use tollgate_runtime::limits::Limits;
use tollgate_runtime::meter::{Desk, Dimension, Granted, Meter, Pricing, Source, open};
use tollgate_runtime::target::Cpu;

/// Of one instance: so many that making it does not count.
const LAPS: u32 = 2_000_000;

/// Adds one unit to one of eight dimensions, again and again.
const GUEST: &str = r#"(component
  (import "tollgate:metering/counter@0.1.0" (instance $counter
    (type $enum (enum "counted" "unknown" "over-limit" "stopped"))
    (export "outcome" (type $outcome (eq $enum)))
    (export "add" (func (param "dimension" u32) (param "units" u32) (result $outcome)))))
  (core func $add (canon lower (func $counter "add")))
  (core module $main
    (import "" "add" (func $add (param i32 i32) (result i32)))
    (func (export "run") (result i32)
      (local $left i32) (local $refused i32)
      (local.set $left (i32.const LAPS))
      (loop $again
        (local.set $refused
          (i32.or (local.get $refused) WORK))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $again (local.get $left)))
      (i32.ne (local.get $refused) (i32.const 0))))
  (core instance $made (instantiate $main (with "" (instance (export "add" (func $add))))))
  (func $run (result (result)) (canon lift (core func $made "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.10" (instance $exported)))"#;

const ADD: &str = "(call $add (i32.and (local.get $left) (i32.const 7)) (i32.const 1))";
const NOTHING: &str = "(i32.and (local.get $left) (i32.const 0))";

/// A component, and how many units it adds.
type Subject = (Component, u32);

fn main() {
    let guest = |work: &str| {
        wat::parse_str(GUEST.replace("LAPS", &LAPS.to_string()).replace("WORK", work)).expect("a component")
    };
    let cpu = Cpu::ALL.into_iter().rev().find(|cpu| cpu.missing_here().is_empty()).expect("a processor we know");
    let subjects = [
        ("inlined", load(&compile(cpu, &guest(ADD), "add").expect("compiles")), LAPS),
        ("by a call of the host", load(&compile_calling(cpu, &guest(ADD), "add").expect("compiles")), LAPS),
        ("the loop alone", load(&compile(cpu, &guest(NOTHING), "add").expect("compiles")), 0),
    ]
    .map(|(name, component, adds)| (name, (component, adds)));
    let mut criterion = Criterion::default().configure_from_args();
    for (limit, name) in [(None, "an add, no limit"), (Some(u64::MAX / 2), "an add, below a limit")] {
        measured(&mut criterion, &format!("{name}, {cpu}"), limit, &subjects);
    }
    criterion.final_summary();
}

#[expect(clippy::print_stdout, reason = "a benchmark is its output")]
fn measured(criterion: &mut Criterion, name: &str, limit: Option<u64>, subjects: &[(&str, Subject); 3]) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(LAPS.into())).sampling_mode(SamplingMode::Flat).sample_size(20);
    let [inlined, called, alone] = subjects.each_ref().map(|(form, subject)| {
        let mut runs = Vec::new();
        let mut run = || {
            let run = tokio.block_on(ran(subject, limit));
            runs.push(run.as_nanos() as f64 / f64::from(LAPS));
            run
        };
        group.bench_function(*form, |bencher| bencher.iter_custom(|runs| (0..runs).map(|_| run()).sum()));
        median(runs)
    });
    group.finish();
    let (ratio, add) = (called / inlined, inlined - alone);
    println!("{name}: inlined {inlined:.2} ns, {ratio:.1} times cheaper than a call; the add itself {add:.2} ns");
}

/// How long an instance runs from its start to its end.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
async fn ran((component, adds): &Subject, limit: Option<u64>) -> Duration {
    let (meter, mut desk) = meter();
    if let Some(limit) = limit {
        (0..8).for_each(|dimension| desk.set_limit(dimension, limit));
    }
    let (_stop, stopped) = watch::channel(false);
    let keeper = async {
        let mut units = 0;
        loop {
            let commits = desk.commits.next().await;
            if commits.is_empty() {
                return units;
            }
            for commit in commits {
                units += commit.deltas.iter().map(|delta| delta.units).sum::<u64>();
                commit.done.send(Ok(()));
            }
        }
    };
    let ran = async {
        let begun = Instant::now();
        let code = command::run(component, &meter, &["add".into()], stopped).await.expect("it runs");
        assert_eq!(code, 0, "each add was counted");
        let took = begun.elapsed();
        drop(meter);
        took
    };
    let (took, units) = tokio::join!(ran, keeper);
    assert_eq!(units, u64::from(*adds));
    took
}

fn meter() -> (Meter, Desk) {
    let dimensions =
        (0..8).map(|n| Dimension { key: format!("d{n}"), source: Source::Guest, tag_keys: Vec::new() }).collect();
    open(dimensions, Granted { product: "p".into(), listing: "paid".into(), pricing: Pricing::Custom, since: 0 })
}

#[expect(unsafe_code, reason = "the code was made by this program")]
fn load(code: &[u8]) -> Component {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(code).expect("room for it");
    let bytes = map(&file, 0, code.len()).expect("mapped");
    // SAFETY: made by `compile` a moment ago, and nobody else has the file.
    let code = unsafe { Code::trusted(bytes) };
    let network = Network::new(rustls::RootCertStore::empty()).expect("no roots");
    let runtime = Runtime::new(&EngineOptions { limits: Limits::default(), network }).expect("an engine");
    let spec = ComponentSpec {
        id: "add".into(),
        index: 0,
        route: "/".into(),
        env: Vec::new(),
        uncounted: Vec::new(),
        egress: Vec::new(),
        mounts: Vec::new(),
        reuse: None,
    };
    Component::load(&runtime, code, Run::Command, spec).expect("loads")
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
