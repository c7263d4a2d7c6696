//! Content blocks of results, in the words of each revision (3.1). Bytes are encoded here.

use crate::text::{JsonText, Object};
use crate::{Revision, meta};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// One piece of a result. `annotations` are MCP's (`audience`, `priority`, `lastModified`) as a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Plain text.
    Text {
        /// The text.
        text: Box<str>,
        /// For whom, how important.
        annotations: Option<JsonText>,
    },
    /// A picture.
    Image(Blob),
    /// A sound; told about in words before 2025-03-26.
    Audio(Blob),
    /// The address of a resource; told about in words before 2025-06-18.
    ResourceLink(ResourceLink),
    /// A resource itself.
    Resource {
        /// Its content.
        contents: ResourceContents,
        /// For whom, how important.
        annotations: Option<JsonText>,
    },
}

/// A picture or a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// As the tool gave it, not encoded.
    pub data: Box<[u8]>,
    /// Such as `image/png`.
    pub mime_type: Box<str>,
    /// For whom, how important.
    pub annotations: Option<JsonText>,
}

/// The address of something that the client may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceLink {
    /// Where.
    pub uri: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// A name for people.
    pub title: Option<Box<str>>,
    /// What it is.
    pub description: Option<Box<str>>,
    /// Its media type.
    pub mime_type: Option<Box<str>>,
    /// For whom, how important.
    pub annotations: Option<JsonText>,
}

/// A resource with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceContents {
    /// Where it is from.
    pub uri: Box<str>,
    /// Its media type.
    pub mime_type: Option<Box<str>>,
    /// What is in it.
    pub body: ResourceBody,
    /// An object, shown as its `_meta`.
    pub meta: Option<JsonText>,
}

/// What is in a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceBody {
    /// `text`.
    Text(Box<str>),
    /// `blob`; not encoded here.
    Bytes(Box<[u8]>),
}

impl Content {
    /// Text without annotations.
    #[must_use]
    pub fn text(text: impl Into<Box<str>>) -> Content {
        Content::Text { text: text.into(), annotations: None }
    }

    /// The block in the words of `revision`.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        match self {
            Content::Text { text, annotations } => text_block(text, annotations.as_ref()),
            Content::Image(blob) => blob.write("image"),
            Content::Audio(blob) if revision.audio() => blob.write("audio"),
            Content::Audio(blob) => {
                let note = format!("[audio: {}, {} bytes]", blob.mime_type, blob.data.len());
                text_block(&note, blob.annotations.as_ref())
            }
            Content::ResourceLink(link) if revision.resource_links() => link.write(),
            Content::ResourceLink(link) => {
                let name = link.title.as_deref().unwrap_or(&link.name);
                text_block(&format!("[{name}]({})", link.uri), link.annotations.as_ref())
            }
            Content::Resource { contents, annotations } => {
                let mut object = Object::new();
                object.string("type", "resource");
                object.raw("resource", &contents.write(revision));
                object.raw_if("annotations", annotations.as_ref());
                object.end()
            }
        }
    }
}

impl Blob {
    fn write(&self, kind: &str) -> JsonText {
        let mut object = Object::with_capacity(self.data.len().saturating_mul(3) / 2);
        object.string("type", kind);
        object.string("data", &STANDARD.encode(&self.data));
        object.string("mimeType", &self.mime_type);
        object.raw_if("annotations", self.annotations.as_ref());
        object.end()
    }
}

impl ResourceLink {
    fn write(&self) -> JsonText {
        let mut object = Object::new();
        object.string("type", "resource_link");
        object.string("uri", &self.uri);
        object.string("name", &self.name);
        object.string_if("title", self.title.as_deref());
        object.string_if("description", self.description.as_deref());
        object.string_if("mimeType", self.mime_type.as_deref());
        object.raw_if("annotations", self.annotations.as_ref());
        object.end()
    }
}

impl ResourceContents {
    /// The contents in the words of `revision`; also an element of `contents` of `resources/read`.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::new();
        object.string("uri", &self.uri);
        object.string_if("mimeType", self.mime_type.as_deref());
        match &self.body {
            ResourceBody::Text(text) => object.string("text", text),
            ResourceBody::Bytes(bytes) => object.string("blob", &STANDARD.encode(bytes)),
        }
        if revision.meta_on_items() {
            object.raw_if("_meta", meta::compose(self.meta.as_ref(), &[]).as_ref());
        }
        object.end()
    }
}

fn text_block(text: &str, annotations: Option<&JsonText>) -> JsonText {
    let mut object = Object::with_capacity(text.len().saturating_add(64));
    object.string("type", "text");
    object.string("text", text);
    object.raw_if("annotations", annotations);
    object.end()
}

#[cfg(test)]
mod tests;
