//! What came out, line by line against what should have.

use std::collections::BTreeMap;
use std::fmt;

/// How far what came out differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Expected lines that did not come.
    pub lost: usize,
    /// Expected lines that came once more.
    pub doubled: usize,
    /// Lines that came after one that belongs behind them.
    pub reordered: usize,
    /// Lines that nobody expected.
    pub foreign: usize,
}

impl Verdict {
    /// Compares; every expected line is another one, for it begins with the event's key.
    pub fn of(expected: &str, found: &str) -> Verdict {
        let places: BTreeMap<&str, usize> = expected.lines().enumerate().map(|(place, line)| (line, place)).collect();
        let mut seen = vec![false; places.len()];
        let (mut verdict, mut furthest) = (Verdict::default(), 0);
        for line in found.lines() {
            match places.get(line) {
                None => verdict.foreign += 1,
                Some(&place) if seen[place] => verdict.doubled += 1,
                Some(&place) => {
                    seen[place] = true;
                    verdict.reordered += usize::from(place < furthest);
                    furthest = furthest.max(place);
                }
            }
        }
        verdict.lost = seen.iter().filter(|seen| !**seen).count();
        verdict
    }

    /// Nothing differs.
    pub fn is_good(&self) -> bool {
        *self == Verdict::default()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { lost, doubled, reordered, foreign } = self;
        write!(f, "lost {lost}, doubled {doubled}, reordered {reordered}, not expected {foreign}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_counted_as_itself() {
        let expected = "1,a\n2,b\n3,c\n4,d\n";
        assert!(Verdict::of(expected, expected).is_good());
        assert_eq!(Verdict::of(expected, "1,a\n3,c\n"), Verdict { lost: 2, ..Verdict::default() });
        assert_eq!(Verdict::of(expected, "1,a\n2,b\n2,b\n3,c\n4,d\n"), Verdict { doubled: 1, ..Verdict::default() });
        assert_eq!(Verdict::of(expected, "1,a\n3,c\n2,b\n4,d\n"), Verdict { reordered: 1, ..Verdict::default() });
        let changed = Verdict { lost: 1, foreign: 1, ..Verdict::default() };
        assert_eq!(Verdict::of(expected, "1,a\n2,x\n3,c\n4,d\n"), changed);
    }
}
