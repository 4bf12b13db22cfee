//! The name of an AWS region, checked: it becomes part of a host name.

use std::fmt;

/// A region name such as `eu-central-1`: lower-case words joined by hyphens, the last one a number. Nothing else, so
/// that no dot, slash or `@` can lead a host name elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

/// Not the name of a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an AWS region such as \"eu-central-1\"")]
pub struct NotARegion(pub String);

/// Longer than any region there is.
const LENGTH_MAX: usize = 32;

impl Region {
    /// Takes a region name.
    ///
    /// # Errors
    /// [`NotARegion`] for anything that does not look like one.
    pub fn parse(name: &str) -> Result<Self, NotARegion> {
        let mut parts = name.split('-').rev();
        let number = parts.next().is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        let mut words = 0;
        let worded = parts.all(|part| {
            words += 1;
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase())
        });
        if number && worded && words >= 2 && name.len() <= LENGTH_MAX {
            Ok(Self(name.to_owned()))
        } else {
            Err(NotARegion(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_words_and_a_number_and_nothing_else() {
        for name in ["us-east-1", "ap-southeast-4", "us-gov-west-1", "eusc-de-east-1"] {
            assert_eq!(Region::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "us-east",
            "east-1",
            "us-east-1.evil.example",
            "s3.us-east-1",
            "us-east-1/",
            "us-east-1@evil",
            "US-EAST-1",
            "us--1",
            "-us-east-1",
            "us-east-1 ",
            "us-abcdefghijklmnopqrstuvwxyzabc-1",
        ] {
            assert!(Region::parse(name).is_err(), "{name:?} was taken");
        }
    }
}
