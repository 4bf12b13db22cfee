//! Calls of the contract, each answered by the name of what came back.

use crate::bindings::tollgate::metering::counter::{self, Outcome};
use crate::bindings::tollgate::metering::entitlement::{self, AttestRefusal, Pricing, State};
use crate::bindings::tollgate::metering::usage::{self, Refusal};
use crate::bindings::wasi::http::types::Fields;
use crate::exchange::{Exchange, Request, write};

/// `?dim=KEY&n=UNITS&times=CALLS`: adds, and answers with the last outcome.
pub fn add(request: &Request) -> String {
    match dimension(request) {
        Ok(dimension) => {
            let units = request.number("n", 1);
            for _ in 1..request.number("times", 1) {
                counter::add(dimension, units);
            }
            outcome(counter::add(dimension, units)).to_owned()
        }
        Err(refused) => refusal(refused).to_owned(),
    }
}

/// `?number=N&n=UNITS`: adds to a number that was never handed out.
pub fn add_number(request: &Request) -> String {
    outcome(counter::add(request.number("number", u32::MAX), request.number("n", 1))).to_owned()
}

/// `?KEY=VALUE...`: the number of a tag set.
pub fn tags(request: &Request) -> String {
    usage::tags(request.query()).map_or_else(|refused| refusal(refused).to_owned(), |number| number.to_string())
}

/// `?dim=KEY&n=UNITS&TAG=VALUE...`: adds in the bucket of all other pairs of the query.
pub fn tagged(request: &Request) -> String {
    let pairs: Vec<_> = request.query().iter().filter(|(key, _)| key != "dim" && key != "n").cloned().collect();
    let numbers = dimension(request).and_then(|dimension| Ok((dimension, usage::tags(&pairs)?)));
    match numbers {
        Ok((dimension, tags)) => outcome(counter::add_tagged(dimension, tags, request.number("n", 1))).to_owned(),
        Err(refused) => refusal(refused).to_owned(),
    }
}

/// `?number=N&tags=T&n=UNITS`: adds to numbers that were never handed out.
pub fn tagged_number(request: &Request) -> String {
    let (dimension, tags) = (request.number("number", 0), request.number("tags", u32::MAX));
    outcome(counter::add_tagged(dimension, tags, request.number("n", 1))).to_owned()
}

/// `?dim=KEY&n=UNITS&times=CALLS`: adds and waits for the disk, again and again; answers with the last outcome.
pub fn commit(request: &Request) -> String {
    let dimension = match dimension(request) {
        Ok(dimension) => dimension,
        Err(refused) => return refusal(refused).to_owned(),
    };
    let mut answer = String::new();
    for _ in 0..request.number("times", 1) {
        let added = outcome(counter::add(dimension, request.number("n", 1)));
        answer = match usage::commit() {
            Ok(()) => format!("{added} committed"),
            Err(refused) => format!("{added} {}", refusal(refused)),
        };
    }
    answer
}

pub fn unknown() -> String {
    usage::dimension("no-such-dimension")
        .map_or_else(|refused| refusal(refused).to_owned(), |number| number.to_string())
}

pub fn grant() -> String {
    let granted = entitlement::grant();
    let pricing = match granted.pricing {
        Pricing::Hourly => "hourly",
        Pricing::Monthly => "monthly",
        Pricing::Custom => "custom",
        Pricing::Free => "free",
        Pricing::Byol => "byol",
        Pricing::Saas => "saas",
    };
    format!("{} {} {pricing} {}", granted.product, granted.listing, granted.since)
}

pub fn standing() -> String {
    let stand = entitlement::standing();
    let state = match stand.state {
        State::Good => "good",
        State::Late => "late",
        State::Stopping => "stopping",
    };
    format!("{state} {}", stand.since)
}

/// `?dim=KEY&n=UNITS`: asks for the standing and adds, waits until the client ends its request body, and does both again.
pub fn standings(request: &Request) -> String {
    let before = format!("{}: {}", standing(), add(request));
    request.each_part(|_| {});
    format!("{before}; {}: {}", standing(), add(request))
}

/// `?nonce=TEXT`.
pub fn attest(request: &Request) -> String {
    match entitlement::attest(request.get("nonce").unwrap_or("nonce")) {
        Ok(token) => token,
        Err(AttestRefusal::NotThisPricing) => "not-this-pricing".to_owned(),
        Err(AttestRefusal::TooOften) => "too-often".to_owned(),
        Err(AttestRefusal::NoAnswer) => "no-answer".to_owned(),
        Err(AttestRefusal::InvalidNonce) => "invalid-nonce".to_owned(),
    }
}

/// `?dim=KEY&chunks=N&size=BYTES&trap_at=I`: adds one unit, then writes a chunk, again and again; a refusal ends the stream.
/// The chunk with the number `trap_at` is counted and never written.
pub fn stream(exchange: Exchange) {
    exchange.stream(200, Fields::new(), |request, stream| {
        let dimension = dimension(request).expect("a dimension");
        let (chunks, trap_at) = (request.number("chunks", 1), request.number("trap_at", u32::MAX));
        let padding = ".".repeat(usize::try_from(request.number("size", 0)).expect("a size"));
        for chunk in 0..chunks {
            let added = counter::add(dimension, 1);
            if added != Outcome::Counted {
                return write(stream, format!("{}\n", outcome(added)).as_bytes());
            }
            if chunk == trap_at {
                std::process::abort();
            }
            write(stream, format!("chunk {chunk}{padding}\n").as_bytes());
        }
    });
}

/// `?dim=KEY&n=UNITS`: adds, then waits until the client ends its request body. The client holds the guest at this point.
pub fn hold(request: &Request) -> String {
    let added = add(request);
    let mut length = 0;
    request.each_part(|part| length += part.len());
    format!("{added} {length}")
}

/// The dimension that the query names.
pub fn dimension(request: &Request) -> Result<u32, Refusal> {
    usage::dimension(request.get("dim").unwrap_or("images"))
}

pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Counted => "counted",
        Outcome::Unknown => "unknown",
        Outcome::OverLimit => "over-limit",
        Outcome::Stopped => "stopped",
    }
}

fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownDimension => "unknown-dimension",
        Refusal::InvalidTag => "invalid-tag",
        Refusal::TooManyTags => "too-many-tags",
        Refusal::Stopped => "stopped",
    }
}
