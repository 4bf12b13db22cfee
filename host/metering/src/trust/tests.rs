use alloc::format;
use alloc::string::String;

use super::*;

/// One look at the clocks, as `seconds confirmed?`.
fn look(trust: &mut Trust, wall: u64, boot: u64) -> String {
    let now = trust.now(wall, boot);
    format!("{}{}", now.s, if now.confirmed { "" } else { " unconfirmed" })
}

#[test]
fn clocks_that_agree_are_believed() {
    let mut trust = Trust::new(1_000_000, 50, None);
    assert_eq!(look(&mut trust, 1_000_000, 50), "1000000");
    assert_eq!(look(&mut trust, 1_007_300, 7_260), "1007300");
    assert!(!trust.wants_date(7_260));
}

#[test]
fn a_jump_ahead_is_not_believed_until_aws_confirms_it() {
    let mut trust = Trust::new(1_000_000, 0, None);
    assert_eq!(look(&mut trust, 1_086_400, 10), "1000010 unconfirmed");
    assert!(trust.wants_date(10));
    assert!(!trust.wants_date(11), "at most once a minute");
    trust.date(1_086_400, 1_086_400, 12, 1_086_401);
    assert_eq!(look(&mut trust, 1_086_405, 17), "1086405");
}

#[test]
fn a_jump_ahead_that_aws_contradicts_stays_unbelieved() {
    let mut trust = Trust::new(1_000_000, 0, None);
    look(&mut trust, 1_086_400, 10);
    trust.date(1_086_402, 1_086_402, 12, 1_000_012);
    assert_eq!(look(&mut trust, 1_086_405, 15), "1000015 unconfirmed");
}

#[test]
fn a_jump_ahead_while_an_answer_is_on_its_way_is_not_confirmed_by_it() {
    let mut trust = Trust::new(1_000_000, 0, None);
    trust.date(1_000_000, 1_086_402, 2, 1_000_001);
    assert_eq!(look(&mut trust, 1_086_403, 3), "1000002 unconfirmed");
}

#[test]
fn an_answer_that_waited_for_a_paused_process_still_confirms_the_time() {
    let mut trust = Trust::new(1_000_000, 0, None);
    trust.date(1_000_000, 1_020_000, 20_000, 1_000_001);
    assert_eq!(look(&mut trust, 1_020_001, 20_001), "1020001");
}

#[test]
fn a_jump_ahead_that_is_taken_back_leaves_no_trace_in_time() {
    let mut trust = Trust::new(1_000_000, 0, None);
    look(&mut trust, 1_086_400, 10);
    trust.date(1_086_400, 1_086_400, 11, 1_000_011);
    assert_eq!(look(&mut trust, 1_000_020, 20), "1000020");
}

#[test]
fn a_jump_back_is_followed() {
    let mut trust = Trust::new(1_000_000, 0, None);
    assert_eq!(look(&mut trust, 990_000, 10), "990000");
    assert_eq!(look(&mut trust, 990_010, 20), "990010");
}

#[test]
fn after_a_long_silence_the_first_time_wants_confirmation() {
    let mut trust = Trust::new(1_000_000, 0, Some(900_000));
    assert_eq!(look(&mut trust, 1_000_000, 0), "1000000 unconfirmed");
    trust.date(1_000_001, 1_000_001, 1, 1_000_001);
    assert_eq!(look(&mut trust, 1_000_002, 2), "1000002");
}
