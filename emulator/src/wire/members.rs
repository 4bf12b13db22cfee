//! Reads the members of a request and collects all that is wrong with them, so that one answer names all of it.

use serde_json::{Map, Value};

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    /// `SerializationException`: not JSON, or a member of the wrong type.
    #[error("{0}")]
    Unreadable(String),
    /// `ValidationException`: a member is missing or out of bounds.
    #[error("{} validation error{} detected: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("; "))]
    Invalid(Vec<String>),
}

impl BadRequest {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "SerializationException",
            Self::Invalid(_) => "ValidationException",
        }
    }
}

/// The constraints of a string in the service model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) pattern: Option<Pattern>,
}

/// A regular expression of the service model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    /// As the model writes it, for the answer.
    pub(super) expression: &'static str,
    /// What decides it.
    pub(super) matches: fn(&str) -> bool,
}

/// A structure of the request and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) members: &'a Map<String, Value>,
    pub(super) path: &'a str,
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    invalid: Vec<String>,
    unreadable: Option<String>,
}

impl Problems {
    /// A string within its constraints; an absent one or null is none.
    pub(super) fn text(&mut self, place: Place<'_>, name: &str, rule: Text) -> Option<String> {
        let text = match self.member(place, name)? {
            Value::String(text) => text,
            other => return self.unreadable(other, "String"),
        };
        let (length, path) = (text.chars().count(), path(place, name));
        if length < rule.min {
            self.value(text, &path, &format!("Member must have length greater than or equal to {}", rule.min));
        }
        if length > rule.max {
            self.value(text, &path, &format!("Member must have length less than or equal to {}", rule.max));
        }
        if let Some(Pattern { expression, .. }) = rule.pattern.filter(|pattern| !(pattern.matches)(text)) {
            self.value(text, &path, &format!("Member must satisfy regular expression pattern: {expression}"));
        }
        Some(text.clone())
    }

    /// A whole number within its bounds.
    pub(super) fn integer(&mut self, place: Place<'_>, name: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.member(place, name)?;
        let Some(number) = value.as_i64() else { return self.unreadable(value, "Integer") };
        if !(i64::from(i32::MIN)..=i64::from(i32::MAX)).contains(&number) {
            return self.unreadable(value, "Integer");
        }
        let path = path(place, name);
        if number < min {
            self.value(&number.to_string(), &path, &format!("Member must have value greater than or equal to {min}"));
        }
        if number > max {
            self.value(&number.to_string(), &path, &format!("Member must have value less than or equal to {max}"));
        }
        Some(number)
    }

    /// A time: seconds since 1970, fractions allowed. The answer is in milliseconds.
    #[expect(clippy::cast_possible_truncation, reason = "saturates; a time that far off is out of bounds anyway")]
    pub(super) fn time_ms(&mut self, place: Place<'_>, name: &str) -> Option<i64> {
        let value = self.member(place, name)?;
        let Some(seconds) = value.as_f64() else { return self.unreadable(value, "Timestamp") };
        Some((seconds * 1_000.0).round().clamp(-1e16, 1e16) as i64)
    }

    pub(super) fn boolean(&mut self, place: Place<'_>, name: &str) -> Option<bool> {
        let value = self.member(place, name)?;
        value.as_bool().or_else(|| self.unreadable(value, "Boolean"))
    }

    /// The structures of a list whose length is within bounds.
    pub(super) fn list<'a>(
        &mut self,
        place: Place<'a>,
        name: &str,
        (min, max): (usize, usize),
    ) -> Option<Vec<(String, &'a Map<String, Value>)>> {
        let value = self.member(place, name)?;
        let Value::Array(items) = value else { return self.unreadable(value, "List") };
        let path = path(place, name);
        if items.len() < min {
            self.problem(&path, &format!("Member must have length greater than or equal to {min}"));
        }
        if items.len() > max {
            self.problem(&path, &format!("Member must have length less than or equal to {max}"));
        }
        let mut structures = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::Object(members) => structures.push((format!("{path}.{}.member.", index + 1), members)),
                other => return self.unreadable(other, "Structure"),
            }
        }
        Some(structures)
    }

    /// The value of a required member; an absent one is a problem.
    pub(super) fn require<T: Default>(&mut self, place: Place<'_>, name: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            if self.unreadable.is_none() {
                let path = path(place, name);
                self.invalid
                    .push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
            }
            T::default()
        })
    }

    /// A problem of a member whose value is not worth repeating.
    pub(super) fn problem(&mut self, path: &str, constraint: &str) {
        self.invalid.push(format!("Value at '{path}' failed to satisfy constraint: {constraint}"));
    }

    pub(super) fn finish(self) -> Result<(), BadRequest> {
        match self.unreadable {
            Some(message) => Err(BadRequest::Unreadable(message)),
            None if self.invalid.is_empty() => Ok(()),
            None => Err(BadRequest::Invalid(self.invalid)),
        }
    }

    fn member<'a>(&self, place: Place<'a>, name: &str) -> Option<&'a Value> {
        place.members.get(name).filter(|value| !value.is_null())
    }

    fn value(&mut self, value: &str, path: &str, constraint: &str) {
        let shown: String = value.chars().take(SHOWN_MAX).collect();
        self.invalid.push(format!("Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// Wrong types end the reading of a request before its constraints are looked at.
    fn unreadable<T>(&mut self, value: &Value, wanted: &str) -> Option<T> {
        let message = match value {
            Value::Null => format!("null can not be converted to a {wanted}"),
            Value::Bool(true) => format!("TRUE_VALUE can not be converted to a {wanted}"),
            Value::Bool(false) => format!("FALSE_VALUE can not be converted to a {wanted}"),
            Value::Number(_) => format!("NUMBER_VALUE can not be converted to a {wanted}"),
            Value::String(_) => format!("STRING_VALUE can not be converted to a {wanted}"),
            Value::Array(_) | Value::Object(_) => "Start of structure or map found where not expected.".to_owned(),
        };
        self.unreadable.get_or_insert(message);
        None
    }
}

/// The members of a body. An empty one is an empty structure.
pub(super) fn read(body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(BadRequest::Unreadable("Start of structure expected.".to_owned())),
        Err(error) => Err(BadRequest::Unreadable(error.to_string())),
    }
}

/// The service writes members with a small first letter.
fn path(place: Place<'_>, name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{}{}{rest}", place.path, first.to_ascii_lowercase())
}

/// How much of a bad value the answer repeats.
const SHOWN_MAX: usize = 100;
