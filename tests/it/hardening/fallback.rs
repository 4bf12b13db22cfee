//! Kernels and sandboxes that refuse a measure: the host says so, takes the others, and serves.

use libc::{c_int, c_long};
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, Ne};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule};
use tollgate_cli::host::log_fields;
use tollgate_cli::http::Http;
use tollgate_cli::process::Stream;

use super::check_threads;
use crate::support::{Lab, METER_HTTP, body, guest};

/// A call, and conditions under which it is refused: which argument, what it must be; none of `Ne` is zero.
type Refused = (c_long, Vec<SeccompCondition>);

/// The kernel's answer to these calls is `error`; all others are carried out.
fn kernel(refused: Vec<Refused>, error: c_int) -> BpfProgram {
    let rules = refused.into_iter().map(|(call, conditions)| {
        let rules = if conditions.is_empty() { Vec::new() } else { vec![SeccompRule::new(conditions).unwrap()] };
        (call, rules)
    });
    let answer = SeccompAction::Errno(error.unsigned_abs());
    let here = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules.collect(), SeccompAction::Allow, answer, here).unwrap().try_into().unwrap()
}

fn prctl(option: c_int) -> Refused {
    let option = SeccompCondition::new(0, Dword, Eq, u64::from(option.unsigned_abs())).unwrap();
    (libc::SYS_prctl, vec![option])
}

/// Runs a host on such a kernel. Returns which measures it says are refused, and with which words.
///
/// A filter belongs to a thread and to what it starts, so this thread has one and ends with the test.
fn served_on(kernel: &BpfProgram, status: &str) -> String {
    let everything = async || {
        let lab = Lab::http(METER_HTTP).await;
        let host = lab.host().await.serve().await.unwrap();
        assert_eq!(body(Http::http1().get(&host.url("/add?n=1")).await), "counted");
        assert_eq!(host.admin("/readyz").await.unwrap().status, 200);
        check_threads(host.process.id().unwrap(), status);
        let log = host.process.text(Stream::Stderr);
        let words = "the kernel refuses a measure of hardening; the host runs without it";
        let refused = log.lines().filter_map(|line| log_fields(line, words));
        let told: Vec<String> = refused.map(|fields| format!("{}: {}", fields["measure"], fields["error"])).collect();
        assert_eq!(host.process.stop().await.unwrap().code, Some(0));
        assert_eq!(lab.billed("images").await, 1);
        told.join("\n")
    };
    let thread = || {
        seccompiler::apply_filter(kernel).unwrap();
        let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        here.block_on(everything())
    };
    std::thread::scope(|scope| scope.spawn(thread).join().unwrap())
}

#[test]
fn a_measure_that_the_kernel_refuses_is_named_and_the_others_are_taken() {
    // While there is a kernel that refuses nothing.
    tokio::runtime::Runtime::new().unwrap().block_on(guest("meter_http.wasm"));
    let seccomp = || vec![(libc::SYS_seccomp, Vec::new()), prctl(libc::PR_SET_SECCOMP)];
    let set = |argument| SeccompCondition::new(argument, Qword, Ne, 0).unwrap();
    let core = SeccompCondition::new(1, Dword, Eq, u64::from(libc::RLIMIT_CORE)).unwrap();
    // The kernel counts the filter of this test, too.
    let mut told = Vec::new();
    for (without, kernel, status) in [
        ("filters", kernel(seccomp(), libc::EINVAL), "NoNewPrivs: 1 Seccomp: 2 Seccomp_filters: 1"),
        ("the call", kernel(seccomp(), libc::ENOSYS), "NoNewPrivs: 1 Seccomp: 2 Seccomp_filters: 1"),
        (
            "the end of dumps",
            kernel(vec![prctl(libc::PR_SET_DUMPABLE)], libc::EPERM),
            "NoNewPrivs: 1 Seccomp: 2 Seccomp_filters: 3",
        ),
        (
            "limits",
            kernel(vec![(libc::SYS_prlimit64, vec![core, set(2)])], libc::EPERM),
            "NoNewPrivs: 1 Seccomp: 2 Seccomp_filters: 3",
        ),
    ] {
        told.push(format!("without {without}\n{}", served_on(&kernel, status)));
    }
    insta::assert_snapshot!(told.join("\n\n"));
}
