//! Nothing that a buyer sets leads the production host elsewhere, while the same thing leads other software there.
//!
//! In a network of its own (`walls`), where ECS answers for a task as it does, AWS has an address, and everything else is a
//! trap. Nobody can answer as AWS here, so each host ends without an answer; where it asked until then is what counts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tempfile::TempDir;
use tollgate_cli::process::{Ended, Input, Process};

use crate::bad_input::pod_token;
use crate::bundle::{production_host, ship};
use crate::forger::Forger;
use crate::hostile::futures;
use crate::support::{METER_HTTP, guest};
use crate::walls;

mod client;
mod country;
mod inputs;
mod rows;

use country::{Country, Seen, trap};
use rows::Row;

/// Calls the trap as soon as it is loaded, whatever loads it.
const LIBRARY: &str = r#"
use std::io::{Read as _, Write as _};

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    if let Ok(mut trap) = std::net::TcpStream::connect("127.6.0.251:80") {
        let _ = trap.write_all(b"loaded\r\n\r\n");
        // Until it is written down.
        let _ = trap.read(&mut [0]);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn la_version(version: u32) -> u32 {
    version
}
"#;

/// Variables that lead others elsewhere and are of no interest here: inputs of the platform, and a folder nobody looks into.
const NOT_NAMED: [&str; 3] = ["AWS_REGION", "AWS_DEFAULT_REGION", "HOME"];

/// The platform a host finds itself on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Task,
    Pod,
}

/// A packed production host in a network of its own.
pub(crate) struct Shop {
    folder: TempDir,
    pub(crate) program: PathBuf,
    country: Country,
    forger: Forger,
}

impl Shop {
    /// `forged`: for which names the buyer's authority has certificates.
    pub(crate) async fn open(forged: impl IntoIterator<Item = String>) -> Self {
        let folder = TempDir::new().unwrap();
        let program = ship(folder.path(), METER_HTTP).await;
        let forger = Forger::new();
        std::fs::write(folder.path().join("ca.pem"), &forger.pem).unwrap();
        std::fs::write(folder.path().join("token"), pod_token()).unwrap();
        let country = Country::start(forger.server(forged.into_iter().collect())).await;
        Self { folder, program, country, forger }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What stands below `/etc/ssl` where the buyer's authority is trusted.
    pub(crate) fn trust_store(&self) -> PathBuf {
        let store = self.path("ssl");
        std::fs::create_dir_all(store.join("certs")).unwrap();
        std::fs::write(store.join("certs/ca-certificates.crt"), &self.forger.pem).unwrap();
        store
    }

    /// Where somebody asked after the first `before` things that came, each place once.
    pub(crate) fn asked(&self, before: usize) -> Vec<String> {
        let seen = self.country.seen();
        let places = seen[before..].iter().map(|seen| match seen {
            Seen::Aws(name) => name.clone(),
            Seen::Refused(at) => format!("nothing of {at}"),
            Seen::Caught(at, line) => format!("{at}: {line}"),
        });
        places.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// The host in `region`, with `set` around it, to its end.
    async fn host(&self, name: &str, on: On, region: &str, set: &[(&str, String)]) -> Ended {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .env_clear()
            .env("TOLLGATE_LEDGER", self.path(name))
            .env("TOLLGATE_LISTEN", "127.0.0.1:0")
            .env("TOLLGATE_ADMIN", "127.0.0.1:0")
            .env("TOLLGATE_START_BUDGET", "1s");
        match on {
            On::Task => command
                .env("ECS_CONTAINER_METADATA_URI_V4", format!("http://169.254.170.2/v4/{region}"))
                .env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/task"),
            On::Pod => command
                .env("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/pod")
                .env("AWS_WEB_IDENTITY_TOKEN_FILE", self.path("token"))
                .env("AWS_REGION", region),
        };
        command.envs(set.iter().map(|(name, value)| (*name, value)));
        Process::start("tollgate-host", &mut command, Input::Nothing).unwrap().end().await.unwrap()
    }

    /// The library that calls the trap, built.
    async fn library(&self) {
        std::fs::write(self.path("library.rs"), LIBRARY).unwrap();
        let mut command = tokio::process::Command::new("rustc");
        command.args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=s", "-o"]);
        command.arg(self.path("library.so")).arg(self.path("library.rs"));
        let ended = Process::start("rustc", &mut command, Input::Nothing).unwrap().end().await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// What a row sets, with its files in place.
    fn set(&self, number: usize, row: &Row) -> Vec<(&'static str, String)> {
        let folder = self.path(&format!("row-{number}"));
        let fill = |text: &str| {
            text.replace("{ip}", &trap(number).to_string())
                .replace("{n}", &number.to_string())
                .replace("{dir}", folder.to_str().unwrap())
                .replace("{ca:text}", &self.forger.pem)
                .replace("{ca}", self.path("ca.pem").to_str().unwrap())
                .replace("{library}", self.path("library.so").to_str().unwrap())
                .replace("{python}", client::python().to_str().unwrap())
        };
        std::fs::create_dir_all(&folder).unwrap();
        for (path, content) in &row.files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, fill(content)).unwrap();
        }
        row.set.iter().map(|(name, value)| (*name, fill(value))).collect()
    }
}

/// The region in which row `number` happens.
fn region(number: usize, row: &Row) -> String {
    if row.forged { format!("us-forged-{number}") } else { format!("us-case-{number}") }
}

/// Runs the body in a network of its own, with everything there that is made with the help of another.
pub(crate) fn alone(test: &str, hosts: &str, body: impl AsyncFnOnce()) {
    if client::was_one() {
        return;
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    client::python();
    threads.block_on(async {
        guest("meter_http.wasm").await;
        production_host().await;
    });
    if walls::inside(test, hosts) {
        threads.block_on(body());
    }
}

/// What the host did wrong under a row.
async fn on_host(shop: &Shop, number: usize, row: &Row, on: On) -> Vec<String> {
    let region = region(number, row);
    let name = match on {
        On::Task => format!("metering.marketplace.{region}.amazonaws.com"),
        On::Pod => format!("sts.{region}.amazonaws.com"),
    };
    let set = shop.set(number, row);
    let ended = shop.host(&format!("ledger-{number}-{on:?}"), on, &region, &set).await;
    let mut wrong = Vec::new();
    let mut expect = |good: bool, what: &str| {
        if !good {
            wrong.push(format!("{} as {on:?}: {what}: {:?}\n{}", row.what, ended.code, ended.stderr));
        }
    };
    expect(ended.code == Some(71), "it ends without an answer");
    let seen = shop.country.seen();
    if row.forged {
        expect(seen.contains(&Seen::Refused(trap(number))), "it tries the forged server");
        expect(ended.stderr.contains("not signed by AWS's own authorities"), "it says whom it does not believe");
    } else {
        expect(seen.contains(&Seen::Aws(name)), "it asks AWS");
    }
    let said = ended
        .stderr
        .lines()
        .find_map(|line| tollgate_cli::host::log_fields(line, "these variables have no effect here"));
    let said = said.as_ref().and_then(|fields| fields["variables"].as_str()).unwrap_or_default();
    for (variable, _) in set.iter().filter(|(variable, _)| !NOT_NAMED.contains(variable)) {
        expect(said.split(' ').any(|named| named == *variable), "the log names what it ignores");
    }
    expect(!ended.stderr.contains("ld.so"), "nothing is linked when it starts");
    wrong
}

/// What the host must never do.
fn astray(seen: &[Seen], rows: &[Row]) -> Vec<Seen> {
    let forged: Vec<_> = (0..).zip(rows).filter(|(_, row)| row.forged).map(|(number, _)| trap(number)).collect();
    let legal = |seen: &Seen| match seen {
        Seen::Aws(name) => {
            ["metering.marketplace.us-case-", "sts.us-case-"].iter().any(|start| name.starts_with(start))
        }
        Seen::Refused(at) => forged.contains(at),
        Seen::Caught(..) => false,
    };
    seen.iter().filter(|seen| !legal(seen)).cloned().collect()
}

/// Whether the row's client came to its trap.
async fn trapped(shop: &Shop, test: &str, number: usize, row: &Row, set: &[(&str, String)]) -> bool {
    let before = shop.country.seen().len();
    let region = row.region.map(|region| region.replace("{n}", &number.to_string()));
    client::run(test, row, set, region, &shop.path("token")).await;
    let trap = row.trap.map_or_else(|| trap(number), |trap| trap.parse().unwrap());
    shop.country.seen()[before..].iter().any(|seen| match seen {
        Seen::Caught(at, _) => at.ip() == trap,
        // Where DNS leads to the trap anyway, only a request counts.
        Seen::Refused(at) => *at == trap && !row.forged,
        Seen::Aws(_) => false,
    })
}

#[test]
fn nothing_that_leads_other_software_elsewhere_leads_the_host_there() {
    const TEST: &str = "redirect::nothing_that_leads_other_software_elsewhere_leads_the_host_there";
    alone(TEST, "", async || {
        let rows = rows::all();
        let variables: BTreeSet<&str> = rows.iter().flat_map(|row| &row.set).map(|(name, _)| *name).collect();
        assert!(rows.len() >= 45 && variables.len() >= 30, "{} rows, {} variables", rows.len(), variables.len());
        let names = (0..rows.len()).map(|number| format!("metering.marketplace.us-forged-{number}.amazonaws.com"));
        let names: Vec<String> =
            names.chain((0..rows.len()).map(|n| format!("sts.us-forged-{n}.amazonaws.com"))).collect();
        let shop = Shop::open(names).await;
        shop.library().await;
        let hosts = rows.iter().enumerate().flat_map(|(number, row)| {
            [On::Task, On::Pod]
                .into_iter()
                .filter(|on| *on == On::Task || !row.task_only)
                .map(move |on| (number, row, on))
        });
        let mut wrong = Vec::new();
        // Each waits for its start budget to end, so a few at a time.
        for some in hosts.collect::<Vec<_>>().chunks(6) {
            let some = some.iter().map(|&(number, row, on)| on_host(&shop, number, row, on)).collect();
            wrong.extend(futures(some).await.into_iter().flatten());
        }
        let astray = astray(&shop.country.seen(), &rows);
        assert!(wrong.is_empty() && astray.is_empty(), "{astray:#?}\n{}", wrong.join("\n"));
        for (number, row) in rows.iter().enumerate() {
            let set = shop.set(number, row);
            if !trapped(&shop, TEST, number, row, &set).await {
                wrong.push(format!("{}: its client does not obey it", row.what));
            }
            if trapped(&shop, TEST, number, row, &[]).await {
                wrong.push(format!("{}: its client comes without it, too", row.what));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
