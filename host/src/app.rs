//! The life of the process, from top to bottom: the only file that knows every part.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollgate_metering::{Policy, Rate};
use tollgate_runtime::component::{Component, Run};
use tollgate_runtime::engine::Runtime;
use tollgate_runtime::http::Server;
use tollgate_runtime::meter::{self as counting, Meter, Pricing};
use tollgate_runtime::target::Cpu;

use crate::admin::{self, Status};
use crate::clock::Clock;
use crate::config::Config;
use crate::entitlement::{self, Ask, Grant, system_random};
use crate::exit::{Done, Exit, Why};
use crate::hardening::Hardened;
use crate::ledger;
use crate::log;
use crate::marketplace::Answer;
use crate::marketplace::aws::{Aws, Origins};
use crate::meter::{self, AskError, Attestation, End, Keeper};
use crate::place::{self, Place};
use crate::product::listing;
use crate::product::load::{self, Product};
use crate::product::manifest::{Entitlement, Listing, Manifest};
use crate::product::mount::Mounts;
use crate::product::source::Source;
use crate::usage::Access;

mod ending;
mod ports;
mod preview;
mod signals;
mod work;

use ports::Ports;
use work::Work;

/// What is around the process, given by whoever composes it. Nothing in the environment makes or changes one.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// Where AWS is.
    pub origins: Origins,
    /// Public keys by version, in place of the manifest's.
    pub keys: Option<BTreeMap<u32, String>>,
}

impl Surroundings {
    /// AWS itself, the machine's own clock, the manifest's keys.
    pub fn production() -> Self {
        Self { clock: Clock::system(), origins: Origins::production(), keys: None }
    }
}

/// Runs the host from its start to its end, in a process that was hardened before.
///
/// # Errors
/// [`Exit`]: every other end than an orderly one.
pub fn run(config: Config, surroundings: Surroundings, source: Source, hardened: &Hardened) -> Result<Done, Exit> {
    log::start(&config.log, surroundings.clock.clone());
    hardened.log();
    if !config.ignored.is_empty() {
        tracing::warn!(variables = config.ignored.join(" "), "these variables have no effect here");
    }
    if let Some(bundle) = source.bundle() {
        processor_has(bundle.cpu)?;
    }
    let listing = listing::choose(source.manifest(), config.listing.as_deref()).map_err(|none| none.exit())?.clone();
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.context("cannot start threads").map_err(|error| Exit::internal(&error))?;
    let start = Start { config, surroundings, source, listing };
    let ended = threads.block_on(async {
        match start.source.bundle() {
            Some(bundle) if bundle.is_preview() => preview::send(&start).await,
            _ => live(&start).await,
        }
    });
    // What still runs now has lost its purpose; the ledger is closed by then.
    threads.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// All that was decided before anything was done.
struct Start {
    config: Config,
    surroundings: Surroundings,
    source: Source,
    listing: Listing,
}

impl Start {
    fn manifest(&self) -> &Manifest {
        self.source.manifest()
    }
}

/// Told before AWS is asked: the answer would be of no use here.
fn processor_has(cpu: Cpu) -> Result<(), Exit> {
    let missing = cpu.missing_here();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Exit::new(
        Why::Product,
        format!("the product is compiled for {cpu}; this processor lacks {}", missing.join(", ")),
        "an old instance type, an emulated processor, or an image of another architecture",
        "run it on a current instance type or on Fargate; or ask the vendor for a build for an older processor",
    ))
}

async fn live(start: &Start) -> Result<Done, Exit> {
    let Start { config, surroundings, listing, .. } = start;
    let manifest = start.manifest();
    let stop = signals::watch().context("cannot listen to signals").map_err(|error| Exit::internal(&error))?;
    let ports = Ports::bind(config)?;
    let status = Status::starting(&manifest.product, &listing.id);
    let admin = admin::serve(ports.admin.try_clone().map_err(internal)?, status.clone()).map_err(internal)?;

    let begun = async {
        let place = place::find(&config.clues, &surroundings.origins, &surroundings.clock).await;
        let place = place.map_err(|nowhere| nowhere.exit())?;
        tracing::info!(region = %place.region, identity = place.identity, "place found");
        entitlement::offer::check(&listing.entitlement, &place).map_err(|denied| denied.exit())?;
        let aws = Aws::new(&place, &surroundings.origins, &surroundings.clock, config.proxy.as_ref());
        let aws = Arc::new(aws.map_err(internal_error)?);
        let opened = tokio::task::block_in_place(|| ledger::open(&config.ledger, &place.identity));
        let opened = opened.map_err(|error| error.exit())?;
        let others = opened.others.clone();
        let access = Access::new(admin, random());
        if let Err(error) = access.leave(&opened.folder) {
            tracing::warn!(%error, "`tollgate-host usage` will not find this host by the folder of its ledger");
        }
        status.opened(access);
        let options = options(start, &place);
        let keeper = Keeper::start(opened, aws.clone(), surroundings.clock.clone(), options);
        let mut keeper = keeper.map_err(|poisoned| ending::poisoned(&poisoned))?;
        let grant = ask(start, &aws, &mut keeper).await?;
        keeper.granted(grant.provisional()).map_err(|poisoned| ending::poisoned(&poisoned))?;
        let others = tokio::task::block_in_place(|| ledger::Other::take_all(&others));
        keeper.adopt(others).await.map_err(|poisoned| ending::poisoned(&poisoned))?;
        Ok((keeper, grant))
    };
    let (keeper, grant) = tokio::select! {
        begun = begun => begun?,
        () = stopped(stop.clone()) => return Ok(Done::Served),
    };
    tracing::info!(listing = grant.listing(), proof = ?grant.proof(), "granted");
    if let Some(at) = grant.rotation() {
        tracing::warn!(at, "AWS has rotated the public key of this listing; the vendor should ship the next version");
    }
    status.granted(&grant);

    let (meter, desk) = counting::open(load::dimensions(manifest), granted(&grant));
    let product = load_product(start, &grant, &meter, &status)?;
    let (handle, keeping) = keeper.serve(desk);
    status.metered(&handle);
    let work = Work {
        keeping: keep(keeping).map_err(internal)?,
        handle,
        meter,
        status,
        stop,
        grace: config.grace,
        final_send: Duration::from_secs(manifest.metering.final_send_s.into()),
        clock: surroundings.clock.clone(),
        admin,
    };
    match product {
        Loaded::Http(server) => work.serve(&server, ports).await,
        Loaded::Command(component) => work.run(&component, &config.args).await,
    }
}

/// The meter waits for the disk, so nothing else runs where it does.
fn keep(keeping: impl Future<Output = End> + Send + 'static) -> std::io::Result<JoinHandle<End>> {
    let thread = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(tokio::task::spawn_blocking(move || thread.block_on(keeping)))
}

/// Asks AWS until there is an answer or the budget is spent.
async fn ask(start: &Start, aws: &Aws, keeper: &mut Keeper<Aws>) -> Result<Grant, Exit> {
    let ask = Ask {
        product: &start.manifest().product.name,
        listing: &start.listing,
        keys: start.surroundings.keys.as_ref(),
        start_budget: start.config.start_budget,
        provisional_since: keeper.provisional_since(),
    };
    let dimension = match &start.listing.entitlement {
        Entitlement::ZeroRecord { dimension } => dimension.as_str(),
        _ => "",
    };
    let mut failed = None;
    let zero_record = async || match keeper.ask_entitlement(dimension).await {
        Ok(answer) => answer,
        Err(error) => {
            let reply = tollgate_metering::Reply::Refused { code: error.to_string() };
            failed = Some(error);
            Answer { reply, date: None }
        }
    };
    let said = entitlement::ask(aws, &ask, &start.surroundings.clock, &mut system_random, zero_record).await;
    match failed {
        Some(AskError::Poisoned(poisoned)) => Err(ending::poisoned(&poisoned)),
        Some(AskError::InUse(refusal)) => Err(Exit::new(
            Why::Product,
            format!("entitlement_dimension = {dimension:?}: {refusal}"),
            "the dimension that asks for entitlement is also used to count",
            "the vendor gives the question a dimension of its own",
        )),
        None => said.map_err(|denied| denied.exit()),
    }
}

fn options(start: &Start, place: &Place) -> meter::Options {
    let (manifest, listing) = (start.manifest(), &start.listing);
    let dimensions = manifest.dimensions.iter();
    let policy = Policy {
        listing: listing.id.clone(),
        product_code: listing.product_code.clone(),
        sends: listing.pricing == Pricing::Custom,
        carry: listing.carry,
        zero_records: manifest.metering.zero_records,
        dimensions: dimensions.clone().map(|d| Rate { key: d.key.clone(), per: d.per }).collect(),
        warn_after_s: manifest.metering.warn_after_s.into(),
        stop_after_s: manifest.metering.stop_after_s.into(),
    };
    let attestation = match &listing.entitlement {
        Entitlement::Register { keys } => start.surroundings.keys.as_ref().unwrap_or(keys).last_key_value(),
        _ => None,
    };
    let mut caps: BTreeMap<String, u32> = dimensions.filter_map(|d| Some((d.key.clone(), d.max_per_hour?))).collect();
    if let Entitlement::ZeroRecord { dimension } = &listing.entitlement {
        // The question is the hour's one record of this dimension: usage on it would collide with it.
        caps.insert(dimension.clone(), 0);
    }
    meter::Options {
        identity: place.identity.clone(),
        identity_is_older: place.older,
        policy,
        caps,
        components: manifest.components.iter().map(|component| component.id.clone()).collect(),
        attestation: attestation.map(|(version, _)| Attestation {
            product_code: listing.product_code.clone(),
            public_key_version: *version,
        }),
    }
}

fn granted(grant: &Grant) -> counting::Granted {
    counting::Granted {
        product: grant.product().to_owned(),
        listing: grant.listing().to_owned(),
        pricing: grant.pricing(),
        since: grant.since(),
    }
}

/// The product, ready to run.
enum Loaded {
    Http(Box<Server>),
    Command(Box<Component>),
}

/// From here on, and never before, anything of the vendor becomes code.
fn load_product(start: &Start, grant: &Grant, meter: &Meter, status: &Status) -> Result<Loaded, Exit> {
    let engine = load::engine(start.manifest()).map_err(internal_error)?;
    let runtime = Runtime::new(&engine).map_err(|error| Exit::internal(&anyhow::Error::new(error)))?;
    status.running(runtime.stats());
    let variable = |name: &str| start.config.variable(name).map(str::to_owned);
    let mounts = Mounts::new(start.config.mounts.clone(), &[&start.config.ledger, start.source.path()]);
    let product = tokio::task::block_in_place(|| Product::load(grant, &runtime, &start.source, variable, &mounts));
    let product = product.map_err(|error| error.exit())?;
    let mut components = product.components;
    if let Some(index) = components.iter().position(|component| component.run() == Run::Command) {
        return Ok(Loaded::Command(Box::new(components.swap_remove(index))));
    }
    let server = Server::new(&runtime, components, meter.clone());
    let server = server.map_err(|error| Exit::new(Why::Product, error.to_string(), "", ""))?;
    Ok(Loaded::Http(Box::new(server)))
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    system_random(&mut bytes);
    bytes
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender lives as long as the process.
    let _ = stop.wait_for(|&stop| stop).await;
}

fn internal(error: std::io::Error) -> Exit {
    internal_error(anyhow::Error::new(error))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn internal_error(error: anyhow::Error) -> Exit {
    Exit::internal(&error)
}
