//! `tollgate lab-host`: the host library, composed with another endpoint, other keys and another clock.
//!
//! Everything else is as in production: the same arguments and environment, the same exit codes. It is the only way
//! to run a product against the emulator, and it is not in the production binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;

use tollgate_host::app::{self, Surroundings};
use tollgate_host::clock::{Clock, Steer};
use tollgate_host::config::Config;
use tollgate_host::exit::{Exit, Why};
use tollgate_host::hardening::harden;
use tollgate_host::marketplace::aws::Origins;
use tollgate_host::product::bundle::Bundle;
use tollgate_host::product::listing;
use tollgate_host::product::manifest::Manifest;
use tollgate_host::product::source::Source;

use crate::arguments::LabHost;
use crate::control::{Control, EmulatedTime};
use crate::environment;
use crate::trouble::{Result, Trouble};

mod tripwire;

/// Runs the host to its end.
pub fn run(arguments: &LabHost) -> ExitCode {
    // Whoever started us may be killed and then stops nobody. An error leaves us as we would be without it. Afterwards the
    // process may no longer ask for it.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let hardened = harden();
    let config = match Config::parse(&environment::all(), arguments.host.iter().cloned()) {
        Ok(config) => config,
        Err(errors) => return errors.exit().report(),
    };
    let source = match source(arguments) {
        Ok(source) => source,
        Err(exit) => return exit.report(),
    };
    let surroundings = match surroundings(arguments, &config, source.manifest()) {
        Ok(surroundings) => surroundings,
        Err(trouble) => return Exit::new(Why::Internal, trouble.what, trouble.cause, trouble.next).report(),
    };
    if let Some(words) = &arguments.panic_at {
        tripwire::set(words, &config.log, &surroundings.clock);
    }
    match app::run(config, surroundings, source, &hardened) {
        Ok(done) => done.code(),
        Err(exit) => exit.report(),
    }
}

/// The product to run: a folder, a packed file, or what this executable was packed with.
fn source(arguments: &LabHost) -> std::result::Result<Source, Exit> {
    match (&arguments.product, &arguments.bundle) {
        (Some(folder), _) => Source::folder(folder).map_err(|mistakes| mistakes.exit()),
        (None, Some(file)) => Bundle::of(file).map(Source::from).map_err(|damaged| damaged.exit()),
        (None, None) => Source::own().map_err(|damaged| damaged.exit()),
    }
}

/// Asks the emulator for its clock and keys, and goes on following the clock.
fn surroundings(arguments: &LabHost, config: &Config, manifest: &Manifest) -> Result<Surroundings> {
    let control = Control::new(&arguments.emulator);
    let container = address(arguments.container.as_deref().unwrap_or(&arguments.emulator))?;
    let (clock, steer) = Clock::steered();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::new(format!("cannot start: {error}"), "", ""))?;
    let (time, keys) = runtime
        .block_on(async { Ok::<_, Trouble>((control.clock().await?, keys(&control, config, manifest).await)) })?;
    steer.run(time.offset_ms, time.speed, time.version);
    std::thread::Builder::new()
        .name("emulator-clock".into())
        .spawn(move || runtime.block_on(follow(&control, &steer, time)))
        .map_err(|error| Trouble::new(format!("cannot start: {error}"), "", ""))?;
    let origins = Origins::lab(&arguments.emulator, container);
    let origins = match &arguments.instance {
        Some(url) => origins.with_instance(url),
        None => origins,
    };
    Ok(Surroundings { clock, origins, keys })
}

/// Until the emulator goes away: from then on only real time passes.
async fn follow(control: &Control, steer: &Steer, mut time: EmulatedTime) {
    while let Ok(next) = control.clock_after(time.version).await {
        time = next;
        steer.run(time.offset_ms, time.speed, time.version);
        tracing::debug!(offset_ms = time.offset_ms, "the emulator's clock was moved");
    }
}

/// The emulator's public keys for the listing this host runs under. None: the listing is not known, and the host itself
/// says so better.
async fn keys(control: &Control, config: &Config, manifest: &Manifest) -> Option<BTreeMap<u32, String>> {
    let listing = listing::choose(manifest, config.listing.as_deref()).ok()?;
    control.keys(&listing.product_code).await.ok().filter(|keys| !keys.is_empty())
}

fn address(origin: &str) -> Result<SocketAddr> {
    origin.trim_start_matches("http://").trim_end_matches('/').parse().map_err(|error| {
        Trouble::new(format!("{origin:?} is not an address such as http://127.0.0.1:4566: {error}"), "", "")
    })
}
