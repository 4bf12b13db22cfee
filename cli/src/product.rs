//! A product's folder as the tool sees it: its manifest, its components, a copy of it to run from.

use std::path::{Path, PathBuf};

use tollgate_host::product::manifest::{Entitlement, FILE_NAME, Listing, Manifest};

use crate::build;
use crate::control::Control;
use crate::trouble::{Result, Trouble};

/// A product's folder and its manifest.
#[derive(Debug)]
pub struct Product {
    /// The folder with product.toml; absolute.
    pub folder: PathBuf,
    /// What product.toml says.
    pub manifest: Manifest,
}

impl Product {
    /// Reads product.toml in `folder`.
    ///
    /// # Errors
    /// There is none, or it has mistakes; all of them are reported.
    pub fn read(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder).map_err(|error| Trouble::file("find", folder, &error))?;
        let manifest = Manifest::read(&folder).map_err(|mistakes| {
            Trouble::new(
                format!("the product in {} cannot be used:\n{mistakes}", folder.display()),
                "",
                "correct these lines, or name the folder that has product.toml in it",
            )
        })?;
        Ok(Self { folder, manifest })
    }

    /// Its name in product.toml.
    pub fn name(&self) -> &str {
        &self.manifest.product.name
    }

    /// The files of its components.
    pub fn sources(&self) -> Vec<PathBuf> {
        self.manifest.components.iter().map(|component| component.source.clone()).collect()
    }

    /// The dimensions that are counted: those that only prove entitlement are not among them.
    pub fn sold(&self) -> Vec<String> {
        let proves = |key: &str| {
            self.manifest.listings.iter().any(
                |listing| matches!(&listing.entitlement, Entitlement::ZeroRecord { dimension } if dimension == key),
            )
        };
        let keys = self.manifest.dimensions.iter().map(|dimension| dimension.key.clone());
        keys.filter(|key| !proves(key)).collect()
    }

    /// Builds what is not built yet.
    ///
    /// # Errors
    /// See [`build::components`].
    pub async fn build(&self) -> Result<()> {
        build::components(&self.folder, &self.sources()).await
    }

    /// Makes each listing known to the emulator; subscribes to none.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn announce(&self, control: &Control) -> Result<()> {
        for listing in &self.manifest.listings {
            let dimensions: Vec<String> =
                self.manifest.dimensions.iter().map(|dimension| dimension.key.clone()).collect();
            control.product(&listing.product_code, pricing(listing), &dimensions).await?;
        }
        Ok(())
    }

    /// Makes each listing known to the emulator, and subscribes the buyer to all of them.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn sell(&self, control: &Control) -> Result<()> {
        self.announce(control).await?;
        for listing in &self.manifest.listings {
            control.subscribe(&listing.product_code, true).await?;
        }
        Ok(())
    }

    /// Copies product.toml (through `edit`), its keys and its components into `folder`, so that what happens to these
    /// files is caused by one host alone.
    ///
    /// # Errors
    /// A file cannot be copied, or lies outside the product's folder.
    pub fn stage(&self, folder: &Path, edit: impl FnOnce(String) -> String) -> Result<Self> {
        let mut files = self.sources();
        files.extend(std::fs::read_dir(self.folder.join("keys")).into_iter().flatten().flatten().map(|key| key.path()));
        for file in files {
            let inside = file
                .strip_prefix(&self.folder)
                .map_err(|_| Trouble::new(format!("{} is outside the product's folder", file.display()), "", ""))?;
            let copy = folder.join(inside);
            let parent = copy.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|error| Trouble::file("make", parent, &error))?;
            std::fs::copy(&file, &copy).map_err(|error| Trouble::file("copy", &file, &error))?;
        }
        let original = self.folder.join(FILE_NAME);
        let text = std::fs::read_to_string(&original).map_err(|error| Trouble::file("read", &original, &error))?;
        let copy = folder.join(FILE_NAME);
        std::fs::write(&copy, edit(text)).map_err(|error| Trouble::file("write", &copy, &error))?;
        Self::read(folder)
    }
}

/// The emulator knows what the metering service knows: sold by custom dimensions, or metered by AWS itself.
fn pricing(listing: &Listing) -> &'static str {
    match listing.entitlement {
        Entitlement::ZeroRecord { .. } | Entitlement::DryRun { .. } => "custom",
        Entitlement::Register { .. } | Entitlement::None => "hourly",
    }
}
