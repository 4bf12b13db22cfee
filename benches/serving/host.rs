//! The host as it is shipped, but for its surroundings: the emulator in AWS's place, as a value. No compiler is in it, and it
//! is linked without a dynamic linker. A program of its own, since whatever is built with the vendor's tool has the compiler.

use std::net::SocketAddr;
use std::process::ExitCode;

use tollgate_host::app::{self, Surroundings};
use tollgate_host::clock::Clock;
use tollgate_host::config::Config;
use tollgate_host::exit::{Done, Exit};
use tollgate_host::hardening::{Hardened, harden};
use tollgate_host::marketplace::aws::Origins;
use tollgate_host::product::source::Source;

fn main() -> ExitCode {
    let hardened = harden();
    // As `tollgate lab-host --emulator URL` is called; a plain `cargo bench` says nothing.
    let Some(emulator) = std::env::args().skip_while(|argument| argument != "--emulator").nth(1) else {
        return ExitCode::SUCCESS;
    };
    match run(&emulator, &hardened) {
        Ok(done) => done.code(),
        Err(exit) => exit.report(),
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever composes a host gives it its environment")]
fn run(emulator: &str, hardened: &Hardened) -> Result<Done, Exit> {
    let variables = std::env::vars().collect();
    let config = Config::parse(&variables, []).map_err(|errors| errors.exit())?;
    let source = Source::own().map_err(|damaged| damaged.exit())?;
    let container: SocketAddr = emulator.trim_start_matches("http://").parse().map_err(|error| {
        Exit::internal(&anyhow::Error::new(error).context(format!("the address of the emulator, {emulator}")))
    })?;
    let surroundings = Surroundings { clock: Clock::system(), origins: Origins::lab(emulator, container), keys: None };
    app::run(config, surroundings, source, hardened)
}
