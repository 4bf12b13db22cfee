//! UTC hours, the unit in which AWS keeps usage.

use core::fmt;

/// Seconds in an hour.
pub const HOUR_S: u64 = 3_600;
/// The identity's own offset within the hour is below this.
const SPREAD_S: u64 = 20 * 60;
/// AWS takes records up to six hours old (`MeterUsage`: "up to 6 hours in the past").
const WINDOW_S: u64 = 6 * HOUR_S;
/// How long before the end of the window a record is given up: its answer has to arrive inside.
const WINDOW_MARGIN_S: u64 = 10 * 60;

/// A UTC hour: unix seconds divided by 3600.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hour(
    /// Hours since 1970.
    pub u32,
);

impl Hour {
    /// The hour that contains an instant, in unix seconds. Instants after the year 490 000 are in the last hour.
    pub fn of(unix_s: u64) -> Self {
        Self(u32::try_from(unix_s / HOUR_S).unwrap_or(u32::MAX))
    }

    /// Its first second, in unix seconds.
    pub fn start(self) -> u64 {
        u64::from(self.0) * HOUR_S
    }

    /// The first second after it.
    pub fn end(self) -> u64 {
        self.start() + HOUR_S
    }

    /// The hour after it.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The instant itself if it is inside the hour, else the nearest second that is.
    pub fn clamp(self, unix_s: u64) -> u64 {
        unix_s.clamp(self.start(), self.end() - 1)
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a record with this timestamp is given up, in unix seconds: ten minutes before AWS stops taking it.
pub fn window_end(timestamp: u64) -> u64 {
    timestamp.saturating_add(WINDOW_S - WINDOW_MARGIN_S)
}

/// How many seconds after the end of an hour this identity sends, below 20 minutes.
///
/// AWS allows 10 calls a second for a whole account and region, so a fleet must not send at the full hour together.
pub fn offset_s(identity: &str) -> u64 {
    fnv1a(identity.as_bytes()) % SPREAD_S
}

/// FNV-1a, 64 bits: the same everywhere and for ever, which a hasher of the standard library does not promise.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_belongs_to_the_hour_that_began_last() {
        assert_eq!(Hour::of(7_199), Hour(1));
        assert_eq!(Hour::of(7_200), Hour(2));
        assert_eq!((Hour(2).start(), Hour(2).end()), (7_200, 10_800));
        assert_eq!(Hour::of(u64::MAX), Hour(u32::MAX));
    }

    #[test]
    fn a_stamp_is_moved_no_further_than_to_the_edge_of_its_hour() {
        assert_eq!(Hour(2).clamp(1), 7_200);
        assert_eq!(Hour(2).clamp(8_000), 8_000);
        assert_eq!(Hour(2).clamp(99_999), 10_799);
    }

    #[test]
    fn identities_spread_over_twenty_minutes() {
        let offsets = ["task-a", "task-b", "task-c"].map(offset_s);
        assert!(offsets.iter().all(|&offset| offset < 1_200), "{offsets:?}");
        assert_eq!(offsets, ["task-a", "task-b", "task-c"].map(offset_s));
        assert!(offsets[0] != offsets[1] && offsets[1] != offsets[2]);
    }
}
