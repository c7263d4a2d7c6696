//! Resources and their templates as lists show them, in the words of each revision (3.2).

use crate::text::{JsonText, Object};
use crate::tool::{Icon, write_icons};
use crate::{Revision, meta, write};

/// The media type of pages that clients show as apps (3.7, MCP Apps).
pub const APP_MIME_TYPE: &str = "text/html;profile=mcp-app";

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where it is.
    pub uri: Box<str>,
    /// What all kinds of resources say of themselves.
    pub about: About,
    /// Of its content, in bytes.
    pub size_bytes: Option<u64>,
}

/// A family of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceTemplate {
    /// RFC 6570.
    pub uri_template: Box<str>,
    /// What all kinds of resources say of themselves.
    pub about: About,
}

/// What a resource says of itself, and a family of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// For programs.
    pub name: Box<str>,
    /// For people.
    pub title: Option<Box<str>>,
    /// What it is.
    pub description: Option<Box<str>>,
    /// Of its content.
    pub mime_type: Option<Box<str>>,
    /// Pictures.
    pub icons: Vec<Icon>,
    /// `audience`, `priority`, `lastModified`, as a JSON object.
    pub annotations: Option<JsonText>,
    /// An object, shown as its `_meta`.
    pub meta: Option<JsonText>,
}

impl About {
    fn write(&self, object: &mut Object, revision: Revision) {
        object.string("name", &self.name);
        if revision.titles() {
            object.string_if("title", self.title.as_deref());
        }
        object.string_if("description", self.description.as_deref());
        object.string_if("mimeType", self.mime_type.as_deref());
        object.raw_if("annotations", self.annotations.as_ref());
        write_icons(object, revision, &self.icons);
        if revision.meta_on_items() {
            object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        }
    }
}

impl Resource {
    /// The resource without the members that `revision` does not know.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.string("uri", &self.uri);
        self.about.write(&mut object, revision);
        if let Some(size) = self.size_bytes {
            object.integer("size", i64::try_from(size).unwrap_or(i64::MAX));
        }
        object.end()
    }
}

impl ResourceTemplate {
    /// The template without the members that `revision` does not know.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::with_capacity(512);
        object.string("uriTemplate", &self.uri_template);
        self.about.write(&mut object, revision);
        object.end()
    }
}

/// Whether a text is a URI by its characters (RFC 3986): a scheme, and then nothing that has to be written as `%XX`, which is two
/// hexadecimal digits behind each `%`.
#[must_use]
pub fn is_uri(text: &str) -> bool {
    let escapes = || text.split('%').skip(1).all(|rest| rest.get(..2).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())));
    text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && rest.chars().all(is_uri_char)) && escapes()
}

/// RFC 3986, 3.1.
#[must_use]
pub fn is_scheme(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|char: char| char.is_ascii_alphabetic()) && text.bytes().all(allowed)
}

/// Whether a character can stand in a URI.
#[must_use]
pub fn is_uri_char(char: char) -> bool {
    char.is_ascii_graphic() && !matches!(char, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
}

/// `notifications/resources/updated`; on a listen stream it names the `subscription` (1.8).
#[must_use]
pub fn updated(uri: &str, subscription: Option<&crate::Id>) -> Vec<u8> {
    let mut params = Object::new();
    params.string("uri", uri);
    if let Some(id) = subscription {
        let mut own = Object::new();
        own.raw(meta::SUBSCRIPTION_ID, &id.write());
        params.raw("_meta", &own.end());
    }
    write::notification("notifications/resources/updated", Some(&params.end()))
}

#[cfg(test)]
mod tests;
