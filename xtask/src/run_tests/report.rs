//! Counts test results and prints the final table and line.

use std::collections::BTreeMap;
use std::time::Duration;

/// What all test binaries reported.
#[derive(Debug, Default)]
pub struct Report {
    packages: BTreeMap<String, Counts>,
    failures: Vec<String>,
    failed_steps: u64,
}

/// What one test binary said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The sums of its result lines.
    pub counts: Counts,
    /// Names of the tests that failed.
    pub failures: Vec<String>,
    /// Whether its exit code was zero.
    pub success: bool,
}

/// Results of one package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests marked as ignored.
    pub ignored: u64,
    /// Time all of its binaries took.
    pub time: Duration,
}

impl Report {
    /// A test binary has ended: `name` is its name within the package.
    pub fn add(&mut self, package: &str, name: &str, outcome: Outcome) {
        let Outcome { mut counts, failures, success } = outcome;
        if !success && counts.failed == 0 {
            // It crashed, ran out of time or could not start: no result line says so.
            counts.failed = 1;
            self.failures.push(format!("{package} :: {name}: ended with an error before it could report its tests"));
        }
        self.failures.extend(failures.into_iter().map(|test| format!("{package} :: {name}: {test}")));
        let total = self.packages.entry(package.to_owned()).or_default();
        total.passed += counts.passed;
        total.failed += counts.failed;
        total.ignored += counts.ignored;
        total.time += counts.time;
    }

    /// A step before or between the tests failed; counts as one failed test.
    pub fn step_failed(&mut self) {
        self.failed_steps += 1;
    }

    /// Whether nothing failed.
    pub fn all_passed(&self) -> bool {
        self.total().1 == 0
    }

    fn total(&self) -> (u64, u64) {
        let passed = self.packages.values().map(|counts| counts.passed).sum();
        let failed: u64 = self.packages.values().map(|counts| counts.failed).sum();
        // A run without a single test proves nothing; most likely a filter is misspelt.
        let no_test = u64::from(passed + failed + self.failed_steps == 0);
        (passed, failed + self.failed_steps + no_test)
    }

    /// Prints failures, table and last line.
    pub fn print(&self) {
        print!("{}", self.render());
    }

    fn render(&self) -> String {
        let mut out = String::from("\n");
        for failure in &self.failures {
            out += &format!("FAILED {failure}\n");
        }
        out += &format!("{:<26} {:>7} {:>7} {:>8} {:>9}\n", "package", "passed", "failed", "ignored", "time");
        let with_tests = self.packages.iter().filter(|(_, counts)| counts.passed + counts.failed + counts.ignored > 0);
        for (package, counts) in with_tests {
            let time = format!("{:.1} s", counts.time.as_secs_f64());
            out +=
                &format!("{package:<26} {:>7} {:>7} {:>8} {time:>9}\n", counts.passed, counts.failed, counts.ignored);
        }
        if self.failed_steps > 0 {
            out += &format!("{:<26} {:>7} {:>7}\n", "(a step before the tests)", 0, self.failed_steps);
        }
        let (passed, failed) = self.total();
        if passed == 0 && self.failed_steps == 0 && self.failures.is_empty() {
            out += "no test ran, which counts as one failure; is a filter misspelt?\n";
        }
        out += &format!("{passed} passed, {failed} failed\n");
        out
    }
}

/// Counts in `test result: ok. 10 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s`.
pub fn parse_result_line(line: &str) -> Option<Counts> {
    let rest = line.trim_start().strip_prefix("test result: ")?;
    let (_, numbers) = rest.split_once(". ")?;
    let mut counts = Counts::default();
    for part in numbers.split("; ") {
        match part.split_once(' ') {
            Some((number, "passed")) => counts.passed = number.parse().ok()?,
            Some((number, "failed")) => counts.failed = number.parse().ok()?,
            Some((number, "ignored")) => counts.ignored = number.parse().ok()?,
            _ => {}
        }
    }
    Some(counts)
}

/// The name in `test some::name ... FAILED`.
pub fn parse_failure(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let counts = parse_result_line(
            "test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s",
        )
        .unwrap();
        assert_eq!((counts.passed, counts.failed, counts.ignored), (7, 2, 1));
        assert_eq!(parse_result_line("test a::b ... ok"), None);
        assert_eq!(parse_failure("test a::b ... FAILED"), Some("a::b"));
    }

    fn outcome(passed: u64, failures: &[&str], success: bool) -> Outcome {
        let failures: Vec<String> = failures.iter().map(|name| (*name).to_owned()).collect();
        let counts = Counts { passed, failed: failures.len() as u64, ..Counts::default() };
        Outcome { counts, failures, success }
    }

    #[test]
    fn the_last_line_holds_the_sums_and_nothing_else() {
        let mut report = Report::default();
        report.add("mesh-bus", "contract", outcome(3, &[], true));
        report.add("mesh-bus", "mesh_bus", outcome(2, &["a::b"], false));
        assert!(!report.all_passed());
        let text = report.render();
        assert!(text.ends_with("\n5 passed, 1 failed\n"), "{text}");
        assert!(text.contains("FAILED mesh-bus :: mesh_bus: a::b\n"), "{text}");
    }

    #[test]
    fn a_crash_without_a_result_line_counts_as_a_failure() {
        let mut report = Report::default();
        report.add("mesh-engine", "takeover", outcome(0, &[], false));
        report.step_failed();
        let text = report.render();
        assert!(text.contains("FAILED mesh-engine :: takeover: ended with an error"), "{text}");
        assert!(text.ends_with("\n0 passed, 2 failed\n"), "{text}");
    }

    #[test]
    fn a_run_without_tests_fails() {
        let mut report = Report::default();
        report.add("mesh-engine", "takeover", outcome(0, &[], true));
        assert!(!report.all_passed());
        assert!(report.render().ends_with("\n0 passed, 1 failed\n"), "{}", report.render());
    }
}
