//! Takes typed values out of a TOML document and notes every mistake at its line and column, so that one look at the
//! report is enough.

use std::cell::RefCell;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What is wrong so far.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    noted: RefCell<Vec<(usize, String)>>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, noted: RefCell::default() }
    }

    /// Notes a mistake at an offset and what to do about it.
    pub(super) fn note(&self, at: usize, what: &str, next: &str) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let (line, column) =
            (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
        self.noted.borrow_mut().push((at, format!("line {line}, column {column}: {what}\n  next: {next}")));
    }

    /// All of them in the order of the text.
    pub(super) fn into_lines(self) -> Vec<String> {
        let mut noted = self.noted.into_inner();
        noted.sort();
        noted.into_iter().map(|(_, line)| line).collect()
    }
}

/// A value and the offset at which it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

/// A table whose keys are asked for one by one; [`Table::close`] notes those that nobody asked for.
pub(super) struct Table<'a> {
    name: String,
    keys: &'a DeTable<'a>,
    at: usize,
    asked: RefCell<Vec<&'static str>>,
    mistakes: &'a Mistakes<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn root(keys: &'a DeTable<'a>, mistakes: &'a Mistakes<'a>) -> Self {
        Self { name: "the file".to_owned(), keys, at: 0, asked: RefCell::default(), mistakes }
    }

    pub(super) fn note(&self, at: usize, what: &str, next: &str) {
        self.mistakes.note(at, what, next);
    }

    /// A string; `None` when it is not there, or is none, which is noted.
    pub(super) fn text(&self, key: &'static str) -> Option<Placed<String>> {
        let value = self.find(key)?;
        self.text_at(key, value)
    }

    /// A string that must be there.
    pub(super) fn needed_text(&self, key: &'static str, example: &str) -> Option<Placed<String>> {
        if self.find(key).is_none() {
            self.note(self.at, &format!("{} has no {key}", self.name), &format!("add {key} = {example:?}"));
            return None;
        }
        self.text(key)
    }

    /// A string that `parse` understands; `like` is an example.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        like: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Placed<T>> {
        let text = self.text(key)?;
        let parsed = parse(&text.value);
        if parsed.is_none() {
            self.note(text.at, &format!("{key} is {:?}", text.value), &format!("write it like {like:?}"));
        }
        Some(Placed { value: parsed?, at: text.at })
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.note(text.at, &format!("{key} is {:?}", text.value), &format!("use one of: {}", words.join(", ")));
        }
        chosen
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong(key, value, "true or false"),
        }
    }

    pub(super) fn number(&self, key: &'static str, max: u32) -> Option<u32> {
        let value = self.find(key)?;
        self.number_at(key, value, max)
    }

    /// A list of strings; empty when it is not there.
    pub(super) fn texts(&self, key: &'static str) -> Vec<Placed<String>> {
        self.list(key).iter().filter_map(|item| self.text_at(key, item)).collect()
    }

    /// A list of whole numbers; empty when it is not there.
    pub(super) fn numbers(&self, key: &'static str, max: u32) -> Vec<u32> {
        self.list(key).iter().filter_map(|item| self.number_at(key, item, max)).collect()
    }

    /// The tables under `[[key]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Self> {
        let table = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(keys) => Some(self.inner(format!("[[{key}]]"), keys, item.span().start)),
            _ => self.wrong(key, item, &format!("a table under [[{key}]]")),
        };
        self.list(key).iter().filter_map(table).collect()
    }

    /// The table `[key]`.
    pub(super) fn table(&self, key: &'static str) -> Option<Self> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::Table(keys) => Some(self.inner(format!("[{key}]"), keys, value.span().start)),
            _ => self.wrong(key, value, &format!("a table [{key}]")),
        }
    }

    /// Notes the keys that mean nothing here.
    pub(super) fn close(&self) {
        let asked = self.asked.borrow();
        for key in self.keys.keys() {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                let next = format!("remove it, or use one of: {}", asked.join(", "));
                self.note(key.span().start, &format!("{} has no key {name:?}", self.name), &next);
            }
        }
    }

    fn inner(&self, name: String, keys: &'a DeTable<'a>, at: usize) -> Self {
        Self { name, keys, at, asked: RefCell::default(), mistakes: self.mistakes }
    }

    fn find(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.keys.get(key)
    }

    fn list(&self, key: &'static str) -> &'a [Spanned<DeValue<'a>>] {
        let Some(value) = self.find(key) else { return &[] };
        match value.get_ref() {
            DeValue::Array(items) => items,
            _ => self.wrong(key, value, "a list").unwrap_or(&[]),
        }
    }

    fn text_at(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Placed<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(Placed { value: text.to_string(), at: value.span().start }),
            _ => self.wrong(key, value, "a string in quotes"),
        }
    }

    fn number_at(&self, key: &str, value: &Spanned<DeValue<'_>>, max: u32) -> Option<u32> {
        let digits = match value.get_ref() {
            DeValue::Integer(digits) => u32::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        let number = digits.filter(|number| *number <= max);
        if number.is_none() {
            return self.wrong(key, value, &format!("a whole number from 0 to {max}"));
        }
        number
    }

    fn wrong<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let what = format!("{key} is of type {}, not {wanted}", value.get_ref().type_str());
        self.note(value.span().start, &what, &format!("write {wanted}"));
        None
    }
}
