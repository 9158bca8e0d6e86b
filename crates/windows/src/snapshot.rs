//! An executor's state as a stream of sections: the clock, then one for each window.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mesh_model::Project;

use crate::executor::Executor;
use crate::ops::Clock;
use crate::state::{LAYOUT, MAGIC, RestoreError, read_section, write_section};

/// Name and kind of the first section.
const EXECUTOR: (&str, &str, u16) = ("", "executor", 1);

impl Executor {
    /// Writes the state, between any two calls. The bytes are a function of what was applied: neither how blocks were
    /// spread over calls nor earlier restores show in them. They carry a hash per section, but are not compressed.
    pub fn save(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&MAGIC)?;
        out.write_all(&LAYOUT.to_le_bytes())?;
        out.write_all(&self.fingerprint.to_le_bytes())?;
        let (name, kind, version) = EXECUTOR;
        write_section(out, name, kind, version, |to| {
            to.put(&self.clock.get());
            to.length(self.nodes.len());
        })?;
        for (name, node) in self.names.iter().zip(&self.nodes) {
            let (kind, version) = node.kind();
            write_section(out, name, kind, version, |to| node.save(to))?;
        }
        Ok(())
    }

    /// An executor of the same project in the state that was saved. Nothing behind the state is read.
    pub fn restore(project: Arc<Project>, from: &mut dyn Read) -> Result<Executor, RestoreError> {
        let mut executor = Executor::new(project);
        let mut magic = [0; 8];
        from.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(RestoreError::Magic { found: magic });
        }
        let mut layout = [0; 2];
        from.read_exact(&mut layout)?;
        let layout = u16::from_le_bytes(layout);
        if layout != LAYOUT {
            return Err(RestoreError::Layout { found: layout });
        }
        let mut fingerprint = [0; 8];
        from.read_exact(&mut fingerprint)?;
        let found = u64::from_le_bytes(fingerprint);
        if found != executor.fingerprint {
            return Err(RestoreError::Fingerprint { found, expected: executor.fingerprint });
        }
        let windows = executor.nodes.len() as u64;
        let (name, kind, version) = EXECUTOR;
        let clock = read_section(from, (0, name, kind, version), |from| {
            let clock: Option<i64> = from.get()?;
            from.expect(&windows, "the number of windows is not the project's")?;
            Ok(clock)
        })?;
        executor.clock = Clock::restored(clock);
        for (position, (name, node)) in executor.names.iter().zip(&mut executor.nodes).enumerate() {
            let (kind, version) = node.kind();
            read_section(from, (position + 1, name, kind, version), |from| node.restore(from))?;
        }
        Ok(executor)
    }
}
