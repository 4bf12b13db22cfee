//! How the commands find the host that has a ledger, and show it that they may read the ledger's folder.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

const NAME: &str = "admin";

/// Where a running host answers, and the word that only readers of its ledger's folder know.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The admin port, from the same machine.
    pub address: SocketAddr,
    /// 256 random bits in hexadecimal, new for each process.
    pub token: Zeroizing<String>,
}

impl Access {
    /// A new token for the host that answers on `listens`.
    pub fn new(listens: SocketAddr, random: [u8; 32]) -> Self {
        let ip = match listens.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let mut token = Zeroizing::new(String::with_capacity(2 * random.len()));
        token.extend(random.iter().map(|byte| format!("{byte:02x}")));
        Self { address: SocketAddr::new(ip, listens.port()), token }
    }

    /// Leaves it in the folder of the ledger, for the user of this process and nobody else.
    ///
    /// # Errors
    /// The file cannot be written. Commands then do not find the host.
    pub fn leave(&self, folder: &Path) -> std::io::Result<()> {
        let (path, new) = (folder.join(NAME), folder.join(format!("{NAME}.new")));
        // One that is there could have been made by somebody else, with other rights.
        std::fs::remove_file(&new).or_else(absent)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(Zeroizing::new(format!("{}\n{}\n", self.address, *self.token)).as_bytes())?;
        drop(file);
        std::fs::rename(new, path)
    }

    /// What the host that has this folder left there.
    pub fn read(folder: &Path) -> Option<Self> {
        let text = Zeroizing::new(std::fs::read_to_string(folder.join(NAME)).ok()?);
        let (address, rest) = text.split_once('\n')?;
        let token = rest.strip_suffix('\n').filter(|token| token.len() == 64)?.to_owned();
        Some(Self { address: address.parse().ok()?, token: Zeroizing::new(token) })
    }

    /// True if somebody showed the token. Takes the same time for every wrong one.
    pub fn shown(&self, token: &str) -> bool {
        verify_slices_are_equal(self.token.as_bytes(), token.as_bytes()).is_ok()
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("address", &self.address).finish_non_exhaustive()
    }
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_user_of_the_host_can_read_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::new("0.0.0.0:9080".parse().unwrap(), [7; 32]);
        assert_eq!(access.address, "127.0.0.1:9080".parse().unwrap());
        std::fs::write(folder.path().join(NAME), "readable by all").unwrap();
        access.leave(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Access::read(folder.path()), Some(access.clone()));
        assert!(access.shown(&"07".repeat(32)) && !access.shown("07") && !access.shown(&"08".repeat(32)));
        assert!(!format!("{access:?}").contains("0707"));
    }
}
