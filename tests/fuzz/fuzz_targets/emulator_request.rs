#![no_main]

#[path = "../bodies/emulator_request.rs"]
mod emulator_request;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = emulator_request::run(bytes);
});
