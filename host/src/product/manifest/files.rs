//! The files that a manifest names: beside it in a folder, or with it in a bundle.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Where the files of a manifest are.
pub(super) enum Files<'a> {
    /// Relative paths start here.
    Folder(&'a Path),
    /// The keys, by the path in the manifest; components are beside them in the bundle.
    Packed(&'a BTreeMap<String, String>),
}

impl Files<'_> {
    /// Where relative paths start.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Packed(_) => Path::new(""),
        }
    }

    /// The text of a file.
    pub(super) fn text(&self, path: &str) -> io::Result<String> {
        match self {
            Self::Folder(folder) => std::fs::read_to_string(folder.join(path)),
            Self::Packed(keys) => keys.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

/// A manifest in its one spelling, and what it names.
#[cfg(feature = "compiler")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// The text: no comments, keys in order.
    pub text: String,
    /// The files of the public keys, as the manifest names them.
    pub key_files: Vec<String>,
}

/// The one spelling of a manifest: what is signed says nothing that is not read. `text` is a manifest without mistakes;
/// None if it is not even TOML.
#[cfg(feature = "compiler")]
pub fn canonical(text: &str) -> Option<Canonical> {
    let table: toml::Table = text.parse().ok()?;
    let listings = table.get("listing").and_then(toml::Value::as_array).into_iter().flatten();
    let keys = listings.filter_map(|listing| listing.get("public_keys")?.as_table());
    let key_files = keys.flat_map(|keys| keys.values().filter_map(|file| file.as_str().map(str::to_owned))).collect();
    Some(Canonical { text: toml::to_string(&table).ok()?, key_files })
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    #[test]
    fn one_meaning_has_one_spelling() {
        let one =
            canonical("# ours\n[product]\nversion = '1'\nname = \"p\"\n[[listing]]\npublic_keys = { 1 = 'a.pem' }");
        let other = canonical("listing = [{ public_keys.1 = \"a.pem\" }]\n[product]\nname = 'p'\nversion = '1'");
        assert_eq!(one, other);
        let one = one.unwrap();
        assert_eq!(one.key_files, ["a.pem"]);
        assert!(!one.text.contains("ours"), "{}", one.text);
    }
}
