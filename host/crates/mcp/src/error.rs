//! JSON-RPC errors: the codes, and the object that travels.

use crate::text::{JsonText, Object};
use crate::{Era, Revision, capability::Capability, text::line};
use std::fmt;

/// A JSON-RPC error code, one of the constants below.
///
/// Codes of the specification are used with the meaning of the specification only; Gatehouse's own lie outside the
/// range that JSON-RPC reserves (1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(i32);

impl ErrorCode {
    /// JSON-RPC: the body is not JSON.
    pub const PARSE_ERROR: ErrorCode = ErrorCode(-32700);
    /// JSON-RPC: JSON, but not a message, or one that is not allowed here.
    pub const INVALID_REQUEST: ErrorCode = ErrorCode(-32600);
    /// JSON-RPC: there is no such method.
    pub const METHOD_NOT_FOUND: ErrorCode = ErrorCode(-32601);
    /// JSON-RPC: wrong parameters; an unknown tool; a bad cursor.
    pub const INVALID_PARAMS: ErrorCode = ErrorCode(-32602);
    /// JSON-RPC: a fault of the host.
    pub const INTERNAL_ERROR: ErrorCode = ErrorCode(-32603);

    /// MCP up to 2025-11-25: no such resource. Never in modern form.
    pub const RESOURCE_NOT_FOUND: ErrorCode = ErrorCode(-32002);
    /// MCP 2025-11-25: the client must first open a URL. Never in modern form.
    pub const URL_ELICITATION_REQUIRED: ErrorCode = ErrorCode(-32042);
    /// MCP 2026-07-28: a header does not say what the body says.
    pub const HEADER_MISMATCH: ErrorCode = ErrorCode(-32020);
    /// MCP 2026-07-28: the request needs a capability that the client did not declare.
    pub const MISSING_CLIENT_CAPABILITY: ErrorCode = ErrorCode(-32021);
    /// MCP 2026-07-28: the revision is not served.
    pub const UNSUPPORTED_VERSION: ErrorCode = ErrorCode(-32022);
    /// The request was cancelled: how a legacy stream ends then, as Python's SDK does it (2.3).
    pub const REQUEST_CANCELLED: ErrorCode = ErrorCode(-32800);

    /// Gatehouse: the tool ran out of time.
    pub const TOOL_TIMEOUT: ErrorCode = ErrorCode(-31001);
    /// Gatehouse: the tool trapped.
    pub const TOOL_TRAP: ErrorCode = ErrorCode(-31002);
    /// Gatehouse: the tool ran into a limit of memory, stack, calls or output.
    pub const RESOURCE_LIMIT: ErrorCode = ErrorCode(-31003);
    /// Gatehouse: the host has no room; try again later.
    pub const OVERLOADED: ErrorCode = ErrorCode(-31004);
    /// Gatehouse: the caller has used up its quota.
    pub const QUOTA: ErrorCode = ErrorCode(-31005);
    /// Gatehouse: the policy says no.
    pub const POLICY_DENIED: ErrorCode = ErrorCode(-31006);
    /// Gatehouse: the plugin is switched off for now.
    pub const PLUGIN_UNAVAILABLE: ErrorCode = ErrorCode(-31007);
    /// Gatehouse: the tool's result is too big.
    pub const RESULT_TOO_BIG: ErrorCode = ErrorCode(-31008);
    /// Gatehouse: the tool's result breaks its own schema.
    pub const RESULT_INVALID: ErrorCode = ErrorCode(-31009);
    /// Gatehouse: the policy could not be asked, which counts as no.
    pub const POLICY_UNAVAILABLE: ErrorCode = ErrorCode(-31010);
    /// Gatehouse: the host died while the tool ran. It was not run again.
    pub const OUTCOME_UNKNOWN: ErrorCode = ErrorCode(-31011);
    /// Gatehouse: the event id is malformed, unknown or someone else's.
    pub const BAD_EVENT_ID: ErrorCode = ErrorCode(-31012);
    /// Gatehouse: the host is shutting down; try again elsewhere.
    pub const DRAINING: ErrorCode = ErrorCode(-31013);
    /// Gatehouse: an operator has revoked the caller, or what it uses, while the request ran.
    pub const REVOKED: ErrorCode = ErrorCode(-31014);

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The word that `data.kind` says for one of Gatehouse's own codes (`reliability.md` 2.1).
    #[must_use]
    pub const fn kind(self) -> Option<&'static str> {
        Some(match self {
            ErrorCode::TOOL_TIMEOUT => "tool_timeout",
            ErrorCode::TOOL_TRAP => "tool_trap",
            ErrorCode::RESOURCE_LIMIT => "resource_limit",
            ErrorCode::OVERLOADED => "overloaded",
            ErrorCode::QUOTA => "quota",
            ErrorCode::POLICY_DENIED => "policy_denied",
            ErrorCode::PLUGIN_UNAVAILABLE => "plugin_unavailable",
            ErrorCode::RESULT_TOO_BIG => "result_too_big",
            ErrorCode::RESULT_INVALID => "result_invalid",
            ErrorCode::POLICY_UNAVAILABLE => "policy_unavailable",
            ErrorCode::OUTCOME_UNKNOWN => "outcome_unknown",
            ErrorCode::BAD_EVENT_ID => "bad_event_id",
            ErrorCode::DRAINING => "draining",
            ErrorCode::REVOKED => "revoked",
            ErrorCode(_) => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `error` member of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorObject {
    /// What went wrong.
    pub code: ErrorCode,
    /// One sentence for people. Public: no paths, no guest output, no causes.
    pub message: Box<str>,
    /// Facts for programs.
    pub data: Option<JsonText>,
}

impl ErrorObject {
    /// An error whose `data.kind` is the code's own, if it has one.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Box<str>>) -> ErrorObject {
        let data = code.kind().map(kind_data);
        ErrorObject { code, message: message.into(), data }
    }

    /// The same error with `data.kind` set to `kind` and no other data.
    #[must_use]
    pub fn with_kind(self, kind: &str) -> ErrorObject {
        ErrorObject { data: Some(kind_data(kind)), ..self }
    }

    /// The same error with other data.
    #[must_use]
    pub fn with_data(self, data: JsonText) -> ErrorObject {
        ErrorObject { data: Some(data), ..self }
    }

    /// -32600 for arguments beyond [`ARGUMENTS_BYTES_MAX`](crate::params::ARGUMENTS_BYTES_MAX) (J23).
    #[must_use]
    pub fn arguments_too_large() -> ErrorObject {
        let error = ErrorObject::new(ErrorCode::INVALID_REQUEST, "params.arguments is too large");
        error.with_kind("args_too_large")
    }

    /// Rung 7: -32601. The name is cut and escaped (J21).
    #[must_use]
    pub fn method_not_found(method: &str) -> ErrorObject {
        let method = line(method, crate::text::NAME_CHARS_MAX);
        ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {method}"))
    }

    /// -32602 for a tool that does not exist, or that the caller may not see. The name is cut and escaped (J21).
    #[must_use]
    pub fn unknown_tool(name: &str) -> ErrorObject {
        let name = line(name, crate::text::NAME_CHARS_MAX);
        ErrorObject::new(ErrorCode::INVALID_PARAMS, format!("Unknown tool: {name}"))
    }

    /// -32602 for a prompt that does not exist, or that the caller may not see. The name is cut and escaped (J21).
    #[must_use]
    pub fn unknown_prompt(name: &str) -> ErrorObject {
        let name = line(name, crate::text::NAME_CHARS_MAX);
        ErrorObject::new(ErrorCode::INVALID_PARAMS, format!("Unknown prompt: {name}"))
    }

    /// A resource that does not exist, or that the caller may not see: -32602 with `data.uri` in the modern era, -32002 before (3.2).
    #[must_use]
    pub fn resource_not_found(uri: &str, era: Era) -> ErrorObject {
        let code = match era {
            Era::Legacy => ErrorCode::RESOURCE_NOT_FOUND,
            Era::Modern => ErrorCode::INVALID_PARAMS,
        };
        let mut data = Object::new();
        data.string("uri", &line(uri, 1_024));
        ErrorObject::new(code, "Resource not found").with_data(data.end())
    }

    /// Rung 5: -32022 with both members that the suite asks for, `supported` and `requested`.
    #[must_use]
    pub fn unsupported_version(requested: &str) -> ErrorObject {
        let requested = line(requested, crate::text::NAME_CHARS_MAX);
        let mut data = Object::new();
        data.list("supported", Revision::MODERN.iter().map(|revision| JsonText::string(revision.as_str())));
        data.string("requested", &requested);
        let message = format!("Unsupported protocol version: {requested}");
        ErrorObject::new(ErrorCode::UNSUPPORTED_VERSION, message).with_data(data.end())
    }

    /// Rung 8: -32021; `data.requiredCapabilities` is a capabilities object, not a list.
    #[must_use]
    pub fn missing_capability(capability: &Capability) -> ErrorObject {
        let mut data = Object::new();
        data.raw("requiredCapabilities", &capability.as_object());
        let message = format!("The client must declare the capability {capability}");
        ErrorObject::new(ErrorCode::MISSING_CLIENT_CAPABILITY, message).with_data(data.end())
    }

    /// The object on the wire.
    #[must_use]
    pub fn write(&self) -> JsonText {
        let mut object = Object::new();
        object.integer("code", i64::from(self.code.0));
        object.string("message", &self.message);
        object.raw_if("data", self.data.as_ref());
        object.end()
    }
}

fn kind_data(kind: &str) -> JsonText {
    let mut data = Object::new();
    data.string("kind", kind);
    data.end()
}

#[cfg(test)]
mod tests;
