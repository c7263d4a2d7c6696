//! The envelope of a modern request: rungs 1 to 5 of 1.4, in the order of the table.

mod refusal;

pub use refusal::{HeaderFault, Refusal};

use crate::Era;
use crate::Revision;
use crate::capability::ClientCapabilities;
use crate::header::{self, HeaderValues};
use crate::jsonrpc::Request;
use crate::meta::{self, RequestMeta};
use crate::params::{LogLevel, Params, ParamsError};
use crate::result::Implementation;

/// The header that repeats `pv`.
pub const VERSION_HEADER: &str = "MCP-Protocol-Version";
/// The header that repeats `method`.
pub const METHOD_HEADER: &str = "Mcp-Method";
/// The header that repeats what the method is about.
pub const NAME_HEADER: &str = "Mcp-Name";

/// The three headers that every modern request repeats its body in.
#[derive(Clone, Copy, Debug)]
pub struct ModernHeaders<'a> {
    /// [`VERSION_HEADER`].
    pub version: HeaderValues<'a>,
    /// [`METHOD_HEADER`].
    pub method: HeaderValues<'a>,
    /// [`NAME_HEADER`].
    pub name: HeaderValues<'a>,
}

/// What a modern request says about itself, once it has passed rungs 1 to 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The revision that it speaks.
    pub revision: Revision,
    /// What its client can be asked, during this request only.
    pub client_capabilities: ClientCapabilities,
    /// Which client it is, if it says so.
    pub client_info: Option<Implementation>,
    /// Progress token, trace, and what is passed on to the guest.
    pub meta: RequestMeta,
    /// What it says about log messages, if that is a level.
    log_level: Option<Result<LogLevel, ()>>,
}

impl Envelope {
    /// Climbs rungs 1 to 5.
    ///
    /// # Errors
    /// The first rung that fails.
    pub fn read(request: &Request, params: &Params<'_>, headers: &ModernHeaders<'_>) -> Result<Envelope, Refusal> {
        // Rung 1: `_meta` holds `pv` and `cc`; all that is wrong with `_meta` itself belongs here (J24, J25).
        let meta = RequestMeta::read(params).map_err(Refusal::Meta)?;
        let (version, capabilities) = (params.meta(meta::PROTOCOL_VERSION), params.meta(meta::CLIENT_CAPABILITIES));
        let (Some(version), Some(capabilities)) = (version, capabilities) else {
            return Err(Refusal::MetaMissing { protocol_version: version.is_none(), client_capabilities: capabilities.is_none() });
        };
        let client_capabilities = ClientCapabilities::from_json(capabilities)
            .ok_or(Refusal::Meta(ParamsError::wrong("_meta.clientCapabilities", "an object")))?;
        let wrong_info = ParamsError::wrong("_meta.clientInfo", "an object with the strings name and version");
        let client_info = match params.meta(meta::CLIENT_INFO) {
            Some(info) => Some(Implementation::from_json(info).ok_or(Refusal::Meta(wrong_info))?),
            None => None,
        };
        let log_level = params.meta(meta::LOG_LEVEL).map(|raw| LogLevel::from_json(raw.get()).ok_or(()));

        // Rung 2: the version header says what the body says. What is no string equals no header.
        let version: Option<Box<str>> = serde_json::from_str(version.get()).ok();
        let version = agree(VERSION_HEADER, headers.version, version, |bytes| header::literal(bytes).map(Into::into))?;

        // Rung 3: the method header is the method, byte for byte.
        agree(METHOD_HEADER, headers.method, Some(request.method.clone()), |bytes| header::literal(bytes).map(Into::into))?;

        // Rung 4: the name header is, decoded, what the method is about.
        if let Some(member) = name_member(&request.method) {
            let name = params.members.get(member).and_then(|raw| serde_json::from_str(raw.get()).ok());
            agree(NAME_HEADER, headers.name, name, |bytes| header::decode(bytes).map(Into::into))?;
        }

        // Rung 4b: nor is the name header there twice where it is not needed. (`agree` sees to the others.)
        if headers.name == HeaderValues::Many {
            return Err(Refusal::Header { header: NAME_HEADER.into(), fault: HeaderFault::Repeated });
        }

        // Rung 5: the version is one that is served in modern form.
        let revision = match version.parse::<Revision>() {
            Ok(revision) if revision.era() == Era::Modern => revision,
            Ok(_) | Err(_) => return Err(Refusal::UnsupportedVersion { requested: version }),
        };

        Ok(Envelope { revision, client_capabilities, client_info, meta, log_level })
    }

    /// Rung 9, as far as `_meta` goes: the least level of log messages that this request wants. `None`: it wants none
    /// at all, and none may be sent.
    ///
    /// # Errors
    /// It is not one of the eight levels: -32602.
    pub fn log_level(&self) -> Result<Option<LogLevel>, ParamsError> {
        self.log_level.transpose().map_err(|()| ParamsError::wrong("_meta.logLevel", "a log level"))
    }
}

/// Which member of `params` the header [`NAME_HEADER`] repeats, if any.
#[must_use]
pub fn name_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The header is there once, can be read, and says what the body says.
fn agree(
    name: &'static str,
    values: HeaderValues<'_>,
    body: Option<Box<str>>,
    read: impl Fn(&[u8]) -> Result<Box<str>, header::HeaderError>,
) -> Result<Box<str>, Refusal> {
    let refuse = |fault| Err(Refusal::Header { header: name.into(), fault });
    let value = match values {
        HeaderValues::Absent => return refuse(HeaderFault::Absent),
        HeaderValues::Many => return refuse(HeaderFault::Repeated), // Rung 4b.
        HeaderValues::Once(bytes) => match read(bytes) {
            Ok(value) => value,
            Err(error) => return refuse(HeaderFault::Malformed(error)),
        },
    };
    match body {
        Some(body) if body == value => Ok(body),
        Some(body) => refuse(HeaderFault::differs(&value, &body)),
        None => refuse(HeaderFault::Unmatched),
    }
}

#[cfg(test)]
mod tests;
