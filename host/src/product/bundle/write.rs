//! Puts a product on a host. Only in the vendor's tool.

use std::collections::BTreeMap;

use tollgate_runtime::code::ALIGNMENT;
use tollgate_runtime::target::Cpu;

use super::digest::Digest;
use super::head::{FORMAT, Head, Host, PackedComponent, Purpose};
use super::key::SigningKey;
use super::slot::{NotAHost, Slot};
use super::trailer::{self, Trailer};

/// What goes into a bundle.
#[derive(Debug)]
pub struct Contents {
    /// What the build is for.
    pub purpose: Purpose,
    /// The processor that the code is for.
    pub cpu: Cpu,
    /// The product's name in the manifest.
    pub product: String,
    /// The manifest in its one spelling.
    pub manifest: String,
    /// The public keys of the listings, by their file in the manifest.
    pub keys: BTreeMap<String, String>,
    /// The components in the order of the manifest; none in a preview.
    pub components: Vec<CompiledComponent>,
}

/// A component with its code.
#[derive(Debug)]
pub struct CompiledComponent {
    /// Its id in the manifest.
    pub id: String,
    /// What the compiler made of it.
    pub code: Vec<u8>,
    /// The digest of the component itself.
    pub source: Digest,
}

/// A file that no product can be put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHost {
    /// It is no host.
    #[error("it is not a Tollgate host of this version: {0}")]
    NotAHost(#[from] NotAHost),
    /// There is a product on it.
    #[error("it carries a product already")]
    Packed,
}

/// The file of `host` with a product on it. The same arguments give the same bytes.
///
/// # Errors
/// [`NoHost`].
pub fn write(mut host: Vec<u8>, contents: Contents, key: &SigningKey) -> Result<Vec<u8>, NoHost> {
    if Slot::of(&host)?.is_some() {
        return Err(NoHost::Packed);
    }
    Slot { key: key.public(), product: contents.product }.put(&mut host)?;
    pad(&mut host);
    let mut file = host;
    let host = Host { bytes: length(&file), sha256: Digest::of(&file) };
    let mut components = Vec::new();
    for component in contents.components {
        let bytes = length(&component.code);
        let start = file.len();
        file.extend_from_slice(&component.code);
        pad(&mut file);
        let sha256 = Digest::of(&file[start..]);
        components.push(PackedComponent { id: component.id, bytes, sha256, source_sha256: component.source });
    }
    let head = Head {
        format: FORMAT,
        tollgate: env!("CARGO_PKG_VERSION").into(),
        purpose: contents.purpose,
        cpu: contents.cpu.name().into(),
        host,
        components,
        keys: contents.keys,
        manifest: contents.manifest,
    };
    let text = head.text();
    let signature = key.sign(&trailer::message(text.as_bytes()));
    let trailer = Trailer { head_at: length(&file), head_bytes: length(text.as_bytes()), key: key.public(), signature };
    file.extend_from_slice(text.as_bytes());
    file.extend_from_slice(&trailer.bytes());
    Ok(file)
}

fn pad(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

#[cfg(test)]
mod tests;
