//! What the connectors of projects may touch: files in one folder, addresses of one list, and nothing else.

use std::path::{Component, Path, PathBuf};

/// What connectors may touch. By default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permit {
    /// Folder of the files; `None`: no files.
    pub folder: Option<PathBuf>,
    /// `host:port`, `host:*` or `:port` that they may connect to or listen at.
    pub addresses: Vec<String>,
}

impl Permit {
    /// The path of a file that a connector names: relative to the folder, or absolute and inside of it.
    ///
    /// # Errors
    /// What is wrong and the way out: no folder is set, the path leads out of it, also by a link, or its folder is not
    /// there.
    pub fn file(&self, name: &str) -> Result<PathBuf, String> {
        let refuse = |why: &str| Err(format!("file `{name}`: {why}"));
        let Some(folder) = &self.folder else {
            return refuse(
                "this engine lets projects read and write no files; set `connectors_dir` to the folder that holds theirs",
            );
        };
        let unreadable = |path: &Path, error: std::io::Error| format!("file `{name}`: `{}`: {error}", path.display());
        let root = folder.canonicalize().map_err(|error| unreadable(folder, error))?;
        let outside = || format!("file `{name}`: is outside of `{}` (connectors_dir); move it there", root.display());
        let path = Path::new(name);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(outside());
        }
        let path = if path.is_absolute() { path.to_owned() } else { root.join(path) };
        // What is not there yet may come; the folder that it comes to decides then.
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {
                let (Some(parent), Some(file)) = (path.parent(), path.file_name()) else { return Err(outside()) };
                if !path.starts_with(&root) && !parent.starts_with(folder) {
                    return Err(outside());
                }
                parent.canonicalize().map_err(|error| unreadable(parent, error))?.join(file)
            }
            Err(error) => return Err(unreadable(&path, error)),
        };
        if real.starts_with(&root) && real != root { Ok(real) } else { Err(outside()) }
    }

    /// Whether a connector may use an address: `host:port` to connect to, `:port` to listen at.
    ///
    /// # Errors
    /// That it is not in the list, and the way out.
    pub fn address(&self, address: &str) -> Result<(), String> {
        is_listed(address, &self.addresses, "connectors_addresses")
    }
}

/// Whether an address is in the list of a setting, by itself or with `*` for its port.
///
/// # Errors
/// That it is not, and the way out.
pub(super) fn is_listed(address: &str, list: &[String], setting: &str) -> Result<(), String> {
    let any_port = address.rsplit_once(':').map(|(host, _)| format!("{host}:*"));
    let is_known = |known: &String| known == address || Some(known) == any_port.as_ref();
    if list.iter().any(is_known) {
        return Ok(());
    }
    let found = if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
    Err(format!("address `{address}`: is not in `{setting}`, which has {found}; add it there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_folder() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = inside.path().canonicalize().unwrap();
        std::fs::create_dir(folder.join("sub")).unwrap();
        std::fs::write(folder.join("sub/in.csv"), "x").unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("away")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("later"), folder.join("hanging")).unwrap();
        let permit = Permit { folder: Some(folder.clone()), addresses: Vec::new() };
        let absolute = folder.join("sub/in.csv");
        for (name, expected) in
            [("sub/in.csv", "sub/in.csv"), ("new.csv", "new.csv"), (absolute.to_str().unwrap(), "sub/in.csv")]
        {
            assert_eq!(permit.file(name), Ok(folder.join(expected)), "{name}");
        }
        let secret = outside.path().join("secret");
        let far = outside.path().join("new.csv");
        for name in ["../x", "sub/../../x", "/etc/passwd", "link", "away/secret", "away/new.csv", "hanging", "."]
            .into_iter()
            .chain([secret.to_str().unwrap(), far.to_str().unwrap()])
        {
            let refused = permit.file(name).unwrap_err();
            assert!(refused.contains("connectors_dir") || name == "hanging", "{name}: {refused}");
        }
        assert!(permit.file("nowhere/x").unwrap_err().contains("nowhere"));
        assert!(Permit::default().file("in.csv").unwrap_err().contains("set `connectors_dir`"));
    }

    #[test]
    fn addresses_are_those_of_the_list() {
        let permit = Permit { folder: None, addresses: vec!["feed:9000".into(), "lan:*".into(), ":5555".into()] };
        assert!(["feed:9000", "lan:1", ":5555"].iter().all(|address| permit.address(address).is_ok()));
        for address in ["feed:9001", "other:1", ":5556"] {
            assert!(permit.address(address).unwrap_err().contains("feed:9000, lan:*, :5555"), "{address}");
        }
    }
}
