//! The bodies of the fuzz targets over their corpus and mutations of it, seeded: what `cargo fuzz` finds, a test keeps.

use std::fs;

use crate::support::root;
use crate::torture::Dice;

#[path = "../fuzz/bodies/emulator_request.rs"]
mod emulator_request;
#[path = "../fuzz/bodies/ledger_files.rs"]
mod ledger_files;
#[path = "../fuzz/bodies/metering_reply.rs"]
mod metering_reply;
#[path = "../fuzz/bodies/record_text.rs"]
mod record_text;
#[path = "../fuzz/bodies/register_token.rs"]
mod register_token;
#[path = "../fuzz/bodies/tags_text.rs"]
mod tags_text;

/// Runs `body` over each input of the corpus and `mutants` changed ones.
fn check(name: &str, mutants: usize, body: fn(&[u8]) -> bool) {
    let folder = root().join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "{name} has no corpus");
    let mut dice = Dice::new(1);
    let mutants = (0..mutants).map(|_| mutant(&seeds, &mut dice)).collect::<Vec<_>>();
    let taken = seeds.iter().chain(&mutants).filter(|bytes| body(bytes)).count();
    // A body that takes everything, or nothing, looks at nothing.
    assert!(taken > 0 && taken < seeds.len() + mutants.len(), "{name}: {taken} inputs are taken");
}

/// A seed with some of its bytes changed, cut out, doubled, or followed by a part of another seed.
fn mutant(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.index(seeds.len())].clone();
    for _ in 0..dice.between(1, 4) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.index(bytes.len());
        match dice.between(1, 6) {
            1 | 2 => bytes[at] ^= 1 << dice.between(0, 7),
            3 => bytes[at] = dice.pick(b"\0 09=:,;%\"{}[]-\r\n\xff"),
            4 => drop(bytes.remove(at)),
            5 => {
                let end = (at + dice.index(16)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = &seeds[dice.index(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
    bytes
}

#[test]
fn any_text_is_one_ledger_entry_or_none() {
    check("record_text", 50_000, record_text::run);
}

#[test]
fn any_text_is_one_tag_set_or_none() {
    check("tags_text", 50_000, tags_text::run);
}

#[test]
fn a_damaged_ledger_is_refused_or_whole_and_never_begins_anew() {
    check("ledger_files", 1_000, ledger_files::run);
}

#[test]
fn any_reply_of_aws_is_a_class_and_only_a_record_id_is_an_acceptance() {
    check("metering_reply", 1_500, metering_reply::run);
}

#[test]
fn a_token_is_believed_only_if_it_says_what_was_asked_for() {
    check("register_token", 2_000, register_token::run);
}

#[test]
fn any_request_to_the_emulator_is_answered_in_the_services_form_and_logged_as_it_was_answered() {
    check("emulator_request", 2_000, emulator_request::run);
}
