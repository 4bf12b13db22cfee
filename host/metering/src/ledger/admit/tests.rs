//! Each entry beside the same one with a single thing wrong.

use alloc::format;
use alloc::string::String;

use super::*;
use crate::units::Tags;
use crate::{Hour, Payer};

/// `@6` in a script is hour 6 of the dimension that is sold by tens.
fn read(text: &str) -> Record {
    let text = text.replace('@', "listing=p payer=self dimension=d hour=");
    Record::from_text(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn id(hour: u32) -> SlotId {
    SlotId { listing: "p".into(), payer: Payer::Own, dimension: "d".into(), hour: Hour(hour) }
}

fn used(hour: u32, units: u64) -> Used {
    let slot = id(hour);
    let at = slot.hour.start();
    Used { slot, per: 10, component: "api".into(), tags: Tags::NONE, units, late: 0, at }
}

/// The request of an hour.
fn request(hour: u32, quantity: u32) -> String {
    let timestamp = u64::from(hour) * 3_600 + 1_000;
    format!("product=x quantity={quantity} form=integer allocations= timestamp={timestamp} token=t")
}

fn sealed(hour: u32) -> String {
    format!("sealed @{hour} {} per=10 remainder=5", request(hour, 2))
}

/// 25 units in each hour: 1 is open, 2 sealed, 3 under way, 4 not taken, 5 unknown, 6 in doubt, 7 in conflict, 8 accepted,
/// 9 idle with 5 units.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new();
    (1..=9).for_each(|hour| ledger.apply_used(&used(hour, if hour == 9 { 5 } else { 25 })));
    let mut write = |text: &str| {
        let record = read(text);
        assert_eq!(ledger.admit(&record), Ok(()), "{text}");
        ledger.apply(&record);
    };
    write("created at=1 ledger=7");
    write("started at=1 identity=A boot=1 first_hour_taken=false");
    (2..=8).for_each(|hour| write(&sealed(hour)));
    write("closed @9 why=idle");
    for hour in 3..=8 {
        write(&format!("attempted @{hour} identity=A attempt=1 at=1"));
    }
    write("deferred @4 unknown=false code=c retry_at=1");
    write("deferred @5 unknown=true code=c retry_at=1");
    write("deferred @6 unknown=true code=c retry_at=1");
    write("ended @6 as=in_doubt detail=x at=1");
    write("ended @7 as=conflict detail= at=1");
    write("ended @8 as=acked detail=R at=1");
    ledger
}

/// What a ledger says to each entry: `fits`, or why not.
fn check(ledger: &Ledger, entries: &[(&str, &str)]) {
    for (text, expected) in entries {
        let said = match ledger.admit(&read(text)) {
            Ok(()) => "fits",
            Err(Refusal::OutOfPlace) => "out of place",
            Err(Refusal::DoesNotAddUp) => "does not add up",
            Err(Refusal::Overflow) => "too large",
        };
        assert_eq!(said, *expected, "{text}");
    }
}

#[test]
fn a_ledger_begins_once_and_a_process_follows_another() {
    let mut new = Ledger::new();
    check(
        &new,
        &[
            ("created at=1 ledger=7", "fits"),
            ("heartbeat at=1", "out of place"),
            ("granted at=1 listing=p provisional=true", "out of place"),
            ("started at=1 identity=A boot=1 first_hour_taken=false", "fits"),
        ],
    );
    new.apply(&read("created at=1 ledger=7"));
    check(
        &new,
        &[
            ("created at=1 ledger=7", "out of place"),
            ("heartbeat at=1", "out of place"),
            ("started at=1 identity=A boot=0 first_hour_taken=false", "out of place"),
            ("started at=1 identity=A boot=2 first_hour_taken=false", "out of place"),
        ],
    );
    check(
        &ledger(),
        &[
            ("created at=1 ledger=7", "out of place"),
            ("heartbeat at=1", "fits"),
            ("granted at=1 listing=p provisional=true", "fits"),
            ("started at=1 identity=A boot=1 first_hour_taken=false", "out of place"),
            ("started at=1 identity=A boot=2 first_hour_taken=false", "fits"),
        ],
    );
}

#[test]
fn usage_fits_an_open_hour_at_its_own_price_unit() {
    let ledger = ledger();
    let with = |hour, change: fn(&mut Used)| {
        let mut used = used(hour, 5);
        change(&mut used);
        ledger.admit_used(&used)
    };
    assert_eq!(with(1, |_| ()), Ok(()));
    assert_eq!(with(1, |used| used.late = 5), Ok(()));
    assert_eq!(with(1, |used| used.late = 6), Err(Refusal::DoesNotAddUp));
    assert_eq!(with(1, |used| used.per = 9), Err(Refusal::DoesNotAddUp));
    assert_eq!(with(20, |used| used.per = 0), Err(Refusal::DoesNotAddUp));
    assert_eq!(with(1, |used| used.units = u64::MAX), Err(Refusal::Overflow));
    assert_eq!(with(2, |_| ()), Err(Refusal::OutOfPlace));
}

#[test]
fn a_request_is_exactly_the_whole_units_of_its_open_hour() {
    let ledger = ledger();
    let fits = format!("sealed @1 {} per=10 remainder=5", request(1, 2));
    let split = |parts: &str| fits.replace("allocations=", &format!("allocations={parts}"));
    let zero = format!("sealed @20 {} per=10 remainder=", request(20, 0));
    check(
        &ledger,
        &[
            (&fits, "fits"),
            (&split("1;1,team:blue"), "fits"),
            (&split("1;2,team:blue"), "does not add up"),
            (&fits.replace("timestamp=4600", "timestamp=3599"), "does not add up"),
            (&fits.replace("timestamp=4600", "timestamp=7200"), "does not add up"),
            (&fits.replace("quantity=2", "quantity=1"), "does not add up"),
            (&fits.replace("quantity=2", "quantity=1").replace("remainder=5", "remainder=15"), "does not add up"),
            (&fits.replace("per=10", "per=5").replace("quantity=2", "quantity=5"), "does not add up"),
            (
                &fits.replace("quantity=2 ", "quantity=1 ").replace("per=10 remainder=5", "per=20 remainder=5"),
                "does not add up",
            ),
            (&sealed(2), "out of place"),
            (&zero, "fits"),
            (&zero.replace("quantity=0", "quantity=1"), "does not add up"),
            (&zero.replace("remainder=", "remainder=1"), "does not add up"),
            (&zero.replace("per=10", "per=0"), "does not add up"),
        ],
    );
    let mut tens = Ledger::new();
    tens.apply_used(&used(1, 20));
    let ten = format!("sealed @1 {} per=10 remainder=10", request(1, 1));
    check(
        &tens,
        &[
            (&ten, "does not add up"),
            (&ten.replace("quantity=1", "quantity=2").replace("remainder=10", "remainder="), "fits"),
        ],
    );
}

#[test]
fn an_hour_is_closed_without_a_request_if_nothing_in_it_could_be_sent() {
    let mut ledger = ledger();
    check(
        &ledger,
        &[
            ("closed @1 why=counted", "fits"),
            ("closed @1 why=idle", "out of place"),
            ("closed @2 why=counted", "out of place"),
            ("closed @20 why=idle", "out of place"),
        ],
    );
    ledger.apply_used(&used(11, 9));
    check(&ledger, &[("closed @11 why=idle", "fits")]);
    ledger.apply_used(&used(11, 1));
    check(&ledger, &[("closed @11 why=idle", "out of place")]);
}

#[test]
fn a_request_is_written_anew_once_without_its_split_after_a_try_that_took_nothing() {
    let mut ledger = ledger();
    let again = |hour| format!("resealed @{hour} {}", request(hour, 2));
    check(
        &ledger,
        &[
            (&again(3), "fits"),
            (&again(4), "fits"),
            (&again(2), "out of place"),
            (&again(5), "out of place"),
            (&again(4).replace("quantity=2", "quantity=3"), "does not add up"),
            (&again(4).replace("allocations=", "allocations=2,team:blue"), "does not add up"),
            (&again(4).replace("timestamp=15400", "timestamp=1"), "does not add up"),
        ],
    );
    ledger.apply(&read(&again(4)));
    ledger.apply(&read("attempted @4 identity=A attempt=1 at=1"));
    check(&ledger, &[(&again(4), "out of place")]);
}

#[test]
fn what_moves_is_there_and_moves_to_a_later_open_hour_of_the_same_price_unit() {
    let mut ledger = ledger();
    check(
        &ledger,
        &[
            ("carried @9 to=11 part=remainder units=5 at=1", "fits"),
            ("carried @9 to=11 part=remainder units=6 at=1", "does not add up"),
            ("carried @9 to=9 part=remainder units=5 at=1", "out of place"),
            ("carried @9 to=1 part=remainder units=5 at=1", "out of place"),
            ("carried @8 to=9 part=remainder units=5 at=1", "out of place"),
            ("carried @1 to=11 part=remainder units=5 at=1", "out of place"),
            ("carried @1 to=11 part=beyond units=25 at=1", "fits"),
            ("carried @1 to=1 part=beyond units=25 at=1", "out of place"),
            ("carried @1 to=11 part=beyond units=26 at=1", "does not add up"),
            ("carried @9 to=11 part=beyond units=5 at=1", "out of place"),
            ("carried @1 to=11 part=open units=25 at=1", "out of place"),
            ("carried @2 to=11 part=request units=20 at=1", "fits"),
            ("carried @4 to=11 part=request units=20 at=1", "fits"),
            ("carried @2 to=11 part=request units=19 at=1", "does not add up"),
            ("carried @3 to=11 part=request units=20 at=1", "out of place"),
            ("carried @5 to=11 part=request units=20 at=1", "out of place"),
            ("carried @8 to=11 part=request units=20 at=1", "out of place"),
            ("carried @20 to=21 part=remainder units=5 at=1", "out of place"),
        ],
    );
    ledger.apply_used(&Used { per: 9, ..used(11, 1) });
    check(&ledger, &[("carried @9 to=11 part=remainder units=5 at=1", "out of place")]);
    ledger.apply_used(&used(12, i64::MAX.cast_unsigned()));
    check(&ledger, &[("carried @9 to=12 part=remainder units=5 at=1", "too large")]);
}

#[test]
fn units_are_given_up_only_where_they_are_open() {
    let entries = [
        ("beyond @1 units=25", "fits"),
        ("beyond @1 units=26", "does not add up"),
        ("beyond @2 units=5", "out of place"),
    ];
    check(&ledger(), &entries);
}

#[test]
fn a_try_is_the_next_one_under_the_identity_of_the_process_and_of_what_is_unknown() {
    let mut ledger = ledger();
    check(
        &ledger,
        &[
            ("attempted @2 identity=A attempt=1 at=1", "fits"),
            ("attempted @2 identity=B attempt=1 at=1", "out of place"),
            ("attempted @2 identity=A attempt=2 at=1", "out of place"),
            ("attempted @3 identity=A attempt=2 at=1", "out of place"),
            ("attempted @4 identity=A attempt=2 at=1", "fits"),
            ("attempted @4 identity=A attempt=1 at=1", "out of place"),
            ("attempted @5 identity=A attempt=2 at=1", "fits"),
            ("attempted @8 identity=A attempt=2 at=1", "out of place"),
            ("attempted @1 identity=A attempt=1 at=1", "out of place"),
        ],
    );
    ledger.apply(&read("started at=1 identity=B boot=2 first_hour_taken=false"));
    check(
        &ledger,
        &[
            ("attempted @4 identity=B attempt=2 at=1", "fits"),
            ("attempted @4 identity=A attempt=2 at=1", "out of place"),
            ("attempted @5 identity=B attempt=2 at=1", "out of place"),
        ],
    );
}

#[test]
fn an_outcome_follows_from_the_tries() {
    check(
        &ledger(),
        &[
            ("deferred @3 unknown=true code=c retry_at=1", "fits"),
            ("deferred @4 unknown=true code=c retry_at=1", "out of place"),
            ("ended @3 as=acked detail=R at=1", "fits"),
            ("ended @4 as=acked detail=R at=1", "out of place"),
            ("ended @3 as=conflict detail= at=1", "fits"),
            ("ended @5 as=conflict detail= at=1", "out of place"),
            ("ended @3 as=rejected detail=c at=1", "fits"),
            ("ended @2 as=rejected detail=c at=1", "out of place"),
            ("ended @2 as=expired detail= at=1", "fits"),
            ("ended @4 as=expired detail= at=1", "fits"),
            ("ended @3 as=expired detail= at=1", "out of place"),
            ("ended @5 as=expired detail= at=1", "out of place"),
            ("ended @1 as=expired detail= at=1", "out of place"),
            ("ended @8 as=expired detail= at=1", "out of place"),
            ("ended @3 as=in_doubt detail=w at=1", "fits"),
            ("ended @5 as=in_doubt detail=w at=1", "fits"),
            ("ended @4 as=in_doubt detail=w at=1", "out of place"),
        ],
    );
}

#[test]
fn a_person_settles_what_is_unclear_with_evidence_and_a_reason() {
    let fits = "settled @6 billed=true evidence=e at=1 reason=r";
    check(
        &ledger(),
        &[
            (fits, "fits"),
            (&fits.replace("@6", "@7"), "fits"),
            (&fits.replace("@6", "@8"), "out of place"),
            (&fits.replace("evidence=e", "evidence="), "out of place"),
            (&fits.replace(" reason=r", ""), "out of place"),
        ],
    );
}

#[test]
fn a_hand_over_is_the_next_one_to_another_ledger_of_what_is_there() {
    let mut ledger = ledger();
    let fits = "handed_over number=1 to_ledger=8 @1 part=open per=10 units=25 used_at=1";
    let part = |hour: &str, part: &str, units: &str| {
        let at = fits.replace("@1", hour).replace("part=open", &format!("part={part}"));
        at.replace("units=25", &format!("units={units}"))
    };
    check(
        &ledger,
        &[
            (fits, "fits"),
            (&fits.replace("number=1", "number=2"), "out of place"),
            (&fits.replace("to_ledger=8", "to_ledger=7"), "out of place"),
            (&fits.replace("part=open", "part=beyond"), "out of place"),
            (&fits.replace("per=10", "per=5"), "does not add up"),
            (&fits.replace("units=25", "units=24"), "does not add up"),
            (&part("@2", "open", "25"), "out of place"),
            (&part("@2", "request", "20"), "fits"),
            (&part("@5", "request", "20"), "out of place"),
            (&part("@8", "remainder", "5"), "fits"),
            (&part("@8", "remainder", ""), "does not add up"),
        ],
    );
    ledger.apply(&read(fits));
    check(&ledger, &[(fits, "out of place"), (&part("@8", "remainder", "5").replace("number=1", "number=2"), "fits")]);
}

#[test]
fn what_comes_from_another_ledger_comes_once_to_an_open_hour_of_the_same_price_unit() {
    let mut ledger = ledger();
    let fits = "adopted from=8 number=1 @1 per=10 units=3 used_at=1";
    check(
        &ledger,
        &[
            (fits, "fits"),
            (&fits.replace("@1", "@20"), "fits"),
            (&fits.replace("from=8", "from=7"), "out of place"),
            (&fits.replace("@1", "@2"), "out of place"),
            (&fits.replace("per=10", "per=9"), "does not add up"),
            (&fits.replace("@1", "@20").replace("per=10", "per=0"), "does not add up"),
            (&fits.replace("units=3", "units="), "does not add up"),
            (&fits.replace("units=3", "units=9223372036854775807"), "too large"),
        ],
    );
    ledger.apply(&read(fits));
    let (next, from_another) = (fits.replace("number=1", "number=2"), fits.replace("from=8", "from=9"));
    check(&ledger, &[(fits, "out of place"), (&next, "fits"), (&from_another, "fits")]);
}

#[test]
fn a_question_is_a_zero_of_an_hour_without_usage() {
    let fits = format!("asked @20 identity=A {} at=1", request(20, 0));
    check(
        &ledger(),
        &[
            (&fits, "fits"),
            (&fits.replace("quantity=0", "quantity=1"), "does not add up"),
            (&fits.replace("timestamp=73000", "timestamp=1"), "does not add up"),
            (&format!("asked @1 identity=A {} at=1", request(1, 0)), "out of place"),
        ],
    );
}

mod checkpoint;
