//! US dollars, exactly: prices as they stand in a price list, and what a quantity costs at one.

use std::{fmt, iter::Sum};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of US dollars with nine decimal places, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars {
    billionths: u128,
}

impl Dollars {
    /// Reads a price such as `0.0025`: at most nine digits before the point and nine after it, no sign, no exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let plain =
            |digits: &str| (1..=9).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !plain(whole) || !plain(fraction) {
            return None;
        }
        let fraction: u128 = format!("{fraction:0<9}").parse().ok()?;
        Some(Self { billionths: whole.parse::<u128>().ok()? * BILLION + fraction })
    }

    /// What `parts` of `whole` units cost at this price, half a billionth rounded up.
    pub(crate) fn times(self, parts: u128, whole: u128) -> Self {
        let billionths = self.billionths.saturating_mul(parts).saturating_add(whole / 2) / whole;
        Self { billionths }
    }

    /// Rounded to cents, half a cent up: what a total is charged as.
    pub(crate) fn cents(self) -> Self {
        Self { billionths: (self.billionths + CENT / 2) / CENT * CENT }
    }
}

impl Sum for Dollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self { billionths: amounts.map(|amount| amount.billionths).fold(0, u128::saturating_add) }
    }
}

/// At least two decimal places, and as many as it takes to be exact.
impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.billionths % BILLION);
        let (cents, rest) = fraction.split_at(2);
        write!(f, "{}.{cents}{}", self.billionths / BILLION, rest.trim_end_matches('0'))
    }
}

/// A string: a float would not be exact.
impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not a price such as \"0.0025\"")))
    }
}

const BILLION: u128 = 1_000_000_000;
const CENT: u128 = BILLION / 100;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn a_price_is_read_exactly_or_not_at_all() {
        let texts =
            ["0.0025", "1", "12.5", "0.000000001", "999999999.999999999", "", ".5", "1.", "-1", "1e3", "0.0000000001"];
        let lines = texts.map(|text| match Dollars::parse(text) {
            Some(price) => format!("{text:?} is {price}\n"),
            None => format!("{text:?} is none\n"),
        });
        assert_snapshot!(lines.concat(), @r#"
        "0.0025" is 0.0025
        "1" is 1.00
        "12.5" is 12.50
        "0.000000001" is 0.000000001
        "999999999.999999999" is 999999999.999999999
        "" is none
        ".5" is none
        "1." is none
        "-1" is none
        "1e3" is none
        "0.0000000001" is none
        "#);
    }

    #[test]
    fn an_amount_is_rounded_once_and_a_total_to_cents() {
        let price = Dollars::parse("0.10").unwrap();
        // 61 seconds of an hour at ten cents.
        assert_eq!(price.times(61, 3_600).to_string(), "0.001694444");
        assert_eq!(Dollars::parse("0.0025").unwrap().times(1_500_000, 1_000_000).to_string(), "0.00375");
        assert_eq!(Dollars::parse("1.005").unwrap().cents().to_string(), "1.01");
        assert_eq!(Dollars::parse("1.004999999").unwrap().cents().to_string(), "1.00");
    }
}
