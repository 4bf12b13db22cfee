use super::*;
use crate::plan::{Policy, Rate};
use crate::slot::Payer;
use crate::trust::Now;

const NINE: u64 = 9 * HOUR_S;

fn policy() -> Policy {
    Policy {
        listing: "paid".into(),
        product_code: "code".into(),
        sends: true,
        carry: true,
        zero_records: false,
        dimensions: alloc::vec![Rate { key: "images".into(), per: 1 }],
        warn_after_s: 3_600,
        stop_after_s: 14_400,
    }
}

fn id(hour: u32) -> SlotId {
    SlotId { listing: "paid".into(), payer: Payer::Own, dimension: "images".into(), hour: Hour(hour) }
}

/// A ledger with three images in hour 2.
fn ledger(number: u64) -> Ledger {
    let mut ledger = Ledger::new();
    ledger.apply(&Record::Created { at: 7_200, ledger: number });
    ledger.apply(&Record::Started { at: 7_200, identity: "A".into(), boot: 1, first_hour_taken: false });
    let used = ledger.used(&id(0), 1, "api", Tags::NONE, 3, 7_300);
    ledger.apply_used(&used);
    ledger
}

#[test]
fn the_newest_hour_is_that_of_usage_or_of_a_sign_of_life() {
    let mut ledger = ledger(1);
    assert_eq!(ledger.newest_hour(), Hour(2));
    ledger.apply(&Record::Heartbeat { at: NINE });
    assert_eq!(ledger.newest_hour(), Hour(9));
}

/// Three images of hour 2 on their way to ledger 2.
fn handed() -> HandedOver {
    let units = [(Tags::NONE, 3)].into_iter().collect();
    HandedOver { number: 1, to: 2, slot: id(2), part: Part::Open, per: 1, units, used_at: 7_300 }
}

#[test]
fn what_was_cut_off_on_its_way_moves_to_a_later_hour_only_if_its_ledger_knew_the_time() {
    let now = Now { s: NINE, confirmed: true };
    let adopted = |old: &Ledger| ledger(2).repair_from(old, now, &policy()).len();
    let mut old = ledger(1);
    old.apply(&Record::HandedOver(handed().into()));
    assert_eq!(adopted(&old), 0);
    old.apply(&Record::Heartbeat { at: 7_200 });
    assert_eq!(adopted(&old), 1);
}

#[test]
fn what_was_cut_off_on_its_way_goes_to_its_own_ledger_while_its_hour_can_be_sent() {
    let policy = Policy { carry: false, ..policy() };
    let mut old = ledger(1);
    old.apply(&Record::HandedOver(handed().into()));
    let adopted = |by: u64, s| ledger(by).repair_from(&old, Now { s, confirmed: true }, &policy).len();
    let end = crate::window_end(7_300);
    assert_eq!([adopted(2, end - 1), adopted(2, end), adopted(3, end - 1)], [1, 0, 0]);
}

#[test]
fn nothing_is_adopted_of_another_listing_or_under_one_that_sends_nothing() {
    let adopted = |change: fn(&mut Policy)| {
        let mut policy = policy();
        change(&mut policy);
        let now = Now { s: 7_400, confirmed: true };
        Ledger { id: 2, ..Ledger::new() }.adopt_from(&ledger(1), now, &policy).adopted.len()
    };
    assert_eq!(adopted(|_| ()), 1);
    assert_eq!(adopted(|policy| policy.listing = "other".into()), 0);
    assert_eq!(adopted(|policy| policy.sends = false), 0);
}

#[test]
fn a_ledger_leaves_what_another_might_adopt() {
    let nothing_arrived = |ledger: &Ledger| ledger.leaves(|_| false);
    assert!(!nothing_arrived(&Ledger::new()));
    let mut left = ledger(1);
    assert!(nothing_arrived(&left), "open units");
    left.apply(&Record::HandedOver(handed().into()));
    assert!(nothing_arrived(&left), "units on their way");
    let mut adopter = Ledger { id: 2, ..Ledger::new() };
    assert!(!adopter.has_adopted(&left, &handed()));
    adopter.adopted.insert((1, 1));
    assert!(adopter.has_adopted(&left, &handed()));
    assert!(!left.leaves(|handed| adopter.has_adopted(&left, handed)));

    let with = |life, open: u64, remainder: u64| {
        let mut ledger = Ledger::new();
        let buckets = |units| [(Tags::NONE, units)].into_iter().collect();
        let slot = Slot { life, open: buckets(open), remainder: buckets(remainder), ..Slot::new(10) };
        ledger.slots.insert(id(2), slot);
        nothing_arrived(&ledger)
    };
    assert!(with(Life::Sealed, 0, 0) && with(Life::Attempted, 0, 0));
    assert!(with(Life::Idle, 0, 3));
    assert!(!with(Life::Open, 0, 0) && !with(Life::Idle, 0, 0) && !with(Life::Counted, 3, 0));
}

#[test]
fn a_ledger_is_balanced_if_each_hour_all_of_them_and_what_moved_add_up() {
    let past = |recorded, carried_in, acked| {
        let balance = Balance { recorded, carried_in, acked, ..Balance::default() };
        Record::Past { listing: "paid".into(), dimension: "images".into(), balance: balance.into() }
    };
    let with = |records: &[Record]| {
        let mut ledger = ledger(1);
        records.iter().for_each(|record| ledger.apply(record));
        ledger.balanced()
    };
    // Two units more leave the hour than came in.
    let more = Record::Beyond { slot: id(2), units: [(Tags::NONE, 5)].into_iter().collect() };
    assert!(with(&[]) && with(&[past(2, 0, 2)]));
    assert!(!with(core::slice::from_ref(&more)));
    assert!(!with(&[more, past(2, 0, 0)]), "two errors that cancel each other");
    assert!(!with(&[past(2, 0, 0)]));
    assert!(!with(&[past(0, 2, 2)]), "nothing left any hour");
}

#[test]
fn a_record_waits_for_an_answer_from_its_sealing_on_where_it_is_sent() {
    let with = |life, change: fn(&mut Policy)| {
        let (mut policy, mut ledger) = (policy(), ledger(1));
        change(&mut policy);
        ledger.slots.values_mut().for_each(|slot| slot.life = Life::clone(&life));
        (ledger.waiting(&policy), ledger.unsent(&policy))
    };
    assert_eq!(with(Life::Open, |_| ()), (false, 1));
    assert_eq!(with(Life::Sealed, |_| ()), (true, 1));
    assert_eq!(with(Life::Attempted, |_| ()), (true, 1));
    assert_eq!(with(Life::Conflict, |_| ()), (false, 0));
    assert_eq!(with(Life::Sealed, |policy| policy.sends = false), (false, 0));
    assert_eq!(with(Life::Sealed, |policy| policy.listing = "other".into()), (false, 0));
}

#[test]
fn the_last_hour_there_is_has_none_after_it() {
    let mut ledger = ledger(1);
    ledger.taken_through = Some(Hour(u32::MAX));
    assert_eq!(ledger.book(&id(0), u64::MAX), Hour(u32::MAX));
}
