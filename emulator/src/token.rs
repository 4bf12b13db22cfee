//! Client tokens and what each came with, as hashes, so that a million of them fit in little memory. AWS does not say
//! how long it remembers one; here the newest million are remembered.

use std::collections::{HashMap, VecDeque};

use aws_lc_rs::digest;
use serde::Serialize;

/// The tokens seen, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    parameters: HashMap<Hash, Hash>,
    order: VecDeque<Hash>,
}

type Hash = [u8; 32];

impl Tokens {
    /// Whether a token came before with other parameters.
    pub(crate) fn conflicts(&self, token: &(String, String), parameters: &impl Serialize) -> bool {
        self.parameters.get(&hash(token)).is_some_and(|known| *known != hash(parameters))
    }

    /// Remembers a token; the oldest goes when there are too many.
    pub(crate) fn insert(&mut self, token: &(String, String), parameters: &impl Serialize) {
        let token = hash(token);
        if self.parameters.insert(token, hash(parameters)).is_some() {
            return;
        }
        self.order.push_back(token);
        if self.order.len() > TOKENS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.parameters.remove(&oldest);
        }
    }
}

fn hash(value: &impl Serialize) -> Hash {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, &bytes).as_ref());
    hash
}

/// About 150 MB.
const TOKENS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_conflicts_only_with_other_parameters_in_its_scope() {
        let mut tokens = Tokens::default();
        let token = |scope: &str| (scope.to_owned(), "t".to_owned());
        tokens.insert(&token("a"), &1);
        assert!(!tokens.conflicts(&token("a"), &1));
        assert!(tokens.conflicts(&token("a"), &2));
        assert!(!tokens.conflicts(&token("b"), &2));
    }

    #[test]
    fn the_oldest_token_goes_when_there_are_too_many() {
        let mut tokens = Tokens::default();
        let token = |number: usize| (String::new(), number.to_string());
        for number in 0..=TOKENS_MAX {
            tokens.insert(&token(number), &1);
        }
        assert!(!tokens.conflicts(&token(0), &2));
        assert!(tokens.conflicts(&token(1), &2) && tokens.conflicts(&token(TOKENS_MAX), &2));
        assert_eq!(tokens.parameters.len(), TOKENS_MAX);
    }
}
