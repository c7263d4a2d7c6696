//! A dialog of the handshake era (decision 13): the tool asks, the host sends each question as a request of its own on the call's stream,
//! and calls the tool again, in a new instance, when the client has answered.

use super::run::{Asked, Concluded, Step, ToolRun};
use super::{Start, Started};
use crate::auth::Caller;
use crate::catalog::{Server, Tool};
use crate::failure::Failure;
use crate::method::Rooms;
use crate::outbox::{Reply, Run};
use crate::session::{InFlight, Question, Session};
use mcp::capability::ClientCapabilities;
use mcp::meta::ProgressToken;
use mcp::params::LogLevel;
use mcp::{JsonText, Revision};
use sandbox::contract::Resume;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How often a tool may ask in one call.
const ROUNDS_MAX: u32 = 8;

/// What is needed to call the tool again.
pub(super) struct Again {
    caller: Caller,
    server: Arc<Server>,
    tool: Arc<Tool>,
    revision: Revision,
    capabilities: Option<ClientCapabilities>,
    arguments: JsonText,
    meta: Option<JsonText>,
    token: Option<ProgressToken>,
    log_level: Option<LogLevel>,
    wall: Duration,
}

impl Again {
    pub(super) fn of(start: &Start) -> Self {
        Self {
            caller: start.caller.clone(),
            server: Arc::clone(&start.server),
            tool: Arc::clone(&start.tool),
            revision: start.revision,
            capabilities: start.capabilities.clone(),
            arguments: start.arguments.clone(),
            meta: start.meta.clone(),
            token: start.token.clone(),
            log_level: start.log_level,
            wall: start.wall,
        }
    }
}

/// A call that may ask.
pub(super) struct Asking {
    rooms: Arc<Rooms>,
    session: Arc<Session>,
    again: Again,
    /// Held over all rounds: cancelled by its request's id, whatever it is doing.
    in_flight: Option<InFlight>,
    run: Option<Box<ToolRun>>,
    /// Questions that are to be sent.
    unsent: VecDeque<Vec<u8>>,
    /// Questions that are open, each with its key.
    open: Vec<(Box<str>, Question)>,
    answers: Vec<(String, String)>,
    state: Vec<u8>,
    rounds: u32,
}

impl Asking {
    pub(super) fn new(rooms: Arc<Rooms>, session: Arc<Session>, again: Again, in_flight: Option<InFlight>, mut run: Box<ToolRun>) -> Self {
        if let Some(in_flight) = &in_flight {
            run.cancelled_by(in_flight.cancelled.clone());
        }
        let (unsent, open, answers, state) = (VecDeque::new(), Vec::new(), Vec::new(), Vec::new());
        Self { rooms, session, again, in_flight, run: Some(run), unsent, open, answers, state, rounds: 0 }
    }

    async fn go_on(&mut self) -> Reply {
        let end = loop {
            if let Some(question) = self.unsent.pop_front() {
                return Reply::Question(question);
            }
            let concluded = match self.run.as_mut() {
                Some(run) => match run.step().await {
                    Step::Notification(notification) => return Reply::Notification(notification),
                    Step::End(concluded) => concluded,
                },
                None => match self.answered().await {
                    Ok(()) => continue,
                    Err(failure) => break Err(failure),
                },
            };
            // The instance is gone, and with it its slot: a client that thinks for long holds nothing.
            self.run = None;
            match concluded {
                Concluded::End(end) => break end,
                Concluded::Asks(asked) => {
                    if let Err(failure) = self.ask(asked) {
                        break Err(failure);
                    }
                }
            }
        };
        self.in_flight = None;
        self.open.clear();
        Reply::End(Box::new(end))
    }

    fn ask(&mut self, asked: Asked) -> Result<(), Failure> {
        self.rounds += 1;
        if self.rounds > ROUNDS_MAX {
            return Err(Failure::TooManyRounds);
        }
        (self.state, self.answers) = (asked.state, Vec::new());
        for request in &asked.questions {
            let (Some(method), question) = (request.method(), self.session.ask()) else { return Err(Failure::Internal) };
            let params = super::convert::legacy_question(request, self.again.revision);
            self.unsent.push_back(mcp::write::request(&question.id, method, Some(&params)));
            self.open.push((request.key.clone(), question));
        }
        Ok(())
    }

    /// Waits for one answer, or for the last of them and calls the tool again.
    async fn answered(&mut self) -> Result<(), Failure> {
        let patience = self.rooms.task_store.limits().answer;
        if let Some((key, question)) = self.open.last_mut() {
            let cancelled = self.in_flight.as_ref().map(|in_flight| in_flight.cancelled.clone());
            let cancelled = async {
                match cancelled {
                    Some(cancelled) => cancelled.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                biased;
                () = cancelled => return Err(Failure::Cancelled),
                answer = tokio::time::timeout(patience, question.answer()) => answer.map_err(|_| Failure::NoAnswer)?,
            };
            // A client that refuses has not answered: the tool is told by the answer's absence.
            if let Some(answer) = answer {
                self.answers.push((key.to_string(), answer.into_string()));
            }
            self.open.pop();
            return Ok(());
        }
        let again = &self.again;
        let permit = self.rooms.policy.authorize(&again.caller, &again.tool);
        let start = Start {
            caller: again.caller.clone(),
            server: Arc::clone(&again.server),
            tool: Arc::clone(&again.tool),
            permit: permit.map_err(|_| Failure::UnknownTool(again.tool.definition.name.clone()))?,
            revision: again.revision,
            capabilities: again.capabilities.clone(),
            arguments: again.arguments.clone(),
            meta: again.meta.clone(),
            token: again.token.clone(),
            log_level: again.log_level,
            in_session: true,
            in_flight: None,
            resume: Some(Resume { answers: std::mem::take(&mut self.answers), state: std::mem::take(&mut self.state) }),
            wall: again.wall,
        };
        match start.run(&self.rooms).await? {
            Started::Running(mut run) => {
                if let Some(in_flight) = &self.in_flight {
                    run.cancelled_by(in_flight.cancelled.clone());
                }
                self.run = Some(run);
                Ok(())
            }
            // The arguments fitted the first time.
            Started::Answered(_) => Err(Failure::Internal),
        }
    }
}

impl Run for Asking {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self.go_on())
    }

    fn reports(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.reports())
    }

    fn connection_max(&self) -> Option<Duration> {
        self.again.tool.connection_max
    }

    fn refuse(mut self: Box<Self>, reason: &'static str) {
        if let Some(run) = self.run.take() {
            run.refuse(reason);
        }
    }
}
