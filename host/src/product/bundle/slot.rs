//! The place in the host for the vendor's key: outside the payload, so that the payload cannot bring its own.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 31 | a marker, by which `tollgate pack` finds the slot |
//! | 31 | 1 | `P` in the production host, `3` in one that also runs components of WASI 0.3, `L` in one with a compiler, which is never shipped |
//! | 32 | 32 | the vendor's public key; zero in a host that was never packed |
//! | 64 | 1 | bytes of the product's name |
//! | 65 | 63 | the product's name, then zeros |

use super::key::PublicKey;

/// Bytes of the slot.
pub const BYTES: usize = 128;
/// The slot begins at a multiple of this, in memory and in the file.
#[cfg(feature = "compiler")]
const ALIGNMENT: usize = 64;
const MARKER: usize = 32;
/// The last byte of the marker says which host it is.
const KIND: usize = MARKER - 1;
const PRODUCTION: u8 = b'P';
const PRODUCTION_P3: u8 = b'3';
/// One that has a compiler in it and can be composed with other surroundings.
const LAB: u8 = b'L';
const NAME: usize = 64;

#[repr(C, align(64))]
struct Place([u8; BYTES]);

/// What a bare host has. The linker may not drop or copy it: `pack` changes these bytes in the file.
#[used]
static PLACE: Place = Place({
    let marker = *b"\xf1tollgate: place of vendor key\xf2";
    let mut bytes = [0; BYTES];
    let mut index = 0;
    while index < marker.len() {
        bytes[index] = marker[index];
        index += 1;
    }
    bytes[KIND] = if cfg!(feature = "compiler") {
        LAB
    } else if cfg!(feature = "p3") {
        PRODUCTION_P3
    } else {
        PRODUCTION
    };
    bytes
});

/// Whose products a host runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The vendor's key.
    pub key: PublicKey,
    /// The name of the product in its manifest.
    pub product: String,
}

impl Slot {
    /// The slot of this process. None: it was never packed.
    pub fn own() -> Option<Self> {
        Self::parse(&place())
    }

    /// Reads a slot; None if it is empty, or not one.
    pub fn parse(bytes: &[u8; BYTES]) -> Option<Self> {
        let key: [u8; 32] = bytes[MARKER..NAME].try_into().ok()?;
        let (name, rest) = bytes[NAME + 1..].split_at_checked(bytes[NAME].into())?;
        let product = std::str::from_utf8(name).ok()?;
        if key == [0; 32] || product.is_empty() || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        Some(Self { key: PublicKey(key), product: product.to_owned() })
    }
}

/// As it is now: `pack` has changed it behind the compiler's back.
#[expect(unsafe_code, reason = "the compiler believes that it knows these bytes")]
fn place() -> [u8; BYTES] {
    // SAFETY: a reference to a static of the same type, which nobody writes to while the process runs.
    unsafe { std::ptr::read_volatile(&raw const PLACE.0) }
}

/// A file that has no place for a key, or several.
#[cfg(feature = "compiler")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has {0} places for a vendor's key, not one")]
pub struct NotAHost(pub usize);

/// Where the slot is in the file of a host.
///
/// # Errors
/// [`NotAHost`]: it is none of this version.
#[cfg(feature = "compiler")]
pub fn find(host: &[u8]) -> Result<usize, NotAHost> {
    let marker = &place()[..KIND];
    let starts = (0..host.len().saturating_sub(BYTES - 1)).step_by(ALIGNMENT);
    let found: Vec<usize> = starts.filter(|at| host[*at..].starts_with(marker)).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        other => Err(NotAHost(other.len())),
    }
}

/// Which host a file is of.
#[cfg(feature = "compiler")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one that is shipped.
    Production {
        /// Whether it runs components of WASI 0.3.
        p3: bool,
    },
    /// One that has a compiler in it and can be composed with other surroundings.
    Lab,
}

/// Which host the file is of.
///
/// # Errors
/// [`NotAHost`].
#[cfg(feature = "compiler")]
pub fn kind(host: &[u8]) -> Result<Kind, NotAHost> {
    match host[find(host)? + KIND] {
        PRODUCTION => Ok(Kind::Production { p3: false }),
        PRODUCTION_P3 => Ok(Kind::Production { p3: true }),
        LAB => Ok(Kind::Lab),
        _ => Err(NotAHost(0)),
    }
}

#[cfg(feature = "compiler")]
impl Slot {
    /// The slot in the file of a host; None if it is empty.
    ///
    /// # Errors
    /// [`NotAHost`].
    pub fn of(host: &[u8]) -> Result<Option<Self>, NotAHost> {
        let at = find(host)?;
        let bytes = host[at..at + BYTES].try_into().map_err(|_| NotAHost(0))?;
        Ok(Self::parse(bytes))
    }

    /// Writes itself into the file of a host.
    ///
    /// # Errors
    /// [`NotAHost`].
    pub fn put(&self, host: &mut [u8]) -> Result<(), NotAHost> {
        let at = find(host)?;
        let name = self.product.as_bytes();
        let length = u8::try_from(name.len()).ok().filter(|length| usize::from(*length) < BYTES - NAME);
        let length = length.ok_or(NotAHost(1))?;
        let slot = &mut host[at..at + BYTES];
        slot[MARKER..].fill(0);
        slot[MARKER..NAME].copy_from_slice(&self.key.0);
        slot[NAME] = length;
        slot[NAME + 1..=NAME + name.len()].copy_from_slice(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_never_packed() {
        assert_eq!(Slot::own(), None);
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn what_is_put_is_found_and_a_host_has_one_place() {
        let slot = Slot { key: PublicKey([7; 32]), product: "thumbnails".into() };
        let mut host = vec![1; 192];
        assert_eq!(slot.put(&mut host), Err(NotAHost(0)));
        host.extend_from_slice(&place());
        host.extend_from_slice(&[2; 100]);
        assert_eq!(Slot::of(&host), Ok(None));
        slot.put(&mut host).unwrap();
        assert_eq!(Slot::of(&host), Ok(Some(slot.clone())));
        host.resize(384, 0);
        host.extend_from_slice(&place());
        assert_eq!(slot.put(&mut host), Err(NotAHost(2)));
    }

    #[test]
    fn each_byte_after_a_name_is_zero() {
        let mut bytes = place();
        bytes[MARKER] = 1;
        bytes[NAME] = 2;
        bytes[NAME + 1..NAME + 3].copy_from_slice(b"ab");
        assert_eq!(Slot::parse(&bytes).unwrap().product, "ab");
        bytes[BYTES - 1] = 1;
        assert_eq!(Slot::parse(&bytes), None);
        bytes[NAME] = 255;
        assert_eq!(Slot::parse(&bytes), None);
    }
}
