//! Runs `tests/scenarios/*.txt`: one command a line after `> `, and below it what it says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::fmt::Write as _;
use std::path::Path;

mod properties;
mod world;

/// Runs the commands of a script and writes the whole script anew.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios").join(name);
    let script = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut world = world::World::default();
    let mut run = String::new();
    let mut after_comment = true;
    for line in script.lines() {
        if line.starts_with('#') {
            let gap = if after_comment { "" } else { "\n" };
            writeln!(run, "{gap}{line}").unwrap();
        } else if let Some(command) = line.strip_prefix("> ") {
            writeln!(run, "{line}").unwrap();
            world.run(command).iter().for_each(|said| writeln!(run, "    {said}").unwrap());
        }
        after_comment = line.starts_with('#');
    }
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if run != script {
        std::fs::write(&new, &run).unwrap();
    }
    assert!(run == script, "{name} says something else now; if it is right, copy {} there:\n{run}", new.display());
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".txt"));
        })*

        #[test]
        fn every_script_is_run() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".txt"))
                .collect();
            let mut run = vec![$(concat!(stringify!($name), ".txt").to_owned()),*];
            found.sort();
            run.sort();
            assert_eq!(found, run);
        }
    };
}

scenarios! {
    adoption
    adoption_clock
    adoption_occupied
    allocations
    carry
    clock_ahead_for_good_still_seals
    clock_ahead_seals_nothing_until_confirmed
    clock_ahead_under_a_new_ledger_leaves_no_future_hour
    clock_back_books_to_the_newest_hour
    clock_frozen_is_corrected_by_date
    compaction
    crash
    duplicate
    entitlement
    final_seal
    first_hour
    hour_boundary
    identity_change
    late_usage
    listings
    overflow
    paused_container_goes_on_where_it_was
    remainders
    replies
    retry_planned_by_a_clock_that_was_ahead_is_not_waited_for
    standing
    zero_records
}
