//! The wall clock that the protocol records. Tests can set it while the engine runs: `ESP_MESH_TEST_CLOCK` names a file with
//! so many seconds to add, which is read again every 50 ms. Without the variable it is the machine's.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The variable.
const TEST_CLOCK: &str = "ESP_MESH_TEST_CLOCK";
/// How often its file is read.
const READ_EVERY: Duration = Duration::from_millis(50);

struct Settable {
    file: PathBuf,
    began: Instant,
    /// When it was read last, milliseconds since `began`; what it said.
    read_ms: AtomicU64,
    seconds: AtomicI64,
}

/// Microseconds since the Unix epoch.
pub(crate) fn wall_us() -> i64 {
    static SETTABLE: OnceLock<Option<Settable>> = OnceLock::new();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall_us = i64::try_from(wall.as_micros()).unwrap_or(i64::MAX);
    let settable = SETTABLE.get_or_init(|| {
        let file = PathBuf::from(std::env::var_os(TEST_CLOCK)?);
        tracing::warn!(file = %file.display(), "{TEST_CLOCK}: the clock is that of a test");
        Some(Settable { file, began: Instant::now(), read_ms: AtomicU64::new(0), seconds: AtomicI64::new(0) })
    });
    settable.as_ref().map_or(wall_us, |settable| wall_us.saturating_add(settable.seconds().saturating_mul(1_000_000)))
}

impl Settable {
    fn seconds(&self) -> i64 {
        let now_ms = self.began.elapsed().as_millis() as u64;
        if now_ms.saturating_sub(self.read_ms.load(Ordering::Relaxed)) >= READ_EVERY.as_millis() as u64 {
            self.read_ms.store(now_ms, Ordering::Relaxed);
            // what cannot be read is about to be written anew
            let said = std::fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse().ok());
            if let Some(seconds) = said.filter(|seconds| *seconds != self.seconds.load(Ordering::Relaxed)) {
                tracing::warn!(seconds, "the clock is set");
                self.seconds.store(seconds, Ordering::Relaxed);
            }
        }
        self.seconds.load(Ordering::Relaxed)
    }
}
