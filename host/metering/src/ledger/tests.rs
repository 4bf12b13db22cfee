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

#[test]
fn what_was_cut_off_on_its_way_moves_to_a_later_hour_only_if_its_ledger_knew_the_time() {
    let now = Now { s: NINE, confirmed: true };
    let adopted = |old: &Ledger| ledger(2).repair_from(old, now, &policy()).len();
    let units = [(Tags::NONE, 3)].into_iter().collect();
    let handed = HandedOver { number: 1, to: 2, slot: id(2), part: Part::Open, per: 1, units, used_at: 7_300 };
    let mut old = ledger(1);
    old.apply(&Record::HandedOver(handed.into()));
    assert_eq!(adopted(&old), 0);
    old.apply(&Record::Heartbeat { at: 7_200 });
    assert_eq!(adopted(&old), 1);
}
