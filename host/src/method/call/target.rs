//! What a call is of: a tool, a resource, a prompt, a completion.

use crate::auth::{self, Denied, Item};
use crate::catalog::{Prompt, Readable, Rejection, Template, Tool};
use crate::failure::{Blame, Failure};
use crate::trace::Span;
use mcp::JsonText;
use mcp::params::{Pairs, arguments_text};
use sandbox::Work;
use sandbox::contract::Subject;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What a call is of, with what it is called with.
#[derive(Debug, Clone)]
pub(in crate::method) enum Target {
    /// `tools/call`
    Tool { tool: Arc<Tool>, arguments: JsonText },
    /// `resources/read`
    Resource { readable: Readable, uri: Box<str> },
    /// `prompts/get`
    Prompt { prompt: Arc<Prompt>, arguments: Pairs },
    /// `completion/complete`
    Completion(Completion),
}

/// An argument that is being filled in.
#[derive(Debug, Clone)]
pub(in crate::method) struct Completion {
    pub(in crate::method) of: Completed,
    pub(in crate::method) argument: Box<str>,
    pub(in crate::method) value: Box<str>,
    pub(in crate::method) context: Pairs,
}

/// Of what it is an argument.
#[derive(Debug, Clone)]
pub(in crate::method) enum Completed {
    Prompt(Arc<Prompt>),
    Template(Arc<Template>),
}

impl Target {
    /// As the policy sees it.
    pub(in crate::method) fn item(&self) -> Item<'_> {
        match self {
            Self::Tool { tool, .. } => Item::Tool(tool),
            Self::Resource { readable, .. } => Item::readable(readable),
            Self::Prompt { prompt, .. } => Item::Prompt(prompt),
            Self::Completion(completion) => match &completion.of {
                Completed::Prompt(prompt) => Item::Prompt(prompt),
                Completed::Template(template) => Item::Template(template),
            },
        }
    }

    /// What a caller learns of it who may not know of it: the same as if it were not there.
    pub(in crate::method) fn unknown(&self) -> Failure {
        match self {
            Self::Tool { tool, .. } => Failure::UnknownTool(tool.definition.name.clone()),
            Self::Resource { uri, .. } => Failure::UnknownResource(uri.clone()),
            Self::Prompt { prompt, .. } => Failure::UnknownPrompt(prompt.definition.name.clone()),
            Self::Completion(completion) => match &completion.of {
                Completed::Prompt(prompt) => Failure::UnknownPrompt(prompt.definition.name.clone()),
                Completed::Template(_) => Failure::UnknownTemplate,
            },
        }
    }

    /// What a caller learns who gets no permit.
    pub(in crate::method) fn denied(&self, denied: Denied) -> Failure {
        match denied {
            Denied::Hidden => self.unknown(),
            Denied::Forbidden { by, scopes } => Failure::PolicyDenied { by: by.map(blamed), scopes },
            Denied::NoAnswer => Failure::PolicyUnavailable,
        }
    }

    /// Names a request's span after it. Of what a client put into a URI or an argument nothing is said.
    pub(super) fn tell(&self, span: &Span) {
        if !span.is_on() {
            return;
        }
        span.text("gatehouse.plugin", self.plugin());
        match self.item() {
            Item::Tool(tool) => {
                span.target(self.method(), &tool.definition.name);
                span.word("gen_ai.operation.name", "execute_tool");
                span.text("gen_ai.tool.name", &tool.definition.name);
            }
            Item::Prompt(prompt) => {
                span.target(self.method(), &prompt.definition.name);
                span.text("gen_ai.prompt.name", &prompt.definition.name);
            }
            Item::Resource(resource) => span.text("mcp.resource.uri", &resource.definition.uri),
            Item::Template(template) => span.text("gatehouse.resource.template", &template.definition.uri_template),
        }
    }

    /// The method that asks for it.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Tool { .. } => "tools/call",
            Self::Resource { .. } => "resources/read",
            Self::Prompt { .. } => "prompts/get",
            Self::Completion(_) => "completion/complete",
        }
    }

    /// The tool, by its own name; none for anything else.
    pub(super) fn tool(&self) -> Option<&str> {
        match self {
            Self::Tool { tool, .. } => Some(&tool.own_name),
            Self::Resource { .. } | Self::Prompt { .. } | Self::Completion(_) => None,
        }
    }

    /// The name that its plugin gave it; of a resource the URI or the template, never what a client put into one.
    pub(super) fn name(&self) -> &str {
        match self.item() {
            Item::Tool(tool) => &tool.own_name,
            Item::Resource(resource) => &resource.definition.uri,
            Item::Template(template) => &template.definition.uri_template,
            Item::Prompt(prompt) => &prompt.definition.name,
        }
    }

    pub(super) fn plugin(&self) -> &Arc<str> {
        match self.item() {
            Item::Tool(tool) => &tool.plugin,
            Item::Resource(resource) => &resource.plugin,
            Item::Template(template) => &template.plugin,
            Item::Prompt(prompt) => &prompt.plugin,
        }
    }

    pub(super) fn guest(&self) -> &sandbox::Guest {
        match self.item() {
            Item::Tool(tool) => &tool.guest,
            Item::Resource(resource) => &resource.guest,
            Item::Template(template) => &template.guest,
            Item::Prompt(prompt) => &prompt.guest,
        }
    }

    /// What it is called with, as one text: equal for equal calls.
    pub(super) fn arguments(&self) -> Cow<'_, str> {
        let named = |arguments: &[(Box<str>, Box<str>)]| {
            let mut sorted: Vec<_> = arguments.iter().collect();
            sorted.sort();
            serde_json::to_string(&sorted).unwrap_or_default()
        };
        match self {
            Self::Tool { arguments, .. } => Cow::Borrowed(arguments.as_str()),
            Self::Resource { uri, .. } => Cow::Borrowed(uri),
            Self::Prompt { arguments, .. } => Cow::Owned(named(arguments)),
            Self::Completion(Completion { argument, value, context, .. }) => Cow::Owned(format!("{argument}\n{value}\n{}", named(context))),
        }
    }

    /// How long its connection is to stay open, if it says so.
    pub(super) fn connection_max(&self) -> Option<Duration> {
        match self {
            Self::Tool { tool, .. } => tool.connection_max,
            Self::Resource { .. } | Self::Prompt { .. } | Self::Completion(_) => None,
        }
    }

    /// How long it may take, where the settings allow so much.
    pub(in crate::method) fn wall(&self, settings: Duration) -> Duration {
        match self {
            Self::Tool { tool, .. } => tool.wall_max.map_or(settings, |wall| wall.min(settings)),
            Self::Resource { .. } | Self::Prompt { .. } | Self::Completion(_) => settings,
        }
    }

    /// Whether what the work is done with fits what it declares. The work is of this very target; filters may have changed its arguments.
    ///
    /// # Errors
    ///
    /// What does not.
    pub(super) fn check(&self, work: &Work) -> Result<(), Rejection> {
        let rejected = |text: String| Err(Rejection { masked: text.clone(), full: text });
        match (self, work) {
            (Self::Tool { tool, .. }, Work::CallTool { arguments, .. }) => {
                let value: Value = serde_json::from_str(arguments).unwrap_or_default();
                tool.input.check(&value).map_err(|rejection| Rejection {
                    full: format!("The arguments do not fit the tool's input schema: {}", rejection.full),
                    ..rejection
                })
            }
            (Self::Prompt { prompt, .. }, Work::GetPrompt { arguments, .. }) => {
                let declared = &prompt.definition.arguments;
                let given = |name: &str| arguments.iter().any(|(given, _)| **given == *name);
                if let Some(missing) = declared.iter().find(|argument| argument.required && !given(&argument.name)) {
                    return rejected(format!("The prompt needs the argument {}", missing.name));
                }
                match arguments.iter().find(|(given, _)| !declared.iter().any(|argument| *argument.name == **given)) {
                    Some((unknown, _)) => rejected(format!("The prompt has no argument {}", mcp::text::line(unknown, 128))),
                    None => Ok(()),
                }
            }
            (Self::Completion(Completion { of, .. }), Work::Complete { argument, .. }) => {
                let has = match of {
                    Completed::Prompt(prompt) => prompt.definition.arguments.iter().any(|declared| *declared.name == **argument),
                    Completed::Template(template) => template.pattern.has_variable(argument),
                };
                if has { Ok(()) } else { rejected(format!("There is no argument {} to complete", mcp::text::line(argument, 128))) }
            }
            (Self::Resource { .. }, Work::ReadResource { .. }) => Ok(()),
            // Only a mistake of the gateway's leads here.
            (_, _) => rejected("This is not what was asked for".to_owned()),
        }
    }

    /// As the guest is to do it.
    pub(in crate::method) fn work(&self) -> Work {
        let owned = |pairs: &[(Box<str>, Box<str>)]| pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        match self {
            Self::Tool { tool, arguments } => Work::CallTool { name: tool.called.to_string(), arguments: arguments.as_str().to_owned() },
            Self::Resource { uri, .. } => Work::ReadResource { uri: uri.to_string() },
            Self::Prompt { prompt, arguments } => Work::GetPrompt { name: prompt.definition.name.to_string(), arguments: owned(arguments) },
            Self::Completion(Completion { of, argument, value, context }) => Work::Complete {
                subject: match of {
                    Completed::Prompt(prompt) => Subject::Prompt(prompt.definition.name.to_string()),
                    Completed::Template(template) => Subject::ResourceTemplate(template.definition.uri_template.to_string()),
                },
                argument: argument.to_string(),
                value: value.to_string(),
                context: owned(context),
            },
        }
    }
}

/// Which policy it was, for records.
pub(in crate::method) fn blamed(by: auth::Blame) -> Blame {
    let auth::Blame { policy, component, reason } = by;
    Blame { policy, component, reason }
}

/// A tool's arguments as they came, `{}` where there are none.
pub(in crate::method) fn tool(tool: &Arc<Tool>, arguments: Option<&serde_json::value::RawValue>) -> Target {
    Target::Tool { tool: Arc::clone(tool), arguments: arguments_text(arguments) }
}
