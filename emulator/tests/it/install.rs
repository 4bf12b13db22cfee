//! Real clients from their ordinary packages, kept between runs. A registry that cannot be reached fails the test: a
//! client that is not tried is not a client that works.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// One version for all: the service model and the clients read from it.
pub(crate) const BOTOCORE: &str = "botocore==1.44.5";
const PYTHON: &str = "boto3==1.44.5\nawscli==1.46.2\nPyJWT[crypto]==2.15.1\n";
const NODE: &str = "@aws-sdk/client-marketplace-metering@3.1138.0";

/// A Python with boto3, the AWS CLI and PyJWT; `bin/python` and `bin/aws` are in it.
pub(crate) fn python() -> PathBuf {
    kept("python", &format!("{BOTOCORE}\n{PYTHON}"), |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let pip = folder.join("bin/pip");
        run(Command::new(pip)
            .args(["install", "--quiet", "--disable-pip-version-check", BOTOCORE])
            .args(PYTHON.lines()));
    })
}

/// The wheel of botocore, which holds the service model.
pub(crate) fn botocore() -> PathBuf {
    kept("botocore", BOTOCORE, |folder| {
        let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"];
        run(Command::new("python3").args(pip).arg(folder).arg(BOTOCORE));
    })
}

/// A folder whose `node_modules` holds the AWS SDK for JavaScript.
pub(crate) fn node() -> PathBuf {
    kept("node", NODE, |folder| {
        let npm = ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix"];
        run(Command::new("npm").args(npm).arg(folder).arg(NODE));
    })
}

/// Debian's package of the AWS CLI v2 with all it depends on, unpacked beside the system and not into it.
pub(crate) fn debian() -> PathBuf {
    kept("debian", "awscli", |folder| {
        for part in ["lists/partial", "cache/archives/partial", "state", "root"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        // To this apt nothing is installed, so that it fetches the Python that the package was built for as well.
        fs::write(folder.join("state/status"), "").unwrap();
        let apt = |arguments: &[&str]| {
            let place = |name: &str, path: &str| format!("{name}={}", folder.join(path).display());
            let places = [
                place("Dir::State", "state"),
                place("Dir::State::lists", "lists"),
                place("Dir::State::status", "state/status"),
                place("Dir::Cache", "cache"),
                "Debug::NoLocking=1".to_owned(),
                "APT::Sandbox::User=".to_owned(),
            ];
            run(Command::new("apt-get").args(places.iter().flat_map(|place| ["-o", place])).args(arguments));
        };
        let _turn = apt_turn();
        apt(&["--quiet", "update"]);
        apt(&["--quiet", "--yes", "--no-install-recommends", "--download-only", "install", "awscli"]);
        for entry in fs::read_dir(folder.join("cache/archives")).unwrap() {
            let package = entry.unwrap().path();
            let name = package.file_name().unwrap().to_str().unwrap().to_owned();
            // The C library must be the one that the system's loader belongs to.
            if name.ends_with(".deb") && !name.starts_with("libc6_") {
                run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(folder.join("root")));
                fs::remove_file(&package).unwrap();
            }
        }
    })
}

/// Debian packages into the system, unless all of these files are there; that takes root.
pub(crate) fn system(packages: &[&str], files: &[&str]) {
    let there = || files.iter().all(|file| Path::new(file).exists());
    if there() {
        return;
    }
    let _turn = apt_turn();
    // Who had the turn before may have installed the same.
    if !there() {
        let apt = |arguments: &[&str]| {
            let patient = ["-o", "DPkg::Lock::Timeout=600"];
            run(Command::new("apt-get").args(patient).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"));
        };
        apt(&["--quiet", "update"]);
        apt(&[&["--quiet", "--yes", "--no-install-recommends", "install"], packages].concat());
    }
}

/// Held while apt is at work, by every test of this machine: one that updates its lists deletes, as some images have it,
/// the packages that another is about to unpack, and no lock of apt's own is in the way of that.
fn apt_turn() -> fs::File {
    let turn = fs::File::create(std::env::temp_dir().join("tollgate-apt.lock")).unwrap();
    turn.lock().unwrap();
    turn
}

/// The folder `name`, made anew by `make` unless it was made by the same recipe before.
fn kept(name: &str, recipe: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    let done = folder.join("complete");
    if fs::read_to_string(&done).is_ok_and(|made_by| made_by == recipe) {
        return folder;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    make(&folder);
    fs::write(done, recipe).unwrap();
    folder
}

/// Runs a command of the installation to its end; its output. Panics with what it said when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a client cannot be installed (is its registry reachable?): {command:?}\n{said}");
    String::from_utf8(output.stdout).unwrap()
}
