//! Counting: from a key and a `u64` to the flat numbers of the contract.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

use crate::Tags;
use crate::bindings::tollgate::metering::counter::{self, Outcome};
use crate::bindings::tollgate::metering::usage::{self, Refusal};

/// Something the buyer pays for by use, as declared in `product.toml` with `from = "guest"`.
///
/// Make it a `static`. Its number is asked from the host at the first use and kept.
///
/// ```no_run
/// use tollgate::{Dimension, Tags};
///
/// static LINES: Dimension = Dimension::new("lines");
///
/// fn count(team: &str, lines: u64) -> Result<(), Box<dyn std::error::Error>> {
///     let tags = Tags::new([("team", team)])?;
///     LINES.add_tagged(tags, lines)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Dimension {
    key: &'static str,
    number: OnceLock<u32>,
}

impl Dimension {
    /// The dimension of a key: the key of the AWS catalogue and of the manifest, not the display name.
    pub const fn new(key: &'static str) -> Self {
        Self { key, number: OnceLock::new() }
    }

    /// The key in the manifest.
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// Adds `units`, in the guest's own unit: where the manifest declares `per`, the host divides and keeps the remainder.
    ///
    /// Zero asks whether usage would be taken now. A count above `u32::MAX` is added in several steps; if a later step is
    /// refused, the earlier ones stay counted, and the error says how many units that is.
    ///
    /// # Errors
    ///
    /// The units, or in the case above the rest of them, were not added: do not deliver what they stand for.
    pub fn add(&self, units: u64) -> Result<(), CountError> {
        let dimension = self.number()?;
        in_steps(units, CountError::UnknownDimension, |step| counter::add(dimension, step))
    }

    /// Adds `units` in the bucket of a tag set, by which the buyer can split the cost. Otherwise as [`Dimension::add`].
    ///
    /// # Errors
    ///
    /// As [`Dimension::add`], and [`CountError::TagsNotAllowed`] when the manifest does not list a tag's key for this dimension.
    pub fn add_tagged(&self, tags: Tags, units: u64) -> Result<(), CountError> {
        let dimension = self.number()?;
        in_steps(units, CountError::TagsNotAllowed, |step| counter::add_tagged(dimension, tags.number(), step))
    }

    fn number(&self) -> Result<u32, CountError> {
        if let Some(&number) = self.number.get() {
            return Ok(number);
        }
        let number = usage::dimension(self.key).map_err(|refusal| match refusal {
            Refusal::Stopped => CountError::Stopped { counted: 0 },
            Refusal::UnknownDimension | Refusal::InvalidTag | Refusal::TooManyTags => CountError::UnknownDimension,
        })?;
        Ok(*self.number.get_or_init(|| number))
    }
}

/// Why units were not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CountError {
    /// The manifest declares no such dimension for guests. A mistake of the product: no retry helps.
    UnknownDimension,
    /// The manifest does not list a key of the tag set for this dimension. A mistake of the product: no retry helps.
    TagsNotAllowed,
    /// The manifest's limit for one hour is reached. The next hour has room again.
    OverLimit {
        /// Units of this call that were added all the same: zero, but for counts above `u32::MAX`.
        counted: u64,
    },
    /// The host takes no usage now: it shuts down, cannot write, or AWS has not accepted usage for too long.
    Stopped {
        /// Units of this call that were added all the same: zero, but for counts above `u32::MAX`.
        counted: u64,
    },
}

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownDimension => "the product's manifest declares no such dimension for guests",
            Self::TagsNotAllowed => "the product's manifest does not allow these tags for the dimension",
            Self::OverLimit { .. } => "the limit of the dimension for this hour is reached",
            Self::Stopped { .. } => "the host takes no usage now",
        })
    }
}

impl Error for CountError {}

/// Returns when all that this instance has added so far is on disk.
///
/// Rarely needed: the host holds a response, or a command's exit, until its usage is on disk. Call it before an effect that
/// cannot be taken back, such as handing the result to a third party.
///
/// # Errors
///
/// The usage could not be written: do not deliver what it stands for.
pub fn commit() -> Result<(), CommitError> {
    usage::commit().map_err(|_| CommitError::Stopped)
}

/// Why usage could not be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitError {
    /// The host takes no usage now.
    Stopped,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the host takes no usage now, and what was counted last may not be on disk"),
        }
    }
}

impl Error for CommitError {}

/// Adds in steps that the contract can carry. Zero is one step of zero.
fn in_steps(units: u64, unknown: CountError, mut add: impl FnMut(u32) -> Outcome) -> Result<(), CountError> {
    let mut counted = 0;
    loop {
        let step = u32::try_from(units - counted).unwrap_or(u32::MAX);
        match add(step) {
            Outcome::Counted => counted += u64::from(step),
            Outcome::Unknown => return Err(unknown),
            Outcome::OverLimit => return Err(CountError::OverLimit { counted }),
            Outcome::Stopped => return Err(CountError::Stopped { counted }),
        }
        if counted == units {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = u32::MAX as u64;

    /// Runs a count against a host that takes `room` steps and then answers `refusal`; returns the steps it saw.
    fn check(units: u64, room: usize, refusal: Outcome, expected: Result<(), CountError>, expected_steps: &[u32]) {
        let mut steps = Vec::new();
        let result = in_steps(units, CountError::TagsNotAllowed, |step| {
            steps.push(step);
            if steps.len() > room { refusal } else { Outcome::Counted }
        });
        assert_eq!(result, expected, "{units} units");
        assert_eq!(steps, expected_steps, "{units} units");
    }

    #[test]
    fn a_count_is_one_call_up_to_what_the_contract_carries() {
        check(1, 9, Outcome::Stopped, Ok(()), &[1]);
        check(MAX, 9, Outcome::Stopped, Ok(()), &[u32::MAX]);
    }

    #[test]
    fn zero_asks_without_adding() {
        check(0, 9, Outcome::Stopped, Ok(()), &[0]);
        check(0, 0, Outcome::OverLimit, Err(CountError::OverLimit { counted: 0 }), &[0]);
    }

    #[test]
    fn a_larger_count_is_split_without_loss() {
        check(MAX + 1, 9, Outcome::Stopped, Ok(()), &[u32::MAX, 1]);
        check(3 * MAX, 9, Outcome::Stopped, Ok(()), &[u32::MAX; 3]);
    }

    #[test]
    fn a_refusal_says_what_was_counted_before_it() {
        check(5, 0, Outcome::OverLimit, Err(CountError::OverLimit { counted: 0 }), &[5]);
        check(MAX + 7, 1, Outcome::OverLimit, Err(CountError::OverLimit { counted: MAX }), &[u32::MAX, 7]);
        check(3 * MAX, 2, Outcome::Stopped, Err(CountError::Stopped { counted: 2 * MAX }), &[u32::MAX; 3]);
    }

    #[test]
    fn what_the_host_does_not_know_has_a_name_of_its_own() {
        check(5, 0, Outcome::Unknown, Err(CountError::TagsNotAllowed), &[5]);
    }
}
