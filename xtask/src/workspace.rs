//! Where things are: the workspace's root and the cache that survives between clones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Environment variable that moves the stack's data, logs and pids.
pub const STACK_DIR: &str = "ESP_MESH_STACK_DIR";
/// Environment variable that moves the cache of downloaded jars and built binaries.
pub const CACHE_DIR: &str = "ESP_MESH_CACHE";

/// The workspace's root folder: the nearest one upwards that holds `xtask/stack`.
pub fn root() -> Result<PathBuf> {
    let current = std::env::current_dir().context("asking for the current folder")?;
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let compiled = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for start in [Some(current), manifest, Some(compiled)].into_iter().flatten() {
        if let Some(found) = start.ancestors().find(|dir| is_root(dir)) {
            return Ok(found.to_path_buf());
        }
    }
    bail!(
        "looked upwards from the current folder for the esp-mesh workspace (a folder with Cargo.toml and xtask/stack) and found none; run this inside the clone"
    )
}

fn is_root(dir: &Path) -> bool {
    dir.join("Cargo.toml").is_file() && dir.join("xtask/stack").is_dir()
}

/// Folder of the stack's data, logs and pids: `target/stack` unless `ESP_MESH_STACK_DIR` says otherwise.
pub fn stack_dir() -> Result<PathBuf> {
    match std::env::var_os(STACK_DIR) {
        Some(dir) => std::path::absolute(&dir).with_context(|| format!("{STACK_DIR}={}", dir.display())),
        None => Ok(root()?.join("target/stack")),
    }
}

/// Folder of downloaded jars and built binaries: `~/.cache/esp-mesh` unless `ESP_MESH_CACHE` says otherwise.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os(CACHE_DIR) {
        return std::path::absolute(&dir).with_context(|| format!("{CACHE_DIR}={}", dir.display()));
    }
    let home = std::env::var_os("HOME").with_context(|| {
        format!("neither HOME nor {CACHE_DIR} is set, so there is no place for downloads; set one of them")
    })?;
    Ok(PathBuf::from(home).join(".cache/esp-mesh"))
}
