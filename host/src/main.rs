//! Asks AWS for entitlement, then runs the vendor's product and meters it.

use std::process::ExitCode;

use tollgate_host::app::{self, Surroundings};
use tollgate_host::config::Config;
use tollgate_host::exit;

fn main() -> ExitCode {
    if let Some(asked) = Config::usage() {
        return match asked.and_then(|command| command.run(&mut exit::output())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(exit) => exit.report(),
        };
    }
    let ended =
        Config::load().map_err(|errors| errors.exit()).and_then(|config| app::run(config, Surroundings::production()));
    match ended {
        Ok(done) => done.code(),
        Err(exit) => exit.report(),
    }
}
