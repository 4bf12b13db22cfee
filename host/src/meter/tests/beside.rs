//! `tollgate-host usage` beside a running host, over its admin port.

use std::net::{SocketAddr, TcpListener};

use tollgate_metering::Hour;

use super::*;
use crate::admin::{self, Status};
use crate::ledger;
use crate::product::manifest::ProductName;
use crate::usage::{Access, Command};

const EVENT: &str = "8f2f6a5c-3c1d-4b7e-9a57-0f6d0a4c8b12";

/// A host on a volume of its own with one hour in conflict, and its admin port.
struct Beside {
    volume: tempfile::TempDir,
    folder: PathBuf,
    address: SocketAddr,
    host: Running,
    hour: String,
}

impl Beside {
    async fn new() -> Self {
        let mut house = House::new(&[Reply::Duplicate]);
        let volume = tempfile::tempdir().unwrap();
        let opened = ledger::open(volume.path(), "task").unwrap();
        let folder = opened.folder.clone();
        let (keeper, sent) = house.keeper_of(opened, "task").await;
        let mut host = House::serve(keeper, sent);
        let hour = Hour::of(house.clock.now_ms() / 1_000);
        assert_eq!(host.counters.add(0, 5), Outcome::Counted);
        host.counters.commit().await.unwrap();
        house.pass_minutes(75);
        host.record().await;
        while host.row("images").await != "5 conflict" {
            tokio::task::yield_now().await;
        }
        let status = Status::starting(&ProductName { name: "shop".into(), version: "1.0.0".into() }, "paid");
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        port.set_nonblocking(true).unwrap();
        let address = admin::serve(port, status.clone()).unwrap();
        let access = Access::new(address, [7; 32]);
        access.leave(&folder).unwrap();
        status.opened(access);
        status.metered(&host.handle);
        let start = jiff::Timestamp::from_second(hour.start().try_into().unwrap()).unwrap();
        Self { volume, folder, address, host, hour: start.to_string() }
    }

    /// What the command says; a blocking program of its own in real life.
    async fn run(&self, line: &str) -> String {
        let args: Vec<String> =
            line.replace("FOLDER", &self.folder.display().to_string()).split('|').map(str::to_owned).collect();
        let ran = tokio::task::spawn_blocking(move || {
            let mut out = Vec::new();
            match Command::parse(&args).and_then(|command| command.run(&mut out)) {
                Ok(()) => String::from_utf8(out).unwrap(),
                Err(exit) => exit.message(),
            }
        });
        ran.await.unwrap().replace(&self.address.to_string(), "ADDRESS").replace(&self.hour, "HOUR")
    }

    async fn settle(&self, how: &str) -> String {
        let hour = &self.hour;
        self.run(&format!(
            "settle|--ledger|FOLDER|--listing|paid|--dimension|images|--hour|{hour}|{how}|--event|{EVENT}"
        ))
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_host_is_found_by_the_folder_of_its_ledger() {
    let beside = Beside::new().await;
    let shown = beside.run("show|--ledger|FOLDER").await;
    let row = shown.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(row, "HOUR paid images conflict 5 0 0 0 5 1 0 5 0");
    assert_eq!(beside.run(&format!("show|--admin|{}", beside.address)).await, shown);
    let whole = "task: the ledger is whole; recorded 5, acked 0, in doubt 0, conflict 5\n";
    assert_eq!(beside.run("verify|--ledger|FOLDER").await, whole);
    let exported = beside.run("export|--ledger|FOLDER").await;
    assert!(exported.starts_with("{\"kind\":\"export\",\"format\":1,"), "{exported}");
    let end = format!("{{\"kind\":\"end\",\"lines\":{}}}", exported.lines().count());
    assert_eq!(exported.lines().last(), Some(end.as_str()));
    let json: serde_json::Value = serde_json::from_str(&beside.run("show|--json|--ledger|FOLDER").await).unwrap();
    assert_eq!((&json["space_low"], &json["rows"][0]["conflict"]), (&false.into(), &5.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_is_settled_through_the_host_that_has_the_ledger() {
    let beside = Beside::new().await;
    let said = beside.settle("--billed|--reason|AWS holds it").await;
    assert_eq!(said, "HOUR images under paid: settled as billed: its units count as acked\n");
    assert_eq!(beside.host.row("images").await, "5 acked");
    let again = beside.settle("--billed|--reason|AWS holds it").await;
    assert!(again.starts_with("tollgate-host: bad configuration (exit 64)"), "{again}");
    assert!(again.contains("is acked, neither in doubt nor in conflict"), "{again}");
    // It is in the ledger, not only in the host's memory.
    let exported = beside.run("export|--ledger|FOLDER").await;
    assert!(exported.contains(&format!("billed=true evidence={EVENT}")), "{exported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_read_the_folder_can_look_and_not_settle() {
    let beside = Beside::new().await;
    let wrong = format!("{}\n{}\n", beside.address, "0".repeat(64));
    std::fs::write(beside.folder.join("admin"), wrong).unwrap();
    let said = beside.settle("--billed|--reason|mine").await;
    assert!(said.contains("the header Tollgate-Token has to be the second line of the file `admin`"), "{said}");
    assert!(beside.run("verify|--ledger|FOLDER").await.contains("is whole"));
    std::fs::remove_file(beside.folder.join("admin")).unwrap();
    let said = beside.settle("--billed|--reason|mine").await;
    assert!(said.starts_with("tollgate-host: ledger locked (exit 75)"), "{said}");
    assert!(said.contains("usage show --admin HOST:PORT"), "{said}");
    assert_eq!(beside.host.row("images").await, "5 conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_damaged_under_its_host_is_found_through_it() {
    let beside = Beside::new().await;
    let lock = beside.folder.join("lock");
    let held = std::fs::read_to_string(&lock).unwrap();
    std::fs::write(&lock, held.replace("recorded=5", "recorded=6")).unwrap();
    let said = beside.run("verify|--ledger|FOLDER").await;
    assert!(said.starts_with("tollgate-host: ledger unusable (exit 73)"), "{said}");
    assert!(said.contains("file lock: is not as a host writes it"), "{said}");
    assert!(beside.volume.path().exists());
}
