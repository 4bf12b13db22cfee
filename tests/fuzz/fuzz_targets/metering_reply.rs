#![no_main]

#[path = "../bodies/metering_reply.rs"]
mod metering_reply;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = metering_reply::run(bytes);
});
