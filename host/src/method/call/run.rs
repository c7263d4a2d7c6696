//! One call on its way.

use super::cancel::Cancel;
use super::convert;
use super::entry::Entry;
use super::product::{Ended, Product, Said};
use super::running::Guest;
use super::target::{Target, blamed};
use crate::auth::{Caller, Withheld};
use crate::catalog::Server;
use crate::failure::Failure;
use crate::method::Rooms;
use crate::outbox::{End, Reply, Run};
use crate::scratch;
use crate::session::InFlight;
use crate::tenant::Bill;
use crate::trace::Span;
use mcp::capability::ClientCapabilities;
use mcp::meta::ProgressToken;
use mcp::progress::{Amount, Progress};
use mcp::result::{CallToolResult, InputRequest, InputRequiredResult};
use mcp::{JsonText, Revision};
use sandbox::contract::Failure as GuestFailure;
use sandbox::{EventReceiver, GuestEvent, LogLevel, LogLine, Stream, Usage};
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
    /// Where its guest's scratch directory is kept beyond the call; none: nowhere.
    pub(in crate::method) scratch: Option<Arc<scratch::OfSession>>,
    /// Of its request, which ends with it.
    pub(in crate::method) span: Span,
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

/// What ends a call from outside.
pub(super) struct Ends {
    pub(super) cancelled: Cancel,
    pub(super) revoked: Arc<CancellationToken>,
}

/// One call on its way. Dropping it ends the guest and gives the slot back.
pub(in crate::method) struct CallRun {
    rooms: Arc<Rooms>,
    about: About,
    guest: Guest,
    ended: Option<Box<Ended>>,
    events: EventReceiver,
    /// The guest's own words along the way stay inside: filters look at its answer, and must not be gone around.
    wordless: bool,
    ends: Ends,
    bill: Arc<Bill>,
    /// Given back before the end is told: a client that has its answer may go on at once with the same id.
    in_flight: Option<InFlight>,
    entry: Entry,
}

impl CallRun {
    pub(super) fn new(
        rooms: Arc<Rooms>,
        about: About,
        guest: Guest,
        (in_flight, ends): (Option<InFlight>, Ends),
        entry: Entry,
        (events, wordless, bill): (EventReceiver, bool, Arc<Bill>),
    ) -> Self {
        Self { rooms, about, guest, ended: None, events, wordless, ends, bill, in_flight, entry }
    }

    /// What an event becomes for the client. Log lines go to the operator, whoever else gets them.
    fn notification(&mut self, event: GuestEvent) -> Option<Vec<u8>> {
        match event {
            GuestEvent::Log(line) => {
                log(&self.about.target, &line);
                let level = convert::log_level(line.level);
                self.entry.heard(level, &line.data);
                // What went to standard output is between the guest and the operator.
                let wanted = line.stream == Stream::Log && self.about.log_level.is_some_and(|least| level >= least);
                (wanted && !self.wordless).then(|| {
                    let data = JsonText::parse(line.data.as_str(), &self.rooms.json_limits);
                    let data = data.unwrap_or_else(|_| JsonText::string(&line.data));
                    mcp::write::log_message(level, line.logger.as_deref(), &data)
                })
            }
            GuestEvent::Progress(report) => {
                let progress = Progress {
                    progress: Amount::new(report.done)?,
                    total: report.total.and_then(Amount::new),
                    message: report.message.filter(|_| !self.wordless).map(Into::into),
                };
                Some(progress.write(self.about.revision, self.about.token.as_ref()?))
            }
            GuestEvent::Changed(change) => {
                self.rooms.said(self.about.caller.tenant(), self.about.target.plugin(), self.about.target.guest(), change);
                None
            }
        }
    }

    fn end(&mut self, ended: Ended) -> Concluded {
        for line in &ended.stdio {
            log(&self.about.target, line);
            self.entry.heard(convert::log_level(line.level), &line.data);
        }
        let usage = ended.usage;
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
        let (mut shown, mut is_error): (Option<CallToolResult>, bool) = (None, false);
        let end = match ended.outcome {
            Ok(Ok(Said::Product(Product::Asks(asked)))) => match self.askable(asked) {
                Ok(asked) => {
                    self.entry.asked(&usage);
                    self.tell("input_required", &usage);
                    return Concluded::Asks(asked);
                }
                Err(failure) => Err(failure),
            },
            Ok(Ok(Said::Product(product))) => {
                is_error = product.is_error();
                Ok(product.write(self.about.revision, &self.rooms.implementation))
            }
            Ok(Ok(Said::Invalid(reason))) => Err(self.invalid(reason)),
            Ok(Ok(Said::Arguments { shown: result, text })) => {
                shown = Some(result);
                Err(Failure::Arguments(text))
            }
            Ok(Ok(Said::Revoked)) => Err(Failure::Revoked),
            Ok(Ok(Said::Withheld(Withheld(by)))) => Err(Failure::ResultWithheld { by: blamed(by) }),
            Ok(Err(failure)) => Err(self.guest_failure(failure)),
            Err(fault) => {
                tracing::warn!(plugin = %self.about.target.plugin(), name = self.about.target.name(), %fault, "a call was stopped");
                Err(Failure::Fault(fault))
            }
        };
        self.judge(end.as_ref().is_err_and(Failure::is_fall));
        self.bill.sent(end.as_ref().map_or(0, |result| result.as_str().len()));
        self.entry.ended(&end, is_error, &usage);
        self.tell(end.as_ref().map_or_else(Failure::word, |_| "result"), &usage);
        Concluded::End(match shown.filter(|_| self.about.shows_argument_errors()) {
            // Arguments that the guest itself refuses are for the model to mend, like those that the schema refuses.
            Some(shown) => Ok(self.rooms.written(&shown, self.about.revision)),
            None => end,
        })
    }

    /// What falls again and again is left alone for a while. One line says so, and none follows until it is tried again.
    fn judge(&self, has_fallen: bool) {
        let tenant = self.about.caller.tenant();
        if let Some((opened, refused)) = self.rooms.admission.ended(tenant, &self.about, has_fallen) {
            tracing::warn!(
                tenant = tenant.id.as_str(),
                plugin = %self.about.target.plugin(),
                name = self.about.target.name(),
                calls = opened.calls,
                falls = opened.falls,
                refused_s = refused.as_secs(),
                "it falls again and again; this caller's calls of it are refused for a while"
            );
        }
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
    fn askable(&self, asked: Asked) -> Result<Asked, Failure> {
        let modern = self.about.revision.disconnect_cancels();
        if !modern && !self.about.in_session {
            return Err(Failure::InputNotSupported);
        }
        let can = |question: &&InputRequest| self.about.capabilities.as_ref().is_some_and(|client| client.has(&question.needs));
        match asked.questions.iter().find(|question| !can(question)) {
            Some(question) => Err(Failure::MissingCapability(question.needs.clone())),
            None => Ok(asked),
        }
    }

    fn invalid(&self, reason: String) -> Failure {
        let line = mcp::text::line(&reason, 512);
        tracing::warn!(plugin = %self.about.target.plugin(), name = self.about.target.name(), reason = %line, "a result was refused");
        Failure::ResultInvalid(reason)
    }

    fn guest_failure(&mut self, failure: GuestFailure) -> Failure {
        match &failure {
            GuestFailure::Internal(text) | GuestFailure::Unavailable(text) => self.entry.heard(mcp::params::LogLevel::Error, text),
            GuestFailure::UnknownName => self.entry.heard(mcp::params::LogLevel::Error, "the guest does not know what it listed"),
            GuestFailure::InvalidArguments(_) | GuestFailure::MissingClientFeature(_) => {}
        }
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
            if let Some(ended) = self.ended.take() {
                // What the guest said before its end comes before its end.
                match self.events.next().await {
                    Some(event) => {
                        self.ended = Some(ended);
                        if let Some(notification) = self.notification(event) {
                            self.bill.sent(notification.len());
                            return Step::Notification(notification);
                        }
                        continue;
                    }
                    None => break self.end(*ended),
                }
            }
            if self.ends.cancelled.is_cancelled() {
                // The guest ends with its future, now and not when the answer was read.
                self.guest = Guest::Gone;
                // What a revocation ends is told as that, though it ends the session too.
                break Concluded::End(Err(if self.ends.revoked.is_cancelled() { Failure::Revoked } else { Failure::Cancelled }));
            }
            tokio::select! {
                biased;
                Some(event) = self.events.next() => {
                    if let Some(notification) = self.notification(event) {
                        self.bill.sent(notification.len());
                        self.guest.let_go(&self.rooms.tasks);
                        return Step::Notification(notification);
                    }
                }
                ended = self.guest.ended() => {
                    if !self.ends.cancelled.is_cancelled() {
                        self.ended = Some(Box::new(ended));
                    }
                }
                // Last, because most guests end before there is anybody to wait for.
                () = self.ends.cancelled.cancelled() => {}
            }
        };
        self.in_flight = None;
        Step::End(end)
    }

    /// What ends it from outside.
    pub(in crate::method) fn cancelled_by(&mut self, cancelled: impl Into<Cancel>) {
        self.ends.cancelled = cancelled.into();
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
        if self.ends.revoked.is_cancelled() {
            self.entry.without_answer(&Failure::Revoked);
        }
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
