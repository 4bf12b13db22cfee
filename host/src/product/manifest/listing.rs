//! `[[listing]]`: the ways to buy the product, and how each is proven.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use tollgate_runtime::meter::Pricing;

use super::files::Files;
use super::reader::{Found, Section};
use super::{Dimension, Entitlement, Listing, unique};
use crate::entitlement::jwt;
use crate::product::spelling;

/// The pricings of a manifest.
const PRICINGS: [(&str, Pricing); 5] = [
    ("hourly", Pricing::Hourly),
    ("monthly", Pricing::Monthly),
    ("custom", Pricing::Custom),
    ("free", Pricing::Free),
    ("byol", Pricing::Byol),
];
/// AWS: `ProductCode` of `RegisterUsage` and `MeterUsage`.
const CODE_CHARS_MAX: usize = 255;

/// A listing whose dimensions are not checked yet.
pub(super) struct Read {
    listing: Listing,
    id_at: usize,
    /// Of `entitlement_dimension`, or of the listing.
    dimension_at: usize,
}

pub(super) fn read(section: &Section<'_>, files: &Files<'_>) -> Option<Read> {
    let id = section.required_text("id", "give the listing a name that buyers choose it by");
    let id = id.filter(|id| section.name_of_ours(id, "listing id").is_some());
    let product_code = product_code(section);
    let pricing = pricing(section);
    // Known keys whatever the pricing says.
    let dimension_at = section.at_of("entitlement_dimension");
    let _ = (section.has("entitlement"), section.has("public_keys"));
    let entitlement = pricing.and_then(|pricing| entitlement(section, pricing, files));
    let carry = section.boolean("carry", false);
    section.finish();
    let (id, entitlement) = (id?, entitlement?);
    let listing = Listing { id: id.value, product_code: product_code?, pricing: pricing?, entitlement, carry: carry? };
    Some(Read { listing, id_at: id.at, dimension_at })
}

fn product_code(section: &Section<'_>) -> Option<String> {
    let next = "copy the product code from the AWS Marketplace Management Portal";
    let code = section.required_text("product_code", next)?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-/=:_.@".contains(&b);
    if code.value.len() > CODE_CHARS_MAX || !code.value.bytes().all(legal) {
        section.mistake_at(code.at, format!("product_code {:?} is not a product code", code.value), next);
        return None;
    }
    Some(code.value)
}

fn pricing(section: &Section<'_>) -> Option<Pricing> {
    let name = section.required_text("pricing", "write hourly, monthly, custom, free or byol")?;
    let pricing = PRICINGS.iter().find(|(known, _)| *known == name.value).map(|(_, pricing)| *pricing);
    if pricing.is_none() {
        let hint = spelling::hint(&name.value, PRICINGS.iter().map(|(known, _)| *known));
        let next = "use one of: hourly, monthly, custom, free, byol";
        section.mistake_at(name.at, format!("pricing {:?} is not known{hint}", name.value), next);
    }
    pricing
}

fn entitlement(section: &Section<'_>, pricing: Pricing, files: &Files<'_>) -> Option<Entitlement> {
    let registers = matches!(pricing, Pricing::Hourly | Pricing::Monthly);
    let custom = pricing == Pricing::Custom;
    let mut good = true;
    for (key, belongs, kinds) in [
        ("public_keys", registers, "hourly and monthly"),
        ("entitlement_dimension", custom, "custom"),
        ("entitlement", custom, "custom"),
    ] {
        if section.has(key) && !belongs {
            let what = format!("{key} has no meaning here: it belongs to {kinds} listings");
            section.mistake_at(section.at_of(key), what, "remove it, or correct pricing");
            good = false;
        }
    }
    let entitlement = match (registers, custom) {
        (true, _) => public_keys(section, files).map(|keys| Entitlement::Register { keys }),
        (_, true) => custom_entitlement(section),
        _ => Some(Entitlement::None),
    };
    entitlement.filter(|_| good)
}

fn custom_entitlement(section: &Section<'_>) -> Option<Entitlement> {
    let next = "write entitlement_dimension = \"...\" (a zero record on it proves the subscription) or the weaker \
                entitlement = \"dry-run\"";
    if !section.has("entitlement") && !section.has("entitlement_dimension") {
        section.mistake("a custom listing says nothing about its entitlement", next);
    }
    match (section.text("entitlement_dimension"), section.text("entitlement")) {
        (Some(dimension), None) => Some(Entitlement::ZeroRecord { dimension: dimension.value }),
        (None, Some(word)) if word.value == "dry-run" => Some(Entitlement::DryRun { dimension: String::new() }),
        (None, Some(word)) => {
            section.mistake_at(word.at, format!("entitlement {:?} is not known", word.value), next);
            None
        }
        (Some(_), Some(word)) => {
            section.mistake_at(word.at, "entitlement and entitlement_dimension exclude each other", "remove one");
            None
        }
        (None, None) => None,
    }
}

fn public_keys(section: &Section<'_>, files: &Files<'_>) -> Option<BTreeMap<u32, String>> {
    let next = "write public_keys = { 1 = \"keys/1.pem\" }; key and version are on the product's page in the portal";
    if !section.has("public_keys") {
        section.mistake("an hourly or monthly listing has no public_keys", next);
        return None;
    }
    let entries = section.text_table("public_keys")?;
    if entries.is_empty() {
        section.mistake_at(section.at_of("public_keys"), "public_keys has no usable entry", next);
        return None;
    }
    let read = |(version, file): &_| public_key(section, version, file, files);
    let keys: Vec<Option<(u32, String)>> = entries.iter().map(read).collect();
    keys.into_iter().collect()
}

fn public_key(
    section: &Section<'_>,
    version: &Found<String>,
    file: &Found<String>,
    files: &Files<'_>,
) -> Option<(u32, String)> {
    let number = version.value.parse::<u32>().ok().filter(|n| *n >= 1 && n.to_string() == version.value);
    if number.is_none() {
        let what = format!("public_keys: {:?} is not a key version", version.value);
        section.mistake_at(version.at, what, "use the number the portal shows with the key");
    }
    if inside(files.folder(), &file.value).is_none() {
        let what = format!("public_keys: {:?} leads out of the product's folder", file.value);
        section.mistake_at(file.at, what, "use a path relative to product.toml, without ..");
        return None;
    }
    let pem = match files.text(&file.value) {
        Ok(pem) if jwt::is_usable_key(&pem) => Some(pem),
        Ok(_) => {
            let what = format!("{:?} is not a PEM public key (RSA, 2048 to 8192 bits)", file.value);
            section.mistake_at(file.at, what, "copy the key from the portal, with its BEGIN and END lines");
            None
        }
        Err(error) => {
            let what = format!("{:?} cannot be read: {error}", file.value);
            section.mistake_at(file.at, what, "put the product's public key there; the portal shows it");
            None
        }
    };
    Some((number?, pem?))
}

/// `path` under `folder`, if it cannot lead out of it.
pub(super) fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let normal = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    (!path.is_empty() && Path::new(path).components().all(normal)).then(|| folder.join(path))
}

/// Checks the listings against each other and against the dimensions.
pub(super) fn check_all(
    document: &Section<'_>,
    listings: Vec<Option<Read>>,
    dimensions: &[Option<(Dimension, usize)>],
) -> Vec<Option<Listing>> {
    if listings.is_empty() && !document.has("listing") {
        document.mistake("there is no [[listing]]", "add one; without it nobody can be asked for entitlement");
    }
    unique(document, listings.iter().flatten().map(|read| (read.listing.id.as_str(), read.id_at)), "listing");
    // A broken dimension may be the one that is looked for: say nothing then.
    let whole = dimensions.iter().all(Option::is_some);
    let keys: Vec<&str> = dimensions.iter().flatten().map(|(dimension, _)| dimension.key.as_str()).collect();
    let check = |read: Read| {
        let mut listing = read.listing;
        match &mut listing.entitlement {
            Entitlement::ZeroRecord { dimension } if whole && !keys.contains(&dimension.as_str()) => {
                let hint = spelling::hint(dimension, keys.iter().copied());
                let what = format!("entitlement_dimension {dimension:?} is not declared{hint}");
                document.mistake_at(read.dimension_at, what, "add a [[dimension]] with this key");
            }
            Entitlement::DryRun { dimension } => match keys.first() {
                Some(first) => (*first).clone_into(dimension),
                None if whole => document.mistake_at(read.id_at, "a custom listing without a [[dimension]]", "add one"),
                None => {}
            },
            _ => {}
        }
        listing
    };
    listings.into_iter().map(|read| read.map(check)).collect()
}
