//! What is given away and comes back: sealed, so that nobody else can read it, change it, or bring it back for something else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

const NONCE_BYTES: usize = 24;

/// Seals and opens.
pub struct Seal(XChaCha20Poly1305);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// With a key that survives a restart if what is sealed is to.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Seals; `about` says what for. None: the system gives no randomness.
    pub fn seal(&self, plain: &[u8], about: &About) -> Option<Box<str>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        let mut bytes = nonce.to_vec();
        bytes.extend(self.0.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &about.0 }).ok()?);
        Some(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// Opens what was sealed here about the same; none: it was not.
    pub fn open(&self, sealed: &str, about: &About) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &about.0 }).ok()
    }
}

/// What something is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About([u8; 32]);

impl About {
    /// Of parts, which may be absent.
    pub fn of<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            // Length and presence in front: no two lists of parts read alike.
            digest.update([u8::from(part.is_some())]);
            digest.update((part.unwrap_or_default().len() as u64).to_be_bytes());
            digest.update(part.unwrap_or_default());
        }
        Self(digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_for_it_opens() {
        let seal = Seal::new(&[7; 32]);
        let about = About::of([Some("a"), None, Some("bc")]);
        let sealed = seal.seal(b"plain", &about).expect("randomness");
        assert_eq!(seal.open(&sealed, &about).as_deref(), Some(&b"plain"[..]));
        assert_ne!(seal.seal(b"plain", &about).expect("randomness"), sealed, "a nonce is used once");
        for other in [About::of([Some("a"), Some(""), Some("bc")]), About::of([Some("ab"), None, Some("c")]), About::of([Some("a"), None])]
        {
            assert_eq!(seal.open(&sealed, &other), None);
        }
        assert_eq!(Seal::new(&[8; 32]).open(&sealed, &about), None);
        for at in 0..sealed.len() {
            let mut broken = sealed.clone().into_string().into_bytes();
            broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open(std::str::from_utf8(&broken).expect("ASCII"), &about), None, "byte {at}");
            assert_eq!(seal.open(&sealed[..at], &about), None, "cut at {at}");
        }
    }

    /// Cursors and dialogs come back from clients: nothing opens but what was sealed about the same.
    #[test]
    fn what_was_not_sealed_does_not_open() {
        let seal = Seal::new(&[7; 32]);
        let (mine, theirs) = (About::of([Some("acme"), Some("tools")]), About::of([Some("acme"), Some("prompts")]));
        let sealed = |about: &About, number: u8| seal.seal(&[number; 9], about).expect("randomness");
        let given: Vec<_> = (0..20).map(|number| sealed(&mine, number)).collect();
        let foreign: Vec<_> = (0..20).map(|number| sealed(&theirs, number)).collect();
        let corpus: Vec<_> = given.iter().chain(&foreign).map(|text| text.as_bytes()).collect();
        let mutator = gatehouse_mutator::Mutator::new(&corpus, &["A", "_", "-", "=", "\0", "AAAAAAAA"]);
        gatehouse_mutator::fuzz("seals", mutator, 50_000, |input| {
            let Some(plain) = std::str::from_utf8(input).ok().and_then(|text| seal.open(text, &mine)) else { return 0 };
            let own = given.iter().position(|text| text.as_bytes() == input).expect("it was sealed about this");
            assert_eq!(plain, [u8::try_from(own).expect("small"); 9]);
            1 + own
        });
    }
}
