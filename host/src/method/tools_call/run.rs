//! One call of one tool on its way.

use super::entry::Entry;
use super::running::Guest;
use super::{convert, dialog};
use crate::auth::Caller;
use crate::catalog::Tool;
use crate::config::ServerId;
use crate::failure::Failure;
use crate::method::Rooms;
use crate::outbox::{End, Reply, Run};
use crate::session::InFlight;
use crate::tenant::Slot;
use mcp::capability::ClientCapabilities;
use mcp::meta::ProgressToken;
use mcp::progress::{Amount, Progress};
use mcp::result::{CallToolResult, InputRequest, InputRequiredResult};
use mcp::{JsonText, Revision};
use sandbox::contract::{Failure as GuestFailure, Outcome};
use sandbox::{Call, EventReceiver, Finished, GuestEvent, LogLevel, LogLine, Permit, Stream, Usage};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a run has to know of its call.
pub(super) struct About {
    pub(super) caller: Caller,
    pub(super) server: Option<ServerId>,
    pub(super) tool: Arc<Tool>,
    pub(super) arguments: JsonText,
    pub(super) capabilities: Option<ClientCapabilities>,
    pub(super) revision: Revision,
    pub(super) token: Option<ProgressToken>,
    /// The least level of the log lines that the client wants.
    pub(super) log_level: Option<mcp::params::LogLevel>,
    pub(super) in_session: bool,
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

/// One call of one tool on its way. Dropping it ends the guest and gives the slot back.
pub(in crate::method) struct ToolRun {
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

impl ToolRun {
    #[expect(clippy::too_many_arguments, reason = "called once; a struct for it would repeat these names a third time")]
    pub(super) fn new(
        rooms: Arc<Rooms>,
        about: About,
        slot: Slot,
        in_flight: Option<InFlight>,
        entry: Entry,
        permit: Permit,
        call: Call,
        events: EventReceiver,
    ) -> Self {
        let guest = Guest::new(Arc::clone(&rooms.sandbox), permit, call, slot);
        let cancelled = in_flight.as_ref().map_or_else(CancellationToken::new, |in_flight| in_flight.cancelled.clone());
        Self { rooms, about, guest, finished: None, events, cancelled, in_flight, entry }
    }

    /// What an event becomes for the client. Log lines go to the operator, whoever else gets them.
    fn notification(&self, event: GuestEvent) -> Option<Vec<u8>> {
        match event {
            GuestEvent::Log(line) => {
                log(&self.about.tool, &line);
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
        }
    }

    fn end(&mut self, finished: Finished) -> Concluded {
        finished.stdio.iter().for_each(|line| log(&self.about.tool, line));
        let usage = finished.usage;
        let dropped = u64::from(usage.log_lines_dropped).saturating_add(usage.stdio_bytes_dropped);
        if dropped > 0 {
            tracing::warn!(
                plugin = %self.about.tool.plugin,
                tool.name = %self.about.tool.definition.name,
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
            Ok(Ok(Outcome::Complete(reply))) => {
                let is_error = reply.is_error;
                let end = self.result(reply);
                self.entry.ended(&end, is_error, &usage);
                end
            }
            Ok(Err(failure)) => Err(self.guest_failure(failure)),
            Err(fault) => {
                let tool = &self.about.tool;
                tracing::warn!(plugin = %tool.plugin, tool.name = %tool.definition.name, %fault, "a call was stopped");
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
            plugin = %self.about.tool.plugin,
            tool.name = %self.about.tool.definition.name,
            outcome,
            wall_us = super::micros(usage.wall),
            cpu_us = super::micros(usage.cpu),
            memory_bytes = usage.memory_bytes,
            "tools/call"
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

    fn result(&self, reply: sandbox::contract::Reply) -> End {
        let result = convert::result(reply, &self.rooms.json_limits).and_then(|result| self.fits_output_schema(result));
        match result {
            Ok(result) => Ok(self.rooms.written(&result, self.about.revision)),
            Err(reason) => Err(self.invalid(reason)),
        }
    }

    fn invalid(&self, reason: String) -> Failure {
        let line = mcp::text::line(&reason, 512);
        let tool = &self.about.tool;
        tracing::warn!(plugin = %tool.plugin, tool.name = %tool.definition.name, reason = %line, "a result was refused");
        Failure::ResultInvalid(reason)
    }

    /// A tool that promises a structure must keep it, except where it speaks of its own failure.
    fn fits_output_schema(&self, result: CallToolResult) -> Result<CallToolResult, String> {
        let Some(schema) = self.about.tool.output.as_ref().filter(|_| !result.is_error) else { return Ok(result) };
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
        let (plugin, tool) = (&self.about.tool.plugin, &self.about.tool.definition.name);
        match failure {
            GuestFailure::UnknownName => {
                tracing::warn!(%plugin, tool.name = %tool, "the guest does not know a tool that it listed");
                Failure::GuestFailed
            }
            GuestFailure::InvalidArguments(text) => Failure::Arguments(mcp::text::line(&text, 1_024)),
            GuestFailure::MissingClientFeature(features) => {
                convert::capability(features).map_or(Failure::GuestFailed, Failure::MissingCapability)
            }
            GuestFailure::Unavailable(text) => {
                tracing::warn!(%plugin, tool.name = %tool, reason = %mcp::text::line(&text, 512), "the guest is unavailable");
                Failure::Unavailable
            }
            GuestFailure::Internal(text) => {
                tracing::warn!(%plugin, tool.name = %tool, reason = %mcp::text::line(&text, 512), "the guest failed");
                Failure::GuestFailed
            }
        }
    }
}

impl ToolRun {
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
        let subject = dialog::Subject {
            caller: &about.caller,
            server: about.server.as_ref(),
            tool: &about.tool.definition.name,
            arguments: &about.arguments,
        };
        let state = self.rooms.dialogs.seal(&subject, &asked)?;
        let result = InputRequiredResult { requests: asked.questions, state: Some(state) };
        Ok(result.write(about.revision, &self.rooms.implementation))
    }

    /// Arguments that the guest itself refuses are for the model to mend, like those that the schema refuses.
    fn arguments_as_result(&self, end: Concluded) -> Concluded {
        match end {
            Concluded::End(Err(Failure::Arguments(text))) if self.about.revision.argument_errors_are_results() => {
                Concluded::End(Ok(self.rooms.written(&CallToolResult::failure(text), self.about.revision)))
            }
            other => other,
        }
    }
}

impl Run for ToolRun {
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

/// A guest's line in the operator's log. Escaped and cut: a guest must not be able to forge another line.
fn log(tool: &Tool, line: &LogLine) {
    let (plugin, name) = (&tool.plugin, &tool.definition.name);
    let text = mcp::text::line(&line.data, 2_048);
    let logger = line.logger.as_deref().map(|logger| mcp::text::line(logger, 128)).unwrap_or_default();
    match line.level {
        LogLevel::Debug => tracing::debug!(target: "guest", %plugin, tool.name = %name, logger, "{text}"),
        LogLevel::Info | LogLevel::Notice => tracing::info!(target: "guest", %plugin, tool.name = %name, logger, "{text}"),
        LogLevel::Warning => tracing::warn!(target: "guest", %plugin, tool.name = %name, logger, "{text}"),
        LogLevel::Error | LogLevel::Critical | LogLevel::Alert | LogLevel::Emergency => {
            tracing::error!(target: "guest", %plugin, tool.name = %name, logger, "{text}");
        }
    }
}
