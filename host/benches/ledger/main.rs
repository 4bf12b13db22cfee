//! Writes the whole year of a busy ledger and says how large it gets and how long it takes to open.
//!
//! `cargo bench -p tollgate-host --bench ledger`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking and prints its numbers")]

use tollgate_host::clock::Clock;
use tollgate_host::ledger::{Sqlite, Store, fold};

mod year;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("ledger.sqlite");
    let clock = Clock::system();
    let mut year = year::Year::begin(&database, 24);
    let mut largest = 0;
    let begun_ms = clock.boot_ms();
    for day in 1..=365 {
        (0..24).for_each(|_| year.hour());
        largest = largest.max(year::bytes(folder.path()));
        if day % 73 == 0 {
            println!(
                "day {day}: {} MB, at most {} MB so far",
                year::bytes(folder.path()) / 1_000_000,
                largest / 1_000_000
            );
        }
    }
    println!("written in {} s", (clock.boot_ms() - begun_ms) / 1_000);
    let ledger = year.ledger.clone();
    drop(year);
    let before_ms = clock.boot_ms();
    let mut store = Sqlite::open(&database, true).unwrap();
    let again = fold(store.load().unwrap()).unwrap();
    println!("opened and checked in {} ms: the same ledger: {}", clock.boot_ms() - before_ms, again == ledger);
}
