//! Tokens and API keys that commands are given: by a file or on standard input, because every user of a machine sees the arguments of programs.

use super::Failed;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than any token.
const BYTES_MAX: u64 = 64 << 10;

/// What is in a file; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<String, Failed> {
    let mut text = String::new();
    let (name, read) = if file == Path::new("-") {
        ("standard input".to_owned(), std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text))
    } else {
        let read = File::open(file).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        (file.display().to_string(), read)
    };
    read.map_err(|error| Failed::other(format!("{name}: {error}")))?;
    Ok(bare(&text))
}

/// Without the word that is often copied with it.
pub(super) fn bare(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix("Bearer ").unwrap_or(text).trim_start().to_owned()
}
