//! Folders of the operator that components may see: the manifest says which, the operator says below which root.
//!
//! A mount is refused if it could show more than was meant: if a symbolic link leads it out of the root, or if it would
//! show the ledger, the product, or what the platform keeps for the host.

use std::path::{Path, PathBuf};

use tollgate_runtime::component::Mount;

use super::manifest::MountEntry;
use crate::exit::{Exit, Why};

/// What no guest may look into, besides the host's own folders.
const PLATFORMS: [&str; 5] = ["/dev", "/proc", "/run/secrets", "/sys", "/var/run/secrets"];

/// Where mounts may lie, and where not.
#[derive(Debug)]
pub struct Mounts {
    root: Option<PathBuf>,
    hidden: Vec<PathBuf>,
}

/// Why a folder is not mounted: the operator has to change something.
#[derive(Debug, thiserror::Error)]
pub enum NotMounted {
    /// There is no root.
    #[error("the product mounts {wanted:?}, and TOLLGATE_MOUNTS is not set")]
    NoRoot {
        /// The folder that the manifest names.
        wanted: PathBuf,
    },
    /// There is no such folder.
    #[error("mount {path}: {error}")]
    NotThere {
        /// The folder.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A link leads elsewhere.
    #[error("mount {path}: leads to {real}, out of TOLLGATE_MOUNTS")]
    Escapes {
        /// The folder.
        path: String,
        /// Where it is.
        real: String,
    },
    /// It would show what is not the guest's.
    #[error("mount {path}: would show {hidden} to the guest")]
    Shows {
        /// The folder.
        path: String,
        /// What is not for guests.
        hidden: String,
    },
}

impl Mounts {
    /// Below `root`; never what is in or around one of `hidden`.
    pub fn new(root: Option<PathBuf>, hidden: &[&Path]) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let hidden = hidden.iter().copied().chain(PLATFORMS.iter().map(Path::new)).map(real).collect();
        Self { root, hidden }
    }

    /// The folder of one entry of the manifest.
    ///
    /// # Errors
    /// [`NotMounted`] says what the operator has to change.
    pub fn find(&self, entry: &MountEntry) -> Result<Mount, NotMounted> {
        let root = self.root.as_ref().ok_or_else(|| NotMounted::NoRoot { wanted: entry.source.clone() })?;
        let wanted = root.join(&entry.source);
        let path = wanted.display().to_string();
        let not_there = |error| NotMounted::NotThere { path: path.clone(), error };
        let real = wanted.canonicalize().map_err(not_there)?;
        if !real.starts_with(root.canonicalize().map_err(not_there)?) {
            return Err(NotMounted::Escapes { path, real: real.display().to_string() });
        }
        if !real.is_dir() {
            return Err(not_there(std::io::ErrorKind::NotADirectory.into()));
        }
        if let Some(hidden) = self.hidden.iter().find(|hidden| hidden.starts_with(&real) || real.starts_with(hidden)) {
            return Err(NotMounted::Shows { path, hidden: hidden.display().to_string() });
        }
        Ok(Mount { host: real, guest: entry.target.clone(), write: entry.write })
    }
}

impl NotMounted {
    /// The operator's words.
    pub fn exit(&self, component: &str) -> Exit {
        let what = format!("component \"{component}\": {self}");
        let next =
            "mount a volume into the container, and set TOLLGATE_MOUNTS to the folder above those the product names";
        Exit::new(Why::Configuration, what, "the product works on folders that only the operator can give", next)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A root with `data`, `ledger`, a file, and links: one inside, one out, one to the ledger.
    fn check(source: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mounts");
        for name in ["mounts/data/deep", "mounts/ledger", "outside"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::write(root.join("file"), "").unwrap();
        symlink("data", root.join("inner")).unwrap();
        symlink(folder.path().join("outside"), root.join("outer")).unwrap();
        symlink("ledger", root.join("books")).unwrap();
        let mounts = Mounts::new(Some(root.clone()), &[&root.join("ledger")]);
        let entry = MountEntry { source: source.into(), target: "/data".into(), write: false };
        let found = match mounts.find(&entry) {
            Ok(mount) => mount.host.display().to_string(),
            Err(error) => error.to_string(),
        };
        found.replace(&folder.path().canonicalize().unwrap().display().to_string(), "")
    }

    #[test]
    fn a_mount_shows_its_folder_and_nothing_around_it() {
        let sources = ["data", "data/deep", "inner", "file", "gone", "outer", "ledger", "books", "."];
        let lines: Vec<String> = sources.iter().map(|source| format!("{source} -> {}", check(source))).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        data -> /mounts/data
        data/deep -> /mounts/data/deep
        inner -> /mounts/data
        file -> mount /mounts/file: not a directory
        gone -> mount /mounts/gone: No such file or directory (os error 2)
        outer -> mount /mounts/outer: leads to /outside, out of TOLLGATE_MOUNTS
        ledger -> mount /mounts/ledger: would show /mounts/ledger to the guest
        books -> mount /mounts/books: would show /mounts/ledger to the guest
        . -> mount /mounts/.: would show /mounts/ledger to the guest
        ");
    }

    #[test]
    fn without_a_root_the_operator_is_told_what_is_missing() {
        let entry = MountEntry { source: "data".into(), target: "/data".into(), write: false };
        let error = Mounts::new(None, &[]).find(&entry).unwrap_err();
        insta::assert_snapshot!(error.exit("api").message(), @r#"
        tollgate-host: bad configuration (exit 64)
          what : component "api": the product mounts "data", and TOLLGATE_MOUNTS is not set
          cause: the product works on folders that only the operator can give
          next : mount a volume into the container, and set TOLLGATE_MOUNTS to the folder above those the product names
        "#);
    }

    #[test]
    fn the_whole_machine_is_never_mounted() {
        let entry = MountEntry { source: ".".into(), target: "/data".into(), write: false };
        assert!(matches!(Mounts::new(Some("/".into()), &[]).find(&entry), Err(NotMounted::Shows { .. })));
    }
}
