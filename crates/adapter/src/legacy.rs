//! The older command line, `-k pub -h "dfESP://..." -f in.csv -t csv -b 1 -d FORMAT -Q -A -O -F normal`.

/// An old letter, the key that it stands for, and the value of those that take none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    /// The letter.
    pub letter: char,
    /// The key.
    pub key: &'static str,
    /// The value, for a letter that takes none.
    pub fixed: Option<&'static str>,
}

const fn letter(letter: char, key: &'static str, fixed: Option<&'static str>) -> Letter {
    Letter { letter, key, fixed }
}

/// The old letters. Which of `-A` and `-O` is noautogenfield and which addcsvopcode is not public; the samples give
/// both or none.
pub const LETTERS: &[Letter] = &[
    letter('k', "type", None),
    letter('h', "url", None),
    letter('f', "fsname", None),
    letter('t', "fstype", None),
    letter('b', "blocksize", None),
    letter('d', "dateformat", None),
    letter('F', "addcsvflags", None),
    letter('Q', "quiesceproject", Some("true")),
    letter('A', "noautogenfield", Some("true")),
    letter('O', "addcsvopcode", Some("true")),
];

/// The `-C` line that means the same; `given` holds keys and values in order.
pub fn to_line(given: &[(&str, String)]) -> String {
    let part = |(key, value): &(&str, String)| format!("{key}=\"{}\"", value.replace('"', ""));
    given.iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line;

    #[test]
    fn the_old_letters_mean_the_new_keys() {
        let given =
            [("type", "pub".to_owned()), ("dateformat", "%d, %b:%H".to_owned()), ("addcsvopcode", "true".into())];
        let settings = line::parse(&to_line(&given)).unwrap();
        let pairs: Vec<(&str, String)> = settings.iter().map(|s| (s.key.as_str(), s.value.clone())).collect();
        assert_eq!(pairs, given);
        assert!(
            LETTERS
                .iter()
                .all(|known| crate::table::line_keys(crate::table::Side::Publisher).iter().any(|k| k.key == known.key))
        );
    }
}
