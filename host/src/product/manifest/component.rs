//! `[[component]]`: what is run, where, and under which listings.

use std::path::Path;

use tollgate_runtime::component::Reuse;
use tollgate_runtime::egress::Origin;
use tollgate_runtime::meter::Pricing;

use super::listing::inside;
use super::reader::{Found, Section};
use super::{ComponentEntry, Listing, MountEntry, Run, unique};
use crate::product::spelling;

/// Variables that guests must not see: credentials, addresses of the platform, settings of the host.
const PRIVATE_PREFIXES: [&str; 7] = ["AWS_", "ECS_", "TOLLGATE_", "KUBERNETES_", "LD_", "SMITHY_", "SSL_"];
/// Mounts of one component; a limit of ours.
const MOUNTS_MAX: usize = 16;
/// Origins of one component; a limit of ours.
const ORIGINS_MAX: usize = 32;

/// A component and where its parts stand.
pub(super) struct Read {
    pub(super) entry: ComponentEntry,
    start: usize,
    id_at: usize,
    route_at: usize,
    listings_at: Vec<usize>,
}

pub(super) fn read(section: &Section<'_>, folder: &Path) -> Option<Read> {
    let id = section.required_text("id", "give the component a name");
    let id = id.filter(|id| section.name_of_ours(id, "component id").is_some());
    let source = section.required_text("source", "name the component's .wasm file");
    let source = source.and_then(|source| {
        let path = inside(folder, &source.value);
        if path.is_none() {
            let what = format!("source {:?} leads out of the product's folder", source.value);
            section.mistake_at(source.at, what, "use a path relative to product.toml, without ..");
        }
        path
    });
    let run = run(section);
    let route = route(section, run);
    let exclude_paths = section.texts("exclude_paths");
    let exclude_paths: Vec<_> = exclude_paths.iter().map(|path| path_form(section, path, "exclude_paths")).collect();
    let env: Vec<_> = section.texts("env").iter().map(|name| variable(section, name)).collect();
    let mounts = section.tables("mount", MOUNTS_MAX, |mount| read_mount(&mount));
    let reuse = section.table("reuse").map(|reuse| read_reuse(&reuse));
    let listings = section.texts("listings");
    let egress: Vec<_> = section.texts("egress").iter().map(|text| origin(section, text)).collect();
    if egress.len() > ORIGINS_MAX {
        let what = format!("egress has {} origins; at most {ORIGINS_MAX} are possible", egress.len());
        section.mistake_at(section.at_of("egress"), what, "remove some");
    }
    section.finish();
    let id = id?;
    Some(Read {
        start: section.at(),
        id_at: id.at,
        route_at: section.at_of("route"),
        listings_at: listings.iter().map(|listing| listing.at).collect(),
        entry: ComponentEntry {
            id: id.value,
            source: source?,
            run: run?,
            route: route?,
            exclude_paths: super::all(exclude_paths)?,
            env: super::all(env)?,
            egress: super::all(egress)?,
            mounts: super::all(mounts)?,
            reuse: reuse.map_or(Some(None), |reuse| reuse.map(Some))?,
            listings: listings.into_iter().map(|listing| listing.value).collect(),
        },
    })
}

fn read_mount(section: &Section<'_>) -> Option<MountEntry> {
    let next = "name a folder below the operator's TOLLGATE_MOUNTS, without ..";
    let source = section.required_text("source", next).and_then(|source| {
        // Joined to nothing: the operator says later where it lies.
        let path = inside(Path::new(""), &source.value);
        if path.is_none() {
            section.mistake_at(source.at, format!("mount source {:?} leads out of its root", source.value), next);
        }
        path
    });
    let target = section.required_text("target", "say where the guest finds it, such as \"/data\"");
    let target = target.and_then(|target| path_form(section, &target, "mount target"));
    let write = section.boolean("write", false);
    section.finish();
    Some(MountEntry { source: source?, target: target?, write: write? })
}

fn read_reuse(section: &Section<'_>) -> Option<Reuse> {
    let requests = section.number_or("requests", 128, 2, 1_000_000);
    let seconds = section.number_or("seconds", 60, 1, 86_400);
    let memory_mib = section.number_or("memory_mib", 64, 1, 4096);
    section.finish();
    Some(Reuse { requests: requests?, seconds: seconds?, memory_mib: memory_mib? })
}

fn run(section: &Section<'_>) -> Option<Run> {
    let next = "write run = \"http\" or run = \"command\"";
    let run = section.required_text("run", next)?;
    match run.value.as_str() {
        "http" => Some(Run::Http),
        "command" => Some(Run::Command),
        other => {
            let hint = spelling::hint(other, ["http", "command"]);
            section.mistake_at(run.at, format!("run {other:?} is not known{hint}"), next);
            None
        }
    }
}

fn route(section: &Section<'_>, run: Option<Run>) -> Option<String> {
    match (section.has("route"), run) {
        (false, _) => Some("/".into()),
        (true, Some(Run::Command)) => {
            section.mistake_at(
                section.at_of("route"),
                "a command serves no route",
                "remove it, or write run = \"http\"",
            );
            None
        }
        (true, _) => path_form(section, &section.text("route")?, "route"),
    }
}

/// A plain path: it starts with a slash, has no empty or dotted parts, no query, no fragment, no escapes.
fn path_form(section: &Section<'_>, path: &Found<String>, what: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    let parts = path.value.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let whole = |parts: &str| parts.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let good = path.value == "/" || parts.is_some_and(whole);
    if !good || !path.value.bytes().all(plain) {
        let text = format!("{what} {:?} is not a plain path such as \"/\" or \"/images\"", path.value);
        section.mistake_at(path.at, text, "start with a slash and use letters, digits and -._~");
        return None;
    }
    Some(path.value.clone())
}

fn variable(section: &Section<'_>, name: &Found<String>) -> Option<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.value.starts_with(|c: char| c.is_ascii_digit()) || name.value.is_empty() || !name.value.bytes().all(word) {
        let what = format!("env {:?} is not the name of a variable", name.value);
        section.mistake_at(name.at, what, "name the variable only; the operator gives the value");
        return None;
    }
    if PRIVATE_PREFIXES.iter().any(|prefix| name.value.starts_with(prefix)) {
        let what = format!("env {:?} belongs to the platform or to the host; guests never see it", name.value);
        section.mistake_at(name.at, what, "choose a name of the product's own");
        return None;
    }
    Some(name.value.clone())
}

/// Origins that answer to the host's own credentials or decide about entitlement. No guest holds credentials, so this
/// only keeps a mistake of the vendor from looking like an attack.
const HOSTS_OWN: [&str; 3] = ["metering.marketplace.", "metering-marketplace.", "sts."];

fn origin(section: &Section<'_>, text: &Found<String>) -> Option<Origin> {
    let origin = match Origin::parse(&text.value) {
        Ok(origin) => origin,
        Err(error) => {
            let what = format!("egress {:?}: {error}", text.value);
            section.mistake_at(text.at, what, "write an origin such as \"https://api.example.com\"");
            return None;
        }
    };
    if origin.host().contains(".amazonaws.") && HOSTS_OWN.iter().any(|own| origin.host().starts_with(own)) {
        let what = format!("egress {:?}: the host alone speaks to this service", text.value);
        section.mistake_at(text.at, what, "remove it; guests count by the contract, and hold no credentials");
        return None;
    }
    Some(origin)
}

/// Checks the components against each other and against the listings.
pub(super) fn check_all(document: &Section<'_>, components: &[Option<Read>], listings: &[Option<Listing>]) {
    if components.is_empty() && !document.has("component") {
        document.mistake("there is no [[component]]", "add one; without it there is nothing to run");
    }
    let read = || components.iter().flatten();
    unique(document, read().map(|read| (read.entry.id.as_str(), read.id_at)), "component");
    // A broken listing may be the one that is looked for: say nothing then.
    let Some(listings) = listings.iter().map(Option::as_ref).collect::<Option<Vec<&Listing>>>() else { return };
    if listings.is_empty() {
        return;
    }
    read().for_each(|read| check_names(document, read, &listings));
    if components.iter().all(Option::is_some) && !components.is_empty() {
        listings.iter().for_each(|listing| check_listing(document, components, &listing.id));
    }
}

/// The listings a component names are there, and none is forgotten where that would give the component away.
fn check_names(document: &Section<'_>, read: &Read, listings: &[&Listing]) {
    let ids = || listings.iter().map(|listing| listing.id.as_str());
    for (id, at) in read.entry.listings.iter().zip(&read.listings_at) {
        if !ids().any(|known| known == id) {
            let hint = spelling::hint(id, ids());
            document.mistake_at(*at, format!("listing {id:?} is not declared{hint}"), "name a [[listing]] by its id");
        }
    }
    let unpaid = listings.iter().find(|listing| matches!(listing.pricing, Pricing::Free | Pricing::Byol));
    if let (true, true, Some(unpaid)) = (read.entry.listings.is_empty(), listings.len() > 1, unpaid) {
        let what = format!("component {:?} would run without payment under listing {:?}", read.entry.id, unpaid.id);
        document.mistake_at(read.start, what, "write listings = [...] in each component, naming those it belongs to");
    }
}

/// What runs under one listing: one command, or services with different routes.
fn check_listing(document: &Section<'_>, components: &[Option<Read>], id: &str) {
    let mine: Vec<&Read> = components.iter().flatten().filter(|read| read.entry.belongs_to(id)).collect();
    if mine.is_empty() {
        document.mistake(format!("listing {id:?} has no component"), "name it in the listings of a component");
    }
    if let (true, Some(command)) = (mine.len() > 1, mine.iter().find(|read| read.entry.run == Run::Command)) {
        let what = format!("command {:?} is not the only component of listing {id:?}", command.entry.id);
        document.mistake_at(command.start, what, "run one command, or only http components");
        return;
    }
    let bare = |read: &Read| read.entry.route.trim_end_matches('/').to_owned();
    for (index, read) in mine.iter().enumerate() {
        if mine[..index].iter().any(|other| bare(other) == bare(read)) {
            let what = format!("route {:?} is served twice under listing {id:?}", read.entry.route);
            document.mistake_at(read.route_at, what, "give each component a route of its own");
        }
    }
}
