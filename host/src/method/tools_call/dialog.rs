//! A dialog of the modern era: the tool asks, the client answers in a new request, and what the tool needs to go on travels with the
//! client, sealed (3.4).
//!
//! The seal binds it to the caller, the server, the tool and the arguments: brought back for anything else it does not open.

use super::run::Asked;
use crate::auth::Caller;
use crate::config::ServerId;
use crate::failure::Failure;
use crate::journal::Record;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use mcp::JsonText;
use mcp::params::CallToolParams;
use sandbox::contract::Resume;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Of what a guest leaves for its next call.
pub(super) const STATE_BYTES_MAX: usize = 64 << 10;
const NONCE_BYTES: usize = 24;

/// Seals and opens what tools leave with clients.
pub struct Dialogs {
    cipher: XChaCha20Poly1305,
    /// How long a client may take to answer.
    patience: Duration,
}

impl std::fmt::Debug for Dialogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialogs(…)")
    }
}

/// What a dialog is about: has to be the same in each of its requests.
pub(super) struct Subject<'a> {
    pub(super) caller: &'a Caller,
    pub(super) server: Option<&'a ServerId>,
    pub(super) tool: &'a str,
    pub(super) arguments: &'a JsonText,
}

#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    until_s: u64,
    keys: Vec<Box<str>>,
    state: String,
}

impl Subject<'_> {
    fn digest(&self) -> Vec<u8> {
        let principal = self.caller.principal();
        let server = self.server.map(ToString::to_string);
        let parts = [
            Some(self.caller.tenant().id.as_str()),
            principal.issuer.as_deref(),
            principal.subject.as_deref(),
            server.as_deref(),
            Some(self.tool),
            Some(self.arguments.as_str()),
        ];
        let mut digest = Sha256::new();
        for part in parts {
            // Length and presence in front: no two subjects read alike.
            digest.update([u8::from(part.is_some())]);
            digest.update((part.unwrap_or_default().len() as u64).to_be_bytes());
            digest.update(part.unwrap_or_default());
        }
        digest.finalize().to_vec()
    }
}

impl Dialogs {
    /// With a key that survives a restart if dialogs are to.
    pub fn new(key: &[u8; 32], patience: Duration) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()), patience }
    }

    /// What the client brings back.
    pub(super) fn seal(&self, subject: &Subject<'_>, asked: &Asked) -> Result<Box<str>, Failure> {
        let sealed = Sealed {
            until_s: (Record::now_ms() / 1_000).saturating_add(self.patience.as_secs()),
            keys: asked.questions.iter().map(|question| question.key.clone()).collect(),
            state: URL_SAFE_NO_PAD.encode(&asked.state),
        };
        let plain = serde_json::to_vec(&sealed).map_err(|_| Failure::Internal)?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| Failure::Internal)?;
        let payload = Payload { msg: &plain, aad: &subject.digest() };
        let mut bytes = nonce.to_vec();
        bytes.extend(self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| Failure::Internal)?);
        Ok(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    fn open(&self, subject: &Subject<'_>, state: &str) -> Option<Sealed> {
        let bytes = URL_SAFE_NO_PAD.decode(state).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &subject.digest() }).ok()?;
        serde_json::from_slice(&plain).ok().filter(|sealed: &Sealed| sealed.until_s >= (Record::now_ms() / 1_000))
    }

    /// What a request brings back; none if it begins a dialog. Answers to what was not asked are left out.
    pub(super) fn resume(&self, subject: &Subject<'_>, params: &CallToolParams) -> Result<Option<Resume>, Failure> {
        let answers = match &params.input_responses {
            Some(responses) => mcp::task::answers(responses)?,
            None => Vec::new(),
        };
        let sealed = match &params.request_state {
            Some(state) => Some(self.open(subject, state).ok_or(Failure::BadRequestState)?),
            None if answers.is_empty() => return Ok(None),
            None => None,
        };
        let asked = |key: &str| sealed.as_ref().is_none_or(|sealed| sealed.keys.iter().any(|asked| **asked == *key));
        let answers = answers.into_iter().filter(|(key, _)| asked(key)).map(|(key, answer)| (key.into_string(), answer.into_string()));
        let answers = answers.collect();
        let state = match sealed {
            Some(sealed) => URL_SAFE_NO_PAD.decode(sealed.state).map_err(|_| Failure::BadRequestState)?,
            None => Vec::new(),
        };
        Ok(Some(Resume { answers, state }))
    }
}
