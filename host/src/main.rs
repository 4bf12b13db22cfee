//! Asks AWS for entitlement, then runs the vendor's product and meters it.

use std::process::ExitCode;

use tollgate_host::app::{self, Surroundings};
use tollgate_host::config::Config;

fn main() -> ExitCode {
    let ended =
        Config::load().map_err(|errors| errors.exit()).and_then(|config| app::run(config, Surroundings::production()));
    match ended {
        Ok(done) => done.code(),
        Err(exit) => exit.report(),
    }
}
