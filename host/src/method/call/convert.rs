//! Between the contract's words and the wire's.

use crate::metrics;
use data_encoding::HEXLOWER;
use mcp::capability::{Capability, ClientCapabilities};
use mcp::content::{Blob, Content, ResourceBody, ResourceContents, ResourceLink};
use mcp::params::LogLevel;
use mcp::prompt::{Message, Role};
use mcp::result::{CallToolResult, CompleteResult, GetPromptResult, InputRequest};
use mcp::{JsonLimits, JsonText, Revision};
use sandbox::contract::{self, ClientFeatures};
use serde_json::Value;
use std::borrow::Cow;

/// Questions that a client is asked at once.
const QUESTIONS_MAX: usize = 16;

/// A guest's reply as a result, with everything that claims to be JSON checked.
///
/// # Errors
///
/// Which part is not what it claims to be.
pub(super) fn result(reply: contract::Reply, limits: &JsonLimits, sanitize: bool) -> Result<CallToolResult, String> {
    let content = reply.content.into_iter().map(|content| self::content(content, limits, sanitize)).collect::<Result<_, _>>()?;
    // A structured result may be as long as the result itself, which was measured before.
    let structured_limits = JsonLimits { string_bytes_max: usize::MAX, nodes_max: usize::MAX, ..*limits };
    let structured = reply.structured.map(|text| JsonText::parse(text, &structured_limits)).transpose();
    Ok(CallToolResult {
        content,
        structured: structured.map_err(|error| format!("its structured result is refused: {error}"))?,
        is_error: reply.is_error,
        meta: object("meta", reply.meta, limits)?,
    })
}

/// What a guest read.
///
/// # Errors
///
/// What of it is not what it claims to be.
pub(super) fn contents(read: Vec<contract::Contents>, limits: &JsonLimits) -> Result<Vec<ResourceContents>, String> {
    if read.is_empty() {
        return Err("it read nothing, and did not say that there is no such resource".to_owned());
    }
    read.into_iter().map(|contents| resource(contents, limits)).collect()
}

/// What a prompt became.
///
/// # Errors
///
/// What of it is not what it claims to be.
pub(super) fn messages(messages: contract::Messages, limits: &JsonLimits, sanitize: bool) -> Result<GetPromptResult, String> {
    let message = |message: contract::Message| {
        let role = match message.role {
            contract::Role::User => Role::User,
            contract::Role::Assistant => Role::Assistant,
        };
        let mut content = content(message.content, limits, sanitize)?;
        say_what_it_is(&mut content);
        Ok(Message { role, content })
    };
    Ok(GetPromptResult {
        description: messages.description.map(Into::into),
        messages: messages.messages.into_iter().map(message).collect::<Result<_, String>>()?,
        meta: object("meta", messages.meta, limits)?,
    })
}

/// A prompt's resource says what it is (server/prompts).
pub(super) fn say_what_it_is(content: &mut Content) {
    if let Content::Resource { contents, .. } = content {
        let default = match contents.body {
            ResourceBody::Text(_) => "text/plain",
            ResourceBody::Bytes(_) => "application/octet-stream",
        };
        contents.mime_type.get_or_insert(default.into());
    }
}

/// What a guest suggests.
pub(super) fn suggestions(suggestions: contract::Suggestions) -> CompleteResult {
    let values = suggestions.values.into_iter().map(Into::into).collect();
    CompleteResult { values, total: suggestions.total, has_more: suggestions.has_more }
}

fn content(content: contract::Content, limits: &JsonLimits, sanitize: bool) -> Result<Content, String> {
    Ok(match content {
        contract::Content::Text(text) => {
            Content::Text { text: said(text.text, sanitize), annotations: object("annotations", text.annotations, limits)? }
        }
        contract::Content::Image(blob) => Content::Image(self::blob(blob, limits)?),
        contract::Content::Audio(blob) => Content::Audio(self::blob(blob, limits)?),
        contract::Content::ResourceLink(link) => {
            uri(&link.uri)?;
            Content::ResourceLink(ResourceLink {
                uri: link.uri.into(),
                name: link.name.into(),
                title: link.title.map(Into::into),
                description: link.description.map(Into::into),
                mime_type: link.mime_type.map(Into::into),
                annotations: object("annotations", link.annotations, limits)?,
            })
        }
        contract::Content::Embedded(contents) => Content::Resource { contents: resource(contents, limits)?, annotations: None },
    })
}

/// What a tool or a prompt says, without what only terminals and models would see of it.
fn said(text: String, sanitize: bool) -> Box<str> {
    match if sanitize { mcp::shown(&text) } else { Cow::Borrowed(text.as_str()) } {
        Cow::Borrowed(_) => text.into(),
        Cow::Owned(shown) => {
            metrics::TEXTS_SANITIZED.count();
            shown.into()
        }
    }
}

fn resource(contents: contract::Contents, limits: &JsonLimits) -> Result<ResourceContents, String> {
    uri(&contents.uri)?;
    Ok(ResourceContents {
        uri: contents.uri.into(),
        mime_type: contents.mime_type.map(Into::into),
        body: match contents.body {
            contract::Body::Text(text) => ResourceBody::Text(text.into()),
            contract::Body::Bytes(bytes) => ResourceBody::Bytes(bytes.into()),
        },
        meta: object("meta", contents.meta, limits)?,
    })
}

fn uri(text: &str) -> Result<(), String> {
    if mcp::resource::is_uri(text) { Ok(()) } else { Err("one of its resources has an address that is no URI".to_owned()) }
}

fn blob(blob: contract::Blob, limits: &JsonLimits) -> Result<Blob, String> {
    let annotations = object("annotations", blob.annotations, limits)?;
    Ok(Blob { data: blob.data.into(), mime_type: blob.mime_type.into(), annotations })
}

pub(super) fn object(member: &str, text: Option<String>, limits: &JsonLimits) -> Result<Option<JsonText>, String> {
    let Some(text) = text else { return Ok(None) };
    match JsonText::parse(text, limits) {
        Ok(json) if json.is_object() => Ok(Some(json)),
        Ok(_) => Err(format!("its {member} is no JSON object")),
        Err(error) => Err(format!("its {member} is refused: {error}")),
    }
}

/// What a guest asks, each with what the client must be able to do.
///
/// # Errors
///
/// What of it is not what it claims to be.
pub(super) fn questions(asked: Vec<(String, contract::Question)>, limits: &JsonLimits) -> Result<Vec<InputRequest>, String> {
    if asked.is_empty() || asked.len() > QUESTIONS_MAX {
        return Err(format!("it asks {} questions at once; 1 to {QUESTIONS_MAX} are allowed", asked.len()));
    }
    let mut questions: Vec<InputRequest> = Vec::with_capacity(asked.len());
    for (key, question) in asked {
        if questions.iter().any(|other| *other.key == *key) {
            return Err("two of its questions have one key".to_owned());
        }
        let text = |text: &str| JsonText::string(text).into_string();
        let (needs, params) = match question {
            contract::Question::ElicitForm(form) => {
                let schema = object("question's schema", Some(form.schema), limits)?.ok_or("a form without a schema")?;
                let params = format!("{{\"mode\":\"form\",\"message\":{},\"requestedSchema\":{}}}", text(&form.message), schema.as_str());
                (Capability::ElicitationForm, params)
            }
            contract::Question::ElicitUrl(page) => {
                let params = format!("{{\"mode\":\"url\",\"message\":{},\"url\":{}}}", text(&page.message), text(&page.url));
                (Capability::ElicitationUrl, params)
            }
            contract::Question::Sample(params) => (Capability::Sampling, params),
            contract::Question::ListRoots => (Capability::Roots, "{}".to_owned()),
        };
        let params = object("question", Some(params), limits)?.ok_or("a question without parameters")?;
        questions.push(InputRequest { key: key.into(), needs, params });
    }
    Ok(questions)
}

/// A question as the request of the host's own that it is in the handshake era (3.5): modes came with 2025-11-25, and there a page has an
/// id.
pub(super) fn legacy_question(request: &InputRequest, revision: Revision) -> JsonText {
    let Ok(Value::Object(mut params)) = serde_json::from_str(request.params.as_str()) else { return request.params.clone() };
    match request.needs {
        Capability::ElicitationForm if !revision.primes_streams() => drop(params.remove("mode")),
        Capability::ElicitationUrl => {
            let mut id = [0; 16];
            // Names this one page to this one client; without randomness all have one name.
            let _ = getrandom::fill(&mut id);
            params.insert("elicitationId".to_owned(), HEXLOWER.encode(&id).into());
        }
        _ => {}
    }
    JsonText::from(&Value::Object(params))
}

/// What the client declared, in the contract's words.
pub(super) fn client_features(capabilities: Option<&ClientCapabilities>) -> ClientFeatures {
    let table = [
        (Capability::ElicitationForm, ClientFeatures::ELICIT_FORM),
        (Capability::ElicitationUrl, ClientFeatures::ELICIT_URL),
        (Capability::Sampling, ClientFeatures::SAMPLING),
        (Capability::SamplingTools, ClientFeatures::SAMPLING_TOOLS),
        (Capability::Roots, ClientFeatures::ROOTS),
    ];
    let declared = table.iter().filter(|(capability, _)| capabilities.is_some_and(|client| client.has(capability)));
    declared.fold(ClientFeatures::empty(), |features, (_, feature)| features | *feature)
}

/// A level of a guest's log, in the wire's words.
pub(super) fn log_level(level: sandbox::LogLevel) -> LogLevel {
    match level {
        sandbox::LogLevel::Debug => LogLevel::Debug,
        sandbox::LogLevel::Info => LogLevel::Info,
        sandbox::LogLevel::Notice => LogLevel::Notice,
        sandbox::LogLevel::Warning => LogLevel::Warning,
        sandbox::LogLevel::Error => LogLevel::Error,
        sandbox::LogLevel::Critical => LogLevel::Critical,
        sandbox::LogLevel::Alert => LogLevel::Alert,
        sandbox::LogLevel::Emergency => LogLevel::Emergency,
    }
}

/// The first of the features that a guest misses.
pub(super) fn capability(missing: ClientFeatures) -> Option<Capability> {
    let table = [
        (ClientFeatures::ELICIT_FORM, Capability::ElicitationForm),
        (ClientFeatures::ELICIT_URL, Capability::ElicitationUrl),
        (ClientFeatures::SAMPLING_TOOLS, Capability::SamplingTools),
        (ClientFeatures::SAMPLING, Capability::Sampling),
        (ClientFeatures::ROOTS, Capability::Roots),
    ];
    table.into_iter().find(|(feature, _)| missing.contains(*feature)).map(|(_, capability)| capability)
}
