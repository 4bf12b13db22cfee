//! Tag sets: buckets by which the buyer can split the cost.

use std::error::Error;
use std::fmt;

use crate::bindings::tollgate::metering::usage::{self, Refusal};

/// A set of one to five pairs of key and value, kept by the host and named by a number.
///
/// Make it once and copy it: the same pairs give the same number, in any order, but each [`Tags::new`] is a call of the host
/// with strings. It is valid for the life of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tags(u32);

impl Tags {
    /// The tag set of these pairs. A key has 1 to 100 characters, a value 1 to 256, and no key appears twice.
    ///
    /// ```no_run
    /// let tags = tollgate::Tags::new([("team", "red"), ("env", "prod")])?;
    /// # Ok::<(), tollgate::TagsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing was kept; the usage can still be counted without tags.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, TagsError> {
        let pairs: Vec<(String, String)> = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        usage::tags(&pairs).map(Self).map_err(|refusal| match refusal {
            Refusal::TooManyTags => TagsError::TooMany,
            Refusal::Stopped => TagsError::Stopped,
            Refusal::InvalidTag | Refusal::UnknownDimension => TagsError::Invalid,
        })
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// Why there is no such tag set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagsError {
    /// A key or a value is empty, too long or has a character that AWS does not take, a key appears twice, or there are no
    /// pairs or more than five.
    Invalid,
    /// The host keeps no further tag set. Count without tags, or with a coarser set.
    TooMany,
    /// The host takes no usage now.
    Stopped,
}

impl fmt::Display for TagsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "not a valid set of tags",
            Self::TooMany => "the host keeps no further set of tags",
            Self::Stopped => "the host takes no usage now",
        })
    }
}

impl Error for TagsError {}
