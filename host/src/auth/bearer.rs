//! Callers by bearer tokens: each request shows one, made by a pinned issuer for the very address that it is sent to.

use crate::config::{IssuerConfig, KeysConfig, TokenConfig};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use token::{Algorithm, Issuer, Key, KeySet, TokenTypes, Verified};

/// The issuers whose tokens count.
#[derive(Debug)]
pub struct Bearer {
    public_url: String,
    issuers: Vec<Issuer>,
}

/// An issuer's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("auth.issuers.{name}: {file}: {reason}")]
pub struct IssuerError {
    name: String,
    file: PathBuf,
    reason: String,
}

/// Why a request has no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It shows no token.
    NoToken,
    /// It shows something that is no request for authentication at all: two headers.
    Malformed,
    /// What it shows does not count. The reason is for logs.
    Refused(&'static str),
}

impl Bearer {
    /// Reads the keys of the settings.
    ///
    /// # Errors
    ///
    /// The first that cannot be read or used.
    pub fn load(config: &TokenConfig) -> Result<Self, IssuerError> {
        let issuers = config.issuers.iter().map(issuer).collect::<Result<_, _>>()?;
        Ok(Self { public_url: config.public_url.trim_end_matches('/').to_owned(), issuers })
    }

    /// Where clients connect to reach that path of ours, which is what their tokens are made for (RFC 8707).
    pub fn resource(&self, path: &str) -> String {
        format!("{}{}", self.public_url, path.trim_end_matches('/'))
    }

    /// The names of the issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(|issuer| &*issuer.issuer)
    }

    /// Who a request of that path is from.
    pub(super) fn verify<'a>(&self, path: &str, headers: impl Iterator<Item = &'a [u8]>) -> Result<Verified, Unknown> {
        let token = match token::authorization(headers) {
            Ok(Some(token)) => token,
            Ok(None) => return Err(Unknown::NoToken),
            Err(token::HeaderFault::Many) => return Err(Unknown::Malformed),
            Err(fault) => return Err(Unknown::Refused(fault.as_str())),
        };
        // A clock before 1970 makes every token one of the future.
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        token::verify(token, &self.issuers, &self.resource(path), now_s).map_err(|refused| Unknown::Refused(refused.as_str()))
    }
}

fn issuer(config: &IssuerConfig) -> Result<Issuer, IssuerError> {
    let file = match &config.keys {
        KeysConfig::Jwks(file) | KeysConfig::PublicKey { file, .. } | KeysConfig::Secret { file, .. } => file,
    };
    let failed = |reason: String| IssuerError { name: config.name.clone(), file: file.clone(), reason };
    let text = read(file).map_err(failed)?;
    let keys = match &config.keys {
        KeysConfig::Jwks(_) => {
            let jwks = KeySet::from_jwks(&text).map_err(|fault| failed(format!("it is no JWKS: {}", fault.as_str())))?;
            for ignored in &jwks.ignored {
                tracing::warn!(issuer = %config.name, position = ignored.position, fault = ignored.fault.as_str(), "a key is not used");
            }
            jwks.keys
        }
        KeysConfig::PublicKey { algorithm, kid, .. } => {
            let algorithm = Algorithm::of_name(algorithm).ok_or_else(|| failed(format!("there is no algorithm {algorithm}")))?;
            let text = std::str::from_utf8(&text).map_err(|_| failed("it is no PEM".to_owned()))?;
            let key = Key::from_pem(text, algorithm, kid.as_deref()).map_err(|fault| failed(fault.to_string()))?;
            KeySet::new(vec![key]).map_err(|_| failed("it is no key set".to_owned()))?
        }
        KeysConfig::Secret { kid, .. } => {
            // The line end that an editor leaves is not a part of it.
            let secret = text.trim_ascii_end();
            let key = Key::from_secret(secret, kid.as_deref()).map_err(|fault| failed(fault.to_string()))?;
            KeySet::new(vec![key]).map_err(|_| failed("it is no key set".to_owned()))?
        }
    };
    if keys.keys().is_empty() {
        return Err(failed("it has no key that can be used".to_owned()));
    }
    let types = if config.access_tokens_only { TokenTypes::AccessToken } else { TokenTypes::AnyJwt };
    let audiences = config.audiences.iter().map(|audience| audience.as_str().into()).collect();
    let defaults = Issuer::new(config.issuer.as_str(), keys);
    Ok(Issuer { audiences, leeway_s: config.leeway_s, lifetime_max_s: config.lifetime_max_s, types, ..defaults })
}

/// Of a file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let bytes = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("it has {bytes} bytes; the limit is {FILE_BYTES_MAX}"));
    }
    std::fs::read(file).map_err(|error| error.to_string())
}
