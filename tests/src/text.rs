//! Text that grows, against text that must come, line by line.

use xtask::compose::compare::Verdict;

/// How much of what is compared already is remembered, to know a line that comes once more.
const BEHIND_BYTES: usize = 1 << 16;

/// What must come and what came, as far as it is not compared.
#[derive(Debug, Default)]
pub struct Text {
    /// The last lines that are compared.
    behind: Vec<u8>,
    expected: Vec<u8>,
    found: Vec<u8>,
    /// Bytes that must have come so far.
    pub expected_bytes: u64,
    /// Bytes that came so far.
    pub found_bytes: u64,
    /// Bytes that came and are right, or were counted as wrong.
    pub right_bytes: u64,
    /// The first place at which they differed, in words.
    pub differed: Option<String>,
}

impl Text {
    /// This must come next.
    pub fn expect(&mut self, text: &[u8]) {
        self.expected.extend_from_slice(text);
        self.expected_bytes += text.len() as u64;
    }

    /// This came next.
    pub fn found(&mut self, text: &[u8]) {
        self.found.extend_from_slice(text);
        self.found_bytes += text.len() as u64;
    }

    /// Compares as far as both reach; counts what is wrong in whole lines.
    pub fn judge(&mut self) -> Verdict {
        let equal = self.expected.iter().zip(&self.found).take_while(|(one, other)| one == other).count();
        self.right(equal);
        self.found.drain(..equal);
        if self.expected.is_empty() || self.found.is_empty() {
            return Verdict::default();
        }
        // They differ: whole lines of both are counted, as far as lines have come, and both go on behind them.
        let whole = |text: &[u8]| text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let (until, came) = (whole(&self.expected), whole(&self.found));
        if until == 0 || came == 0 {
            return Verdict::default();
        }
        let with_behind = |text: &[u8]| String::from_utf8_lossy(&[&self.behind, text].concat()).into_owned();
        let (expected, found) = (with_behind(&self.expected[..until]), with_behind(&self.found[..came]));
        // What lies behind the last line that came has not come yet; it is not lost.
        let last = found
            .lines()
            .next_back()
            .and_then(|last| expected.find(&format!("{last}\n")).map(|at| at + last.len() + 1));
        let due = last.unwrap_or(self.behind.len()).max(self.behind.len());
        let verdict = Verdict::of(&expected[..due], &found);
        self.differed.get_or_insert_with(|| {
            let at = expected.lines().zip(found.lines()).position(|(one, other)| one != other);
            let nth = |text: &str| text.lines().nth(at.unwrap_or_default()).unwrap_or_default().to_owned();
            format!("`{}` came, expected `{}`", nth(&found), nth(&expected))
        });
        self.right(due - self.behind.len());
        self.found.drain(..came);
        verdict
    }

    /// The next bytes that must come are dealt with.
    fn right(&mut self, bytes: usize) {
        self.right_bytes += bytes as u64;
        self.behind.extend(self.expected.drain(..bytes));
        if self.behind.len() > 2 * BEHIND_BYTES {
            let line = self.behind[BEHIND_BYTES..].iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            self.behind.drain(..BEHIND_BYTES + line);
        }
    }
}

/// Adds what was found wrong to what is known.
pub fn add(sum: &mut Verdict, more: Verdict) {
    sum.lost += more.lost;
    sum.doubled += more.doubled;
    sum.reordered += more.reordered;
    sum.foreign += more.foreign;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(expected: &str, found: &[&str]) -> (Verdict, u64) {
        let (mut text, mut sum) = (Text::default(), Verdict::default());
        text.expect(expected.as_bytes());
        for piece in found {
            text.found(piece.as_bytes());
            add(&mut sum, text.judge());
        }
        (sum, text.right_bytes)
    }

    #[test]
    fn text_that_comes_in_pieces_is_right() {
        assert_eq!(judged("1,a\n2,b\n", &["1", ",a\n2", ",b\n"]), (Verdict::default(), 8));
        assert_eq!(judged("1,a\n2,b\n", &["1,a\n"]), (Verdict::default(), 4));
    }

    #[test]
    fn what_differs_is_counted_in_lines_and_the_rest_compared_again() {
        let all = "1,a\n2,b\n3,c\n4,d\n";
        assert_eq!(judged(all, &["1,a\n3,c\n", "4,d\n"]), (Verdict { lost: 1, ..Verdict::default() }, 16));
        assert_eq!(judged(all, &["1,a\n", "1,a\n2,b\n"]), (Verdict { doubled: 1, ..Verdict::default() }, 8));
        assert_eq!(judged(all, &["1,a\n3,c\n2,b\n3,c\n4,d\n"]).0.doubled, 1);
        assert_eq!(judged(all, &["1,a\n2,x\n3,c\n4,d\n"]).0, Verdict { lost: 1, foreign: 1, ..Verdict::default() });
    }
}
