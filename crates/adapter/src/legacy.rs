//! The older command line, `-k pub -h "dfESP://..." -f in.csv -t csv -b 1 -d FORMAT -Q -A -O -F normal`.

use crate::settings::{Place, Problem, Refused, Setting};

/// The old letters, the keys that they stand for, and the value of those that take none.
/// Which of `-A` and `-O` is noautogenfield and which addcsvopcode is not public; the samples give both or none.
const LETTERS: &[(char, &str, Option<&str>)] = &[
    ('k', "type", None),
    ('h', "url", None),
    ('f', "fsname", None),
    ('t', "fstype", None),
    ('b', "blocksize", None),
    ('d', "dateformat", None),
    ('F', "addcsvflags", None),
    ('Q', "quiesceproject", Some("true")),
    ('A', "noautogenfield", Some("true")),
    ('O', "addcsvopcode", Some("true")),
];

/// True when these arguments are an old command line: the first one is one of the old letters.
pub fn is_legacy(arguments: &[String]) -> bool {
    arguments.first().is_some_and(|first| letter_of(first).is_some())
}

/// Settings of an old command line.
pub fn parse(arguments: &[String]) -> Result<Vec<Setting>, Refused> {
    let mut settings = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some((_, key, fixed)) = letter_of(argument) else {
            return Err(refused(format!(
                "`{argument}` is not an option of the old command line; use -C key=value,..."
            )));
        };
        let value = match (fixed, rest.as_slice().first()) {
            (Some(value), _) => (*value).to_owned(),
            (None, Some(value)) => {
                rest.next();
                value.clone()
            }
            (None, None) => {
                return Err(refused(format!("`{argument}` needs a value, it stands for `{key}=...`")));
            }
        };
        settings.push(Setting { key: (*key).to_owned(), value, place: Place::Line });
    }
    Ok(settings)
}

fn letter_of(argument: &str) -> Option<&'static (char, &'static str, Option<&'static str>)> {
    let mut letters = argument.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    letters.next().is_none().then(|| LETTERS.iter().find(|(known, _, _)| *known == letter)).flatten()
}

fn refused(message: String) -> Refused {
    Refused { problems: vec![Problem { place: Place::Line, message }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_old_sample_means_the_new_keys() {
        let old = arguments("-k pub -h dfESP://h:1/p/q/w -f in.csv -t csv -b 1 -d %d/%b -Q -A -O -F normal");
        assert!(is_legacy(&old));
        let pairs: Vec<String> = parse(&old).unwrap().iter().map(|s| format!("{}={}", s.key, s.value)).collect();
        assert_eq!(
            pairs.join(","),
            "type=pub,url=dfESP://h:1/p/q/w,fsname=in.csv,fstype=csv,blocksize=1,dateformat=%d/%b,quiesceproject=true,\
             noautogenfield=true,addcsvopcode=true,addcsvflags=normal"
        );
    }

    #[test]
    fn a_missing_value_and_an_unknown_letter_are_refused() {
        assert!(parse(&arguments("-k")).unwrap_err().to_string().contains("needs a value"));
        assert!(parse(&arguments("-k pub -z 1")).unwrap_err().to_string().contains("`-z`"));
        assert!(!is_legacy(&arguments("-C type=pub")));
    }
}
