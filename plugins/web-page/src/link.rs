//! Addresses of pages, and of what they point to.

use fluent_uri::{Uri, UriRef};
use std::fmt;

/// Longer ones are no help to anybody.
const BYTES_MAX: usize = 2_048;

/// An absolute address, without what is behind a `#`.
pub struct Address(Uri<String>);

impl Address {
    /// Reads an absolute one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split('#').next().unwrap_or_default();
        let uri = Uri::parse(text.to_owned()).ok()?;
        uri.authority().is_some_and(|authority| !authority.host().is_empty()).then_some(Self(uri))
    }

    /// Where another one leads to that stands in this page.
    pub fn join(&self, reference: &str) -> Option<Self> {
        Self::parse(self.resolved(reference)?.as_str())
    }

    /// A link as it stands in Markdown; none where it leads nowhere but into this page or a script.
    pub fn link(&self, reference: &str) -> Option<String> {
        if reference.trim_start().starts_with('#') {
            return None;
        }
        let link = self.resolved(reference)?;
        let leads = ["http", "https", "mailto"].iter().any(|scheme| link.scheme().as_str().eq_ignore_ascii_case(scheme));
        // Parentheses would end the link.
        leads.then(|| link.as_str().replace('(', "%28").replace(')', "%29"))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn resolved(&self, reference: &str) -> Option<Uri<String>> {
        let reference = encoded(reference.trim());
        if reference.len() > BYTES_MAX {
            return None;
        }
        UriRef::parse(reference.as_str()).ok()?.resolve_against(&self.0).ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What pages write into links and a URI cannot hold, as browsers send it.
fn encoded(reference: &str) -> String {
    let mut encoded = String::with_capacity(reference.len());
    for byte in reference.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
