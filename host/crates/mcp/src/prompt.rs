//! Prompts as `prompts/list` shows them, and the messages that they become (3.2).

use crate::content::Content;
use crate::text::{JsonText, Object};
use crate::tool::{Icon, write_icons};
use crate::{Revision, meta};

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// For programs.
    pub name: Box<str>,
    /// For people.
    pub title: Option<Box<str>>,
    /// What it is for.
    pub description: Option<Box<str>>,
    /// In their order.
    pub arguments: Vec<Argument>,
    /// Pictures.
    pub icons: Vec<Icon>,
    /// An object, shown as its `_meta`.
    pub meta: Option<JsonText>,
}

/// One argument; its value is a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// For programs.
    pub name: Box<str>,
    /// For people.
    pub title: Option<Box<str>>,
    /// What it is for.
    pub description: Option<Box<str>>,
    /// The prompt cannot do without it.
    pub required: bool,
}

impl Prompt {
    /// The prompt without the members that `revision` does not know.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.string("name", &self.name);
        if revision.titles() {
            object.string_if("title", self.title.as_deref());
        }
        object.string_if("description", self.description.as_deref());
        if !self.arguments.is_empty() {
            object.list("arguments", self.arguments.iter().map(|argument| argument.write(revision)));
        }
        write_icons(&mut object, revision, &self.icons);
        if revision.meta_on_items() {
            object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        }
        object.end()
    }
}

impl Argument {
    fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::new();
        object.string("name", &self.name);
        if revision.titles() {
            object.string_if("title", self.title.as_deref());
        }
        object.string_if("description", self.description.as_deref());
        object.flag("required", self.required);
        object.end()
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What.
    pub content: Content,
}

impl Message {
    pub(crate) fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::new();
        object.string(
            "role",
            match self.role {
                Role::User => "user",
                Role::Assistant => "assistant",
            },
        );
        object.raw("content", &self.content.write(revision));
        object.end()
    }
}

#[cfg(test)]
mod tests;
