//! When to try again.

/// The ceiling after the first attempt.
const FIRST_S: u64 = 4;
/// No wait is longer.
pub(crate) const LONGEST_S: u64 = 10 * 60;
/// No wait is longer while the process is ending.
const LONGEST_AT_THE_END_S: u64 = 2;

/// Seconds to wait after attempt number `attempt` (from 1): full jitter, so from 1 to a ceiling that doubles with each
/// attempt up to ten minutes. `random` is any number, evenly distributed.
pub fn backoff_s(attempt: u32, random: u64) -> u64 {
    let doublings = attempt.saturating_sub(1).min(16);
    let ceiling = (FIRST_S << doublings).min(LONGEST_S);
    1 + random % ceiling
}

/// The latest instant of the next try while the process is ending, in unix seconds.
pub(crate) fn hurried(retry_at: u64, attempted_at: u64) -> u64 {
    retry_at.min(attempted_at.saturating_add(LONGEST_AT_THE_END_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_and_is_capped() {
        let longest = |attempt| (0..2_000).map(|random| backoff_s(attempt, random)).max();
        assert_eq!([1, 2, 3, 8, 9, u32::MAX].map(longest), [4, 8, 16, 512, 600, 600].map(Some));
    }

    #[test]
    fn no_wait_is_zero() {
        assert_eq!(backoff_s(1, 0), 1);
    }
}
