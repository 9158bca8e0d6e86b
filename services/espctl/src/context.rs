//! Which mesh is meant: contexts by file, so that nobody types addresses.
//!
//! ```toml
//! current = "prod"
//!
//! [contexts.prod]
//! coordinators = ["mesh-1.example.org:50100", "mesh-2.example.org:50100"]
//! who = "ada"
//! ```

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::DEFAULT_COORDINATOR;
use crate::fail::Fail;
use crate::out::{self, Column};
use mesh_service::config::did_you_mean;

/// Names the file instead of the usual one.
const FILE: &str = "ESP_CONTEXTS";

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contexts {
    current: String,
    contexts: BTreeMap<String, Context>,
}

/// A mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Context {
    coordinators: Vec<String>,
    who: String,
}

/// What holds after file, environment and flags.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// `host:port` of the coordinators.
    pub coordinators: Vec<String>,
    /// Who asks for changes.
    pub who: String,
}

/// `$ESP_CONTEXTS`, else `espctl.toml` in the user's folder of configurations.
fn file() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(FILE) {
        return Some(PathBuf::from(named));
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    Some(std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?.join("espctl.toml"))
}

/// The contexts; none when there is no file, unless one was named.
fn read() -> Result<(Contexts, String), Fail> {
    let Some(path) = file() else { return Ok((Contexts::default(), String::new())) };
    let shown = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((parse(&text, &shown)?, shown)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::env::var_os(FILE).is_none() => {
            Ok((Contexts::default(), shown))
        }
        Err(error) => Err(Fail::input(format!("read contexts from `{shown}`: {error}"))),
    }
}

fn parse(text: &str, file: &str) -> Result<Contexts, Fail> {
    toml::from_str(text).map_err(|error| Fail::input(format!("`{file}`: {}", error.to_string().trim_end())))
}

/// Flags and environment are stronger than the context that is named, which is stronger than the current one.
pub fn choose(coordinators: &[String], who: Option<&str>, named: Option<&str>) -> Result<Chosen, Fail> {
    let (contexts, file) = if coordinators.is_empty() || named.is_some() { read()? } else { Default::default() };
    let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    contexts.choose(coordinators, who, named, &file, &user())
}

impl Contexts {
    fn choose(
        &self,
        coordinators: &[String],
        who: Option<&str>,
        named: Option<&str>,
        file: &str,
        user: &str,
    ) -> Result<Chosen, Fail> {
        let context = match named.or(Some(self.current.as_str()).filter(|current| !current.is_empty())) {
            None => Context::default(),
            Some(name) => self.contexts.get(name).cloned().ok_or_else(|| self.unknown(name, file))?,
        };
        let addresses = [coordinators, &context.coordinators].into_iter().find(|given| !given.is_empty());
        let coordinators = addresses.map_or_else(|| vec![DEFAULT_COORDINATOR.to_owned()], <[String]>::to_vec);
        let who = [who.unwrap_or_default(), &context.who, user].into_iter().find(|name| !name.is_empty());
        Ok(Chosen { coordinators, who: who.unwrap_or_default().to_owned() })
    }

    fn unknown(&self, name: &str, file: &str) -> Fail {
        let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
        let near = did_you_mean(name, names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Fail::input(format!("context `{name}`: expected one of `{file}` ({known}){near}"))
    }
}

/// Prints the contexts.
pub fn list() -> Result<(), Fail> {
    let (contexts, file) = read()?;
    if contexts.contexts.is_empty() {
        out::note(&format!("no contexts; write some into {file}: espctl contexts --help shows how"));
        return Ok(());
    }
    let columns = [Column::Text("CONTEXT"), Column::Text("COORDINATORS"), Column::Text("WHO")];
    let rows = contexts.contexts.into_iter().map(|(name, context)| {
        let marked = if name == contexts.current { format!("{name} (current)") } else { name };
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        vec![marked, or_dash(context.coordinators.join(",")), or_dash(context.who)]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "current = \"prod\"\n[contexts.prod]\ncoordinators = [\"p:1\", \"p:2\"]\nwho = \"ada\"\n[contexts.lab]\n";

    #[test]
    fn flags_are_stronger_than_contexts_and_those_than_defaults() {
        let contexts = parse(TEXT, "f").expect("good");
        let choose = |coordinators: &[&str], who, named| {
            let coordinators: Vec<String> = coordinators.iter().map(|&address| address.to_owned()).collect();
            contexts.choose(&coordinators, who, named, "f", "user").expect("good")
        };
        let chosen = |coordinators: &[&str], who: &str| Chosen {
            coordinators: coordinators.iter().map(|&address| address.to_owned()).collect(),
            who: who.to_owned(),
        };
        assert_eq!(choose(&[], None, None), chosen(&["p:1", "p:2"], "ada"));
        assert_eq!(choose(&["x:1"], Some("bob"), None), chosen(&["x:1"], "bob"));
        assert_eq!(choose(&[], None, Some("lab")), chosen(&[DEFAULT_COORDINATOR], "user"));
    }

    #[test]
    fn wrong_files_and_names_say_what_is_right() {
        let text = |fail: Fail| fail.text().unwrap_or_default().to_owned();
        let wrong = text(parse("[contexts.prod]\ncoordinator = [\"p:1\"]\n", "espctl.toml").expect_err("wrong"));
        assert!(
            wrong.contains("espctl.toml") && wrong.contains("`coordinator`") && wrong.contains("`coordinators`"),
            "{wrong}"
        );
        let contexts = parse(TEXT, "f").expect("good");
        let wrong = text(contexts.choose(&[], None, Some("prd"), "f", "").expect_err("unknown"));
        assert_eq!(wrong, "context `prd`: expected one of `f` (lab, prod); did you mean `prod`?");
    }
}
