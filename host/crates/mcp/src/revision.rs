//! The revisions of MCP, and the questions whose answer depends on the revision.
//!
//! Every difference between revisions that the host acts on is one predicate here, asked in one place there. All of
//! them are exhaustive: a new revision does not compile until each question has an answer.

use std::fmt;

/// Whether a revision begins with a handshake or speaks for itself in every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize`, sessions, resumable streams.
    Legacy,
    /// A `_meta` envelope in every request; no session.
    Modern,
}

/// A published revision of MCP, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05, here only as a version that `initialize` may name.
    V2024_11_05,
    /// 2025-03-26: streamable HTTP, sessions, batches.
    V2025_03_26,
    /// 2025-06-18: no batches, structured output.
    V2025_06_18,
    /// 2025-11-25: primed streams, icons.
    V2025_11_25,
    /// 2026-07-28: stateless.
    V2026_07_28,
}

use Revision::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

/// A string that names no revision known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRevision;

impl fmt::Display for UnknownRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a known MCP revision")
    }
}

impl std::error::Error for UnknownRevision {}

impl Revision {
    /// The revisions that `initialize` offers and answers (1.3). Disjoint from [`Revision::MODERN`].
    pub const HANDSHAKE: &'static [Revision] = &[V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25];

    /// The revisions that `server/discover` and `-32022` list (1.3).
    pub const MODERN: &'static [Revision] = &[V2026_07_28];

    /// What a legacy request without a version header and without a session speaks (2.2).
    pub const ASSUMED: Revision = V2025_03_26;

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            V2024_11_05 => "2024-11-05",
            V2025_03_26 => "2025-03-26",
            V2025_06_18 => "2025-06-18",
            V2025_11_25 => "2025-11-25",
            V2026_07_28 => "2026-07-28",
        }
    }

    /// The answer of `initialize` to a client that asks for `requested`: the same, if it is in the handshake list,
    /// else the newest of that list; never a modern one (2.1; `rmcp` asks for 2026-07-28 and depends on it).
    #[must_use]
    pub fn negotiate(requested: &str) -> Revision {
        match requested.parse::<Revision>() {
            Ok(revision) => match revision.era() {
                Era::Legacy => revision,
                Era::Modern => V2025_11_25,
            },
            Err(UnknownRevision) => V2025_11_25,
        }
    }

    /// The era it belongs to.
    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            V2024_11_05 | V2025_03_26 | V2025_06_18 | V2025_11_25 => Era::Legacy,
            V2026_07_28 => Era::Modern,
        }
    }

    /// JSON-RPC batches are received: a MUST of 2025-03-26, removed in 2025-06-18 (decision 6).
    #[must_use]
    pub const fn accepts_batches(self) -> bool {
        match self {
            V2025_03_26 => true,
            V2024_11_05 | V2025_06_18 | V2025_11_25 | V2026_07_28 => false,
        }
    }

    /// Closing the response stream cancels the call (decision 10).
    #[must_use]
    pub const fn disconnect_cancels(self) -> bool {
        match self.era() {
            Era::Legacy => false,
            Era::Modern => true,
        }
    }

    /// Arguments that break the tool's schema are a result with `isError`, not -32602 (3.1, decision 5).
    #[must_use]
    pub const fn argument_errors_are_results(self) -> bool {
        match self {
            V2024_11_05 | V2025_03_26 | V2025_06_18 => false,
            V2025_11_25 | V2026_07_28 => true,
        }
    }

    /// `outputSchema` and `structuredContent` exist.
    #[must_use]
    pub const fn structured_output(self) -> bool {
        self.since_2025_06_18()
    }

    /// `structuredContent` may be any JSON and the root of `outputSchema` any schema; before, only objects (3.1).
    #[must_use]
    pub const fn structured_may_be_any_json(self) -> bool {
        match self.era() {
            Era::Legacy => false,
            Era::Modern => true,
        }
    }

    /// `icons` exist, and with them `websiteUrl` and `description` of an implementation.
    #[must_use]
    pub const fn icons(self) -> bool {
        match self {
            V2024_11_05 | V2025_03_26 | V2025_06_18 => false,
            V2025_11_25 | V2026_07_28 => true,
        }
    }

    /// `title` exists beside `name`.
    #[must_use]
    pub const fn titles(self) -> bool {
        self.since_2025_06_18()
    }

    /// `_meta` exists on tools, resources and content blocks; before, on results only.
    #[must_use]
    pub const fn meta_on_items(self) -> bool {
        self.since_2025_06_18()
    }

    /// Content blocks of type `resource_link` exist.
    #[must_use]
    pub const fn resource_links(self) -> bool {
        self.since_2025_06_18()
    }

    /// Content blocks of type `audio` exist.
    #[must_use]
    pub const fn audio(self) -> bool {
        self.since_2025_03_26()
    }

    /// Tools have `annotations`.
    #[must_use]
    pub const fn annotations(self) -> bool {
        self.since_2025_03_26()
    }

    /// `notifications/progress` has a `message`.
    #[must_use]
    pub const fn progress_messages(self) -> bool {
        self.since_2025_03_26()
    }

    /// `capabilities.completions` exists.
    #[must_use]
    pub const fn completions_capability(self) -> bool {
        self.since_2025_03_26()
    }

    /// Streams begin with an event that has an id and empty data (2.6). Older clients throw on empty data, the
    /// modern era has no event ids.
    #[must_use]
    pub const fn primes_streams(self) -> bool {
        match self {
            V2025_11_25 => true,
            V2024_11_05 | V2025_03_26 | V2025_06_18 | V2026_07_28 => false,
        }
    }

    /// Every result carries `resultType` (1.6).
    #[must_use]
    pub const fn result_type(self) -> bool {
        match self.era() {
            Era::Legacy => false,
            Era::Modern => true,
        }
    }

    /// List results carry `ttlMs` and `cacheScope` (3.3).
    #[must_use]
    pub const fn cache_hints(self) -> bool {
        match self.era() {
            Era::Legacy => false,
            Era::Modern => true,
        }
    }

    /// Every result carries `_meta["io.modelcontextprotocol/serverInfo"]` (1.6).
    #[must_use]
    pub const fn server_info_in_results(self) -> bool {
        match self.era() {
            Era::Legacy => false,
            Era::Modern => true,
        }
    }

    /// The server may send requests of its own; in the modern era it asks through `input_required` instead (3.4).
    #[must_use]
    pub const fn server_requests(self) -> bool {
        match self.era() {
            Era::Legacy => true,
            Era::Modern => false,
        }
    }

    /// `capabilities.extensions` exists (3.6, 3.7).
    #[must_use]
    pub const fn extensions(self) -> bool {
        match self.era() {
            Era::Legacy => false,
            Era::Modern => true,
        }
    }

    /// `initialize`, `ping` and `logging/setLevel` exist.
    #[must_use]
    pub const fn handshake_methods(self) -> bool {
        match self.era() {
            Era::Legacy => true,
            Era::Modern => false,
        }
    }

    const fn since_2025_03_26(self) -> bool {
        match self {
            V2024_11_05 => false,
            V2025_03_26 | V2025_06_18 | V2025_11_25 | V2026_07_28 => true,
        }
    }

    const fn since_2025_06_18(self) -> bool {
        match self {
            V2024_11_05 | V2025_03_26 => false,
            V2025_06_18 | V2025_11_25 | V2026_07_28 => true,
        }
    }
}

impl std::str::FromStr for Revision {
    type Err = UnknownRevision;

    /// Exact names only: `2025-3-26` and ` 2025-03-26` are unknown.
    fn from_str(name: &str) -> Result<Revision, UnknownRevision> {
        let mut all = Revision::HANDSHAKE.iter().chain(Revision::MODERN);
        all.find(|revision| revision.as_str() == name).copied().ok_or(UnknownRevision)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
