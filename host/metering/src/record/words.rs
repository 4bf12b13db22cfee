//! Text of the parts of an entry: escaped words, tag sets, units by tag set.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::units::{Buckets, Tags};

impl Tags {
    /// One text for one tag set: `key:value,...`, escaped as in a ledger entry; empty for no tags.
    pub fn to_text(&self) -> String {
        let mut all = String::with_capacity(self.pairs().iter().map(|(key, value)| key.len() + value.len() + 2).sum());
        for (key, value) in self.pairs() {
            if !all.is_empty() {
                all.push(',');
            }
            escape_to(&mut all, key);
            all.push(':');
            escape_to(&mut all, value);
        }
        all
    }

    /// Reads what [`Tags::to_text`] wrote; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let pair = |text: &str| text.split_once(':').and_then(|(key, value)| Some((unescape(key)?, unescape(value)?)));
        let pairs = if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(pair).collect() };
        pairs.map(Self::new).filter(|tags| tags.to_text() == text)
    }
}

/// `units` or `units,key:value,...`, joined by `;`, in canonical order.
pub(super) fn buckets(buckets: &Buckets) -> String {
    let bucket = |(tags, units): (&Tags, u64)| {
        if tags.is_empty() { units.to_string() } else { format!("{units},{}", tags.to_text()) }
    };
    buckets.iter().map(bucket).collect::<Vec<_>>().join(";")
}

pub(super) fn read_buckets(text: &str) -> Option<Buckets> {
    let bucket = |text: &str| {
        let (units, tags) = text.split_once(',').unwrap_or((text, ""));
        Some((Tags::from_text(tags)?, units.parse().ok()?))
    };
    if text.is_empty() { Some(Buckets::default()) } else { text.split(';').map(bucket).collect() }
}

/// Letters, digits and `-_./` as they are, every other byte as `%` and two digits.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape_to(&mut escaped, text);
    escaped
}

fn escape_to(out: &mut String, text: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    // Most texts are, and each row of usage has some.
    if text.bytes().all(plain) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
            out.extend(digits.into_iter().flatten());
        }
    }
}

pub(super) fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
