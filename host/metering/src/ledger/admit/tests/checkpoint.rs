//! Entries of a checkpoint.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;

#[test]
fn a_checkpoint_stands_at_the_beginning_and_says_what_adds_up() {
    let ledger = ledger();
    let folded = ledger.checkpoint();
    let texts: Vec<String> = folded.records.iter().map(Record::to_text).collect();
    let (first, kept) = (texts.first().cloned().unwrap_or_default(), texts.get(1).cloned().unwrap_or_default());
    let past = "past listing=p dimension=d recorded=5 carried_in=0 adopted=0 acked=5 counted=0 carried_out=0 handed_over=0 \
                expired=0 rejected=0";
    let mut again = Ledger::new();
    check(&again, &[(&first, "fits"), (past, "out of place"), (&kept, "out of place")]);
    again.apply(&read("created at=1 ledger=7"));
    check(&again, &[(&first, "out of place")]);
    let mut again = Ledger::new();
    (1..=9).for_each(|hour| again.apply_used(&used(hour, if hour == 9 { 5 } else { 25 })));
    again.apply(&read(&first));
    let wrong = past.replace("acked=5", "acked=4");
    check(&again, &[(&first, "out of place"), (&kept, "fits"), (past, "fits"), (&wrong, "does not add up")]);
    again.apply(&read(past));
    check(&again, &[(past, "out of place"), (&past.replace("dimension=d", "dimension=e"), "fits")]);
}

#[test]
fn a_kept_hour_agrees_with_its_sums_and_only_an_open_one_may_have_grown() {
    let ledger = ledger();
    let texts: Vec<String> = ledger.checkpoint().records.iter().map(Record::to_text).collect();
    let kept = |hour| texts.iter().find(|text| text.starts_with("kept") && text.contains(hour)).cloned();
    let (open, sealed) = (kept("hour=1 ").unwrap_or_default(), kept("hour=2 ").unwrap_or_default());
    let late = |text: &str| text.replace("recorded=25", "recorded=25 late=1");
    check(
        &ledger,
        &[
            (&open, "fits"),
            (&open.replace("recorded=25", "recorded=24"), "fits"),
            (&open.replace("recorded=25", "recorded=26"), "does not add up"),
            (&open.replace("per=10", "per=9"), "does not add up"),
            (&open.replace("recorded=25", "recorded=25 adopted=5"), "does not add up"),
            (&late(&open), "does not add up"),
            (&sealed, "fits"),
            (&sealed.replace("recorded=25", "recorded=24"), "does not add up"),
            (&sealed.replace("recorded=25", "recorded=26"), "does not add up"),
            (&late(&sealed), "does not add up"),
        ],
    );
}

#[test]
fn what_a_checkpoint_holds_is_what_its_text_says() {
    for record in ledger().checkpoint().records {
        assert_eq!(Record::from_text(&record.to_text()).as_ref(), Ok(&record));
    }
}

#[test]
fn a_checkpoint_is_due_only_where_the_time_is_known() {
    let mut ledger = ledger();
    ledger.apply_used(&used(30, 5));
    assert!(!ledger.checkpoint_due());
    ledger.apply(&read("heartbeat at=3600"));
    assert!(ledger.checkpoint_due());
}
