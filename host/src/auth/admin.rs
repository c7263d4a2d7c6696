//! The operator's token: who shows it may administrate.

use super::api_key::{Digest, digest, is_equal};
use crate::config::{AdminConfig, read_secret};
use token::Key;

/// Of the file, in bytes: a token fits many times.
const FILE_BYTES_MAX: u64 = 4 << 10;

/// The token, by its digest: the gateway cannot say it itself.
#[derive(Debug)]
pub struct AdminToken(Digest);

/// The token cannot be used. Says nothing of it, and nothing of the file that holds it but its fault: a path may be a token put in the wrong
/// place.
#[derive(Debug, thiserror::Error)]
#[error("admin.token_file: {0}")]
pub struct AdminError(String);

impl AdminToken {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or others can read it, and when the token can be guessed or cannot be shown as a bearer token.
    pub fn load(config: &AdminConfig) -> Result<Self, AdminError> {
        let text = read_secret(&config.token_file, FILE_BYTES_MAX, "make a new token").map_err(AdminError)?;
        Self::new(text.trim_ascii_end())
    }

    fn new(text: &str) -> Result<Self, AdminError> {
        // As strong as the secret of HS256: both are all that stands between anybody and what they protect.
        Key::from_secret(text.as_bytes(), None).map_err(|fault| AdminError(fault.to_string()))?;
        let header = format!("Bearer {text}");
        match token::authorization([header.as_bytes()].into_iter()) {
            Ok(Some(shown)) if shown == text => Ok(Self(digest(text))),
            _ => Err(AdminError("it has bytes that no bearer token has; make one with `openssl rand -base64 48`".to_owned())),
        }
    }

    /// Whether these values of `Authorization` show it.
    ///
    /// # Errors
    ///
    /// Why they do not.
    pub fn check<'a>(&self, headers: impl Iterator<Item = &'a [u8]>) -> Result<(), NotAdmin> {
        match token::authorization(headers) {
            Ok(None) => Err(NotAdmin::NoToken),
            Err(_) => Err(NotAdmin::Refused),
            // Digests, so that neither length nor place of a difference shows in the time that it takes.
            Ok(Some(shown)) if is_equal(&digest(shown), &self.0) => Ok(()),
            Ok(Some(_)) => Err(NotAdmin::Refused),
        }
    }
}

/// Why somebody may not administrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmin {
    /// No token was shown.
    NoToken,
    /// What was shown is not the token.
    Refused,
}

impl NotAdmin {
    /// The word for records.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "q3V0dG9uLXZ4-pZk8Yw2LrT6mHsN4bJdC9fXgA1eKuQ";

    #[test]
    fn one_token_is_let_in() {
        let token = AdminToken::new(GOOD).expect("strong");
        let shows = |values: &[&str]| token.check(values.iter().map(|value| value.as_bytes())).is_ok();
        assert!(shows(&[&format!("Bearer {GOOD}")]) && shows(&[&format!("bearer {GOOD}")]));
        let short = &GOOD[..GOOD.len() - 1];
        for values in [
            &[][..],
            &[GOOD],
            &["Bearer"],
            &[&format!("Basic {GOOD}")],
            &[&format!("Bearer {short}")],
            &[&format!("Bearer {GOOD}x")],
            &[&format!("Bearer {GOOD}"), &format!("Bearer {GOOD}")],
        ] {
            assert!(!shows(values), "{values:?}");
        }
        assert!(!format!("{token:?}").contains(GOOD));
    }

    #[test]
    fn weak_tokens_are_refused() {
        let spaced = format!("{GOOD} {GOOD}");
        for weak in ["", "hunter2", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &spaced] {
            let error = AdminToken::new(weak).expect_err("weak").to_string();
            assert!(weak.is_empty() || !error.contains(weak), "{error}");
        }
    }
}
