//! A disk that is really full: a small file system of memory, mounted for this test alone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::ledger::{self, OpenError};

const MIB: u64 = 1 << 20;
/// The reserve, the ledger, and some room.
const DISK_MIB: u64 = 96;
/// The test runs itself once more, inside; there is a file of this name.
const INSIDE: &str = "a small disk of this test";

/// Inside: what happens. Outside: a disk for it. Root or whoever may have a user namespace gets a real file system; on a
/// machine that forbids both, files may not grow beyond a megabyte: no reserve, and then an error.
#[test]
fn on_a_full_disk_usage_is_refused_and_what_is_recorded_is_sent() {
    let here = Path::new(".");
    if here.join(INSIDE).exists() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(inside(here));
        return;
    }
    let name = "meter::tests::full::on_a_full_disk_usage_is_refused_and_what_is_recorded_is_sent";
    let folder = tempfile::tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    let mount = format!(
        "mount -t tmpfs -o size={DISK_MIB}m none \"$1\" && cd \"$1\" && touch \"{INSIDE}\" && \
         exec \"$2\" --exact \"$3\" --nocapture"
    );
    let run = |program: &str, first: &[&str], script: &str| {
        let mut command = Command::new(program);
        command.args(first).args(["sh", "-c", script, "sh"]).arg(folder.path()).arg(&test).arg(name);
        command.output()
    };
    let may = run("unshare", &["--mount", "--map-root-user"], "mount -t tmpfs -o size=1m none \"$1\"");
    if may.is_ok_and(|may| may.status.success()) {
        let ran = run("unshare", &["--mount", "--map-root-user"], &mount).unwrap();
        assert!(
            ran.status.success(),
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"));
    } else {
        let limited = "trap '' XFSZ; ulimit -f 2048; cd \"$1\" && touch \"$4\"; exec \"$2\" --exact \"$3\" --nocapture";
        let limited = limited.replace("$4", INSIDE);
        let ran = run("env", &[], &limited).unwrap();
        assert!(
            ran.status.success(),
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

async fn inside(disk: &Path) {
    let filler = Filler(File::create(disk.join("filler")).unwrap());
    let small = filler.fill();
    filler.clear();
    if small {
        refused_and_taken_again(disk, &filler).await;
        begun_on_a_full_disk(disk, &filler).await;
    }
    an_error_of_the_disk_ends_the_process(disk, &filler).await;
}

/// What takes the room of the disk.
struct Filler(File);

impl Filler {
    /// True if there is an end to the disk.
    fn fill(&self) -> bool {
        let block = vec![0x5a; usize::try_from(MIB / 16).unwrap()];
        let (mut at, end) = (0, 2 * DISK_MIB * MIB);
        while at < end && self.0.write_all_at(&block, at).is_ok() {
            at += MIB / 16;
        }
        at < end && rustix::fs::fstatvfs(&self.0).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < MIB)
    }

    fn clear(&self) {
        self.0.set_len(0).unwrap();
    }
}

async fn started(house: &mut House, volume: &Path) -> Running {
    let opened = ledger::open(volume, "task").unwrap();
    let (keeper, sent) = house.keeper_of(opened, "task").await;
    House::serve(keeper, sent)
}

async fn stopped_again(host: Running) {
    host.ended.abort();
    drop((host.counters, host.handle));
    let _aborted = host.ended.await;
}

/// The writing thread lets go of the lock a moment after its task.
fn free(volume: &Path) {
    while matches!(ledger::open(volume, "task"), Err(OpenError::Locked(_))) {
        std::thread::yield_now();
    }
}

async fn until(host: &Running, low: bool) {
    while host.handle.snapshot().await.unwrap().space_low != low {
        tokio::task::yield_now().await;
    }
}

async fn refused_and_taken_again(volume: &Path, filler: &Filler) {
    let mut house = House::new(&[]);
    let mut host = started(&mut house, volume).await;
    assert_eq!(host.counters.add(0, 5), Outcome::Counted);
    assert!(filler.fill());
    // What was counted before anybody could know is recorded all the same.
    assert_eq!(host.counters.commit().await, Ok(()));
    until(&host, true).await;
    assert_eq!(host.counters.add(0, 1), Outcome::Stopped);
    let snapshot = host.handle.snapshot().await.unwrap();
    assert_eq!((snapshot.standing, snapshot.rows[0].recorded), ("stopping", 5));
    // Sealed, tried and accepted in the room of the reserve.
    house.pass_minutes(75);
    assert_eq!(quantities(&host.record().await).1, 5);
    while host.row("images").await != "5 acked" {
        tokio::task::yield_now().await;
    }
    filler.clear();
    house.pass_minutes(1);
    until(&host, false).await;
    assert_eq!(host.counters.add(0, 7), Outcome::Counted);
    assert_eq!(host.counters.commit().await, Ok(()));
    assert_eq!(host.row("images").await, "5 acked, 7 open");
    stopped_again(host).await;
    free(volume);
}

/// The hour of before is sent; nothing new is taken.
async fn begun_on_a_full_disk(volume: &Path, filler: &Filler) {
    assert!(filler.fill());
    let mut house = House::new(&[]);
    house.pass_minutes(135);
    let mut host = started(&mut house, volume).await;
    until(&host, true).await;
    assert_eq!(host.counters.add(0, 1), Outcome::Stopped);
    house.pass_minutes(60);
    let record = loop {
        let record = host.sent.recv().await.unwrap();
        if !record.dry_run {
            break record;
        }
        house.pass_minutes(1);
    };
    assert_eq!(quantities(&record).1, 7);
    stopped_again(host).await;
    free(volume);
    filler.clear();
}

/// When the reserve is used up the first error is the last thing that is tried.
async fn an_error_of_the_disk_ends_the_process(volume: &Path, filler: &Filler) {
    let mut house = House::new(&[]);
    let opened = ledger::open(volume, "other").unwrap();
    let (keeper, sent) = house.keeper_of(opened, "other").await;
    let host = House::serve(keeper, sent);
    filler.fill();
    until(&host, true).await;
    loop {
        filler.fill();
        // A heartbeat is written, and there is no room for ever more of them.
        house.pass_minutes(16);
        let Some(snapshot) = host.handle.snapshot().await else { break };
        assert_eq!((snapshot.standing, host.counters.add(0, 1)), ("stopping", Outcome::Stopped));
    }
    let end = host.ended.await.unwrap();
    assert!(matches!(end, End::Poisoned(_)), "{end:?}");
    assert_eq!(host.counters.add(0, 1), Outcome::Stopped);
}
