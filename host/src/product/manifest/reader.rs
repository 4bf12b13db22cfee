//! Walks a parsed TOML document, takes typed values out of it, and collects every mistake with its line and column.

use std::cell::RefCell;

use toml::de::{DeTable, DeValue};

use super::FILE_NAME;
use crate::product::spelling;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    /// Offset in the text, in bytes.
    pub(super) at: usize,
}

/// What is wrong so far.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    list: RefCell<Vec<(usize, String)>>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, list: RefCell::default() }
    }

    pub(super) fn add(&self, at: usize, what: impl AsRef<str>, next: impl AsRef<str>) {
        let (line, column) = self.position(at);
        let text = format!("{FILE_NAME}:{line}:{column}: {}\n  next: {}", what.as_ref(), next.as_ref());
        self.list.borrow_mut().push((at, text));
    }

    /// Each mistake, in the order of the file.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut list = self.list.borrow().clone();
        list.sort();
        list.dedup();
        list.into_iter().map(|(_, text)| text).collect()
    }

    /// Line and column from 1; columns count characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// One table of the document. Remembers which keys were asked for, so that the others can be reported.
pub(super) struct Section<'a> {
    title: String,
    table: &'a DeTable<'a>,
    at: usize,
    asked: RefCell<Vec<&'static str>>,
    mistakes: &'a Mistakes<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn document(table: &'a DeTable<'a>, mistakes: &'a Mistakes<'a>) -> Self {
        Self::new("the manifest".into(), table, 0, mistakes)
    }

    fn new(title: String, table: &'a DeTable<'a>, at: usize, mistakes: &'a Mistakes<'a>) -> Self {
        Self { title, table, at, asked: RefCell::default(), mistakes }
    }

    /// Where the table starts.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Notes a mistake of the whole table.
    pub(super) fn mistake(&self, what: impl AsRef<str>, next: impl AsRef<str>) {
        self.mistake_at(self.at, what, next);
    }

    pub(super) fn mistake_at(&self, at: usize, what: impl AsRef<str>, next: impl AsRef<str>) {
        self.mistakes.add(at, what, next);
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Where the value of a key stands; the start of the table if there is none.
    pub(super) fn at_of(&self, key: &'static str) -> usize {
        self.get(key).map_or(self.at, |found| found.at)
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Found<String>> {
        let found = self.get(key)?;
        self.text_in(key, found.value, found.at, "a string")
    }

    /// A string that must be there and not be empty.
    pub(super) fn required_text(&self, key: &'static str, next: &str) -> Option<Found<String>> {
        if !self.has(key) {
            self.mistake(format!("{} has no {key}", self.title), next);
            return None;
        }
        let text = self.text(key)?;
        if text.value.trim().is_empty() {
            self.mistake_at(text.at, format!("{key} is empty"), next);
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&self, key: &'static str, default: bool) -> Option<bool> {
        match self.get(key) {
            None => Some(default),
            Some(Found { value: DeValue::Boolean(value), .. }) => Some(*value),
            Some(found) => {
                self.wrong(key, found.at, found.value, "true or false", "write true or false without quotes")
            }
        }
    }

    /// A whole number within bounds; None also if it is not there.
    pub(super) fn number(&self, key: &'static str, min: u64, max: u64) -> Option<u64> {
        let found = self.get(key)?;
        let DeValue::Integer(digits) = found.value else {
            return self.wrong(key, found.at, found.value, "a whole number", "write digits without quotes");
        };
        let value = u64::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|n| (min..=max).contains(n));
        if value.is_none() {
            let what = format!("{key} is {}, not a number from {min} to {max}", digits.as_str());
            self.mistake_at(found.at, what, "choose a number within the bounds");
        }
        value
    }

    /// A number within bounds or, if the key is absent, the default. None: there is a mistake.
    pub(super) fn number_or(&self, key: &'static str, default: u32, min: u32, max: u32) -> Option<u32> {
        if !self.has(key) {
            return Some(default);
        }
        self.number(key, min.into(), max.into()).and_then(|n| u32::try_from(n).ok())
    }

    /// A list of strings; empty if the key is absent. Elements of another type are left out and noted.
    pub(super) fn texts(&self, key: &'static str) -> Vec<Found<String>> {
        let Some(found) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            self.wrong::<()>(key, found.at, found.value, "a list of strings", "write [\"...\", \"...\"]");
            return Vec::new();
        };
        let text = |item| self.text_in(key, toml::Spanned::get_ref(item), item.span().start, "a list of strings");
        items.iter().filter_map(text).collect()
    }

    /// A table of which every value is a string.
    pub(super) fn text_table(&self, key: &'static str) -> Option<Vec<(Found<String>, Found<String>)>> {
        let found = self.get(key)?;
        let DeValue::Table(table) = found.value else {
            return self.wrong(key, found.at, found.value, "a table", "write { key = \"value\" }");
        };
        let mut entries = Vec::new();
        for (name, value) in table.iter() {
            let name = Found { value: name.get_ref().to_string(), at: name.span().start };
            let text = self.text_in(key, value.get_ref(), value.span().start, "a table of strings");
            entries.extend(text.map(|text| (name, text)));
        }
        Some(entries)
    }

    pub(super) fn table(&self, key: &'static str) -> Option<Self> {
        let found = self.get(key)?;
        match found.value {
            DeValue::Table(table) => Some(Section::new(format!("[{key}]"), table, found.at, self.mistakes)),
            other => self.wrong(key, found.at, other, "a table", format!("write [{key}] on a line of its own")),
        }
    }

    /// Reads each `[[key]]`; the result has one element for each, None for a broken one.
    pub(super) fn tables<T>(&self, key: &'static str, max: usize, read: impl Fn(Self) -> Option<T>) -> Vec<Option<T>> {
        let Some(found) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            self.wrong::<()>(key, found.at, found.value, "a list of tables", format!("write [[{key}]]"));
            return vec![None];
        };
        if let Some(first_over) = items.get(max) {
            let what = format!("this is {key} number {}; at most {max} are possible", max + 1);
            self.mistake_at(first_over.span().start, what, "remove some");
        }
        let read_one = |item: &'a toml::Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(table) => read(Section::new(format!("[[{key}]]"), table, item.span().start, self.mistakes)),
            other => self.wrong(key, item.span().start, other, "a list of tables", format!("write [[{key}]]")),
        };
        items.iter().take(max).map(read_one).collect()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                let hint = spelling::hint(name, asked.iter().copied());
                let what = format!("{} has no key {name:?}{hint}", self.title);
                let next = format!("remove it, or use one of: {}", asked.join(", "));
                self.mistake_at(key.span().start, what, next);
            }
        }
    }

    /// Names that appear in paths, logs and records.
    pub(super) fn name_of_ours(&self, name: &Found<String>, what: &str) -> Option<()> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=63).contains(&name.value.len()) && name.value.bytes().all(plain);
        if !fits {
            let text =
                format!("{what} {:?} has other than lower-case letters, digits and hyphens, or over 63", name.value);
            self.mistake_at(name.at, text, "choose a name such as \"image-api\"");
        }
        fits.then_some(())
    }

    fn get(&self, key: &'static str) -> Option<Found<&'a DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let value = self.table.get(key)?;
        Some(Found { value: value.get_ref(), at: value.span().start })
    }

    fn text_in(&self, key: &str, value: &DeValue<'_>, at: usize, wanted: &str) -> Option<Found<String>> {
        match value {
            DeValue::String(text) => Some(Found { value: text.to_string(), at }),
            other => self.wrong(key, at, other, wanted, "write it in quotes"),
        }
    }

    fn wrong<T>(&self, key: &str, at: usize, value: &DeValue<'_>, wanted: &str, next: impl AsRef<str>) -> Option<T> {
        self.mistake_at(at, format!("{key} is of type {}, not {wanted}", value.type_str()), next);
        None
    }
}
