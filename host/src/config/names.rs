//! Names that settings give: of virtual servers and tenants, and patterns for what they show.

use std::fmt;
use std::sync::Arc;

/// The id of a virtual server, as it stands in the path: `^[a-z0-9][a-z0-9-]{0,63}$`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(Arc<str>);

impl ServerId {
    /// Reads an id byte for byte: nothing is decoded or folded, so no two spellings name one server.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a tenant, in settings, logs and records, as a server's id is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Of everybody, where the settings name no tenants.
    pub const DEFAULT: &'static str = "default";

    /// Reads a name byte for byte.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.into()))
    }

    /// The name in a record, which was written of one.
    pub(crate) fn of(name: &str) -> Self {
        Self(name.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-')
}

/// What a server shows: names or URIs, in which `*` stands for any number of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Of names of tools and prompts.
    pub fn of_names(text: &str) -> Option<Self> {
        mcp::tool::is_tool_name(&text.replace('*', "x")).then(|| Self(text.into()))
    }

    /// Of names of plugins.
    pub fn of_plugins(text: &str) -> Option<Self> {
        let right = (1..=255).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c == '/');
        right.then(|| Self(text.into()))
    }

    /// Every name.
    pub fn any() -> Self {
        Self("*".into())
    }

    /// Of URIs of resources.
    pub fn of_uris(text: &str) -> Option<Self> {
        let right = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        right.then(|| Self(text.into()))
    }

    /// Whether it covers this one.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let mut last = None;
        for part in parts {
            // Each part but the last is taken where it comes first: that leaves most for those behind it.
            if let Some(earlier) = last.replace(part) {
                let Some((_, after)) = rest.split_once(earlier) else { return false };
                rest = after;
            }
        }
        last.map_or(rest.is_empty(), |last| rest.ends_with(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_ids_have_one_spelling() {
        for good in ["a", "0", "a-b", "team-1", &"x".repeat(64)] {
            assert!(ServerId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a.b", "a%2Db", "a/b", "é", &"x".repeat(65)] {
            assert!(ServerId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        let matches = |pattern: &str, name: &str| Pattern::of_names(pattern).expect("a pattern").matches(name);
        for (pattern, name) in
            [("echo", "echo"), ("*", "x"), ("text_*", "text_"), ("*_stats", "word_stats"), ("a*b*c", "abbc"), ("a**c", "abc")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("echo", "echoes"), ("echo", "Echo"), ("text_*", "text"), ("a*b*c", "acb"), ("ab*ba", "aba")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(Pattern::of_names("e cho").is_none() && Pattern::of_uris("a b").is_none() && Pattern::of_uris("").is_none());
        assert!(Pattern::of_uris("file:///docs/*").expect("a pattern").matches("file:///docs/{+path}"));
    }
}
