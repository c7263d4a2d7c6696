//! The results of `tools/call`.

use super::{Implementation, Shell};
use crate::content::Content;
use crate::text::{JsonText, Object};
use crate::{Revision, capability::Capability};

/// What a tool says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallToolResult {
    /// For people and models, in order.
    pub content: Vec<Content>,
    /// For programs.
    pub structured: Option<JsonText>,
    /// The tool speaks of a failure of its own (decision 5).
    pub is_error: bool,
    /// An object, shown as the result's `_meta`.
    pub meta: Option<JsonText>,
}

impl CallToolResult {
    /// A failure in words, for the model to see and mend.
    #[must_use]
    pub fn failure(text: impl Into<Box<str>>) -> CallToolResult {
        CallToolResult { content: vec![Content::text(text)], is_error: true, ..CallToolResult::default() }
    }

    /// The result in the words of `revision`. Structured content that the revision cannot carry is left out; where
    /// there is structured content and nothing else, its JSON text is given as text too (a SHOULD since 2025-06-18,
    /// and all that older clients can see).
    #[must_use]
    pub fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "complete");
        let spelled_out = match &self.structured {
            Some(structured) if self.content.is_empty() => Some(Content::text(structured.as_str())),
            Some(_) | None => None,
        };
        let content = self.content.iter().chain(&spelled_out);
        shell.object.list("content", content.map(|content| content.write(revision)));
        let carried = self
            .structured
            .as_ref()
            .filter(|structured| revision.structured_output() && (revision.structured_may_be_any_json() || structured.is_object()));
        shell.object.raw_if("structuredContent", carried);
        if self.is_error {
            shell.object.flag("isError", true);
        }
        shell.end(self.meta.as_ref())
    }
}

/// A question to the client's side before the call can go on (3.4, modern era only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequiredResult {
    /// The questions by key.
    pub requests: Vec<InputRequest>,
    /// What the client brings back, sealed by the host.
    pub state: Option<Box<str>>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest {
    /// Its key in `inputRequests`; no two are equal.
    pub key: Box<str>,
    /// What the client must have declared for it to be asked.
    pub needs: Capability,
    /// An object.
    pub params: JsonText,
}

impl InputRequest {
    /// The method that it would be as a request of its own; none for an extension.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        match &self.needs {
            Capability::Roots => Some("roots/list"),
            Capability::Sampling | Capability::SamplingTools => Some("sampling/createMessage"),
            Capability::ElicitationForm | Capability::ElicitationUrl => Some("elicitation/create"),
            Capability::Extension(_) => None,
        }
    }
}

impl InputRequest {
    /// Questions by their keys, as an object.
    pub(crate) fn map(requests: &[InputRequest]) -> JsonText {
        let mut map = Object::new();
        for request in requests {
            if let Some(method) = request.method() {
                let mut question = Object::new();
                question.string("method", method);
                question.raw("params", &request.params);
                map.raw(&request.key, &question.end());
            }
        }
        map.end()
    }
}

impl InputRequiredResult {
    /// The result on the wire; it never carries cache hints (3.3).
    #[must_use]
    pub fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "input_required");
        if !self.requests.is_empty() {
            shell.object.raw("inputRequests", &InputRequest::map(&self.requests));
        }
        shell.object.string_if("requestState", self.state.as_deref());
        shell.end(None)
    }
}
