//! Tools as `tools/list` shows them, in the words of each revision (3.1).

use crate::members::Members;
use crate::text::{JsonText, Object};
use crate::{Revision, meta};

/// A picture for a tool or an implementation (3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// `https:` or `data:` URL.
    pub src: Box<str>,
    /// The media type, where it is not the URL's own.
    pub mime_type: Option<Box<str>>,
    /// Such as `48x48` or `any`; empty: not stated.
    pub sizes: Vec<Box<str>>,
    /// `light` or `dark`.
    pub theme: Option<Box<str>>,
}

impl Icon {
    fn write(&self) -> JsonText {
        let mut object = Object::new();
        object.string("src", &self.src);
        object.string_if("mimeType", self.mime_type.as_deref());
        if !self.sizes.is_empty() {
            object.list("sizes", self.sizes.iter().map(|size| JsonText::string(size)));
        }
        object.string_if("theme", self.theme.as_deref());
        object.end()
    }
}

/// Writes `icons` where there are any and the revision knows them.
pub(crate) fn write_icons(object: &mut Object, revision: Revision, icons: &[Icon]) {
    if revision.icons() && !icons.is_empty() {
        object.list("icons", icons.iter().map(Icon::write));
    }
}

/// Hints about what a tool does. Clients show them; nobody may rely on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// A name for people.
    pub title: Option<Box<str>>,
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy something.
    pub destructive: Option<bool>,
    /// A second call with the same arguments changes nothing more.
    pub idempotent: Option<bool>,
    /// It reaches out to things that are not its own.
    pub open_world: Option<bool>,
}

impl Annotations {
    fn write(&self) -> Option<JsonText> {
        let mut object = Object::new();
        object.string_if("title", self.title.as_deref());
        object.flag_if("readOnlyHint", self.read_only);
        object.flag_if("destructiveHint", self.destructive);
        object.flag_if("idempotentHint", self.idempotent);
        object.flag_if("openWorldHint", self.open_world);
        object.end_unless_empty()
    }
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// 1 to 128 of `A-Za-z0-9_.-`; see [`is_tool_name`].
    pub name: Box<str>,
    /// A name for people.
    pub title: Option<Box<str>>,
    /// What it does; this is what the model reads.
    pub description: Option<Box<str>>,
    /// A JSON Schema object whose root has `"type":"object"`, passed through untouched.
    pub input_schema: JsonText,
    /// A JSON Schema, passed through untouched.
    pub output_schema: Option<JsonText>,
    /// Hints.
    pub annotations: Annotations,
    /// Pictures.
    pub icons: Vec<Icon>,
    /// An object, shown as the tool's `_meta`.
    pub meta: Option<JsonText>,
}

impl Tool {
    /// The tool without the members that `revision` does not know.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::with_capacity(self.input_schema.as_str().len().saturating_add(512));
        object.string("name", &self.name);
        if revision.titles() {
            object.string_if("title", self.title.as_deref());
        }
        object.string_if("description", self.description.as_deref());
        object.raw("inputSchema", &self.input_schema);
        object.raw_if("outputSchema", self.output_schema_for(revision));
        if revision.annotations() {
            object.raw_if("annotations", self.annotations.write().as_ref());
        }
        write_icons(&mut object, revision, &self.icons);
        if revision.meta_on_items() {
            object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        }
        object.end()
    }

    /// The output schema as clients of `revision` know it: they take `structuredContent` to be promised by it.
    fn output_schema_for(&self, revision: Revision) -> Option<&JsonText> {
        let schema = self.output_schema.as_ref().filter(|_| revision.structured_output());
        schema.filter(|schema| revision.structured_may_be_any_json() || describes_object(schema))
    }
}

/// Whether the schema's root says `"type":"object"`.
fn describes_object(schema: &JsonText) -> bool {
    let kind = Members::of(schema.as_str()).and_then(|members| members.get("type"));
    kind.is_some_and(|kind| kind.get() == "\"object\"")
}

/// Whether `name` may be a tool's: `^[A-Za-z0-9_.-]{1,128}$` (`reliability.md` 2.1).
#[must_use]
pub fn is_tool_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
