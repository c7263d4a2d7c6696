//! `_meta`: what a request says about itself, and what the server says about its results.

use crate::jsonrpc::Id;
use crate::members::Members;
use crate::params::{Params, ParamsError};
use crate::text::{JsonText, Object};
use serde_json::value::RawValue;

/// `pv`: the revision that a modern request speaks.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `cc`: what its client can be asked.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `ci`: which client it is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// `ll`: the least level of log messages that it wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `si`: which server answered.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// `sub`: the listen request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The most keys of a request's `_meta` (`reliability.md` 5.1).
pub const META_KEYS_MAX: usize = 64;
/// The longest `_meta` of a request, in bytes as sent (`reliability.md` 5.1).
pub const META_BYTES_MAX: usize = 16 * 1024;

/// A token that the client wants to see on progress notifications: a string or an integer, under the same rules as an
/// [`Id`] (J24).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProgressToken(Id);

impl ProgressToken {
    /// Reads a token; `None` for what is not one.
    #[must_use]
    pub fn from_json(raw: &RawValue) -> Option<ProgressToken> {
        Id::from_json(raw).map(ProgressToken)
    }

    /// The token with its JSON type.
    #[must_use]
    pub fn write(&self) -> JsonText {
        self.0.write()
    }
}

/// W3C trace context as far as it is well formed; the rest is ignored, never refused (J25).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero; later versions may go on after a dash.
    pub traceparent: Option<Box<str>>,
    /// At most 512 bytes of visible ASCII and blanks; only with a `traceparent`.
    pub tracestate: Option<Box<str>>,
    /// At most 8 KiB of visible ASCII and blanks.
    pub baggage: Option<Box<str>>,
}

impl TraceContext {
    /// What `params._meta` says, whatever else is wrong with it: for who looks at a request before its method does.
    #[must_use]
    pub fn of_params(params: &Params<'_>) -> TraceContext {
        let is_short = params.members.get("_meta").is_some_and(|raw| raw.get().len() <= META_BYTES_MAX);
        let Some(members) = params.meta.as_ref().filter(|_| is_short) else { return TraceContext::default() };
        let mut trace = TraceContext::default();
        members.iter().for_each(|(key, value)| trace.take(key, value));
        trace.whole()
    }

    /// What headers of these names say: for a request whose `_meta` says nothing.
    #[must_use]
    pub fn of_headers(traceparent: &str, tracestate: Option<&str>) -> TraceContext {
        let short = |text: &str| is_plain(text, 512).then(|| Box::from(text));
        let traceparent = short(traceparent).filter(|text| is_traceparent(text));
        TraceContext { traceparent, tracestate: tracestate.and_then(short), baggage: None }.whole()
    }

    /// Reads a member of `_meta`, if it is one of these.
    fn take(&mut self, key: &str, value: &RawValue) {
        match key {
            "traceparent" => self.traceparent = text(value, 512).filter(|text| is_traceparent(text)),
            "tracestate" => self.tracestate = text(value, 512),
            "baggage" => self.baggage = text(value, 8192),
            _ => {}
        }
    }

    /// Without a parent there is no state.
    fn whole(mut self) -> TraceContext {
        if self.traceparent.is_none() {
            self.tracestate = None;
        }
        self
    }

    /// What a guest may see of a request's `_meta` ([`RequestMeta::for_guest`]), with this parent and state in place of the client's.
    #[must_use]
    pub fn put_into(&self, meta: Option<&JsonText>) -> Option<JsonText> {
        let mut object = Object::new();
        let members = meta.and_then(|meta| Members::of(meta.as_str())).unwrap_or_default();
        let others = members.iter().filter(|(key, _)| !matches!(*key, "traceparent" | "tracestate"));
        others.for_each(|(key, value)| object.splice(key, value.get()));
        object.string_if("traceparent", self.traceparent.as_deref());
        object.string_if("tracestate", self.tracestate.as_deref());
        object.end_unless_empty()
    }
}

/// The `_meta` of a request, without what it claims about the request itself: the modern ladder judges that, and the legacy era ignores it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMeta {
    /// Progress is wanted, under this token.
    pub progress_token: Option<ProgressToken>,
    /// Where the request belongs in a trace.
    pub trace: TraceContext,
    /// All other members, without those that are reserved for the protocol: what a guest may see. Absent if empty.
    pub extra: Option<JsonText>,
}

impl RequestMeta {
    /// Reads `_meta` of `params`; absent reads as empty.
    ///
    /// # Errors
    /// It is no object, passes [`META_KEYS_MAX`] or [`META_BYTES_MAX`], or its `progressToken` is neither a string
    /// nor an integer.
    pub fn read(params: &Params<'_>) -> Result<RequestMeta, ParamsError> {
        let mut meta = RequestMeta::default();
        let (Some(raw), Some(members)) = (params.members.object("_meta")?, &params.meta) else {
            return Ok(meta);
        };
        if raw.get().len() > META_BYTES_MAX {
            return Err(ParamsError::wrong("_meta", "at most 16 KiB long"));
        }
        if members.len() > META_KEYS_MAX {
            return Err(ParamsError::wrong("_meta", "an object of at most 64 members"));
        }
        let mut extra = Object::new();
        for (key, value) in members.iter() {
            match key {
                "progressToken" => {
                    let token = ProgressToken::from_json(value);
                    let wrong = ParamsError::wrong("_meta.progressToken", "an integer or a string of at most 256 bytes");
                    meta.progress_token = Some(token.ok_or(wrong)?);
                }
                "traceparent" | "tracestate" | "baggage" => meta.trace.take(key, value),
                reserved if is_reserved(reserved) => {}
                other => extra.splice(other, value.get()),
            }
        }
        meta.trace = meta.trace.whole();
        meta.extra = extra.end_unless_empty();
        Ok(meta)
    }
}

impl RequestMeta {
    /// What a guest may see of it: what is not the protocol's own, and the trace that its work belongs to.
    #[must_use]
    pub fn for_guest(&self) -> Option<JsonText> {
        let mut object = Object::new();
        let extra = self.extra.as_ref().and_then(|extra| Members::of(extra.as_str())).unwrap_or_default();
        extra.iter().for_each(|(key, value)| object.splice(key, value.get()));
        object.string_if("traceparent", self.trace.traceparent.as_deref());
        object.string_if("tracestate", self.trace.tracestate.as_deref());
        object.string_if("baggage", self.trace.baggage.as_deref());
        object.end_unless_empty()
    }
}

/// Whether a key has a prefix whose second label is `modelcontextprotocol` or `mcp` (3.8): the protocol's own.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    let label = key.split_once('/').and_then(|(prefix, _)| prefix.split('.').nth(1));
    matches!(label, Some("modelcontextprotocol" | "mcp"))
}

/// Whether a key of a `_meta` is named as the protocol wants it (basic, `_meta`): a name, with a prefix of labels or without.
#[must_use]
pub fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let ends = |text: &str, first: fn(&u8) -> bool| {
        let last = text.as_bytes().last().is_some_and(u8::is_ascii_alphanumeric);
        text.as_bytes().first().is_some_and(first) && last
    };
    let label =
        |label: &str| ends(label, u8::is_ascii_alphabetic) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let named = name.is_empty() && prefix.is_some()
        || ends(name, u8::is_ascii_alphanumeric)
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    named && prefix.is_none_or(|prefix| prefix.split('.').all(label))
}

/// The `_meta` of something the server sends: what the guest gave, without the members that only the host may say,
/// then the host's own. `None` if nothing remains.
pub(crate) fn compose(guest: Option<&JsonText>, own: &[(&str, JsonText)]) -> Option<JsonText> {
    let mut object = Object::new();
    let guest = guest.and_then(|text| Members::of(text.as_str())).unwrap_or_default();
    for (key, value) in guest.iter() {
        let forged = matches!(key, PROTOCOL_VERSION | CLIENT_CAPABILITIES | CLIENT_INFO | LOG_LEVEL | SERVER_INFO | SUBSCRIPTION_ID);
        if !forged {
            object.splice(key, value.get());
        }
    }
    for (key, value) in own {
        object.raw(key, value);
    }
    object.end_unless_empty()
}

/// A string of visible ASCII and blanks, at most `bytes_max` long.
fn text(raw: &RawValue, bytes_max: usize) -> Option<Box<str>> {
    let text: Box<str> = serde_json::from_str(raw.get()).ok()?;
    is_plain(&text, bytes_max).then_some(text)
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// W3C Trace Context, `traceparent`.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        let part = parts.next().unwrap_or_default();
        let digits = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == length && digits).then_some(part)
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let (Some(version), Some(trace), Some(span), Some(_flags)) = (hex(2), hex(32), hex(16), hex(2)) else {
        return false;
    };
    let more = parts.next().is_some();
    let version_allows = if more { version != "00" } else { true };
    version != "ff" && version_allows && !zero(trace) && !zero(span)
}

#[cfg(test)]
mod tests;
