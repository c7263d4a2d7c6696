//! Resources and their templates.

use super::{annotations, icon, meta, plain};
use crate::catalog::pattern::{UriPattern, check_uri};
use crate::catalog::{Resource, Template, Written};
use crate::config::PluginLimits;
use mcp::resource::About;
use sandbox::Guest;
use sandbox::contract::{self, Descriptor};
use std::sync::Arc;

pub(super) fn make(plugin: &Arc<str>, guest: &Guest, listed: &Descriptor, limits: &PluginLimits) -> Result<Resource, String> {
    check_uri(&listed.uri)?;
    let words = Words {
        name: &listed.name,
        title: listed.title.as_deref(),
        description: listed.description.as_deref(),
        mime_type: listed.mime_type.as_deref(),
        icons: &listed.icons,
        annotations: listed.annotations.as_ref(),
        meta: listed.meta.as_deref(),
    };
    let definition =
        mcp::resource::Resource { uri: listed.uri.as_str().into(), about: words.about(limits)?, size_bytes: listed.size_bytes };
    let written = Written::of(|revision| definition.write(revision));
    Ok(Resource { definition, guest: guest.clone(), plugin: Arc::clone(plugin), written })
}

pub(super) fn make_template(
    plugin: &Arc<str>,
    guest: &Guest,
    listed: &contract::Template,
    limits: &PluginLimits,
) -> Result<Template, String> {
    let pattern = UriPattern::parse(&listed.uri_template)?;
    let words = Words {
        name: &listed.name,
        title: listed.title.as_deref(),
        description: listed.description.as_deref(),
        mime_type: listed.mime_type.as_deref(),
        icons: &listed.icons,
        annotations: listed.annotations.as_ref(),
        meta: listed.meta.as_deref(),
    };
    let definition = mcp::resource::ResourceTemplate { uri_template: listed.uri_template.as_str().into(), about: words.about(limits)? };
    let written = Written::of(|revision| definition.write(revision));
    Ok(Template { definition, pattern, guest: guest.clone(), plugin: Arc::clone(plugin), written })
}

/// What resources and templates both say.
struct Words<'a> {
    name: &'a str,
    title: Option<&'a str>,
    description: Option<&'a str>,
    mime_type: Option<&'a str>,
    icons: &'a [contract::Icon],
    annotations: Option<&'a String>,
    meta: Option<&'a str>,
}

impl Words<'_> {
    fn about(&self, limits: &PluginLimits) -> Result<About, String> {
        let texts = [("name", Some(self.name)), ("title", self.title), ("description", self.description), ("mime-type", self.mime_type)];
        for (member, text) in texts {
            plain(member, text.unwrap_or_default(), limits.description_bytes_max)?;
        }
        if self.name.trim().is_empty() {
            return Err("it has no name".to_owned());
        }
        Ok(About {
            name: self.name.into(),
            title: self.title.map(Into::into),
            description: self.description.map(Into::into),
            mime_type: self.mime_type.map(Into::into),
            icons: self.icons.iter().map(icon).collect::<Result<_, _>>()?,
            annotations: annotations(self.annotations)?,
            meta: meta(self.meta)?,
        })
    }
}
