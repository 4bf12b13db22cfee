//! Reads variables one by one and collects what is wrong with them, so that the operator sees all at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::marketplace::aws::Proxy;
use crate::product::spelling;

/// The variables, which of ours were asked for, and the mistakes so far.
pub(super) struct Keys<'a> {
    variables: &'a BTreeMap<String, String>,
    known: Vec<&'static str>,
    /// One line a mistake.
    pub(super) problems: Vec<String>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self { variables, known: Vec::new(), problems: Vec::new() }
    }

    /// The value; an empty one counts as not set.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// The value as `parse` reads it, or `default` as it reads that. None: there is a mistake, and it is noted.
    pub(super) fn or<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        parse(&text).map_err(|why| self.problems.push(format!("{name}: {text:?} {why}"))).ok()
    }

    /// A misspelt variable of ours would be a setting that silently does nothing.
    pub(super) fn refuse_unknown(&mut self) {
        for name in self.variables.keys().filter(|name| name.starts_with("TOLLGATE_")) {
            if !self.known.contains(&name.as_str()) {
                let meant = spelling::hint(name, self.known.iter().copied().filter(|k| k.starts_with("TOLLGATE_")));
                self.problems.push(format!("{name}: is not a variable of the host{meant}"));
            }
        }
    }
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("is not an absolute path".into()) }
}

/// None for an empty text, which stands for a variable that is not set.
pub(super) fn maybe_absolute_path(text: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() { Ok(None) } else { absolute_path(text).map(Some) }
}

/// None for an empty text.
pub(super) fn maybe_proxy(text: &str) -> Result<Option<Proxy>, String> {
    if text.is_empty() { Ok(None) } else { Proxy::parse(text).map(Some).map_err(|not| not.to_string()) }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is not an address and port such as \"0.0.0.0:8080\"".into())
}

/// Seconds or minutes, within bounds in seconds.
pub(super) fn duration(text: &str, min_s: u64, max_s: u64) -> Result<Duration, String> {
    let (number, unit_s) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or_default(), 1),
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| digits).and_then(|number| number.checked_mul(unit_s));
    match seconds {
        Some(seconds) if (min_s..=max_s).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(format!("is not between {min_s}s and {max_s}s")),
        None => Err("is not a duration such as \"90s\" or \"10m\"".into()),
    }
}
