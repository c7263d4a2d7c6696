//! Is a secret one? HS256 is as strong as the secret, and a token is enough to try words offline, as fast as one can hash.

use crate::limits::{SECRET_BITS_MIN, SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// Why a secret can be guessed. It is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum SecretFault {
    /// Less than [`SECRET_BYTES_MIN`].
    #[error("the secret is shorter than {SECRET_BYTES_MIN} bytes; make one with `openssl rand -base64 48`")]
    TooShort,
    /// More than [`SECRET_BYTES_MAX`]: it is the wrong file.
    #[error("the secret is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong,
    /// It stands in a public text, or is made of words that such secrets are made of.
    #[error("the secret is publicly known; make one with `openssl rand -base64 48`")]
    WellKnown,
    /// It repeats itself, or counts, or has few different bytes.
    #[error("the secret is not random; make one with `openssl rand -base64 48`")]
    NotRandom,
}

impl SecretFault {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SecretFault::TooShort => "secret_too_short",
            SecretFault::TooLong => "secret_too_long",
            SecretFault::WellKnown => "secret_well_known",
            SecretFault::NotRandom => "secret_not_random",
        }
    }
}

/// Secrets that look good and are not, because they are printed somewhere: the source, and the secret as it stands there.
const PRINTED: [(&str, &str); 12] = [
    ("RFC 7515, A.1.1", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcuUuTwjAzZr1Z9CAow"),
    ("RFC 7520, 3.5", "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"),
    ("jwt.io", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long"),
    ("FastAPI's tutorial", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
    ("Hasura's documentation", "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R"),
    ("many a tutorial for Spring", "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970"),
    // Ids and digests, and no secrets; but whoever looks for something random finds them.
    ("our own README.md", "94501ac1fbb3a77914871a01b487697ba1fdf853d7b8f9ab20052c4390654840"),
    ("our own README.md", "3858db39ab4502fab324bdab60f805c4"),
    ("our own README.md", "AQAAAAMAAAABAAAAAAAAAAAmhKuisbvYOvLyQZy1"),
    ("our own README.md", "AQAAAAMAAAABAAAAAAAAAAEAAMAEyCzAgwi4b5eM"),
    ("our own README.md", "AQAAAAMAAAABAAAAAAAAAAIAAKltLmnvOfZlMCyA"),
    ("our own README.md", "AQAAAAMAAAABAAAAAAAAAAMAAHxZ_Qr48Gb7XQPG"),
];

/// What people and documentations write for a secret. None is so short that a random secret would hold it by chance.
const WORDS: [&str; 26] = [
    "256bit",
    "512bit",
    "admin",
    "atleast",
    "changeit",
    "changeme",
    "characters",
    "default",
    "donotuse",
    "dummy",
    "example",
    "gatehouse",
    "insecure",
    "letmein",
    "password",
    "passphrase",
    "placeholder",
    "qwertz",
    "qwerty",
    "really",
    "replace",
    "sample",
    "secret",
    "string",
    "token",
    "verysafe",
];

/// Refuses what can be guessed; it cannot prove the opposite.
pub(super) fn check(secret: &[u8]) -> Result<(), SecretFault> {
    match secret.len() {
        ..SECRET_BYTES_MIN => return Err(SecretFault::TooShort),
        SECRET_BYTES_MIN..=SECRET_BYTES_MAX => {}
        _ => return Err(SecretFault::TooLong),
    }
    if PRINTED.iter().any(|(_, printed)| is_printed(secret, printed)) || is_words(secret) {
        return Err(SecretFault::WellKnown);
    }
    if repeats(secret) || counts(secret) || bits(secret) < SECRET_BITS_MIN {
        return Err(SecretFault::NotRandom);
    }
    Ok(())
}

/// As it is printed, or the bytes that it stands for.
fn is_printed(secret: &[u8], printed: &str) -> bool {
    let hexadecimal = || {
        let pairs = printed.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        pairs.collect::<Option<Vec<u8>>>()
    };
    let decoded = hexadecimal().or_else(|| URL_SAFE_NO_PAD.decode(printed).ok());
    secret.eq_ignore_ascii_case(printed.as_bytes()) || decoded.is_some_and(|decoded| secret == decoded)
}

/// Whether too little is left of it when the words are taken out.
fn is_words(secret: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(secret) else { return false };
    let mut rest: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let before = rest.len();
    // Taking one out can make another one whole.
    while let Some(word) = WORDS.iter().find(|word| rest.contains(**word)) {
        rest = rest.replace(word, "");
    }
    rest.len() < before && rest.len() < SECRET_BYTES_MIN
}

/// Whether it is a shorter one, again and again.
fn repeats(secret: &[u8]) -> bool {
    (1..=secret.len() / 2).any(|period| secret.iter().zip(secret.iter().skip(period)).all(|(one, other)| one == other))
}

/// Whether most of its bytes follow from the two before: `abcdefgh`, `02468`.
fn counts(secret: &[u8]) -> bool {
    let follows = |window: &&[u8]| matches!(window, [a, b, c] if b.wrapping_sub(*a) == c.wrapping_sub(*b));
    secret.windows(3).filter(follows).count() > secret.len() / 2
}

/// What the bytes say, by how often each of them occurs (Shannon): an upper bound.
fn bits(secret: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in secret {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = secret.len() as f64;
    counts.into_iter().filter(|count| *count > 0).map(f64::from).map(|count| count * (all / count).log2()).sum()
}

#[cfg(test)]
mod tests;
