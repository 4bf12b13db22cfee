//! `tollgate image`: a container image of a packed product, written by hand: no daemon, no base image, no shell.
//!
//! One layer with one program in it, started as a user without a name. The same file gives the same image, byte for
//! byte: no times, no names of this machine. There are no attestations beside it, which AWS Marketplace refuses.

use std::path::Path;

use tollgate_host::product::bundle::Bundle;

use crate::arguments::Image;
use crate::inspect;
use crate::trouble::{Result, Trouble};
use crate::words;

mod config;
pub(crate) mod elf;
mod layer;
mod layout;

use layout::Blob;

/// Writes the image.
///
/// # Errors
/// The file is no packed product, would not start in an empty image, or the output cannot be written.
pub fn run(arguments: &Image) -> Result<()> {
    let bundle = inspect::open(&arguments.file)?;
    let program = std::fs::read(&arguments.file).map_err(|error| Trouble::file("read", &arguments.file, &error))?;
    starts_alone(&arguments.file, &program)?;
    let image = layout::image(&bundle, &layer::layer(&program));
    let name = reference(&bundle);
    let output = &arguments.output;
    if output.extension().is_some_and(|kind| kind == "tar") {
        let archive = layout::archive(&image, &name);
        std::fs::write(output, archive).map_err(|error| Trouble::file("write", output, &error))?;
        words::good(&format!("{name}: docker load -i {}", output.display()));
    } else {
        write_layout(output, &image, &name)?;
        words::good(&format!("{name}: skopeo copy oci:{} docker://REGISTRY/{name}", output.display()));
    }
    words::detail("run it with a read-only root and a volume at /var/lib/tollgate");
    words::data(&image.manifest.digest());
    Ok(())
}

/// Name and version, as images are called.
fn reference(bundle: &Bundle) -> String {
    let product = &bundle.manifest.product;
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let tag: String = product.version.chars().map(|c| if legal(c) { c } else { '-' }).take(128).collect();
    format!("{}:{}", product.name, tag.trim_start_matches(['.', '-']))
}

fn starts_alone(path: &Path, program: &[u8]) -> Result<()> {
    match elf::interpreter(program) {
        Some(None) => Ok(()),
        Some(Some(linker)) => Err(Trouble::new(
            format!("{} needs the dynamic linker {linker}, and an empty image has none", path.display()),
            "it was packed on a host that was not built to stand alone",
            "leave out --host when you pack: the host is then built with target-feature=+crt-static",
        )),
        None => Err(Trouble::new(format!("{} is no 64-bit ELF program", path.display()), "", "")),
    }
}

fn write_layout(folder: &Path, image: &layout::Image, name: &str) -> Result<()> {
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Trouble::new(
            format!("{} is not empty", folder.display()),
            "",
            "name a new folder: what is in an image must be clear",
        ));
    }
    for (path, bytes) in layout::files(image, name) {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| Trouble::file("make", parent, &error))?;
        std::fs::write(&path, bytes).map_err(|error| Trouble::file("write", &path, &error))?;
    }
    Ok(())
}

/// A digest as images have them.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

impl Blob {
    fn digest(&self) -> String {
        sha256(&self.bytes)
    }
}
