//! "Did you mean": the known name nearest to a misspelt one.

/// ` (did you mean "..."?)` if one of `known` is near `name`, else nothing.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known.into_iter().map(|candidate| (distance(name, candidate), candidate)).min();
    match near {
        // A third of the letters may be wrong; more is another word.
        Some((distance, candidate)) if distance <= candidate.len().max(3) / 3 => {
            format!(" (did you mean {candidate:?}?)")
        }
        _ => String::new(),
    }
}

/// Levenshtein distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        let known = ["max_per_hour", "per", "tags", "from"];
        assert_eq!(hint("max_per_hours", known), r#" (did you mean "max_per_hour"?)"#);
        assert_eq!(hint("form", known), "");
        assert_eq!(hint("tag", known), r#" (did you mean "tags"?)"#);
        assert_eq!(hint("price", known), "");
        assert_eq!(hint("x", []), "");
    }
}
