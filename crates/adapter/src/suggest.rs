//! "Did you mean": the known word nearest to an unknown one.

/// The known word nearest to `word`, if one is near enough to be a slip of the finger (a third of its letters, at
/// least one and at most three).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, drop, replace a letter) that turn one word into the other, letter case aside.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replace = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_corrected_and_a_stranger_is_not() {
        let known = ["dateformat", "hotfailover", "hostport"];
        assert_eq!(nearest("dataformat", known), Some("dateformat"));
        assert_eq!(nearest("HotFailOver", known), Some("hotfailover"));
        assert_eq!(nearest("hostprt", known), Some("hostport"));
        assert_eq!(nearest("colour", known), None);
    }
}
