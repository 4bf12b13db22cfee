//! `/` answers at once, `/burn/N` computes N rounds first, `/slow/MS` waits first.

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

const NANOS_PER_MS: u64 = 1_000_000;

pub fn path(request: &IncomingRequest) -> String {
    request.path_with_query().unwrap_or_default()
}

pub fn answer(request: &IncomingRequest, out: ResponseOutparam) {
    let path = path(request);
    let mut segments = path.split('/').skip(1);
    let (kind, number) = (segments.next(), segments.next().and_then(|text| text.parse().ok()).unwrap_or(0));
    match kind {
        Some("burn") => burn(number),
        Some("slow") => monotonic_clock::subscribe_duration(number * NANOS_PER_MS).block(),
        _ => {}
    }
    let response = OutgoingResponse::new(Fields::new());
    let outgoing = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = outgoing.write().expect("the stream is taken once");
    // The other side may be gone; that is its business.
    drop(stream.blocking_write_and_flush(b"hello\n"));
    drop(stream);
    drop(OutgoingBody::finish(outgoing, None));
}

/// Steps that depend on each other, so that no compiler takes them out or runs them side by side.
fn burn(rounds: u64) {
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    std::hint::black_box(state);
}
