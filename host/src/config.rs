//! What the operator decided: the only reader of the environment.
//!
//! [`Config::load`] also empties the environment, so that no library behind our back reads what we do not: the SDK's
//! service crates read `SMITHY_CLIENT_SDK_CUSTOM_PARTITION`, which redirects every endpoint, in a lazy static.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroize;

use crate::exit::{Exit, Why};
use crate::marketplace::aws::Proxy;
use crate::place::Clues;
use crate::usage;

mod environment;
mod keys;

use keys::Keys;

/// Everything the operator can decide.
#[derive(Clone, Debug)]
pub struct Config {
    /// Arguments of a command product: what follows `--`.
    pub args: Vec<String>,
    /// Which of the product's listings the buyer subscribed to. `TOLLGATE_LISTING`.
    pub listing: Option<String>,
    /// The folder of the ledgers. `TOLLGATE_LEDGER`, default `/var/lib/tollgate`.
    pub ledger: PathBuf,
    /// Below it lie the folders that components may see, if the product asks for some. `TOLLGATE_MOUNTS`.
    pub mounts: Option<PathBuf>,
    /// Where the product serves. `TOLLGATE_LISTEN`, default `0.0.0.0:8080`.
    pub listen: SocketAddr,
    /// Where health, metrics and usage are served. `TOLLGATE_ADMIN`, default `127.0.0.1:9080`.
    pub admin: SocketAddr,
    /// The tunnel to AWS, if there is no way out without. `TOLLGATE_HTTPS_PROXY`; never `HTTPS_PROXY`.
    pub proxy: Option<Proxy>,
    /// How long to ask AWS at start before giving up. `TOLLGATE_START_BUDGET`, default `600s`.
    pub start_budget: Duration,
    /// How long everything may take after SIGTERM. `TOLLGATE_GRACE`, default `25s`.
    pub grace: Duration,
    /// Filter of the log. `TOLLGATE_LOG`, default `info`.
    pub log: String,
    /// What the environment says about the place.
    pub clues: Clues,
    /// Names of variables that other software would obey and the host ignores, for the log.
    pub ignored: Vec<String>,
    /// For the variables that the manifest hands to components; see [`Config::variable`].
    variables: Variables,
}

/// Holds what may be secret: only the names are ever printed.
#[derive(Clone)]
struct Variables(BTreeMap<String, String>);

impl Drop for Variables {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Every mistake of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

const USAGE: &str = "tollgate-host [-- ARGUMENTS OF A COMMAND PRODUCT]";

impl Config {
    /// Reads arguments and environment of this process, then empties the environment.
    ///
    /// Must run first in `main`, before any other thread exists.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake.
    pub fn load() -> Result<Self, ConfigErrors> {
        // The host keeps a copy for components. Those of the kernel's, at the bottom of the stack, stay.
        let variables = Variables(environment::take());
        Self::parse(&variables.0, std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()))
    }

    /// What `tollgate-host usage ...` asks for. None: the host is to run.
    pub fn usage() -> Option<Result<usage::Command, Exit>> {
        let mut args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
        args.next().filter(|first| first == "usage")?;
        Some(usage::Command::parse(&args.collect::<Vec<_>>()))
    }

    /// The configuration that `variables` and `args` (without the program's name) say.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake.
    pub fn parse(
        variables: &BTreeMap<String, String>,
        args: impl IntoIterator<Item = String>,
    ) -> Result<Self, ConfigErrors> {
        let mut keys = Keys::new(variables);
        let args = arguments(args, &mut keys);
        let listing = keys.optional("TOLLGATE_LISTING");
        let ledger = keys.or("TOLLGATE_LEDGER", "/var/lib/tollgate", keys::absolute_path);
        let mounts = keys.or("TOLLGATE_MOUNTS", "", keys::maybe_absolute_path);
        let listen = keys.or("TOLLGATE_LISTEN", "0.0.0.0:8080", keys::address);
        let admin = keys.or("TOLLGATE_ADMIN", "127.0.0.1:9080", keys::address);
        let proxy = keys.or("TOLLGATE_HTTPS_PROXY", "", keys::maybe_proxy);
        let start_budget = keys.or("TOLLGATE_START_BUDGET", "600s", |text| keys::duration(text, 1, 3600));
        let grace = keys.or("TOLLGATE_GRACE", "25s", |text| keys::duration(text, 1, 3600));
        let log = keys.or("TOLLGATE_LOG", "info", |text| Ok(text.to_owned()));
        keys.refuse_unknown();
        match (ledger, mounts, listen, admin, proxy, start_budget, grace, log) {
            (
                Some(ledger),
                Some(mounts),
                Some(listen),
                Some(admin),
                Some(proxy),
                Some(start_budget),
                Some(grace),
                Some(log),
            ) if keys.problems.is_empty() => Ok(Self {
                args,
                listing,
                ledger,
                mounts,
                listen,
                admin,
                proxy,
                start_budget,
                grace,
                log,
                clues: clues(&mut keys),
                ignored: environment::ignored(variables),
                variables: Variables(variables.clone()),
            }),
            _ => Err(ConfigErrors(keys.problems)),
        }
    }

    /// A variable of the operator, for the components that the manifest gives it to.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.0.get(name).map(String::as_str)
    }
}

fn clues(keys: &mut Keys<'_>) -> Clues {
    Clues {
        task_metadata: keys.optional("ECS_CONTAINER_METADATA_URI_V4"),
        task_credentials: keys.optional("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        role_arn: keys.optional("AWS_ROLE_ARN"),
        token_file: keys.optional("AWS_WEB_IDENTITY_TOKEN_FILE"),
        pod_identity: keys.optional("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        region: keys.optional("AWS_REGION"),
        default_region: keys.optional("AWS_DEFAULT_REGION"),
        static_keys: keys.optional("AWS_ACCESS_KEY_ID").is_some(),
        kubernetes: keys.optional("KUBERNETES_SERVICE_HOST").is_some(),
    }
}

/// The arguments for a command product.
fn arguments(args: impl IntoIterator<Item = String>, keys: &mut Keys<'_>) -> Vec<String> {
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            return args.collect();
        }
        keys.problems.push(format!("argument {arg:?}: is not known; usage: {USAGE}"));
    }
    Vec::new()
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl ConfigErrors {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        Exit::new(Why::Configuration, self.to_string(), "", "correct the lines above and start the container again")
    }
}

#[cfg(test)]
mod tests;
