//! `tollgate verify`: whether a packed product is as its vendor packed it.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tollgate_host::product::bundle::Bundle;
use tollgate_host::product::bundle::digest::Digest;
use tollgate_host::product::bundle::key::PublicKey;

use crate::arguments::Verify;
use crate::inspect;
use crate::trouble::{Result, Trouble};
use crate::words;

/// Checks every byte of the file: payload, signature, and the host before it.
///
/// # Errors
/// A byte differs, or it was signed with another key.
pub fn run(arguments: &Verify) -> Result<()> {
    let bundle = inspect::open(&arguments.file)?;
    words::good("the payload is what was signed");
    check_host(&arguments.file, &bundle)?;
    words::good("the host is the one it was packed with");
    match &arguments.key {
        Some(path) => {
            check_key(path, &bundle)?;
            words::good(&format!("signed by the key in {}", path.display()));
        }
        None => words::detail(&format!("signed by {}; --key compares it with the vendor's", bundle.slot.key)),
    }
    words::data(&format!("{} {}", bundle.manifest.product.name, bundle.manifest.product.version));
    Ok(())
}

fn check_host(path: &Path, bundle: &Bundle) -> Result<()> {
    let failed = |error| Trouble::file("read", path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut host = vec![0; usize::try_from(bundle.head.host.bytes).unwrap_or_default()];
    file.read_exact_at(&mut host, 0).map_err(failed)?;
    if Digest::of(&host) == bundle.head.host.sha256 {
        return Ok(());
    }
    Err(Trouble::fails(
        format!("{}: the host is not the one it was packed with", path.display()),
        "somebody has changed the program: what it says about entitlement and usage is worth nothing",
        "do not run it; pull the image again, by its digest",
    ))
}

fn check_key(path: &Path, bundle: &Bundle) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| Trouble::file("read", path, &error))?;
    let key = PublicKey::from_pem(&text).ok_or_else(|| {
        Trouble::new(
            format!("{} is not an Ed25519 public key in PEM", path.display()),
            "it is the secret key, or of another kind",
            "take the .pub file that `tollgate keygen` wrote",
        )
    })?;
    if key == bundle.slot.key {
        return Ok(());
    }
    Err(Trouble::fails(
        format!("it was signed by {}, not by {key}", bundle.slot.key),
        "it is of another vendor, or signed with another key of this one",
        "ask the vendor which key the product is signed with",
    ))
}
