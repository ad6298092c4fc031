//! The word that was probably meant.

/// The candidate with the fewest edits from `word`, if they are few enough for a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // Longer than any key, and the distance is quadratic.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    candidates
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, candidate)| *edits <= candidate.len().div_ceil(3))
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let substituted = last[j] + usize::from(a[i] != b[j]);
            let mut edits = substituted.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                edits = edits.min(before[j - 1] + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let keys = ["listen", "admin", "repository", "identity", "models"];
        for (word, expected) in [
            ("lisetn", Some("listen")),
            ("Repository", Some("repository")),
            ("model", Some("models")),
            ("repositry", Some("repository")),
            ("xyzzy", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &keys), expected, "{word}");
        }
        assert_eq!(nearest(&"m".repeat(100), &keys), None);
    }
}
