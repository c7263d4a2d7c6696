//! One call as the journal keeps it.

use super::chain::Hash;
use super::event::Event;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The tool answered.
    Result,
    /// The tool answered with a failure of its own.
    ToolError,
    /// The tool was stopped by a limit, or fell.
    Fault,
    /// The tool, or its result, was refused.
    Refused,
    /// The client cancelled.
    Cancelled,
    /// An operator has revoked the caller, or what it used.
    Revoked,
}

/// One call. Texts of clients and guests are not in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// When it began, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// On whose behalf.
    pub tenant: Cow<'static, str>,
    /// Who called, as issuer and subject; none for an anonymous caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal: Option<String>,
    /// The virtual server; none for the default one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<String>,
    /// The plugin.
    pub plugin: String,
    /// What was asked for; a record without it is of `tools/call`.
    #[serde(skip_serializing_if = "is_tools_call", default = "tools_call")]
    pub method: Cow<'static, str>,
    /// The tool; the prompt; the resource or the template that it is of, as it is listed.
    pub tool: String,
    /// SHA-256 of the component.
    pub component: Hash,
    /// The protocol's revision.
    pub revision: Cow<'static, str>,
    /// Bytes of the arguments.
    pub arguments_bytes: u64,
    /// SHA-256 of the arguments.
    pub arguments_sha256: Hash,
    /// Bytes of the result on the wire; zero where there is none.
    pub result_bytes: u64,
    /// SHA-256 of the result; none where there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result_sha256: Option<Hash>,
    /// How it ended.
    pub outcome: Outcome,
    /// Which limit it hit, or why it was refused: a word of a closed set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Cow<'static, str>>,
    /// The policy that denied it, or withheld its result.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<PolicyRecord>,
    /// From beginning to end, in microseconds.
    pub wall_us: u64,
    /// Of the processor, in microseconds.
    pub cpu_us: u64,
}

/// The policy that kept a call from its guest, or a result from its client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Its name in the settings.
    pub name: String,
    /// SHA-256 of its component.
    pub component: String,
    /// Its own words.
    pub reason: String,
}

/// What a line is of.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    Call(Box<Record>),
    Event(Box<Event>),
}

fn tools_call() -> Cow<'static, str> {
    Cow::Borrowed("tools/call")
}

fn is_tools_call(method: &str) -> bool {
    method == "tools/call"
}

impl Record {
    /// The time in the form that records have.
    pub fn now_ms() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A record with its place in the chain: one line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line<R> {
    /// Counted from 1, without holes.
    pub(super) seq: u64,
    /// Of the line before, without its line end; zeros for the very first.
    pub(super) prev: Hash,
    /// Records that were lost between the line before and this one, because the disk was too slow or refused.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(super) missed: u64,
    #[serde(flatten)]
    pub(super) record: R,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
