#![no_main]

#[path = "../bodies/ledger_files.rs"]
mod ledger_files;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ledger_files::run(bytes);
});
