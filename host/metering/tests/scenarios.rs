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
    allocations_are_canonical_and_add_up
    allocations_fold_the_smallest_of_over_2500_sets
    carry_is_refused_after_a_fork
    carry_is_refused_after_a_gap
    carry_is_refused_after_a_restore
    carry_moves_what_was_never_taken
    carry_never_mixes_price_units_or_overflows
    carry_undeclared_expires
    clock_ahead_for_good_still_seals
    clock_ahead_seals_nothing_until_confirmed
    clock_ahead_under_a_new_ledger_leaves_no_future_hour
    clock_back_books_to_the_newest_hour
    clock_frozen_is_corrected_by_date
    compaction_forgets_nothing_that_matters
    compaction_keeps_an_hour_for_two_days_and_what_comes_to_it
    crash_resends_the_identical_request
    duplicate_with_another_quantity_is_a_conflict
    end_of_the_process_looks_again_when_the_next_hour_begins
    end_of_the_process_seals_and_sends_the_running_hour
    end_of_the_process_with_too_little_time
    entitlement_lost_in_mid_run_goes_on
    entitlement_question_takes_its_hour
    entitlement_refused_at_the_first_record_ends_the_process
    entitlement_without_a_proof_counts_from_the_first_grant
    first_hour_of_a_new_ledger_is_taken_under_an_older_identity
    hour_boundary
    idle_hours_send_zero_only_if_asked
    idle_hours_are_given_up_and_never_carried_or_adopted
    idle_hours_that_are_forgotten_are_not_sent_as_zero
    late_usage_after_a_restart_in_the_same_pod_and_hour
    late_usage_goes_to_the_earliest_unsealed_hour
    listing_change_with_usage_open
    listing_that_no_longer_sends_leaves_its_records_unsent
    paused_container_goes_on_where_it_was
    per_change_with_usage_open
    poisoned_record_never_blocks_another
    quantity_over_2147483647_moves_or_is_given_up
    remainder_joins_the_next_hour_that_it_helps
    remainder_of_the_oldest_kept_hour_stays_in_it
    remainder_of_two_hours_that_end_together_is_counted_in_order
    remainder_over_months_is_never_lost_or_rounded_up
    reply_after_the_outcome_is_final_changes_nothing
    reply_not_processed_is_sent_again_later
    reply_of_every_class_in_every_order
    reply_tags_refused_is_sent_once_without_them
    reply_without_record_id_is_unknown
    retry_planned_by_a_clock_that_was_ahead_is_not_waited_for
    sealed_never_tried_is_sent_under_a_new_identity
    settlement_needs_evidence_and_a_reason
    sleep_ends_when_something_new_can_be_said
    standing_counts_from_the_oldest_hour_that_waits
    standing_stops_where_somebody_else_meters
    sum_that_does_not_fit_is_refused
    throttling_of_a_whole_fleet_spreads_out
    unknown_outcome_back_under_its_own_identity_is_sent_again
    unknown_outcome_under_another_identity_is_in_doubt
    unknown_outcome_under_the_same_identity_is_sent_again
    volume_adopts_a_folder_whose_process_only_restarts
    volume_adopts_nothing_into_an_hour_before_its_own
    volume_adopts_what_another_identity_left
    volume_completes_each_of_several_hand_overs
    volume_leaves_what_would_be_a_second_record
    window_after_an_unknown_outcome_is_in_doubt
    window_is_left_ten_minutes_before_six_hours
}
