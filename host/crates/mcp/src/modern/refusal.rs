//! Why a modern request is refused before it runs, and what it is told.

use crate::header::HeaderError;
use crate::params::ParamsError;
use crate::text::{NAME_CHARS_MAX, line};
use crate::{ErrorCode, ErrorObject, meta};
use std::fmt;

/// A request refused by the ladder of 1.4. The host's table gives each its HTTP status: 400 for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Rung 1: `_meta` lacks `pv` or `cc`. -32602.
    MetaMissing {
        /// `pv` is missing.
        protocol_version: bool,
        /// `cc` is missing.
        client_capabilities: bool,
    },
    /// Rung 1: `_meta` is wrong in itself. -32602.
    Meta(ParamsError),
    /// Rungs 2, 3, 4, 4b and 6, and row E2: a header does not say what the body says. -32020.
    Header {
        /// The header.
        header: Box<str>,
        /// What is wrong with it.
        fault: HeaderFault,
    },
    /// Rung 5, and row E3: the revision is not served in this form. -32022.
    UnsupportedVersion {
        /// What was asked for.
        requested: Box<str>,
    },
    /// Row M3: a response was posted where no request was ever sent. -32600.
    UnexpectedResponse,
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// It is not there.
    Absent,
    /// It is there more than once.
    Repeated,
    /// It cannot be read.
    Malformed(HeaderError),
    /// The body has nothing for it to repeat.
    Unmatched,
    /// What it repeats is an integer that not everybody on the way can hold (1.5).
    OutOfRange,
    /// It says something else than the body. Both are on one line and cut.
    Differs {
        /// What the header says.
        header: Box<str>,
        /// What the body says.
        body: Box<str>,
    },
}

impl HeaderFault {
    pub(crate) fn differs(header: &str, body: &str) -> HeaderFault {
        let short = |text| line(text, NAME_CHARS_MAX).into();
        HeaderFault::Differs { header: short(header), body: short(body) }
    }
}

impl Refusal {
    /// The error to answer with.
    #[must_use]
    pub fn error(&self) -> ErrorObject {
        let code = match self {
            Refusal::MetaMissing { .. } | Refusal::Meta(_) => ErrorCode::INVALID_PARAMS,
            Refusal::Header { .. } => ErrorCode::HEADER_MISMATCH,
            Refusal::UnsupportedVersion { requested } => {
                return ErrorObject::unsupported_version(requested);
            }
            Refusal::UnexpectedResponse => ErrorCode::INVALID_REQUEST,
        };
        ErrorObject::new(code, self.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::MetaMissing { protocol_version, client_capabilities } => {
                let keys =
                    [(*protocol_version).then_some(meta::PROTOCOL_VERSION), (*client_capabilities).then_some(meta::CLIENT_CAPABILITIES)];
                let keys: Vec<&str> = keys.into_iter().flatten().collect();
                write!(f, "params._meta must hold {}", keys.join(" and "))
            }
            Refusal::Meta(error) => error.fmt(f),
            Refusal::Header { header, fault } => match fault {
                HeaderFault::Absent => write!(f, "The header {header} is missing"),
                HeaderFault::Repeated => write!(f, "The header {header} is there more than once"),
                HeaderFault::Malformed(error) => write!(f, "The header {header} {error}"),
                HeaderFault::Unmatched => {
                    write!(f, "The body has no value for the header {header}")
                }
                HeaderFault::OutOfRange => write!(f, "The header {header} repeats an integer beyond 2^53 - 1"),
                HeaderFault::Differs { header: value, body } => {
                    write!(f, "The header {header} says \"{value}\", the body \"{body}\"")
                }
            },
            Refusal::UnsupportedVersion { .. } => f.write_str("Unsupported protocol version"),
            Refusal::UnexpectedResponse => f.write_str("No request is waiting for this response"),
        }
    }
}

impl std::error::Error for Refusal {}
