//! What a guest's answer is on the wire, before it is written in the words of a revision: checked, looked at by filters, and replaced by what
//! they give.

use super::convert;
use super::run::Asked;
use super::target::Target;
use crate::auth::{ResultFilters, Withheld};
use crate::catalog::Tool;
use crate::method::CACHE;
use mcp::result::{
    CacheHints, CallToolResult, CompleteResult, GetPromptResult, Implementation, InputRequest, InputRequiredResult, Misfit,
    ReadResourceResult,
};
use mcp::{JsonLimits, JsonText, Revision};
use sandbox::contract::Failure as GuestFailure;
use sandbox::{Fault, Finished, LogLine, Outcome, Usage};
use serde_json::Value;
use std::sync::Arc;

/// How much longer than the longest result its JSON may be that a filter gives: encoded bytes take a third more, escapes up to six times.
const TEXT_PER_RESULT: usize = 2;
/// Levels that a result has around the JSON of a guest.
const LEVELS_AROUND: usize = 6;
/// What is said in an error for a guest that refuses its arguments, where its own words would go past filters.
const ARGUMENTS_REFUSED: &str = "The plugin refuses the arguments";

/// A guest's answer in the wire's vocabulary.
pub(super) enum Product {
    Tool(CallToolResult),
    Reading(ReadResourceResult),
    Prompt(GetPromptResult),
    Completion(CompleteResult),
    Asks(Asked),
}

/// What came of a guest.
pub(super) struct Ended {
    pub(super) outcome: Result<Result<Said, GuestFailure>, Fault>,
    pub(super) usage: Usage,
    pub(super) stdio: Vec<LogLine>,
}

/// What a guest said.
pub(super) enum Said {
    Product(Product),
    /// Nothing that is valid; why.
    Invalid(String),
    /// That its arguments are wrong: for a model, and as an error.
    Arguments {
        shown: CallToolResult,
        text: String,
    },
    /// Something that the client must not see.
    Withheld(Withheld),
    /// No more: it was revoked.
    Revoked,
}

/// What answers have to be, and who looks at them.
pub(super) struct Gate {
    /// Whose promise about structured results counts.
    tool: Option<Arc<Tool>>,
    json: JsonLimits,
    sanitize: bool,
    result_bytes_max: usize,
    filters: Option<ResultFilters>,
}

impl Gate {
    pub(super) fn new(
        target: &Target,
        (json, sanitize): (JsonLimits, bool),
        result_bytes_max: usize,
        filters: Option<ResultFilters>,
    ) -> Self {
        let tool = match target {
            Target::Tool { tool, .. } => Some(Arc::clone(tool)),
            Target::Resource { .. } | Target::Prompt { .. } | Target::Completion(_) => None,
        };
        Self { tool, json, sanitize, result_bytes_max, filters }
    }

    /// Whether what a guest says along the way, which no filter looks at, has to stay inside.
    pub(super) fn is_narrow(&self) -> bool {
        self.filters.as_ref().is_some_and(ResultFilters::enforce)
    }

    /// Lets an answer through, in the form in which it may go on.
    pub(super) async fn pass(&self, finished: Finished) -> Ended {
        let Finished { outcome, usage, stdio, again: _ } = finished;
        let outcome = match outcome {
            Ok(Ok(outcome)) => Ok(Ok(match self.product(outcome) {
                Ok(product) => self.filtered(product).await.map_or_else(Said::Withheld, Said::Product),
                Err(reason) => Said::Invalid(reason),
            })),
            Ok(Err(GuestFailure::InvalidArguments(text))) => Ok(Ok(self.refused(mcp::text::line(&text, 1_024)).await)),
            Ok(Err(failure)) => Ok(Err(failure)),
            Err(fault) => Err(fault),
        };
        Ended { outcome, usage, stdio }
    }

    fn product(&self, outcome: Outcome) -> Result<Product, String> {
        let limits = &self.json;
        match outcome {
            Outcome::Reply(reply) => {
                convert::result(reply, limits, self.sanitize).and_then(|result| self.keeps_promise(result)).map(Product::Tool)
            }
            Outcome::Reading(reading) => {
                // What was read is for its reader alone to keep, since the guest was told who that is.
                let cache = CacheHints { ttl_ms: reading.keep_ms.unwrap_or(0).into(), ..CACHE };
                let contents = convert::contents(reading.contents, limits)?;
                Ok(Product::Reading(ReadResourceResult { contents, cache, meta: convert::object("meta", reading.meta, limits)? }))
            }
            Outcome::Messages(messages) => convert::messages(messages, limits, self.sanitize).map(Product::Prompt),
            Outcome::Suggestions(suggestions) => Ok(Product::Completion(convert::suggestions(suggestions))),
            Outcome::InputRequired(ask) => {
                let questions = convert::questions(ask.questions, limits)?;
                if ask.state.len() > super::dialog::STATE_BYTES_MAX {
                    return Err(format!("its state is longer than {} bytes", super::dialog::STATE_BYTES_MAX));
                }
                Ok(Product::Asks(Asked { questions, state: ask.state }))
            }
        }
    }

    /// A tool that promises a structure must keep it, except where it speaks of its own failure.
    fn keeps_promise(&self, result: CallToolResult) -> Result<CallToolResult, String> {
        let schema = self.tool.as_ref().and_then(|tool| tool.output.as_ref());
        let Some(schema) = schema.filter(|_| !result.is_error) else { return Ok(result) };
        let Some(structured) = &result.structured else {
            return Err("it has an output schema and gave no structured result".to_owned());
        };
        let value: Value = serde_json::from_str(structured.as_str()).map_err(|error| error.to_string())?;
        match schema.check(&value) {
            Ok(()) => Ok(result),
            Err(rejection) => Err(rejection.masked),
        }
    }

    async fn filtered(&self, product: Product) -> Result<Product, Withheld> {
        let Some(filters) = &self.filters else { return Ok(product) };
        let instead = filters.look_at(product.plain().into_string(), &|text| self.instead(&product, text)).await?;
        Ok(instead.unwrap_or(product))
    }

    /// Takes what a filter gives in place of an answer, which has to be of the same kind and to keep the same promises.
    fn instead(&self, product: &Product, text: &str) -> Result<Product, String> {
        let bytes_max = self.result_bytes_max.saturating_mul(TEXT_PER_RESULT);
        if text.len() > bytes_max {
            return Err(format!("it has {} bytes; the limit is {bytes_max}", text.len()));
        }
        // As for a guest's own: its length is the limit of its values and texts.
        let depth_max = self.json.depth_max.saturating_add(LEVELS_AROUND);
        let limits = JsonLimits { depth_max, nodes_max: usize::MAX, string_bytes_max: usize::MAX };
        let misfit = |misfit: Misfit| misfit.to_string();
        match product {
            Product::Tool(_) => {
                let result = CallToolResult::read_plain(text, &limits).map_err(misfit)?;
                self.keeps_promise(result).map(Product::Tool)
            }
            Product::Reading(reading) => {
                let read = ReadResourceResult::read_plain(text, &limits).map_err(misfit)?;
                Ok(Product::Reading(ReadResourceResult { cache: reading.cache, ..read }))
            }
            Product::Prompt(_) => {
                let mut prompt = GetPromptResult::read_plain(text, &limits).map_err(misfit)?;
                prompt.messages.iter_mut().for_each(|message| convert::say_what_it_is(&mut message.content));
                Ok(Product::Prompt(prompt))
            }
            Product::Completion(_) => CompleteResult::read_plain(text, &limits).map(Product::Completion).map_err(misfit),
            Product::Asks(asked) => {
                let questions = InputRequest::read_plain(&asked.questions, text, &limits).map_err(misfit)?;
                Ok(Product::Asks(Asked { questions, state: asked.state.clone() }))
            }
        }
    }

    /// The guest refuses its arguments in words that go to the client: by the same way as a result, or not at all.
    async fn refused(&self, text: String) -> Said {
        let shown = CallToolResult::failure(text.as_str());
        let text = if self.is_narrow() { ARGUMENTS_REFUSED.to_owned() } else { text };
        if self.tool.is_none() {
            return Said::Arguments { shown, text };
        }
        match self.filtered(Product::Tool(shown)).await {
            Ok(Product::Tool(shown)) => Said::Arguments { shown, text },
            // Kinds do not change.
            Ok(other) => Said::Product(other),
            Err(withheld) => Said::Withheld(withheld),
        }
    }
}

impl Product {
    /// As filters see it.
    fn plain(&self) -> JsonText {
        match self {
            Self::Tool(result) => result.plain(),
            Self::Reading(result) => result.plain(),
            Self::Prompt(result) => result.plain(),
            Self::Completion(result) => result.plain(),
            Self::Asks(asked) => InputRequest::plain(&asked.questions),
        }
    }

    /// Whether it is a tool's own failure.
    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::Tool(result) if result.is_error)
    }

    /// In the words of a revision.
    pub(super) fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        match self {
            Self::Tool(result) => result.write(revision, server),
            Self::Reading(result) => result.write(revision, server),
            Self::Prompt(result) => result.write(revision, server),
            Self::Completion(result) => result.write(revision, server),
            Self::Asks(asked) => InputRequiredResult { requests: asked.questions.clone(), state: None }.write(revision, server),
        }
    }
}
