#![no_main]

#[path = "../bodies/register_token.rs"]
mod register_token;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = register_token::run(bytes);
});
