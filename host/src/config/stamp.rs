//! What tells one state of a file from another.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// One state of a file; one that is not there has a state as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    /// The state of now. To be taken before the file is read: what changes while it is read is then seen later.
    pub fn of(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).ok();
        Self(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))))
    }
}
