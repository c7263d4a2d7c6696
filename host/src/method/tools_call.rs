//! `tools/call`, in the order of the gates: tool → policy → headers → arguments → slot → guest → result.

mod convert;
mod entry;
mod running;

use super::{Answer, Context, Rooms};
use crate::catalog::Tool;
use crate::failure::Failure;
use crate::outbox::{End, Held, Reply, Run};
use crate::session::InFlight;
use crate::tenant::Slot;
use entry::Entry;
use mcp::Revision;
use mcp::meta::ProgressToken;
use mcp::params::{ARGUMENTS_BYTES_MAX, CallToolParams, arguments_text};
use mcp::progress::{Amount, Progress};
use mcp::result::CallToolResult;
use running::Guest;
use sandbox::contract::{Caller, Failure as GuestFailure, Outcome};
use sandbox::{Call, EventReceiver, Finished, GuestEvent, LogLevel, LogLine, Permit};
use serde_json::Value;
use serde_json::value::RawValue;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) async fn tools_call(rooms: &Arc<Rooms>, context: Context, params: Option<&RawValue>) -> Answer {
    match prepare(rooms, context, params).await {
        Ok(Prepared::Answered(end)) => Answer::Now(Ok(end)),
        Ok(Prepared::Ready(run, revision)) if revision.disconnect_cancels() => Answer::Running(run),
        Ok(Prepared::Ready(run, _)) => Answer::Running(Box::new(Held::new(run, rooms.tasks.clone()))),
        Err(failure) => Answer::Now(Err(failure)),
    }
}

enum Prepared {
    /// Without a guest.
    Answered(mcp::JsonText),
    /// Everything that a guest needs is there.
    Ready(Box<dyn Run>, Revision),
}

async fn prepare(rooms: &Arc<Rooms>, context: Context, params: Option<&RawValue>) -> Result<Prepared, Failure> {
    let params = CallToolParams::read(params)?;
    let revision = context.revision;

    // A tool that is not there and one that the caller may not call are answered alike.
    let unknown = || Failure::UnknownTool(params.name.clone());
    let tool = Arc::clone(context.server.tool(&params.name).ok_or_else(unknown)?);
    let permit = rooms.policy.authorize(&context.caller, &tool).map_err(|_| unknown())?;

    // Rung 6 of the modern ladder needs the tool, so it stands here.
    if !tool.mirrored.is_empty() && revision.result_type() {
        tool.mirrored.check(params.arguments.as_deref(), &|name| context.mirrored.values(name))?;
    }

    let arguments = arguments_text(params.arguments.as_deref());
    if arguments.as_str().len() > ARGUMENTS_BYTES_MAX {
        return Err(Failure::ArgumentsTooLarge);
    }
    let mut entry = Entry::begin(rooms, &context, &tool, arguments.as_str());
    let value: Value = serde_json::from_str(arguments.as_str()).map_err(|_| Failure::Internal)?;
    if let Err(rejection) = tool.input.check(&value) {
        entry.refused("arguments");
        let text = format!("The arguments do not fit the tool's input schema: {}", rejection.full);
        if !revision.argument_errors_are_results() {
            return Err(Failure::Arguments(text));
        }
        return Ok(Prepared::Answered(rooms.written(&CallToolResult::failure(text), revision)));
    }
    drop(value);

    let admitted = if rooms.draining.is_cancelled() {
        Err(Failure::Draining)
    } else {
        rooms.admission.admit(context.caller.tenant()).await.map_err(Failure::NoSlot)
    };
    let slot = match admitted {
        Ok(slot) => slot,
        Err(failure) => {
            entry.refused(failure.word());
            return Err(failure);
        }
    };

    let token = params.meta.progress_token;
    let (sender, events) = sandbox::events(token.is_some());
    let principal = context.caller.principal();
    let call = Call {
        arguments: arguments.into_string(),
        caller: Caller {
            tenant: context.caller.tenant().id.as_str().to_owned(),
            subject: principal.subject.as_deref().map(ToOwned::to_owned),
            scopes: principal.scopes.iter().map(|scope| scope.to_string()).collect(),
            claims: None,
        },
        client: convert::client_features(context.capabilities.as_ref()),
        resume: None,
        meta: params.meta.extra.map(mcp::JsonText::into_string),
        limits: rooms.limits,
        events: Some(sender),
    };
    let run = ToolRun::new(Arc::clone(rooms), revision, tool, token, slot, context.in_flight, entry, permit, call, events);
    Ok(Prepared::Ready(Box::new(run), revision))
}

/// One call of one tool on its way. Dropping it ends the guest and gives the slot back.
struct ToolRun {
    rooms: Arc<Rooms>,
    revision: Revision,
    tool: Arc<Tool>,
    token: Option<ProgressToken>,
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
    fn new(
        rooms: Arc<Rooms>,
        revision: Revision,
        tool: Arc<Tool>,
        token: Option<ProgressToken>,
        slot: Slot,
        in_flight: Option<InFlight>,
        entry: Entry,
        permit: Permit,
        call: Call,
        events: EventReceiver,
    ) -> Self {
        let guest = Guest::new(Arc::clone(&rooms.sandbox), permit, call, slot);
        let cancelled = in_flight.as_ref().map_or_else(CancellationToken::new, |in_flight| in_flight.cancelled.clone());
        Self { rooms, revision, tool, token, guest, finished: None, events, cancelled, in_flight, entry }
    }

    /// What an event becomes for the client; log lines go to the operator.
    fn notification(&self, event: GuestEvent) -> Option<Vec<u8>> {
        match event {
            GuestEvent::Log(line) => {
                log(&self.tool, &line);
                None
            }
            GuestEvent::Progress(report) => {
                let progress = Progress {
                    progress: Amount::new(report.done)?,
                    total: report.total.and_then(Amount::new),
                    message: report.message.map(Into::into),
                };
                Some(progress.write(self.revision, self.token.as_ref()?))
            }
        }
    }

    fn end(&mut self, finished: Finished) -> End {
        finished.stdio.iter().for_each(|line| log(&self.tool, line));
        let usage = finished.usage;
        let dropped = u64::from(usage.log_lines_dropped).saturating_add(usage.stdio_bytes_dropped);
        if dropped > 0 {
            tracing::warn!(
                plugin = %self.tool.plugin,
                tool.name = %self.tool.definition.name,
                log_lines = usage.log_lines_dropped,
                stdio_bytes = usage.stdio_bytes_dropped,
                "the guest wrote more than its log limits; the rest was dropped"
            );
        }
        let tool_error = matches!(&finished.outcome, Ok(Ok(Outcome::Complete(reply))) if reply.is_error);
        let end = self.judge(finished.outcome);
        self.entry.ended(&end, tool_error, &usage);
        tracing::debug!(
            plugin = %self.tool.plugin,
            tool.name = %self.tool.definition.name,
            outcome = end.as_ref().map_or_else(Failure::word, |_| "result"),
            wall_us = micros(usage.wall),
            cpu_us = micros(usage.cpu),
            memory_bytes = usage.memory_bytes,
            "tools/call"
        );
        end
    }

    fn judge(&self, outcome: Result<Result<Outcome, GuestFailure>, sandbox::Fault>) -> End {
        let reply = match outcome {
            Ok(Ok(Outcome::Complete(reply))) => reply,
            Ok(Ok(Outcome::InputRequired(_))) => return Err(Failure::InputNotSupported),
            Ok(Err(failure)) => return Err(self.guest_failure(failure)),
            Err(fault) => {
                tracing::warn!(plugin = %self.tool.plugin, tool.name = %self.tool.definition.name, %fault, "a call was stopped");
                return Err(Failure::Fault(fault));
            }
        };
        let result = convert::result(reply, &self.rooms.json_limits).and_then(|result| self.fits_output_schema(result));
        match result {
            Ok(result) => Ok(self.rooms.written(&result, self.revision)),
            Err(reason) => {
                let reason_line = mcp::text::line(&reason, 512);
                tracing::warn!(plugin = %self.tool.plugin, tool.name = %self.tool.definition.name, reason = %reason_line, "a result was refused");
                Err(Failure::ResultInvalid(reason))
            }
        }
    }

    /// A tool that promises a structure must keep it, except where it speaks of its own failure.
    fn fits_output_schema(&self, result: CallToolResult) -> Result<CallToolResult, String> {
        let Some(schema) = self.tool.output.as_ref().filter(|_| !result.is_error) else { return Ok(result) };
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
        let (plugin, tool) = (&self.tool.plugin, &self.tool.definition.name);
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

impl Run for ToolRun {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(async move {
            let end = loop {
                if let Some(finished) = self.finished.take() {
                    // What the guest said before its end comes before its end.
                    match self.events.next().await {
                        Some(event) => {
                            self.finished = Some(finished);
                            if let Some(notification) = self.notification(event) {
                                return Reply::Notification(notification);
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
                        break Err(Failure::Cancelled);
                    }
                    Some(event) = self.events.next() => {
                        if let Some(notification) = self.notification(event) {
                            self.guest.let_go(&self.rooms.tasks);
                            return Reply::Notification(notification);
                        }
                    }
                    finished = self.guest.ended() => self.finished = Some(Box::new(finished)),
                }
            };
            self.in_flight = None;
            Reply::End(Box::new(end))
        })
    }

    fn reports(&self) -> bool {
        self.token.is_some()
    }

    fn refuse(mut self: Box<Self>, reason: &'static str) {
        self.entry.refused(reason);
    }
}

impl ToolRun {
    /// Arguments that the guest itself refuses are for the model to mend, like those that the schema refuses.
    fn arguments_as_result(&self, end: End) -> End {
        match end {
            Err(Failure::Arguments(text)) if self.revision.argument_errors_are_results() => {
                Ok(self.rooms.written(&CallToolResult::failure(text), self.revision))
            }
            other => other,
        }
    }
}

/// For a log field, which takes no 128 bits.
fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
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
