//! Files with secrets that the settings name: nobody but their owner may be able to read them.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Reads one.
///
/// # Errors
///
/// When it cannot be read, is no file, has more than `bytes_max` bytes, or others can read it. The text says nothing of its contents nor of
/// its name, which may be a secret put in the wrong place. `remedy` says what to do beside closing it.
pub fn read_secret(path: &Path, bytes_max: u64, remedy: &str) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    // Asked of what was opened: what lies under the name may be another file by now.
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("others than its owner can read or write it; `chmod 600` it, and {remedy}"));
    }
    if metadata.len() > bytes_max {
        return Err(format!("it has {} bytes; the limit is {bytes_max}", metadata.len()));
    }
    let mut text = String::new();
    file.take(bytes_max).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}
