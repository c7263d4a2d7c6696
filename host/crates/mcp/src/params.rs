//! Parameters, typed. Unknown members are ignored; a member of a wrong type is refused by name; `null` counts as
//! absent where a member is optional.

use crate::capability::ClientCapabilities;
use crate::jsonrpc::Id;
use crate::members::Members;
use crate::meta::{self, RequestMeta};
use crate::result::Implementation;
use crate::{ErrorCode, ErrorObject, JsonText};
use serde_json::value::RawValue;
use std::fmt;

/// A member of `params` that is missing or wrong: -32602.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamsError {
    member: &'static str,
    expected: Option<&'static str>,
}

impl ParamsError {
    pub(crate) const fn missing(member: &'static str) -> ParamsError {
        ParamsError { member, expected: None }
    }

    pub(crate) const fn wrong(member: &'static str, expected: &'static str) -> ParamsError {
        ParamsError { member, expected: Some(expected) }
    }

    /// Whether it concerns `_meta`: such faults have a status of their own (`reliability.md` 2.1).
    #[must_use]
    pub fn in_meta(&self) -> bool {
        self.member.starts_with("_meta")
    }

    /// The error to answer with.
    #[must_use]
    pub fn error(&self) -> ErrorObject {
        ErrorObject::new(ErrorCode::INVALID_PARAMS, self.to_string())
    }
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            None => write!(f, "params.{} is missing", self.member),
            Some(expected) => write!(f, "params.{} must be {expected}", self.member),
        }
    }
}

impl std::error::Error for ParamsError {}

/// The parameters of a message, taken apart once for everybody who looks at them.
#[derive(Debug, Default)]
pub struct Params<'a> {
    pub(crate) members: Members<'a>,
    /// Those of `_meta`, where that is an object.
    pub(crate) meta: Option<Members<'a>>,
}

impl<'a> Params<'a> {
    /// Of an object, or of a message without parameters: that is as good as an empty one.
    #[must_use]
    pub fn of(raw: Option<&'a RawValue>) -> Params<'a> {
        let members = raw.and_then(|raw| Members::of(raw.get())).unwrap_or_default();
        let meta = members.get("_meta").and_then(|meta| Members::of(meta.get()));
        Params { members, meta }
    }

    /// One member of `_meta`.
    pub(crate) fn meta(&self, name: &str) -> Option<&'a RawValue> {
        self.meta.as_ref()?.get(name)
    }

    /// Whether `_meta` has the key that makes a message modern, whatever its value (M1, M4, E1).
    #[must_use]
    pub fn claim_modern(&self) -> bool {
        self.meta(meta::PROTOCOL_VERSION).is_some()
    }
}

/// The longest `arguments` of a call, in bytes as sent; beyond, the call is refused with
/// [`ErrorObject::arguments_too_large`] (J23). The host checks it, because the limit may be set lower.
pub const ARGUMENTS_BYTES_MAX: usize = 1 << 20;

/// `tools/call`.
#[derive(Clone, Debug)]
pub struct CallToolParams {
    /// The tool. Any string: whether there is such a tool is for the catalog to say.
    pub name: Box<str>,
    /// An object, if present.
    pub arguments: Option<Box<RawValue>>,
    /// What comes back to an earlier question.
    pub input: Input,
    /// About the request.
    pub meta: RequestMeta,
}

/// What a client brings back to an `input_required` (3.4).
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// An object of answers by key.
    pub responses: Option<Box<RawValue>>,
    /// What the server said then, as the client brings it back: not to be trusted.
    pub state: Option<Box<str>>,
}

impl Input {
    fn of(members: &Members<'_>) -> Result<Input, ParamsError> {
        Ok(Input { responses: members.object("inputResponses")?.map(ToOwned::to_owned), state: members.string("requestState")? })
    }
}

impl CallToolParams {
    /// Reads `params`. A member `task` (2025-11-25, experimental) is ignored.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<CallToolParams, ParamsError> {
        let members = &params.members;
        Ok(CallToolParams {
            name: members.required_string("name")?,
            arguments: members.object("arguments")?.map(ToOwned::to_owned),
            input: Input::of(members)?,
            meta: RequestMeta::read(params)?,
        })
    }
}

/// `tools/list`, `resources/list`, `resources/templates/list`, `prompts/list`.
#[derive(Clone, Debug)]
pub struct ListParams {
    /// Where to go on; the empty string is a cursor too (3.1).
    pub cursor: Option<Box<str>>,
    /// About the request.
    pub meta: RequestMeta,
}

impl ListParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is wrong.
    pub fn read(params: &Params<'_>) -> Result<ListParams, ParamsError> {
        let members = &params.members;
        Ok(ListParams { cursor: members.string("cursor")?, meta: RequestMeta::read(params)? })
    }
}

/// `resources/read`.
#[derive(Clone, Debug)]
pub struct ReadResourceParams {
    /// Any string: whether there is such a resource is for the catalog to say.
    pub uri: Box<str>,
    /// What comes back to an earlier question.
    pub input: Input,
    /// About the request.
    pub meta: RequestMeta,
}

impl ReadResourceParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<ReadResourceParams, ParamsError> {
        let members = &params.members;
        Ok(ReadResourceParams { uri: members.required_string("uri")?, input: Input::of(members)?, meta: RequestMeta::read(params)? })
    }
}

/// `resources/subscribe` and `resources/unsubscribe` (legacy era).
#[derive(Clone, Debug)]
pub struct SubscribeParams {
    /// Any string.
    pub uri: Box<str>,
}

impl SubscribeParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<SubscribeParams, ParamsError> {
        Ok(SubscribeParams { uri: params.members.required_string("uri")? })
    }
}

/// `prompts/get`.
#[derive(Clone, Debug)]
pub struct GetPromptParams {
    /// The prompt. Any string.
    pub name: Box<str>,
    /// By name, in the order that they came.
    pub arguments: Pairs,
    /// What comes back to an earlier question.
    pub input: Input,
    /// About the request.
    pub meta: RequestMeta,
}

impl GetPromptParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<GetPromptParams, ParamsError> {
        let members = &params.members;
        Ok(GetPromptParams {
            name: members.required_string("name")?,
            arguments: texts(members.object("arguments")?, "arguments")?,
            input: Input::of(members)?,
            meta: RequestMeta::read(params)?,
        })
    }
}

/// What a completion is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A prompt, by name.
    Prompt(Box<str>),
    /// A resource template, as it stands in the list.
    ResourceTemplate(Box<str>),
}

/// `completion/complete`.
#[derive(Clone, Debug)]
pub struct CompleteParams {
    /// Of what.
    pub reference: Reference,
    /// The argument's name.
    pub argument: Box<str>,
    /// What has been typed of it.
    pub value: Box<str>,
    /// Arguments that are settled already (since 2025-06-18).
    pub context: Pairs,
    /// About the request.
    pub meta: RequestMeta,
}

impl CompleteParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<CompleteParams, ParamsError> {
        let members = &params.members;
        let inner = |name: &'static str| -> Result<Members<'_>, ParamsError> {
            let raw = members.object(name)?.ok_or(ParamsError::missing(name))?;
            Ok(Members::of(raw.get()).unwrap_or_default())
        };
        let wrong = ParamsError::wrong("ref", "a ref/prompt with a name or a ref/resource with a uri");
        let reference = inner("ref")?;
        let member = |name: &'static str| reference.string(name).ok().flatten().ok_or(wrong);
        let reference = match &*member("type")? {
            "ref/prompt" => Reference::Prompt(member("name")?),
            "ref/resource" => Reference::ResourceTemplate(member("uri")?),
            _ => return Err(wrong),
        };
        let argument = inner("argument")?;
        let wrong = ParamsError::wrong("argument", "an object with the strings name and value");
        let member = |name: &'static str| argument.string(name).ok().flatten().ok_or(wrong);
        let context = members.object("context")?.and_then(|raw| Members::of(raw.get())).unwrap_or_default();
        let settled = context.object("arguments").map_err(|_| ParamsError::wrong("context.arguments", "an object of strings"))?;
        Ok(CompleteParams {
            reference,
            argument: member("name")?,
            value: member("value")?,
            context: texts(settled, "context.arguments")?,
            meta: RequestMeta::read(params)?,
        })
    }
}

/// Names with their values, in the order that they came.
pub type Pairs = Vec<(Box<str>, Box<str>)>;

/// An object of strings.
fn texts(raw: Option<&RawValue>, member: &'static str) -> Result<Pairs, ParamsError> {
    let members = raw.and_then(|raw| Members::of(raw.get())).unwrap_or_default();
    let text = |(name, value): (&str, &RawValue)| {
        let value = serde_json::from_str(value.get()).map_err(|_| ParamsError::wrong(member, "an object of strings"))?;
        Ok((name.into(), value))
    };
    members.iter().map(text).collect()
}

/// `initialize`.
#[derive(Clone, Debug)]
pub struct InitializeParams {
    /// What the client asks for; see [`Revision::negotiate`](crate::Revision::negotiate).
    pub protocol_version: Box<str>,
    /// What it can be asked.
    pub capabilities: ClientCapabilities,
    /// Which client it is.
    pub client_info: Implementation,
}

impl InitializeParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<InitializeParams, ParamsError> {
        let members = &params.members;
        let capabilities = members.object("capabilities")?.and_then(ClientCapabilities::from_json);
        let client_info = members.object("clientInfo")?.ok_or(ParamsError::missing("clientInfo"))?;
        Ok(InitializeParams {
            protocol_version: members.required_string("protocolVersion")?,
            capabilities: capabilities.ok_or(ParamsError::missing("capabilities"))?,
            client_info: Implementation::from_json(client_info)
                .ok_or(ParamsError::wrong("clientInfo", "an object with the strings name and version"))?,
        })
    }
}

/// `notifications/cancelled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledParams {
    /// The request that is no longer wanted.
    pub request_id: Id,
    /// Why, for people. Foreign text: see [`text::line`](crate::text::line) before it is logged.
    pub reason: Option<Box<str>>,
}

impl CancelledParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<CancelledParams, ParamsError> {
        let members = &params.members;
        let id = members.optional("requestId").ok_or(ParamsError::missing("requestId"))?;
        Ok(CancelledParams {
            request_id: Id::from_json(id).ok_or(ParamsError::wrong("requestId", "an integer or a string"))?,
            reason: members.string("reason")?,
        })
    }
}

/// The severity of a log message, least first (RFC 5424).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `notice`
    Notice,
    /// `warning`
    Warning,
    /// `error`
    Error,
    /// `critical`
    Critical,
    /// `alert`
    Alert,
    /// `emergency`
    Emergency,
}

impl LogLevel {
    const ALL: [LogLevel; 8] = [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Notice,
        LogLevel::Warning,
        LogLevel::Error,
        LogLevel::Critical,
        LogLevel::Alert,
        LogLevel::Emergency,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Notice => "notice",
            LogLevel::Warning => "warning",
            LogLevel::Error => "error",
            LogLevel::Critical => "critical",
            LogLevel::Alert => "alert",
            LogLevel::Emergency => "emergency",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<LogLevel> {
        LogLevel::ALL.into_iter().find(|level| level.as_str() == name)
    }

    pub(crate) fn from_json(raw: &str) -> Option<LogLevel> {
        let name: Box<str> = serde_json::from_str(raw).ok()?;
        LogLevel::parse(&name)
    }
}

/// `logging/setLevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLevelParams {
    /// The least level that the client wants to see.
    pub level: LogLevel,
}

impl SetLevelParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// `level` is missing or not one of the eight.
    pub fn read(params: &Params<'_>) -> Result<SetLevelParams, ParamsError> {
        let members = &params.members;
        let raw = members.optional("level").ok_or(ParamsError::missing("level"))?;
        let level = LogLevel::from_json(raw.get()).ok_or(ParamsError::wrong("level", "a log level"))?;
        Ok(SetLevelParams { level })
    }
}

/// The text of `arguments`, `{}` where there are none.
#[must_use]
pub fn arguments_text(arguments: Option<&RawValue>) -> JsonText {
    match arguments {
        Some(raw) => raw.into(),
        None => crate::text::Object::new().end(),
    }
}

#[cfg(test)]
mod tests;
