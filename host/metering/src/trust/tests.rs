use alloc::format;
use alloc::string::String;

use super::*;

const T: u64 = 1_000_000;

/// Clocks of a machine that started at `T`.
fn clocks(wall: u64, boot: u64) -> Clocks {
    Clocks { wall: T + wall, boot }
}

/// A process that knew the time when it started, at `T`.
fn trusting() -> Trust {
    Trust::new(clocks(0, 0), T)
}

/// One look at the clocks, as `seconds since T confirmed?`.
fn look(trust: &Trust, wall: u64, boot: u64) -> String {
    let now = trust.now(clocks(wall, boot));
    let s = now.s.cast_signed() - T.cast_signed();
    format!("{s}{}", if now.confirmed { "" } else { " unconfirmed" })
}

/// AWS answers at once.
fn date(trust: &mut Trust, wall: u64, boot: u64, date: u64) {
    trust.date(clocks(wall, boot), clocks(wall, boot), T + date);
}

#[test]
fn clocks_that_agree_are_believed() {
    let mut trust = trusting();
    assert_eq!(look(&trust, 0, 0), "0");
    assert_eq!(look(&trust, 7_300, 7_210), "7300");
    assert!(!trust.wants_date(clocks(7_300, 7_210)));
}

#[test]
fn a_new_ledger_believes_nothing_until_aws_says_the_time() {
    let mut trust = Trust::new(clocks(86_400, 5), 0);
    assert_eq!(look(&trust, 86_400, 5), "86400 unconfirmed");
    assert!(trust.wants_date(clocks(86_400, 5)));
    date(&mut trust, 86_401, 6, 2);
    assert_eq!(look(&trust, 86_402, 7), "3");
}

#[test]
fn a_clock_that_began_in_1970_is_not_that_of_a_new_ledger() {
    let now = Clocks { wall: 5, boot: 5 };
    assert!(!Trust::new(now, 0).now(now).confirmed);
}

#[test]
fn a_clock_at_the_edge_of_what_the_ledger_knew_is_believed_and_beyond_it_not() {
    for (wall, confirmed) in [(T - 121, false), (T - 120, true), (T + 3_600, true), (T + 3_601, false)] {
        let now = Clocks { wall, boot: 0 };
        assert_eq!(Trust::new(now, T).now(now), Now { s: wall, confirmed });
    }
}

#[test]
fn a_jump_ahead_is_not_believed_until_aws_confirms_it() {
    let mut trust = trusting();
    assert_eq!(look(&trust, 130, 10), "130");
    assert_eq!(look(&trust, 131, 10), "10 unconfirmed");
    assert_eq!(look(&trust, 86_400, 10), "10 unconfirmed");
    assert!(trust.wants_date(clocks(86_400, 10)));
    assert!(!trust.wants_date(clocks(86_459, 69)), "at most once a minute");
    assert!(trust.wants_date(clocks(86_460, 70)));
    date(&mut trust, 86_460, 70, 86_461);
    assert_eq!(look(&trust, 86_465, 75), "86465");
}

#[test]
fn a_clock_that_stays_wrong_is_corrected_by_what_aws_said() {
    for wrong in [86_400, 301] {
        let mut trust = trusting();
        date(&mut trust, wrong + 10, 10, 10);
        assert_eq!(look(&trust, wrong + 20, 20), "20");
        assert_eq!(look(&trust, wrong + 7_300, 7_200), "7300", "small corrections are followed");
        // Set once more, and in doubt once more.
        assert_eq!(look(&trust, wrong + 9_000, 7_400), "7400 unconfirmed");
        date(&mut trust, wrong + 9_000, 7_400, 7_400);
        assert_eq!(look(&trust, wrong + 9_100, 7_500), "7500");
    }
    let mut trust = trusting();
    date(&mut trust, 300, 10, 0);
    assert_eq!(look(&trust, 300, 10), "300", "as near as a signature has to be");
}

#[test]
fn a_clock_that_was_wrong_and_is_put_right_is_followed_and_in_doubt() {
    let mut trust = trusting();
    date(&mut trust, 86_410, 10, 10);
    assert_eq!(look(&trust, 100, 100), "100 unconfirmed");
    // Further back than that: the clock itself, never what it would be less the old correction.
    assert_eq!(look(&trust, 50, 200), "50 unconfirmed");
    date(&mut trust, 200, 200, 200);
    assert_eq!(look(&trust, 210, 210), "210");
}

#[test]
fn a_jump_ahead_that_is_taken_back_leaves_no_trace_in_time() {
    let mut trust = trusting();
    assert_eq!(look(&trust, 86_400, 10), "10 unconfirmed");
    assert_eq!(look(&trust, 20, 20), "20");
    date(&mut trust, 86_400, 30, 30);
    assert_eq!(look(&trust, 40, 40), "40 unconfirmed");
    date(&mut trust, 50, 50, 50);
    assert_eq!(look(&trust, 60, 60), "60");
}

#[test]
fn a_jump_back_is_followed_and_in_doubt() {
    let mut trust = Trust::new(clocks(10_000, 0), T + 10_000);
    assert_eq!(look(&trust, 9_881, 1), "9881");
    assert_eq!(look(&trust, 9_880, 1), "9880 unconfirmed");
    assert!(trust.wants_date(clocks(0, 10)));
    date(&mut trust, 0, 10, 10_010);
    assert_eq!(look(&trust, 10, 20), "10020");
}

#[test]
fn a_clock_that_stands_still_is_in_doubt_soon() {
    let mut trust = trusting();
    assert_eq!(look(&trust, 0, 120), "0");
    assert_eq!(look(&trust, 0, 121), "0 unconfirmed");
    date(&mut trust, 0, 400, 400);
    assert_eq!(look(&trust, 0, 400), "400");
    assert_eq!(look(&trust, 0, 600), "400 unconfirmed");
}

#[test]
fn an_answer_that_waited_says_nothing_about_now() {
    let mut trust = Trust::new(clocks(0, 0), 0);
    trust.date(clocks(0, 0), clocks(301, 301), T);
    assert_eq!(look(&trust, 301, 301), "301 unconfirmed");
    trust.date(clocks(301, 301), clocks(601, 601), T + 301);
    assert_eq!(look(&trust, 601, 601), "601");
}

#[test]
fn a_clock_that_jumps_while_an_answer_is_on_its_way_is_corrected_by_it() {
    let mut trust = trusting();
    trust.date(clocks(0, 0), clocks(86_402, 2), T + 1);
    assert_eq!(look(&trust, 86_403, 3), "2");
}
