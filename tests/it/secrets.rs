//! Secrets leave the memory of the process with their last use. Root reads that memory, as it always can.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use tollgate_cli::http::Http;

use crate::agent::{agent, credentials};
use crate::support::{Lab, METER_HTTP, body};

/// Memories of guests are reserved by the gibibyte; no mapping of the host itself is so large.
const GUESTS: u64 = 256 << 20;

/// How often each of `needles` is in the writable memory of the process.
fn count<const N: usize>(pid: u32, needles: [&str; N]) -> [usize; N] {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("root reads the memory of every process");
    let mut counts = [0; N];
    for (from, to) in touched(&fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap()) {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // It may be gone by now.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (count, needle) in counts.iter_mut().zip(needles.map(str::as_bytes)) {
            // The first byte alone is quick to look for, and a debug build is slow at the rest.
            let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == needle[0]);
            *count += starts.filter(|(at, _)| bytes[*at..].starts_with(needle)).count();
        }
    }
    counts
}

/// The writable mappings that have pages.
fn touched(smaps: &str) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut writable = None;
    for line in smaps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((from, to)) = first.split_once('-') {
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            writable =
                Some((number(from), number(to))).filter(|(from, to)| rest.starts_with("rw") && to - from < GUESTS);
        } else if first == "Rss:" && rest.trim() != "0 kB" {
            found.extend(writable.take());
        }
    }
    found
}

/// The tail of a key is enough to find it, also where its beginning was overwritten.
fn tail(key: &str) -> &str {
    &key[key.len() / 2..]
}

#[tokio::test]
async fn a_key_is_in_memory_once_and_gone_when_it_is_replaced() {
    let lab = Lab::http(METER_HTTP).await;
    let (old, new) = (lab.control().task("ecs").await.unwrap(), lab.control().task("ecs").await.unwrap());
    let soon_s = lab.control().clock().await.unwrap().now_ms / 1000 + 3600;
    let soon = jiff::Timestamp::from_second(soon_s.try_into().unwrap()).unwrap().to_string();
    let agent = agent(&old, vec![credentials(&old, &soon), credentials(&new, "2099-01-01T00:00:00Z")]).await;
    let command = lab.host().await.container(agent);
    let command = command
        .variable("ECS_CONTAINER_METADATA_URI_V4", format!("http://{agent}/v4/task"))
        .variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/task");
    let mut host = command.serve().await.unwrap();
    let pid = host.process.id().unwrap();
    let keys = [tail(&old.secret_access_key), tail(&new.secret_access_key)];
    // Requests were signed with it; what the SDK made of it for that is overwritten.
    assert_eq!(count(pid, keys), [1, 0], "in use");
    assert_eq!(body(Http::http1().get(&host.url("/add?n=3")).await), "counted");
    lab.hour_passes(&mut host).await;
    assert_eq!(count(pid, keys), [0, 1], "replaced");
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
}
