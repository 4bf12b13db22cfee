#![no_main]

#[path = "../bodies/record_text.rs"]
mod record_text;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = record_text::run(bytes);
});
