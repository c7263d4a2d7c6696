//! Capabilities: what a client can be asked, and what a server offers.

use crate::Revision;
use crate::members::Members;
use crate::text::{JsonText, Object};
use serde_json::value::RawValue;
use std::fmt;

/// One thing that a request may need from its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `roots/list`.
    Roots,
    /// `sampling/createMessage`.
    Sampling,
    /// `sampling/createMessage` with tools.
    SamplingTools,
    /// `elicitation/create` in form mode.
    ElicitationForm,
    /// `elicitation/create` in URL mode.
    ElicitationUrl,
    /// An extension, by its identifier.
    Extension(Box<str>),
}

impl Capability {
    /// The smallest capabilities object that declares it, for `data.requiredCapabilities` of -32021.
    #[must_use]
    pub fn as_object(&self) -> JsonText {
        let nested = |outer: &str, inner: &str| {
            let mut object = Object::new();
            let mut settings = Object::new();
            settings.raw(inner, &Object::new().end());
            object.raw(outer, &settings.end());
            object.end()
        };
        let flat = |name: &str| {
            let mut object = Object::new();
            object.raw(name, &Object::new().end());
            object.end()
        };
        match self {
            Capability::Roots => flat("roots"),
            Capability::Sampling => flat("sampling"),
            Capability::SamplingTools => nested("sampling", "tools"),
            Capability::ElicitationForm => nested("elicitation", "form"),
            Capability::ElicitationUrl => nested("elicitation", "url"),
            Capability::Extension(name) => nested("extensions", name),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::Roots => "roots",
            Capability::Sampling => "sampling",
            Capability::SamplingTools => "sampling.tools",
            Capability::ElicitationForm => "elicitation.form",
            Capability::ElicitationUrl => "elicitation.url",
            Capability::Extension(name) => name,
        })
    }
}

/// What a client says that it can do; in the modern era for this one request only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCapabilities {
    text: JsonText,
    declared: Box<[Capability]>,
}

impl ClientCapabilities {
    /// Reads a capabilities object. `None` if `raw` is no object; unknown members are kept in the text and otherwise
    /// ignored.
    #[must_use]
    pub fn from_json(raw: &RawValue) -> Option<ClientCapabilities> {
        let members = Members::of(raw.get())?;
        let settings = |name| members.get(name).and_then(|raw| Members::of(raw.get()));
        let mut declared = Vec::new();
        if settings("roots").is_some() {
            declared.push(Capability::Roots);
        }
        if let Some(sampling) = settings("sampling") {
            declared.push(Capability::Sampling);
            if sampling.optional("tools").is_some() {
                declared.push(Capability::SamplingTools);
            }
        }
        if let Some(elicitation) = settings("elicitation") {
            let url = elicitation.optional("url").is_some();
            // `elicitation: {}` means form only (3.4).
            if elicitation.optional("form").is_some() || !url {
                declared.push(Capability::ElicitationForm);
            }
            if url {
                declared.push(Capability::ElicitationUrl);
            }
        }
        let extensions = settings("extensions").unwrap_or_default();
        declared.extend(extensions.iter().map(|(name, _)| Capability::Extension(name.into())));
        Some(ClientCapabilities { text: raw.into(), declared: declared.into() })
    }

    /// Whether the client declared it.
    #[must_use]
    pub fn has(&self, capability: &Capability) -> bool {
        self.declared.contains(capability)
    }

    /// The object as the client sent it.
    #[must_use]
    pub fn text(&self) -> &JsonText {
        &self.text
    }
}

/// Whether changes of a list are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListChanged {
    /// `listChanged: true`. In the modern era only where `subscriptions/listen` is served (1.8).
    Announced,
    /// No `listChanged`.
    Silent,
}

/// What the server offers. What is absent is not offered, and its methods are -32601.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServerCapabilities {
    /// `tools/list` and `tools/call`.
    pub tools: Option<ListChanged>,
    /// `prompts/list` and `prompts/get`.
    pub prompts: Option<ListChanged>,
    /// `resources/list`, `resources/templates/list` and `resources/read`.
    pub resources: Option<ListChanged>,
    /// Single resources can be subscribed to; means something only with `resources`.
    pub resource_subscriptions: bool,
    /// Log messages are sent.
    pub logging: bool,
    /// `completion/complete`; left out before 2025-03-26, which does not know the capability.
    pub completions: bool,
    /// Extensions by identifier, each with its settings object; modern era only.
    pub extensions: Vec<(Box<str>, JsonText)>,
}

impl ServerCapabilities {
    /// The capabilities object in the words of `revision`.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let empty = Object::new().end();
        let list = |changed: Option<ListChanged>| match changed {
            Some(ListChanged::Announced) => {
                let mut object = Object::new();
                object.flag("listChanged", true);
                Some(object)
            }
            Some(ListChanged::Silent) => Some(Object::new()),
            None => None,
        };
        let mut object = Object::new();
        object.raw_if("tools", list(self.tools).map(Object::end).as_ref());
        object.raw_if("prompts", list(self.prompts).map(Object::end).as_ref());
        if let Some(mut resources) = list(self.resources) {
            if self.resource_subscriptions {
                resources.flag("subscribe", true);
            }
            object.raw("resources", &resources.end());
        }
        object.raw_if("logging", self.logging.then_some(&empty));
        let completions = self.completions && revision.completions_capability();
        object.raw_if("completions", completions.then_some(&empty));
        if revision.extensions() && !self.extensions.is_empty() {
            let mut extensions = Object::new();
            for (name, settings) in &self.extensions {
                extensions.raw(name, settings);
            }
            object.raw("extensions", &extensions.end());
        }
        object.end()
    }
}

#[cfg(test)]
mod tests;
