//! `tollgate keygen`: the key that a vendor's products are signed with.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tollgate_host::product::bundle::key::SigningKey;

use crate::arguments::Keygen;
use crate::trouble::{Result, Trouble};
use crate::words;

/// Writes a new key pair.
///
/// # Errors
/// One of the two files is there already, or cannot be written.
pub fn run(arguments: &Keygen) -> Result<()> {
    let public = public_path(&arguments.file);
    for path in [&arguments.file, &public] {
        if path.exists() {
            return Err(Trouble::new(
                format!("{} is there already", path.display()),
                "whoever loses the key of a product cannot sign its next version",
                "choose another file name; nothing was written",
            ));
        }
    }
    let failed = || Trouble::new("the system gives no random numbers", "", "try again");
    let key = SigningKey::generate().ok_or_else(failed)?;
    write_new(&arguments.file, 0o600, &key.to_pem().ok_or_else(failed)?)?;
    write_new(&public, 0o644, &key.public().to_pem())?;
    words::good(&format!(
        "secret key {}: sign with it, keep it out of images and repositories",
        arguments.file.display()
    ));
    words::good(&format!("public key {}: anybody can check with it", public.display()));
    words::data(&key.public().to_string());
    Ok(())
}

/// Beside the secret key.
fn public_path(secret: &Path) -> PathBuf {
    let mut name = secret.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Only if there is no such file yet, whatever happens between looking and writing.
fn write_new(path: &Path, mode: u32, text: &str) -> Result<()> {
    let failed = |error| Trouble::file("write", path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}
