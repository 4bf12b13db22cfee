//! Asks AWS for entitlement, then runs the vendor's product and meters it.

use std::process::ExitCode;

mod sbom;

use tollgate_host::app::{self, Surroundings};
use tollgate_host::config::{Config, ConfigErrors};
use tollgate_host::exit::{self, Done, Exit};
use tollgate_host::hardening::{Hardened, harden};
use tollgate_host::product::source::Source;

fn main() -> ExitCode {
    // Before anything secret is read, and while there is one thread.
    let hardened = harden();
    if let Some(asked) = Config::usage() {
        return match asked.and_then(|command| command.run(&mut exit::output())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(exit) => exit.report(),
        };
    }
    // It empties the environment, also while there is one thread.
    let config = Config::load();
    match run(config, &hardened) {
        Ok(done) => done.code(),
        Err(exit) => exit.report(),
    }
}

fn run(config: Result<Config, ConfigErrors>, hardened: &Hardened) -> Result<Done, Exit> {
    let source = Source::own().map_err(|damaged| damaged.exit())?;
    app::run(config.map_err(|errors| errors.exit())?, Surroundings::production(), source, hardened)
}
