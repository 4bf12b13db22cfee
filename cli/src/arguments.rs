//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod event;

pub use event::{Event, Scope, Span, Target, Trigger};

/// Sell WebAssembly products on AWS Marketplace: run, meter and prove them on your own machine.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 a check does not hold, 2 wrong arguments, 3 the work could not be done, \
130 interrupted.\nData goes to stdout, words to stderr; NO_COLOR is honoured.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole story in five acts: refused, sold, metered, crashed, and every number equal
    Demo(Demo),
    /// Runs a product here: builds it, starts emulator and host, shows each metering call as it happens
    Dev(Dev),
    /// The AWS Marketplace Metering Service on localhost
    Emulator(Emulator),
    /// Makes something happen in a running emulator: an unsubscribe, an outage, an hour that passes
    Trigger(Trigger),
    /// Shows the calls that a running emulator gets, and its answers, as they happen
    Listen(Listen),
    /// Checks what a running emulator has recorded, for scripts: exit code 1 if it does not hold
    Assert(Assert),
    /// Makes the key pair that your products are signed with
    Keygen(Keygen),
    /// Compiles a product and puts it on the host: one signed file to ship
    Pack(Pack),
    /// Shows what is in a packed product
    Inspect(Inspect),
    /// Checks that a packed product is as it was packed
    Verify(Verify),
    /// Writes a container image of a packed product, without a daemon
    Image(Image),
    /// Looks whether this machine has what it takes
    Doctor(Doctor),
    /// Prints a completion script for your shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// The production host, composed with the emulator's endpoint, keys and clock
    #[command(hide = true)]
    LabHost(LabHost),
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// The same as data, on stdout
    #[arg(long)]
    pub json: bool,
    /// Keep the temporary folder (ledger, product, logs) and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Arguments of `dev`.
#[derive(Args, Debug)]
pub struct Dev {
    /// The product's folder: the one with product.toml
    pub folder: PathBuf,
    /// Where the product listens
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the host's admin interface listens
    #[arg(long, default_value = "127.0.0.1:9080")]
    pub admin: SocketAddr,
    /// Each metering call as a line of JSON, on stdout
    #[arg(long)]
    pub json: bool,
    /// Arguments of a command product
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

/// Arguments of `emulator`.
#[derive(Args, Debug)]
pub struct Emulator {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4566")]
    pub listen: SocketAddr,
    /// A product's folder; its listings become known and subscribed. May be given several times
    #[arg(long = "product", value_name = "DIR")]
    pub products: Vec<PathBuf>,
    /// Products with prices, accounts with subscriptions, and behaviour; see docs/emulator-control.md
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keeps all that was recorded in this file, and goes on from it
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// A name under which browsers may use the page and the control interface, besides localhost. May be given several
    /// times
    #[arg(long = "host-name", value_name = "NAME")]
    pub host_names: Vec<String>,
    /// The address as data, on stdout
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `listen`.
#[derive(Args, Debug)]
pub struct Listen {
    /// Where the emulator listens
    #[arg(long, default_value = EMULATOR)]
    pub emulator: String,
    /// Begin with the first call that it still has, not with the next one
    #[arg(long)]
    pub all: bool,
    /// Each call as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `assert`.
#[derive(Args, Debug)]
pub struct Assert {
    /// What must be true, such as "exactly one record of 12 for images at 14:00"
    #[arg(required = true, value_name = "SENTENCE")]
    pub sentences: Vec<String>,
    /// Where the emulator listens
    #[arg(long, default_value = EMULATOR)]
    pub emulator: String,
    /// Each finding as a line of JSON, on stdout
    #[arg(long)]
    pub json: bool,
}

/// Where `tollgate emulator` listens unless told otherwise.
const EMULATOR: &str = "http://127.0.0.1:4566";

/// Arguments of `keygen`.
#[derive(Args, Debug)]
pub struct Keygen {
    /// Where the secret key goes; the public key goes beside it, with .pub at the end
    pub file: PathBuf,
}

/// Arguments of `pack`.
#[derive(Args, Debug)]
pub struct Pack {
    /// The product's folder: the one with product.toml
    pub product: PathBuf,
    /// The secret key to sign with
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where the packed product goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The host to pack on; built from source, or taken from beside this program, unless given
    #[arg(long, value_name = "FILE")]
    pub host: Option<PathBuf>,
    /// The oldest processor it is to run on: x86-64-v2, x86-64-v3
    #[arg(long, default_value = "x86-64-v3")]
    pub cpu: String,
    /// The build that you run once in us-east-1 before the listing is published: sends a record of each dimension
    #[arg(long)]
    pub preview: bool,
    /// Takes a host that has a compiler in it, for tests
    #[arg(long, hide = true)]
    pub lab: bool,
}

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// The packed product
    pub file: PathBuf,
    /// The same as data
    #[arg(long)]
    pub json: bool,
    /// Instead: what the host in it is made of, as CycloneDX
    #[arg(long, conflicts_with = "json")]
    pub sbom: bool,
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The packed product
    pub file: PathBuf,
    /// The vendor's public key, to be compared
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// Arguments of `image`.
#[derive(Args, Debug)]
pub struct Image {
    /// The packed product
    pub file: PathBuf,
    /// A folder for an OCI layout, or a file that ends with .tar for `docker load`
    #[arg(short, long, value_name = "DIR|FILE.tar")]
    pub output: PathBuf,
}

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// The findings as data, on stdout
    #[arg(long)]
    pub json: bool,
    /// Set up what is missing and can be set up
    #[arg(long)]
    pub fix: bool,
}

/// Arguments of `lab-host`.
#[derive(Args, Debug)]
pub struct LabHost {
    /// The emulator, such as http://127.0.0.1:4566
    #[arg(long)]
    pub emulator: String,
    /// What stands for 169.254.170.2, where ECS serves metadata and credentials; the emulator unless given
    #[arg(long)]
    pub container: Option<String>,
    /// What stands for http://169.254.169.254, where an instance tells of itself; nothing unless given
    #[arg(long)]
    pub instance: Option<String>,
    /// The product's folder; without it, the product that this executable was packed with
    #[arg(long)]
    pub product: Option<PathBuf>,
    /// A packed product; its payload is run, not its host
    #[arg(long, conflicts_with = "product")]
    pub bundle: Option<PathBuf>,
    /// Panics where this is said in the log: in whatever thread or task that is
    #[arg(long)]
    pub panic_at: Option<String>,
    /// The arguments of the production host, after `--`
    #[arg(last = true)]
    pub host: Vec<String>,
}
