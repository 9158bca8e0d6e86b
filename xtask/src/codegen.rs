//! `cargo run -p xtask --features codegen -- codegen [--check]`: Rust code from the `.proto` files.
//!
//! The generated code is checked in, so only who changes a `.proto` file needs `protoc`, and only then is
//! the generator compiled (feature `codegen`).

use clap::Args;

/// Arguments of `cargo xtask codegen`.
#[derive(Debug, Args)]
pub struct CodegenArgs {
    /// Change nothing; fail if the generated code is not what the .proto files say
    #[arg(long)]
    pub check: bool,
}

/// How to run this command.
pub const COMMAND: &str = "cargo run -p xtask --features codegen -- codegen";

#[cfg(feature = "codegen")]
pub use generate::run;

/// Without the feature: says how to get it.
#[cfg(not(feature = "codegen"))]
pub fn run(args: &CodegenArgs) -> anyhow::Result<bool> {
    let check = if args.check { " --check" } else { "" };
    anyhow::bail!("this xtask was built without the code generator; run `{COMMAND}{check}`")
}

#[cfg(feature = "codegen")]
mod generate {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use anyhow::{Context, Result, ensure};

    use super::{COMMAND, CodegenArgs};
    use crate::{shell, workspace};

    const PACKAGES: &[&str] = &["protobuf-compiler", "libprotobuf-dev"];

    /// Writes the generated code, or with `--check` compares it; false if it differs.
    pub fn run(args: &CodegenArgs) -> Result<bool> {
        if shell::which("protoc", &[]).is_none() {
            shell::apt_install(PACKAGES, &workspace::cache_dir()?.join("logs"))?;
        }
        let proto = workspace::root()?.join("proto");
        let committed = proto.join("src/generated");
        let fresh = proto.join(format!("src/generated.new-{}", std::process::id()));
        fs::create_dir_all(&fresh).with_context(|| format!("creating {}", fresh.display()))?;
        let result = generate(&proto, &fresh).and_then(|()| {
            let (old, new) = (read_folder(&committed)?, read_folder(&fresh)?);
            let differing = differing(&old, &new);
            if !args.check {
                write(&committed, &old, &new)?;
            }
            Ok(differing)
        });
        fs::remove_dir_all(&fresh).with_context(|| format!("removing {}", fresh.display()))?;
        let differing = result?;
        let verb = if args.check { "differs" } else { "changed" };
        for line in &differing {
            println!("{verb}: proto/src/generated/{line}");
        }
        if args.check && !differing.is_empty() {
            println!("the generated code is not what the .proto files say; run `{COMMAND}` and commit the result");
            return Ok(false);
        }
        println!("codegen: {} files {verb}", differing.len());
        Ok(true)
    }

    fn generate(proto: &Path, out: &Path) -> Result<()> {
        let files = proto_files(proto)?;
        ensure!(!files.is_empty(), "looked for proto/mesh/*/v1/*.proto and found none");
        tonic_prost_build::configure()
            .bytes(".")
            .btree_map(".")
            .out_dir(out)
            .file_descriptor_set_path(out.join("descriptor.bin"))
            .compile_protos(&files, &[proto.to_path_buf()])
            .context("generating code from the .proto files")
    }

    /// Every `proto/mesh/*/v1/*.proto`, sorted, so that the descriptor set is the same on every machine.
    fn proto_files(proto: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for package in list(&proto.join("mesh"))? {
            let version = package.join("v1");
            if version.is_dir() {
                files.extend(
                    list(&version)?
                        .into_iter()
                        .filter(|file| file.extension().is_some_and(|extension| extension == "proto")),
                );
            }
        }
        files.sort();
        Ok(files)
    }

    fn list(dir: &Path) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))?;
        entries.map(|entry| Ok(entry.with_context(|| format!("listing {}", dir.display()))?.path())).collect()
    }

    fn read_folder(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        if !dir.is_dir() {
            return Ok(BTreeMap::new());
        }
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?))
        };
        list(dir)?.into_iter().map(read).collect()
    }

    /// One line per file that is new, gone or different, with the first line that differs.
    fn differing(old: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let describe = |name: &String| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) if name.ends_with(".rs") => {
                let same = old
                    .split(|byte| *byte == b'\n')
                    .zip(new.split(|byte| *byte == b'\n'))
                    .take_while(|(old, new)| old == new)
                    .count();
                Some(format!("{name} from line {}", same + 1))
            }
            (Some(_), Some(_)) => Some(name.clone()),
            (None, _) => Some(format!("{name} (new)")),
            (_, None) => Some(format!("{name} (gone)")),
        };
        names.into_iter().filter_map(describe).collect()
    }

    fn write(dir: &Path, old: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            fs::remove_file(dir.join(name)).with_context(|| format!("removing {name}"))?;
        }
        for (name, bytes) in new.iter().filter(|(name, bytes)| old.get(*name) != Some(*bytes)) {
            fs::write(dir.join(name), bytes).with_context(|| format!("writing {name}"))?;
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_difference_is_named_with_its_line() {
            let folder = |files: &[(&str, &str)]| {
                files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
            };
            let old = folder(&[("a.rs", "x\ny\n"), ("gone.rs", ""), ("same.rs", "s")]);
            let new = folder(&[("a.rs", "x\nz\n"), ("new.rs", ""), ("same.rs", "s")]);
            assert_eq!(differing(&old, &new), ["a.rs from line 2", "gone.rs (gone)", "new.rs (new)"]);
        }
    }
}
