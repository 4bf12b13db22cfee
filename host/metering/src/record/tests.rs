use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;
use crate::allocation::Allocation;
use crate::slot::{Form, Life, Payer};

fn slot() -> SlotId {
    SlotId { listing: "paid".into(), payer: Payer::Own, dimension: "giga pixels".into(), hour: Hour(494_000) }
}

fn team(team: &str) -> Tags {
    Tags::new(alloc::vec![("team".into(), team.into()), ("env".into(), "a:b,c;d=e%".into())])
}

fn request(quantity: u32) -> Request {
    let allocations = alloc::vec![
        Allocation { quantity: 1, tags: Tags::NONE },
        Allocation { quantity: quantity - 1, tags: team("blue") }
    ];
    Request {
        product_code: "abc123".into(),
        quantity,
        form: Form::Integer,
        allocations,
        timestamp: 1_778_400_000,
        token: "tg-1".into(),
    }
}

/// The record as text, which must read back as itself.
fn check(record: &Record) -> String {
    let text = record.to_text();
    assert_eq!(Record::from_text(&text).as_ref(), Ok(record), "{text}");
    text
}

#[test]
fn a_sealed_request_is_one_readable_line() {
    let remainder = [(team("red"), 3)].into_iter().collect();
    insta::assert_snapshot!(
        check(&Record::Sealed { slot: slot(), request: request(7), per: 10, remainder }),
        @"sealed listing=paid payer=self dimension=giga%20pixels hour=494000 product=abc123 quantity=7 form=integer allocations=1;6,env:a%3ab%2cc%3bd%3de%25,team:blue timestamp=1778400000 token=tg-1 per=10 remainder=3,env:a%3ab%2cc%3bd%3de%25,team:red"
    );
}

#[test]
fn every_kind_of_record_reads_back_as_itself() {
    let units: Buckets = [(Tags::NONE, 5), (team("x"), 9)].into_iter().collect();
    let (id, at) = (slot(), 7);
    let carried = |part| Record::Carried { from: slot(), to: Hour(494_001), part, units: units.clone(), at };
    let ended = |end| Record::Ended { slot: slot(), end, at };
    let records = [
        Record::Created { at, ledger: u64::MAX },
        Record::Started { at, identity: "arn:aws:ecs:x:1:task/a b".into(), boot: 3, first_hour_taken: true },
        Record::Granted { at, listing: "paid".into(), provisional: true },
        Record::Heartbeat { at },
        Record::Closed { slot: id.clone(), why: Close::Idle },
        Record::Closed { slot: id.clone(), why: Close::Counted },
        Record::Resealed { slot: id.clone(), request: Request { allocations: alloc::vec![], ..request(2) } },
        carried(Part::Beyond),
        carried(Part::Remainder),
        carried(Part::Request),
        Record::Beyond { slot: id.clone(), units: units.clone() },
        Record::Attempted { slot: id.clone(), identity: String::new(), attempt: 2, at },
        Record::Deferred { slot: id.clone(), unknown: true, code: "timeout\nafter 10 s \u{e9}".into(), retry_at: 9 },
        ended(End::Acked { record_id: "r=1".into() }),
        ended(End::Conflict),
        ended(End::Expired),
        ended(End::Rejected { code: "X".into() }),
        ended(End::InDoubt { why: "Y".into() }),
        Record::Settled { slot: id.clone(), billed: false, evidence: "event".into(), reason: "not there".into(), at },
        Record::Asked { slot: id, identity: "i".into(), request: request(4), at },
    ];
    for record in records {
        check(&record);
    }
}

#[test]
fn every_state_of_a_kept_hour_reads_back_as_itself() {
    let lives = [
        Life::Open,
        Life::Counted,
        Life::Idle,
        Life::Sealed,
        Life::Attempted,
        Life::Acked { record_id: "r=1".into() },
        Life::Conflict,
        Life::Expired,
        Life::Rejected { code: "X Y".into() },
        Life::InDoubt,
        Life::Moved,
        Life::HandedOver,
    ];
    for life in lives {
        let state = Slot { life, recorded: 1, late: 2, adopted: 3, handed_over: 4, beyond: 5, ..Slot::new(6) };
        check(&Record::Kept { slot: slot(), state: state.into() });
    }
}

#[test]
fn every_place_of_forgotten_units_reads_back_as_itself() {
    let balance = Balance {
        recorded: 1,
        carried_in: 2,
        adopted: 3,
        acked: 4,
        counted: 5,
        carried_out: 6,
        handed_over: 7,
        expired: 8,
        rejected: 9,
        ..Balance::default()
    };
    check(&Record::Past { listing: "paid".into(), dimension: "d".into(), balance: balance.into() });
}

#[test]
fn what_cannot_be_read_says_what_was_expected() {
    let error = Record::from_text("heartbeat on=7").map_err(|error| error.to_string());
    assert_eq!(error, Err("not a ledger entry of this version: expected at".into()));
}

#[test]
fn a_settlement_from_before_reasons_were_asked_for_reads_back_without_one() {
    let old = "settled listing=paid payer=self dimension=d hour=1 billed=true evidence=event at=7";
    let record = Record::from_text(old);
    assert!(matches!(&record, Ok(Record::Settled { reason, .. }) if reason.is_empty()), "{record:?}");
    assert_eq!(record.map(|record| record.to_text()).as_deref(), Ok(old));
}

#[test]
fn a_second_text_for_the_same_record_is_refused() {
    for text in [
        "heartbeat at=07",
        "heartbeat at=+7",
        "heartbeat at=7 ",
        "heartbeat at=7 at=7",
        "heartbeat  at=7",
        "heartbeat",
        "Heartbeat at=7",
        "beyond listing=p payer=self dimension=d hour=1 units=3;2",
        "beyond listing=%70 payer=self dimension=d hour=1 units=3",
        "beyond listing=p payer=other dimension=d hour=1 units=3",
        "settled listing=p payer=self dimension=d hour=1 billed=true evidence=e at=7 reason=",
    ] {
        assert!(Record::from_text(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics_and_never_invents(text in "[ -~\u{e9}]{0,80}") {
        if let Ok(record) = Record::from_text(&text) {
            prop_assert_eq!(record.to_text(), text);
        }
    }

    #[test]
    fn any_tags_survive_the_way_to_text(pairs in prop::collection::btree_map(".{1,8}", ".{1,8}", 0..5)) {
        let tags = Tags::new(pairs.into_iter().collect());
        prop_assert_eq!(Tags::from_text(&tags.to_text()), Some(tags));
    }
}
