//! The raw limit: appending and `fdatasync` in a loop, and nothing else.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// Seconds for one append of `bytes` with its `fdatasync`: the median of those within `slice`.
pub(crate) fn append_and_sync(folder: &Path, bytes: usize, slice: Duration) -> f64 {
    let path = folder.join("loop");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file on the disk of the ledger");
    let group = vec![b'u'; bytes];
    let begun = super::now();
    let mut times = Vec::new();
    while begun.elapsed() < slice {
        let since = super::now();
        file.write_all(&group).and_then(|()| file.sync_data()).expect("room on the disk");
        times.push(since.elapsed().as_secs_f64());
    }
    std::fs::remove_file(&path).expect("the file that was just made");
    super::table::Spread::of(&times).median
}
