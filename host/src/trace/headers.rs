//! Header fields for the collector, from a file: they may be credentials.

use crate::config::read_secret;
use std::fmt;
use std::path::Path;

/// Of the file.
const BYTES_MAX: u64 = 16 << 10;
const FIELDS_MAX: usize = 32;
/// Fields that say how a post is read.
const OURS: [&str; 7] = ["connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding", "user-agent"];

/// Names and values. Not shown: see [`fmt::Debug`].
#[derive(Default)]
pub(super) struct Headers(Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.0.len())
    }
}

impl Headers {
    /// Reads them; there are none where there is no file.
    ///
    /// # Errors
    ///
    /// When the file cannot be used. Says nothing of what is in it but a line's number.
    pub(super) fn load(file: Option<&Path>) -> Result<Self, String> {
        file.map_or_else(|| Ok(Self::default()), |file| Self::read(&read_secret(file, BYTES_MAX, "replace what is in it")?))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut fields = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            let wrong = |what: &str| Err(format!("line {}: {what}", at + 1));
            let Some((name, value)) = line.split_once(':').map(|(name, value)| (name.trim_ascii_end(), value.trim_ascii())) else {
                return wrong("must be like `name: value`");
            };
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                return wrong("what stands before the colon is no name of a header field");
            }
            if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                return wrong("the value has other bytes than visible ASCII and blanks");
            }
            if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                return wrong("this field is set by the gateway");
            }
            fields.push((name.to_owned(), value.to_owned()));
        }
        if fields.len() > FIELDS_MAX {
            return Err(format!("it has {} fields; the limit is {FIELDS_MAX}", fields.len()));
        }
        Ok(Self(fields))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_line_by_line() {
        let headers = Headers::read("# for the collector\nAuthorization: Bearer a:b \n\nx-scope:one\n").expect("right");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("Authorization", "Bearer a:b"), ("x-scope", "one")]);
        assert_eq!(format!("{headers:?}"), "Headers(2)");
    }

    #[test]
    fn mistakes_are_named_by_their_line() {
        for (text, wanted) in [
            ("a: b\ntop secret", "line 2: must be like `name: value`"),
            ("top secret: b", "line 1: what stands before the colon is no name of a header field"),
            (": secret", "line 1: what stands before the colon is no name of a header field"),
            ("a: secr\u{e9}t", "line 1: the value has other bytes than visible ASCII and blanks"),
            ("Content-Type: text/secret", "line 1: this field is set by the gateway"),
        ] {
            assert_eq!(Headers::read(text).expect_err("wrong"), wanted);
        }
        assert_eq!(Headers::read(&"a: b\n".repeat(33)).expect_err("many"), "it has 33 fields; the limit is 32");
    }
}
