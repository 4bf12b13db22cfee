//! More of everything that the host has a limit for.

use std::hint::black_box;

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::http::types::Fields;
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::exchange::Request;

/// Never ends.
pub fn spin() -> String {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// An hour.
pub fn sleep() -> String {
    subscribe_duration(3_600_000_000_000).block();
    "woke".to_owned()
}

/// Takes pages until there are none.
pub fn memory() -> String {
    let mut pages = 0;
    while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {
        pages += 16;
    }
    format!("{} MiB, then refused", pages / 16)
}

/// Calls itself without end.
pub fn stack() -> String {
    #[expect(unconditional_recursion, reason = "its purpose")]
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        deeper(depth + 1) + frame[63]
    }
    deeper(black_box(0)).to_string()
}

/// `?n=COUNT`: holds resources of the host.
pub fn handles(request: &Request) -> String {
    let held: Vec<Fields> = (0..request.number("n", 1_000_000)).map(|_| Fields::new()).collect();
    format!("{} handles", held.len())
}

/// Fills one set of header fields until it is refused.
pub fn fields() -> String {
    let fields = Fields::new();
    let value = [b'v'; 1024];
    let taken = (0..100_000).take_while(|index| fields.append(&format!("x-{index}"), &value).is_ok()).count();
    format!("{} fields, then refused", if taken < 1000 { "under 1000" } else { "over 1000" })
}

/// `?mib=N`: asks for that much randomness at once.
pub fn random(request: &Request) -> String {
    format!("{} bytes", get_random_bytes(u64::from(request.number("mib", 1)) << 20).len())
}
