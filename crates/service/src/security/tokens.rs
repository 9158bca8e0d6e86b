//! The file of tokens: who may do what.
//!
//! ```toml
//! [[token]]
//! name = "grafana"          # shown in logs
//! role = "view"             # view, operate, deploy, mesh
//! sha256 = "9f86d081..."    # of the token: `printf %s "$TOKEN" | sha256sum`; or the token itself: token = "..."
//! ```

use ring::digest::{Digest, SHA256, digest};
use serde::Deserialize;

use super::roles::Role;
use super::tls::read;
use crate::config::{Problem, Problems};
use crate::units::Secret;

/// A shorter token can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    role: Role,
    sha256: Option<String>,
    token: Option<Secret>,
}

/// The tokens that are known, by what they hash to: the time that a comparison takes tells nothing about a token.
#[derive(Debug)]
pub(super) struct Tokens {
    known: Vec<(Vec<u8>, Holder)>,
}

/// Whom a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) role: Role,
}

fn hash(token: &str) -> Digest {
    digest(&SHA256, token.as_bytes())
}

impl Tokens {
    /// Reads the file of the setting `auth.tokens`.
    pub(super) fn load(path: &str, problems: &mut Problems) -> Option<Self> {
        let wrong = |expected: &str, found: String| Problem::new("auth.tokens", path).expected(expected).found(found);
        let bytes = read("auth.tokens", path, "a TOML file with tokens", problems)?;
        let parsed = std::str::from_utf8(&bytes).map_err(|error| error.to_string()).and_then(|text| {
            // the parser's own rendering shows the line, which may hold a token
            toml::from_str::<File>(text).map_err(|error| {
                let line = error.span().map_or(0, |span| 1 + text[..span.start].matches('\n').count());
                format!("line {line}: {}", error.message())
            })
        });
        let file = match parsed {
            Ok(file) => file,
            Err(found) => {
                let expected =
                    "tables `[[token]]` with `name`, `role` (view, operate, deploy, mesh), and `sha256` or `token`";
                problems.add(wrong(expected, found));
                return None;
            }
        };
        let before = problems.list().len();
        if file.token.is_empty() {
            problems.add(wrong("at least one `[[token]]`", "none".to_owned()));
        }
        let mut known: Vec<(Vec<u8>, Holder)> = Vec::new();
        for entry in file.token {
            let name = &entry.name;
            let hashed = match (entry.sha256, entry.token) {
                (Some(text), None) => from_hex(&text).ok_or("64 hexadecimal digits as `sha256`"),
                (None, Some(token)) if token.reveal().len() >= TOKEN_BYTES_MIN => {
                    Ok(hash(token.reveal()).as_ref().to_vec())
                }
                (None, Some(_)) => Err("a token of at least 16 characters, as `openssl rand -hex 32` makes"),
                _ => Err("either `sha256` or `token`"),
            };
            match hashed {
                Err(expected) => problems.add(wrong(expected, format!("another value in `{name}`"))),
                Ok(_) if known.iter().any(|(_, holder)| holder.name == *name) => {
                    problems.add(wrong("a name only once", format!("`{name}` twice")));
                }
                Ok(hashed) if known.iter().any(|(other, _)| *other == hashed) => {
                    problems.add(wrong("a token only once", format!("that of `{name}` twice")));
                }
                Ok(hashed) => known.push((hashed, Holder { name: entry.name, role: entry.role })),
            }
        }
        (problems.list().len() == before).then_some(Tokens { known })
    }

    /// Whose token this is.
    pub(super) fn holder(&self, token: &str) -> Option<&Holder> {
        let hashed = hash(token);
        self.known.iter().find(|(known, _)| known.as_slice() == hashed.as_ref()).map(|(_, holder)| holder)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes();
    if digits.len() != 64 {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Tokens, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        std::fs::write(&path, text).unwrap();
        let mut problems = Problems::default();
        Tokens::load(path.to_str().unwrap(), &mut problems).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn a_token_is_known_by_itself_or_by_its_hash() {
        let hashed: String =
            hash("a token of forty-two characters").as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let tokens = load(&format!(
            "[[token]]\nname = 'ops'\nrole = 'operate'\nsha256 = '{hashed}'\n[[token]]\nname = 'b'\nrole = 'view'\ntoken = '0123456789abcdef'\n"
        ))
        .unwrap();
        let ops = Holder { name: "ops".to_owned(), role: Role::Operate };
        assert_eq!(tokens.holder("a token of forty-two characters"), Some(&ops));
        assert_eq!(tokens.holder("0123456789abcdef").unwrap().role, Role::View);
        for wrong in ["", "0123456789abcde", "0123456789abcdef ", &hashed] {
            assert_eq!(tokens.holder(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_wrong_file_is_told_without_showing_a_token() {
        let secret = "s3cr3t-s3cr3t-s3cr3t";
        for (text, expected) in [
            ("", "at least one"),
            (&*format!("[[token]]\nname='a'\nrole='root'\ntoken='{secret}'\n"), "line 3"),
            (&*format!("[[token]]\nname='a'\nrole='view'\ntokens='{secret}'\n"), "line 4"),
            (&*format!("[[token]]\nname='a'\nrole='view'\ntoken='{secret}\n"), "line 4"),
            ("[[token]]\nname='a'\nrole='view'\ntoken='short'\n", "at least 16 characters"),
            ("[[token]]\nname='a'\nrole='view'\nsha256='12'\n", "64 hexadecimal digits"),
            ("[[token]]\nname='a'\nrole='view'\n", "either `sha256` or `token`"),
            (
                "[[token]]\nname='a'\nrole='view'\ntoken='0123456789abcdef'\n[[token]]\nname='a'\nrole='view'\ntoken='0123456789abcdeg'\n",
                "`a` twice",
            ),
            (
                "[[token]]\nname='a'\nrole='view'\ntoken='0123456789abcdef'\n[[token]]\nname='b'\nrole='view'\ntoken='0123456789abcdef'\n",
                "that of `b` twice",
            ),
        ] {
            let told = load(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(told.contains(expected) && told.contains("auth.tokens"), "{text}: {told}");
            assert!(!told.contains("s3cr3t"), "{told}");
        }
    }
}
