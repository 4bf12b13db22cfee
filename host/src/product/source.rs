//! A product before AWS was asked: its manifest is known, its code was looked at by nobody but the signature.

use std::path::Path;
#[cfg(feature = "compiler")]
use std::path::PathBuf;

use super::bundle::{Bundle, Damaged};
use super::manifest::Manifest;

/// Where a product comes from.
#[derive(Debug)]
pub struct Source {
    code: Held,
}

#[derive(Debug)]
pub(super) enum Held {
    /// In the executable, signed and compiled.
    Bundle(Box<Bundle>),
    /// As files of a folder, to be compiled.
    #[cfg(feature = "compiler")]
    Folder(PathBuf, Box<Manifest>),
}

impl Source {
    /// The product in this executable: the only source of the production host.
    ///
    /// # Errors
    /// [`Damaged`]: there is none, or it is not as it was packed.
    pub fn own() -> Result<Self, Damaged> {
        Bundle::own().map(Self::from)
    }

    /// A folder with `product.toml`, for development.
    ///
    /// # Errors
    /// Every mistake of the manifest.
    #[cfg(feature = "compiler")]
    pub fn folder(folder: &Path) -> Result<Self, super::manifest::ManifestErrors> {
        let code = Held::Folder(folder.to_owned(), Box::new(Manifest::read(folder)?));
        Ok(Self { code })
    }

    /// What the product says about itself.
    pub fn manifest(&self) -> &Manifest {
        match &self.code {
            Held::Bundle(bundle) => &bundle.manifest,
            #[cfg(feature = "compiler")]
            Held::Folder(_, manifest) => manifest,
        }
    }

    /// The file or folder that it is in; not for guests to see.
    pub fn path(&self) -> &Path {
        match &self.code {
            Held::Bundle(bundle) => &bundle.path,
            #[cfg(feature = "compiler")]
            Held::Folder(folder, _) => folder,
        }
    }

    /// The bundle, if it is one.
    pub fn bundle(&self) -> Option<&Bundle> {
        match &self.code {
            Held::Bundle(bundle) => Some(bundle),
            #[cfg(feature = "compiler")]
            Held::Folder(..) => None,
        }
    }

    pub(super) fn held(&self) -> &Held {
        &self.code
    }
}

impl From<Bundle> for Source {
    fn from(bundle: Bundle) -> Self {
        Self { code: Held::Bundle(Box::new(bundle)) }
    }
}
