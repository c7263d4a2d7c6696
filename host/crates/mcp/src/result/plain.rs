//! Results as those see them who look into them: MCP's own members in the newest words, whatever revision the client speaks, and without what
//! the host adds. Read back strictly: what stands in place of a guest's result is nobody else's to check, so a member that could not be carried
//! is refused and not dropped.

use super::offers::{COMPLETION_VALUES_MAX, CompleteResult, GetPromptResult, ReadResourceResult};
use super::tools::{CallToolResult, InputRequest};
use super::{CacheHints, CacheScope};
use crate::content::{Blob, Content, ResourceBody, ResourceContents, ResourceLink};
use crate::json::{JsonError, JsonLimits};
use crate::members::Members;
use crate::prompt::{Message, Role};
use crate::resource::is_uri;
use crate::text::{JsonText, Object};
use crate::{Revision, meta};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt;

/// Whose words carry everything.
const WORDS: Revision = Revision::V2026_07_28;
/// What `resultType` says of questions; it is left out of everything else.
const QUESTIONS: &str = "input_required";

/// Why a text is not taken for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is not JSON, passes a limit, or says a key twice.
    Json(JsonError),
    /// This member is missing, of a wrong type, or holds what MCP does not know there.
    Member(&'static str),
    /// An object has a member that MCP does not know there.
    Unknown(&'static str),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::Json(error) => error.fmt(f),
            Misfit::Member(member) => write!(f, "{member} is missing, or not what MCP has there"),
            Misfit::Unknown(of) => write!(f, "{of} has a member that MCP does not have there"),
        }
    }
}

impl std::error::Error for Misfit {}

impl CallToolResult {
    /// `content`, and `structuredContent`, `isError`, `_meta` where there are such. What is structured is not spelled out as text.
    #[must_use]
    pub fn plain(&self) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.list("content", self.content.iter().map(|content| content.write(WORDS)));
        object.raw_if("structuredContent", self.structured.as_ref());
        if self.is_error {
            object.flag("isError", true);
        }
        object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        object.end()
    }

    /// Reads what [`CallToolResult::plain`] writes.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn read_plain(text: &str, limits: &JsonLimits) -> Result<CallToolResult, Misfit> {
        let whole = checked(text, limits)?;
        let members = Strict::of(&whole, "the result", &["content", "structuredContent", "isError", "_meta"])?;
        Ok(CallToolResult {
            content: members.list("content", content)?,
            // Any JSON, `null` too.
            structured: members.0.get("structuredContent").map(JsonText::from),
            is_error: members.typed("isError")?.unwrap_or_default(),
            meta: members.object("_meta")?,
        })
    }
}

impl ReadResourceResult {
    /// `contents`, and `_meta` where there is one.
    #[must_use]
    pub fn plain(&self) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.list("contents", self.contents.iter().map(|contents| contents.write(WORDS)));
        object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        object.end()
    }

    /// Reads what [`ReadResourceResult::plain`] writes. For how long it may be kept is not in it: not at all.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn read_plain(text: &str, limits: &JsonLimits) -> Result<ReadResourceResult, Misfit> {
        let whole = checked(text, limits)?;
        let members = Strict::of(&whole, "the result", &["contents", "_meta"])?;
        let contents = members.list("contents", contents)?;
        if contents.is_empty() {
            return Err(Misfit::Member("contents"));
        }
        Ok(ReadResourceResult { contents, cache: CacheHints { ttl_ms: 0, scope: CacheScope::Private }, meta: members.object("_meta")? })
    }
}

impl GetPromptResult {
    /// `messages`, and `description` and `_meta` where there are such.
    #[must_use]
    pub fn plain(&self) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.string_if("description", self.description.as_deref());
        object.list("messages", self.messages.iter().map(|message| message.write(WORDS)));
        object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        object.end()
    }

    /// Reads what [`GetPromptResult::plain`] writes.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn read_plain(text: &str, limits: &JsonLimits) -> Result<GetPromptResult, Misfit> {
        let whole = checked(text, limits)?;
        let members = Strict::of(&whole, "the result", &["description", "messages", "_meta"])?;
        Ok(GetPromptResult {
            description: members.typed("description")?,
            messages: members.list("messages", message)?,
            meta: members.object("_meta")?,
        })
    }
}

impl CompleteResult {
    /// `completion`.
    #[must_use]
    pub fn plain(&self) -> JsonText {
        let mut object = Object::new();
        object.raw("completion", &self.completion());
        object.end()
    }

    /// Reads what [`CompleteResult::plain`] writes.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn read_plain(text: &str, limits: &JsonLimits) -> Result<CompleteResult, Misfit> {
        let whole = checked(text, limits)?;
        let members = Strict::of(&whole, "the result", &["completion"])?;
        let completion = members.required("completion")?;
        let completion = Strict::of(completion, "completion", &["values", "total", "hasMore"])?;
        let values: Vec<Box<str>> = completion.typed("values")?.ok_or(Misfit::Member("values"))?;
        if values.len() > COMPLETION_VALUES_MAX {
            return Err(Misfit::Member("values"));
        }
        Ok(CompleteResult { values, total: completion.typed("total")?, has_more: completion.typed("hasMore")?.unwrap_or_default() })
    }
}

impl InputRequest {
    /// Questions: `resultType` and `inputRequests`.
    #[must_use]
    pub fn plain(requests: &[InputRequest]) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.string("resultType", QUESTIONS);
        object.raw("inputRequests", &InputRequest::map(requests));
        object.end()
    }

    /// Reads what [`InputRequest::plain`] writes: the same questions with other words. What the client must be able to do stays as it was found
    /// out for those that were `asked`.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn read_plain(asked: &[InputRequest], text: &str, limits: &JsonLimits) -> Result<Vec<InputRequest>, Misfit> {
        let whole = checked(text, limits)?;
        let members = Strict::of(&whole, "the result", &["resultType", "inputRequests"])?;
        if members.typed::<Box<str>>("resultType")?.as_deref() != Some(QUESTIONS) {
            return Err(Misfit::Member("resultType"));
        }
        let requests = Members::of(members.required("inputRequests")?.get()).ok_or(Misfit::Member("inputRequests"))?;
        if requests.len() != asked.len() {
            return Err(Misfit::Member("inputRequests"));
        }
        let mode = |params: &str| Members::of(params).and_then(|params| params.get("mode").map(|mode| mode.get().to_owned()));
        let read = |asked: &InputRequest| {
            let request = requests.get(&asked.key).ok_or(Misfit::Member("inputRequests"))?;
            let members = Strict::of(request, "a question", &["method", "params"])?;
            if members.typed::<Box<str>>("method")?.as_deref() != asked.method() {
                return Err(Misfit::Member("method"));
            }
            let params = members.object("params")?.ok_or(Misfit::Member("params"))?;
            if mode(params.as_str()) != mode(asked.params.as_str()) {
                return Err(Misfit::Member("mode"));
            }
            Ok(InputRequest { params, ..asked.clone() })
        };
        asked.iter().map(read).collect()
    }
}

/// The whole text as one value in which no key is there twice.
fn checked(text: &str, limits: &JsonLimits) -> Result<Box<RawValue>, Misfit> {
    crate::json::check(text.as_bytes(), limits).map_err(Misfit::Json)?;
    serde_json::from_str(text).map_err(|_| Misfit::Member("the result"))
}

/// The members of an object that has no others than those that are known.
struct Strict<'a>(Members<'a>);

impl<'a> Strict<'a> {
    fn of(raw: &'a RawValue, name: &'static str, known: &[&str]) -> Result<Strict<'a>, Misfit> {
        let members = Members::of(raw.get()).ok_or(Misfit::Member(name))?;
        let others = members.iter().any(|(key, _)| !known.contains(&key));
        if others { Err(Misfit::Unknown(name)) } else { Ok(Strict(members)) }
    }

    fn required(&self, name: &'static str) -> Result<&'a RawValue, Misfit> {
        self.0.get(name).ok_or(Misfit::Member(name))
    }

    /// A member of that type, if it is there; `null` is not.
    fn typed<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Misfit> {
        self.0.get(name).map(|raw| serde_json::from_str(raw.get()).map_err(|_| Misfit::Member(name))).transpose()
    }

    fn text(&self, name: &'static str) -> Result<Box<str>, Misfit> {
        self.typed(name)?.ok_or(Misfit::Member(name))
    }

    fn uri(&self) -> Result<Box<str>, Misfit> {
        Some(self.text("uri")?).filter(|uri| is_uri(uri)).ok_or(Misfit::Member("uri"))
    }

    fn base64(&self, name: &'static str) -> Result<Box<[u8]>, Misfit> {
        STANDARD.decode(&*self.text(name)?).map(Into::into).map_err(|_| Misfit::Member(name))
    }

    fn object(&self, name: &'static str) -> Result<Option<JsonText>, Misfit> {
        let text = self.0.get(name).map(JsonText::from);
        if text.as_ref().is_some_and(|text| !text.is_object()) { Err(Misfit::Member(name)) } else { Ok(text) }
    }

    fn list<T>(&self, name: &'static str, item: impl Fn(&RawValue) -> Result<T, Misfit>) -> Result<Vec<T>, Misfit> {
        let items: Vec<&RawValue> = serde_json::from_str(self.required(name)?.get()).map_err(|_| Misfit::Member(name))?;
        items.into_iter().map(item).collect()
    }
}

fn content(raw: &RawValue) -> Result<Content, Misfit> {
    let kind = Members::of(raw.get()).and_then(|members| members.string("type").ok().flatten()).ok_or(Misfit::Member("type"))?;
    let strict = |known: &[&str]| Strict::of(raw, "a content", known);
    let blob = || {
        let members = strict(&["type", "data", "mimeType", "annotations"])?;
        Ok(Blob { data: members.base64("data")?, mime_type: members.text("mimeType")?, annotations: members.object("annotations")? })
    };
    match &*kind {
        "text" => {
            let members = strict(&["type", "text", "annotations"])?;
            Ok(Content::Text { text: members.text("text")?, annotations: members.object("annotations")? })
        }
        "image" => blob().map(Content::Image),
        "audio" => blob().map(Content::Audio),
        "resource_link" => {
            let members = strict(&["type", "uri", "name", "title", "description", "mimeType", "annotations"])?;
            Ok(Content::ResourceLink(ResourceLink {
                uri: members.uri()?,
                name: members.text("name")?,
                title: members.typed("title")?,
                description: members.typed("description")?,
                mime_type: members.typed("mimeType")?,
                annotations: members.object("annotations")?,
            }))
        }
        "resource" => {
            let members = strict(&["type", "resource", "annotations"])?;
            Ok(Content::Resource { contents: contents(members.required("resource")?)?, annotations: members.object("annotations")? })
        }
        _ => Err(Misfit::Member("type")),
    }
}

fn contents(raw: &RawValue) -> Result<ResourceContents, Misfit> {
    let members = Strict::of(raw, "a resource", &["uri", "mimeType", "text", "blob", "_meta"])?;
    let body = match (members.0.get("text"), members.0.get("blob")) {
        (Some(_), None) => ResourceBody::Text(members.text("text")?),
        (None, Some(_)) => ResourceBody::Bytes(members.base64("blob")?),
        (Some(_), Some(_)) | (None, None) => return Err(Misfit::Member("text")),
    };
    Ok(ResourceContents { uri: members.uri()?, mime_type: members.typed("mimeType")?, body, meta: members.object("_meta")? })
}

fn message(raw: &RawValue) -> Result<Message, Misfit> {
    let members = Strict::of(raw, "a message", &["role", "content"])?;
    let role = match &*members.text("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(Misfit::Member("role")),
    };
    Ok(Message { role, content: content(members.required("content")?)? })
}

#[cfg(test)]
mod tests;
