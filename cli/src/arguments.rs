//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// The address as data, on stdout
    #[arg(long)]
    pub json: bool,
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
    /// The arguments of the production host, after `--`
    #[arg(last = true)]
    pub host: Vec<String>,
}
