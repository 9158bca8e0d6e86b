//! Names of files: patterns, and what rotation makes of a name.

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The folder with the slash behind it.
pub(super) fn folder(path: &str) -> &str {
    &path[..path.len() - file_name(path).len()]
}

/// Whether a name is like a pattern: `*` stands for any bytes, `?` for one.
pub(super) fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[here] => (at, here) = (at + 1, here + 1),
            _ => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, here) = (*after + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Whether a file may have been renamed to this name when it was rotated: number or date behind it, or before its extension.
pub(super) fn is_rotated(own: &str, name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let is_number = |added: &str| {
        let mut bytes = added.bytes();
        let between = bytes.next().is_some_and(|byte| matches!(byte, b'.' | b'-' | b'_'));
        between
            && added.bytes().any(|byte| byte.is_ascii_digit())
            && bytes.all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'T' | b'Z'))
    };
    let before_extension = || {
        let (stem, extension) = own.rsplit_once('.')?;
        name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')
    };
    name.strip_prefix(own).is_some_and(is_number) || before_extension().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, fits) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.1", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("?.csv", "ab.csv", false),
            ("*", "", true),
            ("in-??-*", "in-07-x", true),
        ] {
            assert_eq!(is_like(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn rotated_names_have_a_number_or_a_date() {
        for name in ["in.csv.1", "in.csv.12.gz", "in.csv-20240131", "in-2024-01-31T10:00.csv", "in_007.csv"] {
            assert!(is_rotated("in.csv", name), "{name}");
        }
        for name in ["in.csv", "in.csv.bak", "in.csv.position", "in.csv.1.tmp", "main.csv.1", "in-old.csv", "in..csv"] {
            assert!(!is_rotated("in.csv", name), "{name}");
        }
    }
}
