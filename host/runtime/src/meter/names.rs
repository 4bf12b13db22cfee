//! Dimensions by the names that guests give them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::{Meter, Source};

/// Unknown names that the operator hears of; a guest could make up any number.
const TOLD_MAX: usize = 32;
/// AWS takes keys of this length.
const KEY_CHARS_MAX: usize = 255;

/// Names that were asked for and that no dimension has, each once.
#[derive(Debug, Default)]
pub(super) struct Unknown(Mutex<BTreeSet<String>>);

impl Unknown {
    /// True the first time, for as many names as the operator hears of.
    fn is_news(&self, key: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_MAX && told.insert(key.chars().take(KEY_CHARS_MAX).collect())
    }
}

impl Meter {
    /// The number of a dimension that guests may add to. `None`: no such key, or the host measures it; the operator's log
    /// says so once for each key.
    pub fn dimension(&self, key: &str) -> Option<u32> {
        let position = self.shared.dimensions.iter().position(|d| d.key == key && d.source == Source::Guest);
        if position.is_none() && self.shared.unknown.is_news(key) {
            let declared: Vec<&str> = self.shared.dimensions.iter().map(|d| d.key.as_str()).collect();
            tracing::warn!(
                asked_for = key.chars().take(KEY_CHARS_MAX).collect::<String>(),
                declared = declared.join(", "),
                "a component asked for a dimension that product.toml does not let it count: declare it with \
                 from = \"guest\", or correct the name in the component"
            );
        }
        u32::try_from(position?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unknown_name_is_news_once_and_only_so_many_are() {
        let unknown = Unknown::default();
        assert!(unknown.is_news("imagess"));
        assert!(!unknown.is_news("imagess"));
        let news = (0..100).filter(|number| unknown.is_news(&format!("made up {number}"))).count();
        assert_eq!(news, TOLD_MAX - 1);
    }
}
