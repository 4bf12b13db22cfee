//! Attempts on the books: usage before a fault, names and numbers that were never handed out, more of everything.

use crate::bindings::tollgate::metering::counter::{self, Outcome};
use crate::bindings::tollgate::metering::usage;
use crate::exchange::Request;

fn sold(request: &Request) -> u32 {
    usage::dimension(request.get("dim").unwrap_or("images")).expect("a dimension")
}

/// `?dim=KEY&n=UNITS&times=CALLS`: adds, and answers how many of the calls counted.
pub fn add(request: &Request) -> String {
    let (dimension, units) = (sold(request), request.number("n", 1));
    let counted =
        (0..request.number("times", 1)).filter(|_| counter::add(dimension, units) == Outcome::Counted).count();
    format!("counted {counted}")
}

/// `?n=UNITS`.
pub fn add_then_trap(request: &Request) -> String {
    add(request);
    std::process::abort();
}

/// `?n=UNITS`.
pub fn add_then_loop(request: &Request) -> String {
    add(request);
    crate::grow::spin()
}

/// `?key=KEY`: asks for a dimension.
pub fn dimension(request: &Request) -> String {
    format!("{:?}", usage::dimension(request.get("key").unwrap_or_default()))
}

/// `?mib=N`: asks for a dimension whose name is that long.
pub fn long_key(request: &Request) -> String {
    let length = usize::try_from(request.number("mib", 1)).expect("a length") << 20;
    format!("{:?}", usage::dimension(&"k".repeat(length)))
}

/// `?n=COUNT&from=NUMBER`: as many sets of tags, numbered from there; answers how many were taken and the refusal of the last one.
pub fn tag_sets(request: &Request) -> String {
    let mut taken = 0;
    let mut last = String::new();
    let from = request.number("from", 0);
    for index in from..from + request.number("n", 1) {
        match usage::tags(&[("team".to_owned(), format!("team-{index}"))]) {
            Ok(_) => taken += 1,
            Err(refusal) => last = format!("{refusal:?}"),
        }
    }
    format!("taken {taken}, then {last}")
}

/// Numbers of dimensions and tag sets that nobody handed out.
pub fn numbers() -> String {
    let numbers = [u32::MAX, u32::MAX - 1, 1 << 31, 24, 65_536];
    let plain = numbers.iter().filter(|&&number| counter::add(number, u32::MAX) == Outcome::Counted).count();
    let tagged = numbers.iter().filter(|&&number| counter::add_tagged(0, number, 1) == Outcome::Counted).count();
    format!("{plain} and {tagged} counted")
}
