//! What the figures were measured on.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::table::Spread;

pub(crate) fn text(disk: &Path) -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed =
        if said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() { "" } else { ", changed" };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}, commit {commit}{changed}. {} with {cores} processors, Linux {}, load {} before. The ledger's disk ({}): {} us for one append of 4 KiB and \
         `fdatasync` (median, min to max).\n",
        said("date", &["-u", "+%F %H:%M UTC"]),
        model.trim_start_matches(['\t', ' ', ':']),
        said("uname", &["-r"]),
        load.split(' ').next().unwrap_or_default(),
        said("stat", &["--file-system", "--format=%T", &disk.display().to_string()]),
        sync_us(disk, Duration::from_secs(1)),
    )
}

/// Microseconds for one append and its `fdatasync`, again and again.
pub(crate) fn sync_us(folder: &Path, slice: Duration) -> Spread {
    let path = folder.join("loop");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file on the disk of the ledger");
    let begun = super::now();
    let mut times = Vec::new();
    while begun.elapsed() < slice {
        let since = super::now();
        file.write_all(&[b'u'; 4096]).and_then(|()| file.sync_data()).expect("room on the disk");
        times.push(since.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(&path).expect("the file that was just made");
    Spread::of(&times)
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(super::root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
