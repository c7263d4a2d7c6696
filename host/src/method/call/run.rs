//! One call on its way.

use super::entry::Entry;
use super::running::Guest;
use super::target::Target;
use super::{convert, dialog};
use crate::auth::Caller;
use crate::catalog::Server;
use crate::failure::Failure;
use crate::method::Rooms;
use crate::outbox::{End, Reply, Run};
use crate::session::InFlight;
use mcp::capability::ClientCapabilities;
use mcp::meta::ProgressToken;
use mcp::progress::{Amount, Progress};
use mcp::result::{CacheHints, CallToolResult, InputRequest, InputRequiredResult, ReadResourceResult};
use mcp::{JsonText, Revision};
use sandbox::contract::Failure as GuestFailure;
use sandbox::{EventReceiver, Finished, GuestEvent, LogLevel, LogLine, Outcome, Stream, Usage};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a call is, apart from who drives it: enough to begin it again.
#[derive(Debug, Clone)]
pub(in crate::method) struct About {
    pub(in crate::method) caller: Caller,
    pub(in crate::method) server: Arc<Server>,
    pub(in crate::method) target: Target,
    pub(in crate::method) revision: Revision,
    pub(in crate::method) capabilities: Option<ClientCapabilities>,
    /// What the guest may see of the request's `_meta`.
    pub(in crate::method) meta: Option<JsonText>,
    pub(in crate::method) token: Option<ProgressToken>,
    /// The least level of the log lines that the client wants.
    pub(in crate::method) log_level: Option<mcp::params::LogLevel>,
    /// Whether a legacy client can be asked: questions and answers need a session.
    pub(in crate::method) in_session: bool,
    /// How long it may take.
    pub(in crate::method) wall: Duration,
}

/// The next thing that a run says.
pub(in crate::method) enum Step {
    Notification(Vec<u8>),
    End(Concluded),
}

/// How it ended.
pub(in crate::method) enum Concluded {
    /// With a result, or without.
    End(End),
    /// It wants to be called again with answers.
    Asks(Asked),
}

/// What it asks, and what it needs to go on.
pub(in crate::method) struct Asked {
    pub(in crate::method) questions: Vec<InputRequest>,
    pub(in crate::method) state: Vec<u8>,
}

/// One call on its way. Dropping it ends the guest and gives the slot back.
pub(in crate::method) struct CallRun {
    rooms: Arc<Rooms>,
    about: About,
    guest: Guest,
    finished: Option<Box<Finished>>,
    events: EventReceiver,
    cancelled: CancellationToken,
    /// Given back before the end is told: a client that has its answer may go on at once with the same id.
    in_flight: Option<InFlight>,
    entry: Entry,
}

impl CallRun {
    pub(super) fn new(
        rooms: Arc<Rooms>,
        about: About,
        guest: Guest,
        in_flight: Option<InFlight>,
        entry: Entry,
        events: EventReceiver,
    ) -> Self {
        let cancelled = in_flight.as_ref().map_or_else(CancellationToken::new, |in_flight| in_flight.cancelled.clone());
        Self { rooms, about, guest, finished: None, events, cancelled, in_flight, entry }
    }

    /// What an event becomes for the client. Log lines go to the operator, whoever else gets them.
    fn notification(&self, event: GuestEvent) -> Option<Vec<u8>> {
        match event {
            GuestEvent::Log(line) => {
                log(&self.about.target, &line);
                let level = convert::log_level(line.level);
                // What went to standard output is between the guest and the operator.
                let wanted = line.stream == Stream::Log && self.about.log_level.is_some_and(|least| level >= least);
                wanted.then(|| {
                    let data = JsonText::parse(line.data.as_str(), &self.rooms.json_limits);
                    let data = data.unwrap_or_else(|_| JsonText::string(&line.data));
                    mcp::write::log_message(level, line.logger.as_deref(), &data)
                })
            }
            GuestEvent::Progress(report) => {
                let progress = Progress {
                    progress: Amount::new(report.done)?,
                    total: report.total.and_then(Amount::new),
                    message: report.message.map(Into::into),
                };
                Some(progress.write(self.about.revision, self.about.token.as_ref()?))
            }
            GuestEvent::Changed(change) => {
                self.rooms.said(self.about.caller.tenant(), self.about.target.plugin(), self.about.target.guest(), change);
                None
            }
        }
    }

    fn end(&mut self, finished: Finished) -> Concluded {
        finished.stdio.iter().for_each(|line| log(&self.about.target, line));
        let usage = finished.usage;
        let dropped = u64::from(usage.log_lines_dropped).saturating_add(usage.stdio_bytes_dropped);
        if dropped > 0 {
            tracing::warn!(
                plugin = %self.about.target.plugin(),
                name = self.about.target.name(),
                log_lines = usage.log_lines_dropped,
                stdio_bytes = usage.stdio_bytes_dropped,
                "the guest wrote more than its log limits; the rest was dropped"
            );
        }
        let end = match finished.outcome {
            Ok(Ok(Outcome::InputRequired(ask))) => match self.asked(ask) {
                Ok(asked) => {
                    self.entry.asked(&usage);
                    self.tell("input_required", &usage);
                    return Concluded::Asks(asked);
                }
                Err(failure) => Err(failure),
            },
            Ok(Ok(outcome)) => {
                let is_error = matches!(&outcome, Outcome::Reply(reply) if reply.is_error);
                let end = self.result(outcome);
                self.entry.ended(&end, is_error, &usage);
                end
            }
            Ok(Err(failure)) => Err(self.guest_failure(failure)),
            Err(fault) => {
                tracing::warn!(plugin = %self.about.target.plugin(), name = self.about.target.name(), %fault, "a call was stopped");
                Err(Failure::Fault(fault))
            }
        };
        self.entry.ended(&end, false, &usage);
        self.tell(end.as_ref().map_or_else(Failure::word, |_| "result"), &usage);
        Concluded::End(end)
    }

    /// One line for who looks at every call.
    fn tell(&self, outcome: &'static str, usage: &Usage) {
        tracing::debug!(
            plugin = %self.about.target.plugin(),
            method = self.about.target.method(),
            name = self.about.target.name(),
            outcome,
            wall_us = super::micros(usage.wall),
            cpu_us = super::micros(usage.cpu),
            memory_bytes = usage.memory_bytes,
            "call"
        );
    }

    /// The questions of a guest, if this client can be asked them.
    fn asked(&self, ask: sandbox::contract::Ask) -> Result<Asked, Failure> {
        let modern = self.about.revision.disconnect_cancels();
        if !modern && !self.about.in_session {
            return Err(Failure::InputNotSupported);
        }
        let invalid = |reason: String| self.invalid(reason);
        let questions = convert::questions(ask.questions, &self.rooms.json_limits).map_err(invalid)?;
        if ask.state.len() > dialog::STATE_BYTES_MAX {
            return Err(self.invalid(format!("its state is longer than {} bytes", dialog::STATE_BYTES_MAX)));
        }
        let can = |question: &&InputRequest| self.about.capabilities.as_ref().is_some_and(|client| client.has(&question.needs));
        match questions.iter().find(|question| !can(question)) {
            Some(question) => Err(Failure::MissingCapability(question.needs.clone())),
            None => Ok(Asked { questions, state: ask.state }),
        }
    }

    fn result(&self, outcome: Outcome) -> End {
        let (limits, revision, server) = (&self.rooms.json_limits, self.about.revision, &self.rooms.implementation);
        let result = match outcome {
            Outcome::Reply(reply) => convert::result(reply, limits)
                .and_then(|result| self.fits_output_schema(result))
                .map(|result| result.write(revision, server)),
            Outcome::Reading(reading) => self.reading(reading).map(|result| result.write(revision, server)),
            Outcome::Messages(messages) => convert::messages(messages, limits).map(|result| result.write(revision, server)),
            Outcome::Suggestions(suggestions) => Ok(convert::suggestions(suggestions).write(revision, server)),
            Outcome::InputRequired(_) => Err("a completion cannot ask".to_owned()),
        };
        result.map_err(|reason| self.invalid(reason))
    }

    /// What was read is for its reader alone to keep, since the guest was told who that is.
    fn reading(&self, reading: sandbox::contract::Reading) -> Result<ReadResourceResult, String> {
        let cache = CacheHints { ttl_ms: reading.keep_ms.unwrap_or(0).into(), ..crate::method::CACHE };
        let contents = convert::contents(reading.contents, &self.rooms.json_limits)?;
        Ok(ReadResourceResult { contents, cache, meta: convert::object("meta", reading.meta, &self.rooms.json_limits)? })
    }

    fn invalid(&self, reason: String) -> Failure {
        let line = mcp::text::line(&reason, 512);
        tracing::warn!(plugin = %self.about.target.plugin(), name = self.about.target.name(), reason = %line, "a result was refused");
        Failure::ResultInvalid(reason)
    }

    /// A tool that promises a structure must keep it, except where it speaks of its own failure.
    fn fits_output_schema(&self, result: CallToolResult) -> Result<CallToolResult, String> {
        let Target::Tool { tool, .. } = &self.about.target else { return Ok(result) };
        let Some(schema) = tool.output.as_ref().filter(|_| !result.is_error) else { return Ok(result) };
        let Some(structured) = &result.structured else {
            return Err("it has an output schema and gave no structured result".to_owned());
        };
        let value: Value = serde_json::from_str(structured.as_str()).map_err(|error| error.to_string())?;
        match schema.check(&value) {
            Ok(()) => Ok(result),
            Err(rejection) => Err(rejection.masked),
        }
    }

    fn guest_failure(&self, failure: GuestFailure) -> Failure {
        let (plugin, name) = (self.about.target.plugin(), self.about.target.name());
        match failure {
            GuestFailure::UnknownName => match &self.about.target {
                // A template says what URIs look like, not which there are.
                Target::Resource { .. } | Target::Completion(_) => self.about.target.unknown(),
                Target::Tool { .. } | Target::Prompt { .. } => {
                    tracing::warn!(%plugin, name, "the guest does not know what it listed");
                    Failure::GuestFailed
                }
            },
            GuestFailure::InvalidArguments(text) => Failure::Arguments(mcp::text::line(&text, 1_024)),
            GuestFailure::MissingClientFeature(features) => {
                convert::capability(features).map_or(Failure::GuestFailed, Failure::MissingCapability)
            }
            GuestFailure::Unavailable(text) => {
                tracing::warn!(%plugin, name, reason = %mcp::text::line(&text, 512), "the guest is unavailable");
                Failure::Unavailable
            }
            GuestFailure::Internal(text) => {
                tracing::warn!(%plugin, name, reason = %mcp::text::line(&text, 512), "the guest failed");
                Failure::GuestFailed
            }
        }
    }
}

impl CallRun {
    /// What it says next. Cancel-safe.
    pub(in crate::method) async fn step(&mut self) -> Step {
        let end = loop {
            if let Some(finished) = self.finished.take() {
                // What the guest said before its end comes before its end.
                match self.events.next().await {
                    Some(event) => {
                        self.finished = Some(finished);
                        if let Some(notification) = self.notification(event) {
                            return Step::Notification(notification);
                        }
                        continue;
                    }
                    None => {
                        let end = self.end(*finished);
                        break self.arguments_as_result(end);
                    }
                }
            }
            tokio::select! {
                biased;
                () = self.cancelled.cancelled() => {
                    // The guest ends with its future, now and not when the answer was read.
                    self.guest = Guest::Gone;
                    break Concluded::End(Err(Failure::Cancelled));
                }
                Some(event) = self.events.next() => {
                    if let Some(notification) = self.notification(event) {
                        self.guest.let_go(&self.rooms.tasks);
                        return Step::Notification(notification);
                    }
                }
                finished = self.guest.ended() => self.finished = Some(Box::new(finished)),
            }
        };
        self.in_flight = None;
        Step::End(end)
    }

    /// What ends it from outside.
    pub(in crate::method) fn cancelled_by(&mut self, token: CancellationToken) {
        self.cancelled = token;
    }

    /// The end as the answer of its request: a question goes to the client with everything that is needed to come back with the answer.
    pub(in crate::method) fn answer(&self, concluded: Concluded) -> End {
        let asked = match concluded {
            Concluded::End(end) => return end,
            Concluded::Asks(asked) => asked,
        };
        let about = &self.about;
        let state = self.rooms.dialogs.seal(about, &asked)?;
        let result = InputRequiredResult { requests: asked.questions, state: Some(state) };
        Ok(result.write(about.revision, &self.rooms.implementation))
    }

    /// Arguments that the guest itself refuses are for the model to mend, like those that the schema refuses.
    fn arguments_as_result(&self, end: Concluded) -> Concluded {
        match end {
            Concluded::End(Err(Failure::Arguments(text))) => {
                Concluded::End(self.about.argument_error(text).map(|result| self.rooms.written(&result, self.about.revision)))
            }
            other => other,
        }
    }
}

impl Run for CallRun {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(async move {
            match self.step().await {
                Step::Notification(notification) => Reply::Notification(notification),
                Step::End(concluded) => Reply::End(Box::new(self.answer(concluded))),
            }
        })
    }

    fn reports(&self) -> bool {
        self.about.token.is_some() || self.about.log_level.is_some()
    }

    fn refuse(mut self: Box<Self>, reason: &'static str) {
        self.entry.refused(reason);
    }
}

impl Drop for CallRun {
    /// What the guest said that changed has changed, whether or not anybody waits for its answer.
    fn drop(&mut self) {
        while let Some(event) = self.events.try_next() {
            if let GuestEvent::Changed(_) = event {
                self.notification(event);
            }
        }
    }
}

/// A guest's line in the operator's log. Escaped and cut: a guest must not be able to forge another line.
fn log(target: &Target, line: &LogLine) {
    let (plugin, name) = (target.plugin(), target.name());
    let text = mcp::text::line(&line.data, 2_048);
    let logger = line.logger.as_deref().map(|logger| mcp::text::line(logger, 128)).unwrap_or_default();
    match line.level {
        LogLevel::Debug => tracing::debug!(target: "guest", %plugin, name, logger, "{text}"),
        LogLevel::Info | LogLevel::Notice => tracing::info!(target: "guest", %plugin, name, logger, "{text}"),
        LogLevel::Warning => tracing::warn!(target: "guest", %plugin, name, logger, "{text}"),
        LogLevel::Error | LogLevel::Critical | LogLevel::Alert | LogLevel::Emergency => {
            tracing::error!(target: "guest", %plugin, name, logger, "{text}");
        }
    }
}
