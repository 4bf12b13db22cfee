//! Quantities of usage. On the wire they are whole numbers or decimal strings; here they are one exact number, so that
//! 17, "17.0" and "17.00" are the same quantity, as the service compares them.

use std::{fmt, iter::Sum};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An exact quantity with six decimal places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity {
    millionths: u128,
}

/// In which form a quantity came; a request must not mix them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Decimal,
    Whole,
}

impl Quantity {
    /// So many units of something that is counted here.
    pub(crate) fn units(units: u64) -> Self {
        Self { millionths: u128::from(units) * UNIT }
    }

    pub(crate) fn millionths(self) -> u128 {
        self.millionths
    }

    /// Reads `^(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?$`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
        let plain = |digits: &str, max: usize| {
            (1..=max).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        if !plain(whole, 10) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let fraction = fraction.map_or(Some(String::new()), |digits| plain(digits, 6).then(|| digits.to_owned()))?;
        let millionths: u128 = format!("{fraction:0<6}").parse().ok()?;
        Some(Self { millionths: whole.parse::<u128>().ok()? * UNIT + millionths })
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        Self { millionths: parts.map(|part| part.millionths).fold(0, u128::saturating_add) }
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        self.millionths = self.millionths.saturating_add(other.millionths);
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.millionths / UNIT)?;
        match self.millionths % UNIT {
            0 => Ok(()),
            rest => write!(f, ".{}", format!("{rest:06}").trim_end_matches('0')),
        }
    }
}

/// Whole numbers as JSON numbers; fractions as strings, since a float would not be exact.
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.millionths / UNIT) {
            Ok(units) if self.millionths.is_multiple_of(UNIT) => serializer.serialize_u64(units),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Decimal(String),
            Whole(u64),
        }
        match Form::deserialize(deserializer)? {
            Form::Decimal(text) => {
                Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no quantity")))
            }
            Form::Whole(units) => Ok(Self::units(units)),
        }
    }
}

const UNIT: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_or_not_at_all() {
        let texts = [
            "0",
            "17",
            "17.0",
            "17.00",
            "17.42",
            "0.000001",
            "9999999999.999999",
            "",
            "00",
            "017",
            "17.",
            ".5",
            "1.0000000",
            "10000000000",
            "-1",
            "+1",
            "1e3",
            " 1",
            "1,5",
            "１",
        ];
        let lines = texts.map(|text| match Quantity::parse(text) {
            Some(quantity) => format!("{text:?} is {quantity}\n"),
            None => format!("{text:?} is none\n"),
        });
        assert_snapshot!(lines.concat(), @r#"
        "0" is 0
        "17" is 17
        "17.0" is 17
        "17.00" is 17
        "17.42" is 17.42
        "0.000001" is 0.000001
        "9999999999.999999" is 9999999999.999999
        "" is none
        "00" is none
        "017" is none
        "17." is none
        ".5" is none
        "1.0000000" is none
        "10000000000" is none
        "-1" is none
        "+1" is none
        "1e3" is none
        " 1" is none
        "1,5" is none
        "１" is none
        "#);
        assert_eq!(Quantity::parse("17.00"), Some(Quantity::units(17)));
    }
}
