//! A product inside the executable of the host: signed, checked whole, and mapped where it is.
//!
//! The file is the host, then the code of each component, then the [`head`] (what is in it, under one signature), then
//! the [`trailer`] of fixed width. The key that the signature is checked with is in a [`slot`] of the host itself, so
//! that a payload fits only the host it was packed with. `docs/bundle.md` has it byte by byte.
//!
//! [`Bundle::open`] is the only way in. Either everything is as it was packed, or there is no [`Bundle`]. It reads and
//! compares; no code is made of anything before `Bundle::code`, which `super::load` calls with a Grant in hand.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use tollgate_runtime::code::{self, Code};
use tollgate_runtime::target::Cpu;

use super::manifest::{Manifest, ManifestErrors};
use crate::exit::{Exit, Why};

pub mod digest;
pub mod head;
pub mod key;
pub mod slot;
pub mod trailer;
#[cfg(feature = "compiler")]
pub mod write;

use digest::Digest;
use head::{Head, Purpose};
use slot::Slot;
use trailer::Trailer;

/// The head holds a manifest, some keys and a line for each component; more is damage.
const HEAD_BYTES_MAX: u64 = 16 << 20;
/// The running executable.
const OWN: &str = "/proc/self/exe";

/// A product as it was packed.
#[derive(Debug)]
pub struct Bundle {
    /// What was signed.
    pub head: Head,
    /// The manifest in the head.
    pub manifest: Manifest,
    /// The processor that the code is for.
    pub cpu: Cpu,
    /// Who packed it.
    pub slot: Slot,
    /// The file it is in.
    pub path: PathBuf,
    code: &'static [u8],
    places: Vec<Range<usize>>,
}

/// Why a file is not a product that may run. Nothing of it was loaded.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// A host that was never packed, or a file that was cut off.
    #[error("this executable carries no product")]
    Bare,
    /// The file cannot be read.
    #[error("the executable cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The last bytes of the file contradict its length.
    #[error("the bundle's trailer is damaged: {0}")]
    Trailer(&'static str),
    /// Signed with another key than the host was packed with.
    #[error("the bundle was signed by another vendor than the host is for")]
    OtherVendor,
    /// Signed with the right key, and changed since.
    #[error("the bundle's head does not match its signature: manifest, keys, digests or signature were changed")]
    Signature,
    /// The signature is good, and what it signs is not a head.
    #[error("the bundle's head cannot be understood: {0}")]
    Head(String),
    /// A payload of the same vendor on the host of another product.
    #[error("the bundle is of product {bundle:?}, and the host is for {host:?}")]
    OtherProduct {
        /// In the bundle.
        bundle: String,
        /// In the host's slot.
        host: String,
    },
    /// Code that differs from its digest.
    #[error("the code of component {component:?} does not match its digest")]
    Code {
        /// Its id.
        component: String,
    },
    /// The signature is good, and the manifest has mistakes.
    #[error("{0}")]
    Manifest(ManifestErrors),
}

impl Bundle {
    /// The product that this executable was packed with.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn own() -> Result<Self, Damaged> {
        let slot = Slot::own().ok_or(Damaged::Bare)?;
        Self::open(&File::open(OWN)?, slot)
    }

    /// The product in the file at `path`, with the slot of the host in it.
    ///
    /// # Errors
    /// [`Damaged`].
    #[cfg(feature = "compiler")]
    pub fn of(path: &std::path::Path) -> Result<Self, Damaged> {
        let slot = Slot::of(&std::fs::read(path)?).ok().flatten().ok_or(Damaged::Bare)?;
        Self::open(&File::open(path)?, slot)
    }

    /// The product in `file`, packed with a host that has `slot`. Checks every byte after the host.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn open(file: &File, slot: Slot) -> Result<Self, Damaged> {
        let (trailer, bytes) = signed(file)?;
        if trailer.key != slot.key {
            return Err(Damaged::OtherVendor);
        }
        let head = verified(&trailer, &bytes)?;
        let cpu = Cpu::named(&head.cpu).ok_or_else(|| Damaged::Head(format!("unknown processor {:?}", head.cpu)))?;
        let manifest = Manifest::packed(&head.manifest, &head.keys).map_err(Damaged::Manifest)?;
        if manifest.product.name != slot.product {
            return Err(Damaged::OtherProduct { bundle: manifest.product.name, host: slot.product });
        }
        agree(&head, &manifest)?;
        let (start, places) = places(&head, trailer.head_at)?;
        let length = usize::try_from(trailer.head_at - start).map_err(|_| Damaged::Head("too much code".into()))?;
        let code = code::map(file, start, length)?;
        for (component, place) in head.components.iter().zip(&places) {
            // With the padding up to the next piece, so that there is no byte without a digest.
            let stored = &code[place.start..place.start + padded(place.len())];
            if Digest::of(stored) != component.sha256 {
                return Err(Damaged::Code { component: component.id.clone() });
            }
        }
        code::forget(code);
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        Ok(Self { head, manifest, cpu, slot, path, code, places })
    }

    /// The code of the component with this number in the manifest; None in a preview, which has none.
    #[expect(unsafe_code, reason = "the one place where bytes of a file become code")]
    pub(super) fn code(&self, component: usize) -> Option<Code> {
        let bytes = &self.code[self.places.get(component)?.clone()];
        // SAFETY: a `Bundle` exists only if the digest of these bytes is in a head that the vendor's key has signed,
        // and the vendor signs what the compiler made. They are mapped for the life of the process.
        Some(unsafe { Code::trusted(bytes) })
    }

    /// Whether this is the build that sends one record of each dimension and ends.
    pub fn is_preview(&self) -> bool {
        self.head.purpose == Purpose::Preview
    }
}

/// The trailer and the bytes that its signature is over.
fn signed(file: &File) -> Result<(Trailer, Vec<u8>), Damaged> {
    let length = file.metadata()?.len();
    let end = length.checked_sub(trailer::BYTES as u64).ok_or(Damaged::Bare)?;
    let mut bytes = [0; trailer::BYTES];
    file.read_exact_at(&mut bytes, end)?;
    let trailer = Trailer::parse(&bytes).ok_or(Damaged::Bare)?;
    if trailer.head_at.checked_add(trailer.head_bytes) != Some(end) {
        return Err(Damaged::Trailer("the head does not end where it begins"));
    }
    if !on_a_page(trailer.head_at) {
        return Err(Damaged::Trailer("the head does not begin on a page"));
    }
    if trailer.head_bytes > HEAD_BYTES_MAX {
        return Err(Damaged::Trailer("the head is too long"));
    }
    let mut head = vec![0; usize::try_from(trailer.head_bytes).unwrap_or_default()];
    file.read_exact_at(&mut head, trailer.head_at)?;
    Ok((trailer, head))
}

fn verified(trailer: &Trailer, head: &[u8]) -> Result<Head, Damaged> {
    if !trailer.key.has_signed(&trailer::message(head), &trailer.signature) {
        return Err(Damaged::Signature);
    }
    Head::parse(head).map_err(Damaged::Head)
}

/// The components of the head are those of the manifest; a preview has none.
fn agree(head: &Head, manifest: &Manifest) -> Result<(), Damaged> {
    let packed: Vec<&str> = head.components.iter().map(|component| component.id.as_str()).collect();
    let wanted: Vec<&str> = match head.purpose {
        Purpose::Product => manifest.components.iter().map(|component| component.id.as_str()).collect(),
        Purpose::Preview => Vec::new(),
    };
    if packed != wanted {
        return Err(Damaged::Head("its components are not those of its manifest".into()));
    }
    Ok(())
}

/// Where the code begins in the file, and where each component's is in it. The code fills everything between the host
/// and the head.
fn places(head: &Head, head_at: u64) -> Result<(u64, Vec<Range<usize>>), Damaged> {
    let odd = || Damaged::Head("its lengths do not add up to the file's".into());
    let start = head.host.bytes;
    let mut at = 0;
    let mut places = Vec::new();
    for component in &head.components {
        let bytes = usize::try_from(component.bytes).map_err(|_| odd())?;
        if bytes == 0 || bytes > isize::MAX as usize {
            return Err(odd());
        }
        places.push(at..at + bytes);
        at = at.checked_add(padded(bytes)).ok_or_else(odd)?;
    }
    let end = u64::try_from(at).ok().and_then(|bytes| start.checked_add(bytes));
    if !on_a_page(start) || end != Some(head_at) {
        return Err(odd());
    }
    Ok((start, places))
}

fn on_a_page(at: u64) -> bool {
    at.is_multiple_of(code::ALIGNMENT as u64)
}

/// Up to the next piece of code, or to the head.
fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(code::ALIGNMENT)
}

impl Damaged {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        let (cause, next) = match self {
            Self::Bare => (
                "it is the bare host, or the end of the file was cut off",
                "start the image the vendor ships; the vendor makes it with `tollgate pack`",
            ),
            Self::Unreadable(_) => ("/proc is not mounted, or the disk fails", "start the container with /proc"),
            Self::Manifest(_) | Self::Head(_) => (
                "packed by another version of tollgate than the host is of",
                "the vendor packs the product with the host of the same version",
            ),
            Self::OtherVendor | Self::OtherProduct { .. } => (
                "the payload was taken from one product and put on the host of another",
                "pull the image again, by its digest",
            ),
            Self::Trailer(_) | Self::Signature | Self::Code { .. } => (
                "the file was changed after it was packed: by a bad copy, a bad disk, or somebody",
                "pull the image again, by its digest; `tollgate verify FILE` checks a file",
            ),
        };
        Exit::new(Why::Product, self.to_string(), cause, next)
    }
}
