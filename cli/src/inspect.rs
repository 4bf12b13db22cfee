//! `tollgate inspect`: what is in a packed product.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_host::product::bundle::{Bundle, Damaged};

use crate::arguments::Inspect;
use crate::sbom;
use crate::trouble::{Result, Trouble};
use crate::words;

/// Shows what the vendor has signed.
///
/// # Errors
/// The file is not a packed product, or not as it was packed.
pub fn run(arguments: &Inspect) -> Result<()> {
    if arguments.sbom {
        return sbom::run(&arguments.file);
    }
    let bundle = open(&arguments.file)?;
    let report = report(&bundle)?;
    if arguments.json {
        words::data(&report.to_string());
    } else {
        lines(&bundle, &report).iter().for_each(|line| words::data(line));
    }
    Ok(())
}

/// Opens a packed file, checking every byte of the payload.
///
/// # Errors
/// The file cannot be read, or the answer is no.
pub(crate) fn open(path: &Path) -> Result<Bundle> {
    Bundle::of(path).map_err(|damaged| match damaged {
        Damaged::Unreadable(error) => Trouble::file("read", path, &error),
        damaged => {
            let exit = damaged.exit();
            Trouble::fails(format!("{}: {damaged}", path.display()), exit.cause, exit.next)
        }
    })
}

fn report(bundle: &Bundle) -> Result<Value> {
    let head = &bundle.head;
    let manifest: toml::Table = head.manifest.parse().map_err(|error: toml::de::Error| {
        Trouble::new(format!("the manifest in the bundle is not TOML: {error}"), "", "")
    })?;
    Ok(json!({
        "version": 1,
        "purpose": head.purpose,
        "tollgate": head.tollgate,
        "cpu": head.cpu,
        "target": bundle.cpu.triple(),
        "signed_by": bundle.slot.key.to_string(),
        "host": head.host,
        "components": head.components,
        "keys": head.keys,
        "manifest": manifest,
    }))
}

/// For people: what it is, how it is sold, what is counted, what runs.
fn lines(bundle: &Bundle, report: &Value) -> Vec<String> {
    let (head, manifest) = (&bundle.head, &bundle.manifest);
    let mut lines = vec![
        format!("product    {} {}", manifest.product.name, manifest.product.version),
        format!("purpose    {}", report["purpose"].as_str().unwrap_or_default()),
        format!("packed by  tollgate {}, for {}", head.tollgate, head.cpu),
        format!("signed by  {}", bundle.slot.key),
        format!("host       {} bytes, sha256 {}", head.host.bytes, head.host.sha256),
    ];
    for listing in &manifest.listings {
        let (id, code, pricing) = (&listing.id, &listing.product_code, format!("{:?}", listing.pricing).to_lowercase());
        let carry = if listing.carry { ", carry" } else { "" };
        lines.push(format!("listing    {id}: {pricing}, product code {code}{carry}"));
    }
    for dimension in &manifest.dimensions {
        let per = if dimension.per == 1 { String::new() } else { format!(", one for {}", dimension.per) };
        let cap = dimension.max_per_hour.map(|cap| format!(", at most {cap} an hour")).unwrap_or_default();
        lines.push(format!("dimension  {}{per}{cap}", dimension.key));
    }
    for (entry, packed) in manifest.components.iter().zip(&head.components) {
        let listings = if entry.listings.is_empty() { "all listings".into() } else { entry.listings.join(", ") };
        let run = tollgate_host::product::load::run(entry).name();
        lines.push(format!(
            "component  {}: {run} at {}, {listings}, {} bytes of code",
            entry.id, entry.route, packed.bytes
        ));
        lines.push(format!("           made from sha256 {}", packed.source_sha256));
    }
    lines
}
