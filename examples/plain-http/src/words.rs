//! The numbers of a text.

/// Words that most people read in a minute.
const WORDS_A_MINUTE: usize = 230;

#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub characters: usize,
    pub words: usize,
    pub lines: usize,
    pub longest_word: usize,
    pub reading_seconds: usize,
}

impl Words {
    pub fn of(text: &str) -> Self {
        let words = text.split_whitespace().count();
        Self {
            characters: text.chars().count(),
            words,
            lines: text.lines().count(),
            longest_word: text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0),
            reading_seconds: (words * 60).div_ceil(WORDS_A_MINUTE),
        }
    }

    pub fn json(&self) -> String {
        let Self { characters, words, lines, longest_word, reading_seconds } = self;
        format!(
            "{{\"characters\":{characters},\"words\":{words},\"lines\":{lines},\"longest_word\":{longest_word},\
             \"reading_seconds\":{reading_seconds}}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_people_call_words() {
        check("", r#"{"characters":0,"words":0,"lines":0,"longest_word":0,"reading_seconds":0}"#);
        check("one  two\nthree", r#"{"characters":14,"words":3,"lines":2,"longest_word":5,"reading_seconds":1}"#);
        check("größe", r#"{"characters":5,"words":1,"lines":1,"longest_word":5,"reading_seconds":1}"#);
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(Words::of(text).json().trim_end(), expected);
    }
}
