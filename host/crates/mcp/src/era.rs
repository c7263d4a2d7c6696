//! Which era a message belongs to: rows E1 to E4, M3 and M4 of 1.4. The body decides; the header is a cross-check.

use crate::header::{HeaderValues, literal};
use crate::jsonrpc::{Message, Request};
use crate::modern::{HeaderFault, Refusal, VERSION_HEADER};
use crate::params::Params;
use crate::{Era, Revision, meta};

/// The road that a message takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EraDecision {
    /// The modern ladder; a notification is answered 202 and dropped.
    Modern,
    /// Handshake and sessions.
    Legacy {
        /// What `MCP-Protocol-Version` says. The session's own revision goes before it (2.2).
        header: Option<Revision>,
    },
    /// Neither: answer this. Nothing ran.
    Refused(Refusal),
}

/// Decides the era of `message`, whose parameters are `params`, and which came with `version` in `MCP-Protocol-Version`.
#[must_use]
pub fn era(message: &Message, params: &Params<'_>, version: HeaderValues<'_>) -> EraDecision {
    match message {
        Message::Request(request) => of_request(request, params, version),
        Message::Notification(_) => of_notification(params, version),
        Message::Response(_) => match Named::read(version) {
            // M3, J26: the modern era has no server requests, hence nothing to respond to.
            Ok(Named::Modern(_)) => EraDecision::Refused(Refusal::UnexpectedResponse),
            other => without_claim(other),
        },
    }
}

/// The era of what holds no message to ask: a batch, or an HTTP request without a body.
#[must_use]
pub fn of_header(version: HeaderValues<'_>) -> EraDecision {
    without_claim(Named::read(version))
}

fn of_request(request: &Request, params: &Params<'_>, version: HeaderValues<'_>) -> EraDecision {
    let initialize = &*request.method == "initialize";
    // E1. For `initialize` the claim must hold, else it is a handshake.
    if params.claim_modern() && (!initialize || claim_holds(params)) {
        return EraDecision::Modern;
    }
    match Named::read(version) {
        Ok(Named::Modern(revision)) if initialize => {
            // E2, as the TypeScript SDK answers it.
            let fault = HeaderFault::differs(revision.as_str(), "initialize");
            EraDecision::Refused(Refusal::Header { header: VERSION_HEADER.into(), fault })
        }
        // E3: it will fail at rung 1, which names the keys that are missing.
        Ok(Named::Modern(_)) => EraDecision::Modern,
        other => without_claim(other),
    }
}

/// M4.
fn of_notification(params: &Params<'_>, version: HeaderValues<'_>) -> EraDecision {
    let named = Named::read(version);
    if !params.claim_modern() {
        return match named {
            Ok(Named::Modern(_)) => EraDecision::Modern,
            other => without_claim(other),
        };
    }
    match named {
        Ok(Named::Absent | Named::Modern(_)) => EraDecision::Modern,
        Ok(Named::Legacy(revision)) => unsupported(revision.as_str()),
        Ok(Named::Unknown(text)) => unsupported(text),
        Err(refusal) => EraDecision::Refused(refusal),
    }
}

/// E3 for a version that nobody knows (J20), E4 for the rest.
fn without_claim(named: Result<Named<'_>, Refusal>) -> EraDecision {
    match named {
        Ok(Named::Absent) => EraDecision::Legacy { header: None },
        Ok(Named::Legacy(revision)) => EraDecision::Legacy { header: Some(revision) },
        Ok(Named::Modern(_)) => EraDecision::Modern,
        Ok(Named::Unknown(text)) => unsupported(text),
        Err(refusal) => EraDecision::Refused(refusal),
    }
}

fn unsupported(requested: &str) -> EraDecision {
    EraDecision::Refused(Refusal::UnsupportedVersion { requested: requested.into() })
}

/// Whether the envelope is well formed and names a modern revision.
fn claim_holds(params: &Params<'_>) -> bool {
    let version = params
        .meta(meta::PROTOCOL_VERSION)
        .and_then(|raw| serde_json::from_str::<Box<str>>(raw.get()).ok())
        .and_then(|version| version.parse::<Revision>().ok());
    let capabilities = params.meta(meta::CLIENT_CAPABILITIES);
    version.is_some_and(|revision| revision.era() == Era::Modern) && capabilities.is_some_and(|raw| crate::text::starts_object(raw.get()))
}

/// What the version header names.
enum Named<'a> {
    Absent,
    Legacy(Revision),
    Modern(Revision),
    Unknown(&'a str),
}

impl<'a> Named<'a> {
    fn read(version: HeaderValues<'a>) -> Result<Named<'a>, Refusal> {
        let refuse = |fault| Err(Refusal::Header { header: VERSION_HEADER.into(), fault });
        let text = match version {
            HeaderValues::Absent => return Ok(Named::Absent),
            HeaderValues::Many => return refuse(HeaderFault::Repeated),
            HeaderValues::Once(bytes) => match literal(bytes) {
                Ok(text) => text,
                Err(error) => return refuse(HeaderFault::Malformed(error)),
            },
        };
        Ok(match text.parse::<Revision>() {
            Err(_) => Named::Unknown(text),
            Ok(revision) => match revision.era() {
                Era::Legacy => Named::Legacy(revision),
                Era::Modern => Named::Modern(revision),
            },
        })
    }
}

#[cfg(test)]
mod tests;
