//! A host of its own process, composed for the lab: started, waited for, asked, stopped.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::process::Command;

use crate::control::{Control, Task};
use crate::http::{Http, Reply};
use crate::process::{Ended, Input, PATIENCE, Process, Stream};
use crate::trouble::{Result, Trouble};

/// No wait between two tries of a record is longer.
const BACKOFF_MAX_S: u64 = 600;

/// The metric of requests that are in guests.
const IN_FLIGHT: &str = "tollgate_requests_in_flight ";

/// How to start a host.
#[derive(Clone, Debug)]
pub struct HostCommand {
    program: PathBuf,
    emulator: String,
    container: Option<String>,
    instance: Option<String>,
    product: PathBuf,
    environment: Vec<(OsString, OsString)>,
    arguments: Vec<String>,
    input: Input,
    panic_at: Option<String>,
}

/// A host that is ready.
#[derive(Debug)]
pub struct Host {
    /// The process.
    pub process: Process,
    /// Where the product listens.
    pub listen: SocketAddr,
    /// Where the admin interface listens.
    pub admin: SocketAddr,
    /// Lines of its log that are not of interest any more.
    seen: usize,
}

/// What the ledger holds of one dimension, all hours together, in the units of the guest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tally {
    /// Its key.
    pub dimension: String,
    /// Guest units in a billed one.
    pub per: u64,
    /// Counted.
    pub recorded: u64,
    /// In records that AWS accepted.
    pub accepted: u64,
    /// Less than a whole billed unit; kept for a later hour.
    pub remainder: u64,
}

/// What came of a start.
#[derive(Debug)]
pub enum Started {
    /// It serves.
    Ready(Box<Host>),
    /// It ended before.
    Ended(Ended),
}

impl HostCommand {
    /// `program` is `tollgate` itself, `product` a folder or a packed file. The host gets nothing of our environment, only what a container of `task` has.
    pub fn new(program: &Path, emulator: &str, task: &Task, product: &Path, ledger: &Path) -> Self {
        let bare = Self {
            program: program.to_owned(),
            emulator: emulator.to_owned(),
            container: None,
            instance: None,
            product: product.to_owned(),
            environment: Vec::new(),
            arguments: Vec::new(),
            input: Input::Nothing,
            panic_at: None,
        };
        let command = bare
            .variable("TOLLGATE_LEDGER", ledger)
            .variable("TOLLGATE_LISTEN", "127.0.0.1:0")
            .variable("TOLLGATE_ADMIN", "127.0.0.1:0");
        match (&task.metadata_path, &task.credentials_path) {
            (Some(metadata), Some(credentials)) => command
                .variable("ECS_CONTAINER_METADATA_URI_V4", format!("{emulator}{metadata}"))
                .variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", credentials),
            _ => command,
        }
    }

    /// What EKS puts into a container of the pod `task`, whose service account has a role. Its token lies in
    /// `token_file`, as the kubelet puts it there.
    pub fn pod(self, task: &Task, token_file: &Path) -> Self {
        let instance = task.instance_path.as_ref().map(|path| format!("{}{path}", self.emulator));
        let command = Self { instance, ..self };
        command
            .variable("AWS_ROLE_ARN", &task.role_arn)
            .variable("AWS_WEB_IDENTITY_TOKEN_FILE", token_file)
            .variable("AWS_REGION", &task.region)
    }

    /// Sets a variable of the host's environment.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.environment.retain(|(present, _)| *present != name);
        self.environment.push((name, value.into()));
        self
    }

    /// Takes a variable out of the host's environment.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(present, _)| present != name);
        self
    }

    /// Another stand-in for 169.254.170.2 than the emulator.
    pub fn container(self, address: SocketAddr) -> Self {
        Self { container: Some(format!("http://{address}")), ..self }
    }

    /// Arguments of a command product.
    pub fn arguments(self, arguments: &[String]) -> Self {
        Self { arguments: arguments.to_vec(), ..self }
    }

    /// Standard input of a command product.
    pub fn input(self, input: Input) -> Self {
        Self { input, ..self }
    }

    /// Panics where the host says this in its log.
    pub fn panic_at(self, words: &str) -> Self {
        Self { panic_at: Some(words.to_owned()), ..self }
    }

    /// Starts the process and does not wait.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&self) -> Result<Process> {
        let mut command = Command::new(&self.program);
        command.args(["lab-host", "--emulator", &self.emulator]);
        if let Some(container) = &self.container {
            command.args(["--container", container]);
        }
        if let Some(instance) = &self.instance {
            command.args(["--instance", instance]);
        }
        if let Some(words) = &self.panic_at {
            command.args(["--panic-at", words]);
        }
        // A program that carries its product is not told where to find it.
        if self.product.is_dir() {
            command.arg("--product").arg(&self.product);
        } else if self.product != self.program {
            command.arg("--bundle").arg(&self.product);
        }
        if !self.arguments.is_empty() {
            // The first is for clap, the second for the host.
            command.args(["--", "--"]).args(&self.arguments);
        }
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start("the host", &mut command, self.input.clone())
    }

    /// Starts the process and waits until it is ready or has ended.
    ///
    /// # Errors
    /// Neither happens.
    pub async fn run(&self) -> Result<Started> {
        let mut process = self.start()?;
        match process.watch(0, addresses).await? {
            Some(((listen, admin), seen)) => Ok(Started::Ready(Box::new(Host { process, listen, admin, seen }))),
            None => Ok(Started::Ended(process.end().await?)),
        }
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// It ended, or is not ready in time.
    pub async fn serve(&self) -> Result<Host> {
        match self.run().await? {
            Started::Ready(host) => Ok(*host),
            Started::Ended(ended) => Err(Trouble::new(
                format!("the host ended with {} before it was ready:\n{}", code(&ended), ended.stderr.trim_end()),
                "",
                "the message above is the host's own; it says what to do",
            )),
        }
    }
}

impl Host {
    /// Where the product answers.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// What the ledger holds, by dimension.
    ///
    /// # Errors
    /// The admin interface does not answer as it should.
    pub async fn tallies(&self) -> Result<Vec<Tally>> {
        let usage: Usage = self.admin_json("/usage").await?;
        let per =
            |total: &Total| usage.rows.iter().find(|row| row.dimension == total.dimension).map_or(1, |row| row.per);
        let tally = |total: &Total| Tally {
            dimension: total.dimension.clone(),
            per: per(total),
            recorded: total.recorded,
            accepted: total.acked,
            remainder: total.remainder,
        };
        Ok(usage.totals.iter().map(tally).collect())
    }

    /// Waits until every whole unit in the ledger is accepted. A record that was not accepted is tried again after a
    /// while; that while passes on the emulator's clock.
    ///
    /// # Errors
    /// A record is refused, or nothing happens for a long time.
    pub async fn settled(&mut self, control: &Control) -> Result<()> {
        while !self.tallies().await?.iter().all(|tally| tally.recorded == tally.accepted + tally.remainder) {
            let answer =
                |_, line: &str| Answer::ALL.into_iter().find(|answer| log_fields(line, answer.message()).is_some());
            match self.process.watch(self.seen, answer).await? {
                Some((Answer::Accepted, next)) => self.seen = next,
                Some((Answer::NotYet, next)) => {
                    self.seen = next;
                    control.advance(BACKOFF_MAX_S).await?;
                }
                Some((Answer::Refused, _)) | None => {
                    let log = self.process.text(Stream::Stderr);
                    return Err(Trouble::fails(format!("usage cannot be delivered. The host said:\n{log}"), "", ""));
                }
            }
        }
        Ok(())
    }

    /// Waits until so many requests are in guests.
    ///
    /// # Errors
    /// The admin interface does not answer, or never says so.
    pub async fn in_flight(&self, requests: u64) -> Result<()> {
        let wait = async {
            loop {
                let metrics = self.admin("/metrics").await?.text();
                let now = metrics.lines().find_map(|line| line.strip_prefix(IN_FLIGHT)?.trim().parse::<u64>().ok());
                if now == Some(requests) {
                    return Ok(());
                }
            }
        };
        let late = |_| Err(odd("/metrics", &format!("{IN_FLIGHT} does not become {requests}")));
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(late)
    }

    /// Asks the admin interface.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn admin(&self, path: &str) -> Result<Reply> {
        let url = format!("http://{}{path}", self.admin);
        Http::http1().get(&url).await.map_err(|error| odd(&url, &error.to_string()))
    }

    async fn admin_json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let reply = self.admin(path).await?;
        serde_json::from_slice(&reply.body).map_err(|error| odd(path, &format!("{error}: {}", reply.text())))
    }
}

/// What the host says in its log when AWS has answered.
#[derive(Clone, Copy)]
enum Answer {
    Accepted,
    NotYet,
    Refused,
}

impl Answer {
    const ALL: [Self; 3] = [Self::Accepted, Self::NotYet, Self::Refused];

    fn message(self) -> &'static str {
        match self {
            Self::Accepted => "usage accepted",
            Self::NotYet => "usage not accepted yet",
            Self::Refused => "a usage record needs attention",
        }
    }
}

/// The part of `/usage` that is read here.
#[derive(Deserialize)]
struct Usage {
    rows: Vec<Row>,
    totals: Vec<Total>,
}

#[derive(Deserialize)]
struct Row {
    dimension: String,
    per: u64,
}

#[derive(Deserialize)]
struct Total {
    dimension: String,
    recorded: u64,
    acked: u64,
    remainder: u64,
}

fn odd(url: &str, why: &str) -> Trouble {
    Trouble::new(format!("the host did not answer {url}: {why}"), "it has ended", "see its log")
}

/// The exit code in words.
pub fn code(ended: &Ended) -> String {
    ended.code.map_or_else(|| "a signal".into(), |code| format!("exit {code}"))
}

/// A field of one of the host's JSON log lines whose message is `message`.
pub fn log_fields(line: &str, message: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    (fields.get("message")?.as_str()? == message).then(|| fields.clone())
}

fn addresses(_: Stream, line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let fields = log_fields(line, "ready")?;
    let address = |name: &str| fields.get(name)?.as_str()?.parse().ok();
    Some((address("listen")?, address("admin")?))
}
