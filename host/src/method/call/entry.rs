//! A call's entry in the journal, and in the metrics: begun when the tool is known, written once, however the call ends.

use super::run::About;
use super::target::Target;
use crate::auth::Caller;
use crate::catalog::Server;
use crate::failure::Failure;
use crate::journal::{Event, Hash, Outcome, PolicyRecord, Record, principal};
use crate::method::seen::Seen;
use crate::method::{OUTCOME, Rooms, refused};
use crate::metrics;
use crate::outbox::End;
use crate::tenant::TenantId;
use crate::trace::Span;
use mcp::Revision;
use mcp::params::LogLevel;
use sandbox::Usage;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An entry that is not written yet. Dropped before its end was told, it says that the call was cancelled: its client went away.
pub(super) struct Entry {
    rooms: Arc<Rooms>,
    /// None where no journal is kept, and after it was written.
    record: Option<Record>,
    /// Where it is counted; none after it was.
    row: Option<Arc<metrics::Row>>,
    /// Of the request.
    span: Span,
    revision: Revision,
    began: Instant,
    /// The quota that is used up: the record has no room for which.
    exceeded: Option<&'static str>,
    /// For who looks on; none where nobody does, and after it was told.
    seen: Option<Seen>,
}

impl Entry {
    pub(super) fn begin(rooms: &Arc<Rooms>, about: &About) -> Self {
        Self::of(rooms, (&about.caller, &about.server), &about.target, about.revision, &about.span)
    }

    /// Of a call that may end before everything about it is known.
    pub(super) fn of(rooms: &Arc<Rooms>, (caller, server): (&Caller, &Server), target: &Target, revision: Revision, span: &Span) -> Self {
        let record = rooms.journal.is_on().then(|| {
            let (arguments, who) = (target.arguments(), caller.principal());
            Record {
                at_ms: Record::now_ms(),
                tenant: Cow::Owned(caller.tenant().id.as_str().to_owned()),
                principal: principal(who.issuer.as_deref(), who.subject.as_deref()),
                server: server.id.as_ref().map(ToString::to_string),
                plugin: target.plugin().to_string(),
                method: Cow::Borrowed(target.method()),
                tool: target.name().to_owned(),
                component: Hash::known(*target.guest().digest().as_bytes()),
                revision: Cow::Borrowed(revision.as_str()),
                arguments_bytes: arguments.len() as u64,
                arguments_sha256: Hash::of(arguments.as_bytes()),
                result_bytes: 0,
                result_sha256: None,
                outcome: Outcome::Cancelled,
                reason: None,
                policy: None,
                wall_us: 0,
                cpu_us: 0,
            }
        });
        let row = Some(metrics::CALLS.row(caller.tenant().id.as_str(), target.tool()));
        let seen = rooms.onlooker.is_some().then(|| Seen::begin(target.method(), target.name(), &target.arguments()));
        Self { rooms: Arc::clone(rooms), record, row, span: span.clone(), revision, began: Instant::now(), exceeded: None, seen }
    }

    /// Its guest said something to the operator.
    pub(super) fn heard(&mut self, level: LogLevel, words: &str) {
        if let Some(seen) = &mut self.seen {
            seen.words.push((level, words.to_owned()));
        }
    }

    /// The call never reached its guest.
    pub(super) fn refused(&mut self, reason: &'static str) {
        self.write(Outcome::Refused, Some(reason), None);
    }

    /// It came to no answer of its guest's, if it began at all. Counts only if nothing was written before.
    pub(super) fn without_answer(&mut self, failure: &Failure) {
        self.exceeded = Some(refused::word(failure)).filter(|word| *word != failure.word());
        let outcome = if *failure == Failure::Revoked { Outcome::Revoked } else { Outcome::Refused };
        self.write(outcome, Some(failure.word()).filter(|_| outcome == Outcome::Refused), None);
    }

    /// A policy does not let it reach its guest.
    pub(super) fn denied(mut self, failure: &Failure) {
        self.name_policy(failure);
        self.refused(failure.word());
    }

    fn name_policy(&mut self, failure: &Failure) {
        if let Some(record) = &mut self.record {
            record.policy = failure.blame().map(|by| PolicyRecord {
                name: by.policy.to_string(),
                component: by.component.to_string(),
                reason: mcp::text::line(&by.reason, 256),
            });
        }
    }

    /// The call came to an end. `tool_error` says that the result is the tool's own failure.
    pub(super) fn ended(&mut self, end: &End, tool_error: bool, usage: &Usage) {
        self.write_end(end, tool_error, usage);
        if let Err(failure) = end {
            self.rooms.refused(&self.span, failure, self.revision.era());
        }
    }

    fn write_end(&mut self, end: &End, tool_error: bool, usage: &Usage) {
        match end {
            Ok(result) => {
                if let Some(record) = &mut self.record {
                    record.result_bytes = result.as_str().len() as u64;
                    record.result_sha256 = Some(Hash::of(result.as_str().as_bytes()));
                }
                self.write(if tool_error { Outcome::ToolError } else { Outcome::Result }, None, Some(usage));
            }
            Err(Failure::Cancelled) => self.write(Outcome::Cancelled, None, Some(usage)),
            Err(Failure::Revoked) => self.write(Outcome::Revoked, None, Some(usage)),
            Err(failure @ Failure::Fault(_)) => self.write(Outcome::Fault, Some(failure.word()), Some(usage)),
            Err(failure) => {
                self.name_policy(failure);
                self.write(Outcome::Refused, Some(failure.word()), Some(usage));
            }
        }
    }

    /// It asks before it goes on: the call with the answers has an entry of its own.
    pub(super) fn asked(&mut self, usage: &Usage) {
        self.write(Outcome::Result, Some("input_required"), Some(usage));
    }

    /// `usage` is none if no guest ran, or nobody knows for how long.
    fn write(&mut self, outcome: Outcome, reason: Option<&'static str>, usage: Option<&Usage>) {
        let cpu = usage.map_or(Duration::ZERO, |usage| usage.cpu);
        let wall = self.began.elapsed();
        if let Some(row) = self.row.take() {
            let counted = counted(outcome, reason);
            row.count(counted);
            self.span.word(OUTCOME, counted.word());
            if !matches!(counted, metrics::Outcome::Ok | metrics::Outcome::Asked) {
                self.span.failed(counted.word());
            }
            if usage.is_some() {
                row.took(wall, cpu);
            }
        }
        if let (Some(onlooker), Some(seen)) = (&self.rooms.onlooker, self.seen.take()) {
            let usage = usage.copied().unwrap_or_default();
            // Whoever looks on and is too slow misses something: no call waits for that.
            let _ = onlooker.try_send(Seen { outcome, reason, took: wall, usage, ..seen });
        }
        let Some(mut record) = self.record.take() else { return };
        if let Some(word) = self.exceeded.or(reason) {
            let (principal, server) = (&record.principal, &record.server);
            let more = |event| Event { principal: principal.clone(), server: server.clone(), ..event };
            refused::note(&self.rooms.journal, word, "call", &TenantId::of(&record.tenant), more);
        }
        record.outcome = outcome;
        record.reason = reason.map(Cow::Borrowed);
        record.wall_us = super::micros(wall);
        record.cpu_us = super::micros(cpu);
        self.rooms.journal.write(record);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.write(Outcome::Cancelled, None, None);
    }
}

/// What it is in metrics that a request has no result, whether or not a guest ran.
pub(in crate::method) fn outcome(failure: &Failure) -> metrics::Outcome {
    counted(
        match failure {
            Failure::Cancelled => Outcome::Cancelled,
            Failure::Revoked => Outcome::Revoked,
            _ => Outcome::Refused,
        },
        Some(failure.word()),
    )
}

/// What an end is in metrics: the words of [`Failure::word`], a few together.
fn counted(outcome: Outcome, reason: Option<&'static str>) -> metrics::Outcome {
    use metrics::Outcome as M;
    match (outcome, reason.unwrap_or_default()) {
        (Outcome::Result, "input_required") => M::Asked,
        (Outcome::Result, _) => M::Ok,
        (Outcome::ToolError, _) => M::ToolError,
        (Outcome::Cancelled, _) => M::Cancelled,
        (Outcome::Revoked, _) => M::Revoked,
        (_, "wall_time" | "cpu_time") => M::Timeout,
        (_, "trap" | "exit" | "stack") => M::Trap,
        (_, "memory" | "tenant_memory" | "host_memory" | "table" | "handles" | "copies" | "host_calls" | "result_too_large") => M::Limit,
        (_, "result_invalid") => M::InvalidResult,
        (_, "arguments") => M::InvalidArguments,
        (_, "policy_denied" | "result_withheld") => M::Denied,
        (_, "policy_unavailable") => M::PolicyFailed,
        (
            _,
            "tenant_full"
            | "host_full"
            | "processor_full"
            | "memory_full"
            | "broken"
            | "quota"
            | "pool_full"
            | "draining"
            | "task_quota"
            | "stream_quota"
            | "store_unavailable"
            | "journal_unavailable",
        ) => M::Refused,
        (_, "unknown_tool" | "unknown_prompt" | "unknown_resource" | "unknown_template") => M::Unknown,
        (Outcome::Fault | Outcome::Refused, _) => M::Failed,
    }
}
