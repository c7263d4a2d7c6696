//! The results of lists, of `resources/read`, `prompts/get` and `completion/complete`.

use super::{CacheHints, Implementation, Shell};
use crate::Revision;
use crate::content::ResourceContents;
use crate::prompt::Message;
use crate::text::{JsonText, Object};

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// `tools/list`
    Tools,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
    /// `prompts/list`
    Prompts,
}

impl List {
    /// The member of the result that holds it.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            List::Tools => "tools",
            List::Resources => "resources",
            List::ResourceTemplates => "resourceTemplates",
            List::Prompts => "prompts",
        }
    }
}

/// A page of a list, made of items that were written before with the same revision, so that a catalog writes each item once.
#[derive(Clone, Copy, Debug)]
pub struct ListResult<'a> {
    /// Of what.
    pub list: List,
    /// In their fixed order.
    pub items: &'a [&'a JsonText],
    /// Where the next page begins.
    pub next_cursor: Option<&'a str>,
    /// Modern era only; the scope is the same on all pages.
    pub cache: CacheHints,
}

impl ListResult<'_> {
    /// The result on the wire.
    #[must_use]
    pub fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "complete");
        shell.object.list(self.list.member(), self.items);
        shell.object.string_if("nextCursor", self.next_cursor);
        shell.cache(self.cache);
        shell.end(None)
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadResourceResult {
    /// At least one: a resource that is not there is an error, never an empty list (3.2).
    pub contents: Vec<ResourceContents>,
    /// Modern era only.
    pub cache: CacheHints,
    /// An object, shown as the result's `_meta`.
    pub meta: Option<JsonText>,
}

impl ReadResourceResult {
    /// The result in the words of `revision`.
    #[must_use]
    pub fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "complete");
        shell.object.list("contents", self.contents.iter().map(|contents| contents.write(revision)));
        shell.cache(self.cache);
        shell.end(self.meta.as_ref())
    }
}

/// What a prompt became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetPromptResult {
    /// What it is for.
    pub description: Option<Box<str>>,
    /// In their order.
    pub messages: Vec<Message>,
    /// An object, shown as the result's `_meta`.
    pub meta: Option<JsonText>,
}

impl GetPromptResult {
    /// The result in the words of `revision`.
    #[must_use]
    pub fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "complete");
        shell.object.string_if("description", self.description.as_deref());
        shell.object.list("messages", self.messages.iter().map(|message| message.write(revision)));
        shell.end(self.meta.as_ref())
    }
}

/// The most values that one completion holds.
pub const COMPLETION_VALUES_MAX: usize = 100;

/// Suggestions for the value of an argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompleteResult {
    /// Best first; those beyond [`COMPLETION_VALUES_MAX`] are not written, and `has_more` is then said.
    pub values: Vec<Box<str>>,
    /// How many there are in all.
    pub total: Option<u32>,
    /// There are more than were given.
    pub has_more: bool,
}

impl CompleteResult {
    /// The result on the wire.
    #[must_use]
    pub fn write(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "complete");
        shell.object.raw("completion", &self.completion());
        shell.end(None)
    }

    pub(super) fn completion(&self) -> JsonText {
        let mut completion = Object::new();
        completion.list("values", self.values.iter().take(COMPLETION_VALUES_MAX).map(|value| JsonText::string(value)));
        if let Some(total) = self.total {
            completion.integer("total", i64::from(total));
        }
        completion.flag("hasMore", self.has_more || self.values.len() > COMPLETION_VALUES_MAX);
        completion.end()
    }
}
