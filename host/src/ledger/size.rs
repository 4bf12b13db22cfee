//! How large a ledger gets, and how long it takes to open.

use tollgate_metering::HOUR_S;

use super::*;

#[path = "../../benches/ledger/year.rs"]
mod year;

/// A ledger stops growing when its first hours are forgotten, after three days at most: from then on what comes replaces
/// what goes. So a few days show what a year comes to, and 4 dimensions a sixth of what 24 do; `benches/ledger` writes
/// the whole year of 24.
#[test]
fn a_busy_ledger_stays_small_and_reads_back_as_itself() {
    const DAYS: u32 = 6;
    const DIMENSIONS: u32 = 4;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("ledger.sqlite");
    let mut year = year::Year::begin(&database, DIMENSIONS);
    let day = |year: &mut year::Year| {
        (0..24).for_each(|_| _ = year.hour());
        year::bytes(folder.path()) / 1_000_000
    };
    let megabytes: Vec<u64> = (0..DAYS).map(|_| day(&mut year)).collect();
    let (ledger, recorded) = (year.ledger.clone(), year.ledger.balance().recorded);
    drop(year);
    let mut store = Sqlite::open(&database, true).unwrap();
    let again = fold(store.load().unwrap()).unwrap();
    assert_eq!(again, ledger);
    assert_eq!(recorded, u128::from(DAYS * 24 * DIMENSIONS) * (100 * 1_000 + 99 * 50));
    assert_eq!(HOUR_S * u64::from(DAYS) * 24 + 490_000 * HOUR_S, ledger.alive_at());
    assert!(
        megabytes.iter().all(|&megabytes| megabytes * 24 / u64::from(DIMENSIONS) < 100),
        "MB after each day: {megabytes:?}"
    );
    assert!(megabytes[5] <= megabytes[3] + 1, "still growing: {megabytes:?}");
}
