//! What a guest can be run for, and what comes of it.

use crate::bindings::exports::gatehouse::tool::{completion, prompts, resources, tools};
use crate::contract::{
    Ask, Body, Call, Caller, ClientFeatures, Content, Contents, Descriptor, Failure, Get, GetOutcome, Messages, Prompt, Query, Question,
    Read, ReadOutcome, Reading, Reply, Resume, Subject, Suggestions, Template, Tool,
};
use crate::plain::{Function, Functions, Skipped};
use crate::state::State;
use crate::survey::Survey;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre};

/// What a permit lets run.
#[derive(Debug)]
pub enum Work {
    /// `tools.call-tool`
    CallTool {
        /// The tool's name, as its guest listed it; of a plain component the function's [`path`](crate::Function::path).
        name: String,
        /// A JSON object that fits the tool's schema.
        arguments: String,
    },
    /// `resources.read-resource`
    ReadResource {
        /// One of the guest's list, or one that fits a template of it.
        uri: String,
    },
    /// `prompts.get-prompt`
    GetPrompt {
        /// The prompt's name, as its guest listed it.
        name: String,
        /// By name.
        arguments: Vec<(String, String)>,
    },
    /// `completion.complete`
    Complete {
        /// What is being filled in.
        subject: Subject,
        /// The argument's name.
        argument: String,
        /// What has been typed of it.
        value: String,
        /// Arguments that are settled already.
        context: Vec<(String, String)>,
    },
}

/// A guest's own answer.
#[derive(Debug)]
pub enum Outcome {
    /// Of a tool.
    Reply(Reply),
    /// Of a resource.
    Reading(Reading),
    /// Of a prompt.
    Messages(Messages),
    /// Of a completion.
    Suggestions(Suggestions),
    /// It wants to be called again with answers; never of a completion.
    InputRequired(Ask),
}

/// Everything that a guest lists, in its order and unchecked.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// `tools.list-tools`
    pub tools: Vec<Tool>,
    /// `resources.list-resources`
    pub resources: Vec<Descriptor>,
    /// `resources.list-templates`
    pub templates: Vec<Template>,
    /// `prompts.list-prompts`
    pub prompts: Vec<Prompt>,
    /// Whether it exports `completion`.
    pub completes: bool,
    /// Of a plain component, which has none of the above: the functions that can be called with JSON.
    pub functions: Vec<Function>,
    /// And those that cannot.
    pub skipped: Vec<Skipped>,
}

/// Some of a guest's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lists {
    /// Its tools.
    pub tools: bool,
    /// Its resources and templates.
    pub resources: bool,
    /// Its prompts.
    pub prompts: bool,
}

impl Lists {
    /// All of them.
    pub const ALL: Self = Self { tools: true, resources: true, prompts: true };
}

/// A guest does not say what it offers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its {list} refused: {reason}")]
pub struct Refused {
    /// The function that refused.
    pub list: &'static str,
    /// In the guest's own words.
    pub reason: String,
}

/// Who asks, and what comes with it: the same for all work.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) client: ClientFeatures,
    pub(crate) resume: Option<Resume>,
    pub(crate) meta: Option<String>,
}

/// What a component exports, as places in it.
#[derive(Clone)]
pub(crate) enum Exports {
    /// Interfaces of the contract.
    Contract(Box<Interfaces>),
    /// Functions of its own.
    Plain(Functions),
}

/// Which interfaces of the contract a component exports.
#[derive(Clone)]
pub(crate) struct Interfaces {
    tools: Option<Tools>,
    resources: Option<resources::GuestIndices>,
    prompts: Option<prompts::GuestIndices>,
    completion: Option<completion::GuestIndices>,
}

#[derive(Clone)]
struct Tools {
    indices: tools::GuestIndices,
    /// `indices` would look at the types of all functions again, and this one is called each time.
    call_tool: ComponentExportIndex,
}

impl Tools {
    fn of(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        let indices = tools::GuestIndices::new(pre)?;
        let component = pre.component();
        let interface = component.get_export_index(None, TOOLS).ok_or(NotExported("tools"))?;
        let call_tool = component.get_export_index(Some(&interface), "call-tool").ok_or(NotExported("call-tool"))?;
        Ok(Self { indices, call_tool })
    }
}

/// The work is of an interface that the guest does not have. Only a mistake of the host's leads here.
#[derive(Debug, thiserror::Error)]
#[error("the guest does not export {0}")]
struct NotExported(&'static str);

/// Of a component that has a later version of it, this is found too.
const TOOLS: &str = "gatehouse:tool/tools@0.1.0";

/// Interfaces of `gatehouse:tool` that make a component a plugin.
pub(crate) const INTERFACES: [&str; 3] = ["tools", "resources", "prompts"];

/// Whether the names of a component's exports have an interface of `gatehouse:tool` among them.
pub(crate) fn exports(names: &[String], interface: &str) -> bool {
    names.iter().any(|name| name.strip_prefix("gatehouse:tool/").and_then(|rest| rest.strip_prefix(interface)).is_some_and(is_version))
}

fn is_version(rest: &str) -> bool {
    rest.starts_with("@0.1.")
}

/// Whether those exports make a component a native plugin, one that knows the contract.
pub(crate) fn is_native(names: &[String]) -> bool {
    INTERFACES.iter().any(|interface| exports(names, interface))
}

impl Exports {
    /// Looks the interfaces up that a component says it exports.
    ///
    /// # Errors
    ///
    /// When one is not what the contract says.
    pub(crate) fn of(pre: &InstancePre<State>, survey: &Survey) -> wasmtime::Result<Self> {
        if is_native(&survey.exports) {
            Interfaces::of(pre, &survey.exports).map(|interfaces| Self::Contract(Box::new(interfaces)))
        } else {
            Ok(Self::Plain(Functions::of(pre, survey)?))
        }
    }

    /// Asks for those lists, in one instance; the others stay as they are in `offer`. A plain component's functions are known without it.
    pub(crate) async fn list(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        offer: Offer,
        lists: Lists,
    ) -> wasmtime::Result<Result<Offer, Refused>> {
        match self {
            Self::Contract(interfaces) => interfaces.list(store, instance, offer, lists).await,
            Self::Plain(functions) => Ok(Ok(functions.offer())),
        }
    }

    /// Does the work; the result of a plain component's function may have `result_bytes`.
    pub(crate) async fn run(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        work: Work,
        asked: Asked,
        result_bytes: usize,
    ) -> wasmtime::Result<Result<Outcome, Failure>> {
        match (self, work) {
            (Self::Contract(interfaces), work) => interfaces.run(store, instance, work, asked).await,
            (Self::Plain(functions), Work::CallTool { name, arguments }) => {
                functions.call(store, instance, (&name, &arguments), result_bytes).await
            }
            (Self::Plain(_), Work::ReadResource { .. }) => Err(NotExported("resources").into()),
            (Self::Plain(_), Work::GetPrompt { .. }) => Err(NotExported("prompts").into()),
            (Self::Plain(_), Work::Complete { .. }) => Err(NotExported("completion").into()),
        }
    }
}

impl Interfaces {
    fn of(pre: &InstancePre<State>, names: &[String]) -> wasmtime::Result<Self> {
        let has = |interface| exports(names, interface);
        Ok(Self {
            tools: has("tools").then(|| Tools::of(pre)).transpose()?,
            resources: has("resources").then(|| resources::GuestIndices::new(pre)).transpose()?,
            prompts: has("prompts").then(|| prompts::GuestIndices::new(pre)).transpose()?,
            completion: has("completion").then(|| completion::GuestIndices::new(pre)).transpose()?,
        })
    }

    async fn list(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        mut offer: Offer,
        lists: Lists,
    ) -> wasmtime::Result<Result<Offer, Refused>> {
        let refused = |list, reason| Ok(Err(Refused { list, reason }));
        offer.completes = self.completion.is_some();
        if let Some(tools) = self.tools.as_ref().filter(|_| lists.tools) {
            match tools.indices.load(&mut *store, instance)?.call_list_tools(&mut *store).await? {
                Ok(tools) => offer.tools = tools,
                Err(reason) => return refused("list-tools", reason),
            }
        }
        if let Some(indices) = self.resources.as_ref().filter(|_| lists.resources) {
            let guest = indices.load(&mut *store, instance)?;
            match guest.call_list_resources(&mut *store).await? {
                Ok(resources) => offer.resources = resources,
                Err(reason) => return refused("list-resources", reason),
            }
            match guest.call_list_templates(&mut *store).await? {
                Ok(templates) => offer.templates = templates,
                Err(reason) => return refused("list-templates", reason),
            }
        }
        if let Some(indices) = self.prompts.as_ref().filter(|_| lists.prompts) {
            match indices.load(&mut *store, instance)?.call_list_prompts(&mut *store).await? {
                Ok(prompts) => offer.prompts = prompts,
                Err(reason) => return refused("list-prompts", reason),
            }
        }
        Ok(Ok(offer))
    }

    async fn run(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        work: Work,
        asked: Asked,
    ) -> wasmtime::Result<Result<Outcome, Failure>> {
        let Asked { caller, client, resume, meta } = asked;
        match work {
            Work::CallTool { name, arguments } => {
                let index = self.tools.as_ref().ok_or(NotExported("tools"))?.call_tool;
                let call_tool = instance.get_typed_func::<(&Call,), (Result<crate::contract::Outcome, Failure>,)>(&mut *store, index)?;
                let call = Call { tool: name, arguments, caller, client, resume, meta };
                let (answer,) = call_tool.call_async(store, (&call,)).await?;
                Ok(answer.map(Outcome::from))
            }
            Work::ReadResource { uri } => {
                let guest = self.resources.as_ref().ok_or(NotExported("resources"))?.load(&mut *store, instance)?;
                let read = Read { uri, caller, client, resume, meta };
                Ok(guest.call_read_resource(store, &read).await?.map(Outcome::from))
            }
            Work::GetPrompt { name, arguments } => {
                let guest = self.prompts.as_ref().ok_or(NotExported("prompts"))?.load(&mut *store, instance)?;
                let get = Get { name, arguments, caller, client, resume, meta };
                Ok(guest.call_get_prompt(store, &get).await?.map(Outcome::from))
            }
            Work::Complete { subject, argument, value, context } => {
                let guest = self.completion.as_ref().ok_or(NotExported("completion"))?.load(&mut *store, instance)?;
                let query = Query { subject, argument, value, context, caller, meta };
                Ok(guest.call_complete(store, &query).await?.map(Outcome::Suggestions))
            }
        }
    }
}

impl From<crate::contract::Outcome> for Outcome {
    fn from(outcome: crate::contract::Outcome) -> Self {
        match outcome {
            crate::contract::Outcome::Complete(reply) => Self::Reply(reply),
            crate::contract::Outcome::InputRequired(ask) => Self::InputRequired(ask),
        }
    }
}

impl From<ReadOutcome> for Outcome {
    fn from(outcome: ReadOutcome) -> Self {
        match outcome {
            ReadOutcome::Complete(reading) => Self::Reading(reading),
            ReadOutcome::InputRequired(ask) => Self::InputRequired(ask),
        }
    }
}

impl From<GetOutcome> for Outcome {
    fn from(outcome: GetOutcome) -> Self {
        match outcome {
            GetOutcome::Complete(messages) => Self::Messages(messages),
            GetOutcome::InputRequired(ask) => Self::InputRequired(ask),
        }
    }
}

impl Outcome {
    /// Text, bytes and JSON of it together.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Reply(Reply { content, structured, meta, .. }) => {
                content.iter().map(content_bytes).sum::<usize>() + optional(structured) + optional(meta)
            }
            Self::Reading(Reading { contents, meta, .. }) => contents.iter().map(contents_bytes).sum::<usize>() + optional(meta),
            Self::Messages(Messages { description, messages, meta }) => {
                let messages: usize = messages.iter().map(|message| content_bytes(&message.content)).sum();
                messages + optional(description) + optional(meta)
            }
            Self::Suggestions(suggestions) => suggestions.values.iter().map(String::len).sum(),
            Self::InputRequired(ask) => {
                let questions: usize = ask.questions.iter().map(|(key, question)| key.len() + question_bytes(question)).sum();
                questions + ask.state.len()
            }
        }
    }
}

fn optional(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

fn question_bytes(question: &Question) -> usize {
    match question {
        Question::ElicitForm(form) => form.message.len() + form.schema.len(),
        Question::ElicitUrl(page) => page.message.len() + page.url.len(),
        Question::Sample(parameters) => parameters.len(),
        Question::ListRoots => 0,
    }
}

fn content_bytes(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.text.len() + optional(&text.annotations),
        Content::Image(blob) | Content::Audio(blob) => blob.data.len() + blob.mime_type.len() + optional(&blob.annotations),
        Content::ResourceLink(link) => {
            link.uri.len()
                + link.name.len()
                + optional(&link.title)
                + optional(&link.description)
                + optional(&link.mime_type)
                + optional(&link.annotations)
        }
        Content::Embedded(contents) => contents_bytes(contents),
    }
}

fn contents_bytes(contents: &Contents) -> usize {
    let body = match &contents.body {
        Body::Text(text) => text.len(),
        Body::Bytes(bytes) => bytes.len(),
    };
    body + contents.uri.len() + optional(&contents.mime_type) + optional(&contents.meta)
}
