//! One output file after the other.

use std::time::Duration;

use mesh_model::is_address;

use crate::settings::{Place, Values};

/// When an output file is complete and the next one begins. With either, each file has a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of a file, at most; a block that is larger has a file of its own.
    pub bytes_max: Option<u64>,
    /// Length of the periods of time, counted from 1970, of which each has a file of its own.
    pub period: Option<Duration>,
}

/// Reads `maxfilesize` and `periodicity`.
pub(crate) fn read(line: &mut Values<'_>, fsname: &str) -> Option<Rotation> {
    let mut given = |key: &str| line.setting(key).is_some().then(|| line.number(key, 1, 1..=u64::from(u32::MAX) << 16));
    let (bytes_max, seconds) = (given("maxfilesize"), given("periodicity"));
    if bytes_max.is_none() && seconds.is_none() {
        return None;
    }
    if is_address(fsname) || fsname == "-" {
        let message = format!(
            "`maxfilesize` or `periodicity` with `fsname={fsname}`: only files are rotated; leave them out, or name a file"
        );
        line.refuse(&Place::Line, message);
    }
    Some(Rotation { bytes_max, period: seconds.map(Duration::from_secs) })
}
