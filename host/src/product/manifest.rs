//! `product.toml`: what the vendor sells, under which listings, and how it is counted.
//!
//! [`Manifest::parse`] makes only manifests that hold together, or names every mistake with its line. It knows no
//! component files and no AWS; the keys of the listings are the only files it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tollgate_runtime::component::Reuse;
use tollgate_runtime::egress::Origin;
use tollgate_runtime::meter::{Pricing, Source};

use crate::exit::{Exit, Why};

mod component;
mod dimension;
mod files;
mod listing;
mod reader;
mod settings;

use files::Files;
#[cfg(feature = "compiler")]
pub use files::{Canonical, canonical};
use reader::{Mistakes, Section};
pub use settings::{Limits, MeteringPolicy};

/// The name of the file in the product's folder.
pub const FILE_NAME: &str = "product.toml";
/// A manifest is written by hand; more is something else.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// AWS Marketplace: dimensions of one product.
const DIMENSIONS_MAX: usize = 24;
/// Listings of one product; a limit of ours.
const LISTINGS_MAX: usize = 32;
/// Components of one product; a limit of ours.
const COMPONENTS_MAX: usize = 64;

/// A product as its vendor describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Name and version.
    pub product: ProductName,
    /// The listings a buyer may choose among; at least one.
    pub listings: Vec<Listing>,
    /// What is counted. The place in the list is the number of the dimension.
    pub dimensions: Vec<Dimension>,
    /// What is run; at least one. The place in the list is the number of the component.
    pub components: Vec<ComponentEntry>,
    /// Limits of the guests.
    pub limits: Limits,
    /// How usage is delivered.
    pub metering: MeteringPolicy,
}

/// `[product]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductName {
    /// Lower-case letters, digits and hyphens.
    pub name: String,
    /// The vendor's own version.
    pub version: String,
}

/// `[[listing]]`: one way to buy the product in AWS Marketplace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What the buyer chooses by.
    pub id: String,
    /// The product code AWS gave the listing.
    pub product_code: String,
    /// How the buyer pays.
    pub pricing: Pricing,
    /// How the buyer proves it.
    pub entitlement: Entitlement,
    /// Whether late or overflowing usage may move to a later hour.
    pub carry: bool,
}

/// How a listing's entitlement is asked for at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entitlement {
    /// `RegisterUsage`, for the newest of these public keys.
    Register {
        /// PEM by key version.
        keys: BTreeMap<u32, String>,
    },
    /// A record of zero units on this dimension.
    ZeroRecord {
        /// The key of the dimension.
        dimension: String,
    },
    /// A dry run on this dimension: proves the permission only.
    DryRun {
        /// The key of the dimension; the first one of the product.
        dimension: String,
    },
    /// Nobody is asked.
    None,
}

/// `[[dimension]]`: something that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The key in the catalogue of AWS Marketplace.
    pub key: String,
    /// Who counts.
    pub from: Source,
    /// Counted units per billed unit; 1 or more.
    pub per: u64,
    /// Billed units an hour at most.
    pub max_per_hour: Option<u32>,
    /// Tag keys that usage may be allocated to, at most 5.
    pub tags: Vec<String>,
}

/// `[[component]]`: a WebAssembly component of the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentEntry {
    /// Its name in logs and records.
    pub id: String,
    /// The file, inside the product's folder.
    pub source: PathBuf,
    /// How it is run.
    pub run: Run,
    /// The path prefix it serves; `/` for a command.
    pub route: String,
    /// Paths whose requests are not counted under `host:requests`, such as health checks.
    pub exclude_paths: Vec<String>,
    /// The only variables of the operator it sees.
    pub env: Vec<String>,
    /// The only places it may send requests to.
    pub egress: Vec<Origin>,
    /// The only folders it sees.
    pub mounts: Vec<MountEntry>,
    /// Whether its instances answer more than one request.
    pub reuse: Option<Reuse>,
    /// The listings it belongs to; empty: all.
    pub listings: Vec<String>,
}

/// `[[component.mount]]`: a folder of the operator that a component sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// The folder, below the one that the operator gives with `TOLLGATE_MOUNTS`.
    pub source: PathBuf,
    /// Its absolute path in the guest.
    pub target: String,
    /// Whether the guest may write there.
    pub write: bool,
}

/// How a component is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It answers HTTP requests.
    Http,
    /// It runs once, and the container ends with it.
    Command,
}

impl ComponentEntry {
    /// Whether it is run under this listing.
    pub fn belongs_to(&self, listing: &str) -> bool {
        self.listings.is_empty() || self.listings.iter().any(|id| id == listing)
    }
}

/// Every mistake of a manifest, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.join("\n"))]
pub struct ManifestErrors(Vec<String>);

impl ManifestErrors {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        let count = self.0.len();
        let next = "the vendor corrects product.toml (tollgate dev shows the same) and builds the image again";
        Exit::new(Why::Product, self.to_string(), format!("{count} mistake(s) in the product's manifest"), next)
    }
}

impl Manifest {
    /// Reads `product.toml` in the product's folder.
    ///
    /// # Errors
    /// [`ManifestErrors`] with every mistake, or the one that the file cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ManifestErrors> {
        let path = folder.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let next = "name the folder that has product.toml in it";
            ManifestErrors(vec![format!("{}: cannot be read: {error}\n  next: {next}", path.display())])
        })?;
        Self::parse(&text, folder)
    }

    /// Takes the text of a manifest; `folder` is where its relative paths start.
    ///
    /// # Errors
    /// [`ManifestErrors`] with every mistake.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ManifestErrors> {
        Self::with_files(text, &Files::Folder(folder))
    }

    /// Takes the text of a manifest whose key files travel with it.
    ///
    /// # Errors
    /// [`ManifestErrors`] with every mistake.
    pub fn packed(text: &str, keys: &BTreeMap<String, String>) -> Result<Self, ManifestErrors> {
        Self::with_files(text, &Files::Packed(keys))
    }

    fn with_files(text: &str, files: &Files<'_>) -> Result<Self, ManifestErrors> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ManifestErrors(vec![format!("{FILE_NAME}: is over {TEXT_BYTES_MAX} bytes")]));
        }
        let mistakes = Mistakes::new(text);
        let (document, broken) = toml::de::DeTable::parse_recoverable(text);
        for error in &broken {
            let at = error.span().map_or(0, |span| span.start);
            mistakes.add(at, format!("not TOML: {}", error.message()), "correct the syntax at this place");
        }
        // What follows a broken line may be misread, and a report of it would be noise.
        let document = Section::document(document.get_ref(), &mistakes);
        let manifest = if broken.is_empty() { whole(&document, files) } else { None };
        let lines = mistakes.lines();
        match manifest {
            Some(manifest) if lines.is_empty() => Ok(manifest),
            _ => Err(ManifestErrors(lines)),
        }
    }
}

/// Reads everything before it gives up on anything.
fn whole(document: &Section<'_>, files: &Files<'_>) -> Option<Manifest> {
    let product = document.table("product").map(|section| product_name(&section));
    if product.is_none() && !document.has("product") {
        document.mistake("[product] is missing", "add [product] with name and version");
    }
    let dimensions = document.tables("dimension", DIMENSIONS_MAX, |section| dimension::read(&section));
    let listings = document.tables("listing", LISTINGS_MAX, |section| listing::read(&section, files));
    let components = document.tables("component", COMPONENTS_MAX, |section| component::read(&section, files.folder()));
    let limits = document.table("limits").map_or_else(|| Some(Limits::default()), |section| settings::limits(&section));
    let metering = document
        .table("metering")
        .map_or_else(|| Some(MeteringPolicy::default()), |section| settings::metering(&section));
    document.finish();

    dimension::check_all(document, &dimensions);
    let listings = listing::check_all(document, listings, &dimensions);
    component::check_all(document, &components, &listings);
    let dimensions = all(dimensions)?;
    Some(Manifest {
        product: product??,
        listings: all(listings)?,
        dimensions: dimensions.into_iter().map(|(dimension, _)| dimension).collect(),
        components: all(components)?.into_iter().map(|read| read.entry).collect(),
        limits: limits?,
        metering: metering?,
    })
}

/// All of them, or nothing if one is broken.
fn all<T>(items: Vec<Option<T>>) -> Option<Vec<T>> {
    items.into_iter().collect()
}

fn product_name(section: &Section<'_>) -> Option<ProductName> {
    let name = section.required_text("name", "give the product a name").and_then(|name| {
        section.name_of_ours(&name, "[product] name")?;
        Some(name.value)
    });
    let version = section.required_text("version", "give the product a version such as \"1.0.0\"");
    section.finish();
    Some(ProductName { name: name?, version: version?.value })
}

/// Reports a value that occurs twice, at its second place.
fn unique<'v>(document: &Section<'_>, values: impl Iterator<Item = (&'v str, usize)>, what: &str) {
    let mut seen = BTreeSet::new();
    for (value, at) in values {
        if !seen.insert(value) {
            document.mistake_at(at, format!("{what} {value:?} is given twice"), "rename one of the two");
        }
    }
}

#[cfg(test)]
mod tests;
