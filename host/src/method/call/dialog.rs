//! A dialog of the modern era: the tool asks, the client answers in a new request, and what the tool needs to go on travels with the
//! client, sealed (3.4).
//!
//! The seal binds it to the caller, the server, the method, what it is of and the arguments: brought back for anything else it does not open.

use super::run::{About, Asked};
use crate::failure::Failure;
use crate::journal::Record;
use crate::keys::{self, Seal};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp::params::Input;
use sandbox::contract::Resume;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of what a guest leaves for its next call.
pub(super) const STATE_BYTES_MAX: usize = 64 << 10;

/// Seals and opens what guests leave with clients.
#[derive(Debug)]
pub struct Dialogs {
    seal: Seal,
    /// How long a client may take to answer.
    patience: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    until_s: u64,
    keys: Vec<Box<str>>,
    state: String,
}

impl About {
    /// What has to be the same in each request of a dialog.
    fn seal(&self) -> keys::About {
        let principal = self.caller.principal();
        let server = self.server.id.as_ref().map(ToString::to_string);
        let arguments = self.target.arguments();
        keys::About::of([
            Some(self.caller.tenant().id.as_str()),
            principal.issuer.as_deref(),
            principal.subject.as_deref(),
            server.as_deref(),
            Some(self.target.method()),
            Some(self.target.name()),
            Some(&arguments),
        ])
    }
}

impl Dialogs {
    /// With a key that survives a restart if dialogs are to.
    pub fn new(key: &[u8; 32], patience: Duration) -> Self {
        Self { seal: Seal::new(key), patience }
    }

    /// What the client brings back.
    pub(super) fn seal(&self, about: &About, asked: &Asked) -> Result<Box<str>, Failure> {
        let sealed = Sealed {
            until_s: (Record::now_ms() / 1_000).saturating_add(self.patience.as_secs()),
            keys: asked.questions.iter().map(|question| question.key.clone()).collect(),
            state: URL_SAFE_NO_PAD.encode(&asked.state),
        };
        let plain = serde_json::to_vec(&sealed).map_err(|_| Failure::Internal)?;
        self.seal.seal(&plain, &about.seal()).ok_or(Failure::Internal)
    }

    fn open(&self, about: &About, state: &str) -> Option<Sealed> {
        let plain = self.seal.open(state, &about.seal())?;
        serde_json::from_slice(&plain).ok().filter(|sealed: &Sealed| sealed.until_s >= (Record::now_ms() / 1_000))
    }

    /// What a request brings back; none if it begins a dialog. Answers to what was not asked are left out.
    pub(super) fn resume(&self, about: &About, input: &Input) -> Result<Option<Resume>, Failure> {
        let answers = match &input.responses {
            Some(responses) => mcp::task::answers(responses)?,
            None => Vec::new(),
        };
        let sealed = match &input.state {
            Some(state) => Some(self.open(about, state).ok_or(Failure::BadRequestState)?),
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
