#![no_main]

#[path = "../bodies/tags_text.rs"]
mod tags_text;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = tags_text::run(bytes);
});
