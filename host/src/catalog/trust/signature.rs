//! Signatures beside components, as minisign makes them: who signed these very bytes.
//!
//! Those of minisign's old form, which is of the bytes themselves and not of their hash, are not taken. By the same key minisign signs a text of
//! the signer's beside each signature, also as it stands: such a text could be shown as the signature of a file. Its newer form has nothing
//! that could be taken for something else, and has been the default since 2021.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};
use std::path::{Path, PathBuf};

/// A file with a key is two lines.
const KEY_FILE_BYTES_MAX: u64 = 4 << 10;
/// Of a trusted comment that is shown, in characters.
const COMMENT_CHARS_MAX: usize = 200;

/// A key that counts, and what minisign calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    id: KeyId,
    key: PublicKey,
}

/// What minisign calls a key.
type KeyId = [u8; 8];

/// The keys that count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Keys(Vec<Key>);

/// Who signed a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    key: Key,
    comment: Box<str>,
}

impl Signer {
    /// The key's id, as minisign prints it.
    pub fn key_id(&self) -> String {
        shown(self.key.id)
    }

    /// What the signer says, proven by the signature, on one line.
    pub fn comment(&self) -> &str {
        &self.comment
    }
}

/// What is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureFault {
    #[error("it has no signature: its file's name with .minisig behind it is not there, and plugins.require_signature wants one")]
    Missing,
    #[error("it is signed by the key {0}, which is none of plugins.trusted_keys and plugins.trusted_key_files")]
    OtherKey(String),
    #[error("its signature cannot be read: {0}")]
    Unreadable(String),
    #[error("its signature {0}")]
    Wrong(&'static str),
}

impl Keys {
    /// Reads keys, and files with one each.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that is. A path is not shown.
    pub(super) fn read(lines: &[String], files: &[PathBuf]) -> Result<Self, String> {
        let lines = lines.iter().enumerate().map(|(at, line)| {
            key(line).ok_or_else(|| format!("plugins.trusted_keys: the {} is no public key of minisign, such as \"RWQ…\"", ordinal(at)))
        });
        let files = files.iter().enumerate().map(|(at, file)| {
            let wrong = |what: String| format!("plugins.trusted_key_files: the {} {what}", ordinal(at));
            let text = key_file(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            // The first line of such a file is a comment.
            let line = text.lines().find(|line| !line.starts_with("untrusted comment:") && !line.trim().is_empty());
            line.and_then(|line| key(line.trim())).ok_or_else(|| wrong("has no public key of minisign".to_owned()))
        });
        Ok(Self(lines.chain(files).collect::<Result<_, String>>()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn count(&self, signer: &Signer) -> bool {
        self.0.contains(&signer.key)
    }

    /// Who signed these bytes.
    pub(super) fn verify(&self, bytes: &[u8], signature: &std::io::Result<Option<Vec<u8>>>) -> Result<Signer, SignatureFault> {
        use SignatureFault::{Missing, OtherKey, Unreadable, Wrong};
        let text = signature.as_ref().map_err(|error| Unreadable(error.to_string()))?.as_deref().ok_or(Missing)?;
        let text = std::str::from_utf8(text).map_err(|_| Wrong("is no signature of minisign"))?;
        let id = text.lines().nth(1).and_then(id_of).ok_or(Wrong("is no signature of minisign"))?;
        let signature = Signature::decode(text).map_err(|_| Wrong("is no signature of minisign"))?;
        let mut keys = self.0.iter().filter(|known| known.id == id).peekable();
        keys.peek().ok_or_else(|| OtherKey(shown(id)))?;
        let mut old_form = false;
        let signed = keys.find(|known| match known.key.verify(bytes, &signature, false) {
            Ok(()) => true,
            Err(error) => {
                old_form |= matches!(error, minisign_verify::Error::UnexpectedAlgorithm);
                false
            }
        });
        match signed {
            Some(key) => Ok(Signer { key: key.clone(), comment: mcp::text::line(signature.trusted_comment(), COMMENT_CHARS_MAX).into() }),
            None if old_form => Err(Wrong("is of minisign's old form, which is not taken; sign it anew with minisign 0.10 or later")),
            None => Err(Wrong("is of other bytes than these, or its trusted comment was changed")),
        }
    }
}

fn key(line: &str) -> Option<Key> {
    Some(Key { id: id_of(line)?, key: PublicKey::from_base64(line).ok()? })
}

fn key_file(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Keys and signatures begin with two bytes for their form, and then the key's id.
fn id_of(line: &str) -> Option<KeyId> {
    STANDARD.decode(line.trim()).ok()?.get(2..10)?.try_into().ok()
}

/// Minisign prints it as a number.
fn shown(id: KeyId) -> String {
    format!("{:016X}", u64::from_le_bytes(id))
}

fn ordinal(at: usize) -> String {
    match at {
        0 => "first".to_owned(),
        1 => "second".to_owned(),
        _ => format!("one at place {}", at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the signatures of the word `test` that the library's own page has, the old form and the new.
    const KEY: &str = concat!("RWQf6LRCGA9i53mlYecO", "4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3");
    const NEW: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";

    fn verify(bytes: &[u8], signature: &str) -> Result<Signer, SignatureFault> {
        Keys::read(&[KEY.to_owned()], &[]).expect("a key").verify(bytes, &Ok(Some(signature.as_bytes().to_vec())))
    }

    #[test]
    fn who_signed_is_named_as_minisign_names_it() {
        let signer = verify(b"test", NEW).expect("right");
        assert_eq!(signer.key_id(), "E7620F1842B4E81F");
        assert_eq!(signer.comment(), "timestamp:1633700835\\u{9}file:test\\u{9}prehashed");
    }

    #[test]
    fn nothing_but_the_very_bytes_and_the_very_comment_is_signed() {
        let other = "is of other bytes than these, or its trusted comment was changed";
        assert_eq!(verify(b"Test", NEW), Err(SignatureFault::Wrong(other)));
        assert_eq!(verify(b"test", &NEW.replace("file:test", "file:best")), Err(SignatureFault::Wrong(other)));
        for broken in ["", "x", "x\ny\nz\nw", &NEW.replace("trusted comment: t", "comment: t"), &NEW.replace("RUQ", "RXQ")] {
            assert_eq!(verify(b"test", broken), Err(SignatureFault::Wrong("is no signature of minisign")), "{broken}");
        }
        // Every byte of it counts, but for the first line and the length of the comment's label.
        let begin = NEW.find('\n').expect("a line") + 1;
        for at in begin..NEW.len() - 1 {
            let mut bytes = NEW.as_bytes().to_vec();
            bytes[at] ^= 1;
            let changed = Keys::read(&[KEY.to_owned()], &[]).expect("a key").verify(b"test", &Ok(Some(bytes)));
            assert!(changed.is_err(), "byte {at}");
        }
    }

    #[test]
    fn keys_are_read_strictly() {
        assert!(Keys::read(&[], &[]).expect("none").is_empty());
        for wrong in ["", "RWQ", &KEY[1..], &KEY.replace("RWQ", "XWQ"), &format!("{KEY}A")] {
            let told = Keys::read(&[KEY.to_owned(), wrong.to_owned()], &[]).expect_err("refused");
            assert_eq!(told, "plugins.trusted_keys: the second is no public key of minisign, such as \"RWQ…\"");
        }
        let told = Keys::read(&[], &["/nowhere/secret".into()]).expect_err("refused");
        assert!(told.starts_with("plugins.trusted_key_files: the first cannot be read: ") && !told.contains("secret"), "{told}");
    }
}
