//! Wall clocks of engines that are set while they run, by the file that `ESP_MESH_TEST_CLOCK` names. What counts time without
//! being set is left alone, as it is when an administrator, or a wrong time server, sets a clock.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use mesh_tests::mesh::Place;

/// A place whose engines have clocks of their own.
pub struct Clocks {
    inner: Arc<dyn Place>,
    folder: PathBuf,
}

impl Clocks {
    /// Around a place.
    pub fn new(inner: Arc<dyn Place>) -> Result<Clocks> {
        let folder = std::env::temp_dir().join(format!("esp-mesh-clocks-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Clocks { inner, folder })
    }

    /// Sets the clock of a process so many seconds beside the machine's; it is seen within 50 ms.
    pub fn step(&self, process: &str, seconds: i64) -> Result<()> {
        let (file, new) = (self.folder.join(process), self.folder.join(format!("{process}.new")));
        fs::write(&new, seconds.to_string())?;
        Ok(fs::rename(new, file)?)
    }
}

impl Place for Clocks {
    fn address(&self, process: &str) -> Result<String> {
        self.inner.address(process)
    }

    fn command(&self, process: &str, program: PathBuf, arguments: Vec<String>) -> Result<(PathBuf, Vec<String>)> {
        if !process.starts_with("engine") {
            return self.inner.command(process, program, arguments);
        }
        self.step(process, 0)?;
        let file = self.folder.join(process);
        let mut all = vec![format!("ESP_MESH_TEST_CLOCK={}", file.display()), program.display().to_string()];
        all.extend(arguments);
        self.inner.command(process, PathBuf::from("env"), all)
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
