//! A dialog of the handshake era (decision 13): the tool asks, the host sends each question as a request of its own on the call's stream,
//! and calls the tool again, in a new instance, when the client has answered.

use super::cancel::Cancel;
use super::run::{About, Asked, CallRun, Concluded, Step};
use super::{Start, Started};
use crate::failure::Failure;
use crate::method::Rooms;
use crate::outbox::{Reply, Run};
use crate::revocation::Running;
use crate::session::{InFlight, Question, Session};
use sandbox::contract::Resume;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How often a tool may ask in one call.
const ROUNDS_MAX: u32 = 8;

/// A call that may ask.
pub(super) struct Asking {
    rooms: Arc<Rooms>,
    session: Arc<Session>,
    again: About,
    /// Held over all rounds: cancelled by its request's id, whatever it is doing.
    in_flight: Option<InFlight>,
    /// Held likewise: a revocation ends it while it waits, too.
    running: Arc<Running>,
    run: Option<Box<CallRun>>,
    /// Questions that are to be sent.
    unsent: VecDeque<Vec<u8>>,
    /// Questions that are open, each with its key.
    open: Vec<(Box<str>, Question)>,
    answers: Vec<(String, String)>,
    state: Vec<u8>,
    rounds: u32,
}

impl Asking {
    pub(super) fn new(
        rooms: Arc<Rooms>,
        session: Arc<Session>,
        again: About,
        (in_flight, running): (Option<InFlight>, Arc<Running>),
        mut run: Box<CallRun>,
    ) -> Self {
        if let Some(in_flight) = &in_flight {
            run.cancelled_by(in_flight.cancelled.clone());
        }
        let (unsent, open, answers, state) = (VecDeque::new(), Vec::new(), Vec::new(), Vec::new());
        Self { rooms, session, again, in_flight, running, run: Some(run), unsent, open, answers, state, rounds: 0 }
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
        if let Err(failure) = &end {
            self.rooms.refused(&self.again.span, failure, self.again.revision.era());
        }
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
        let patience = self.rooms.sessions.limits().answer_timeout;
        if let Some((key, question)) = self.open.last_mut() {
            let cancelled = Cancel::of(self.in_flight.as_ref());
            let answer = tokio::select! {
                biased;
                () = self.running.revoked.cancelled() => return Err(Failure::Revoked),
                () = cancelled.cancelled() => return Err(Failure::Cancelled),
                answer = tokio::time::timeout(patience, question.answer()) => answer.map_err(|_| Failure::NoAnswer)?,
            };
            // A client that refuses has not answered: the tool is told by the answer's absence.
            if let Some(answer) = answer {
                self.answers.push((key.to_string(), answer.into_string()));
            }
            self.open.pop();
            return Ok(());
        }
        // The answer may have taken its time: the rules of now count.
        let caller = self.rooms.generation.load().authenticator.renew(&self.again.caller);
        self.again.caller = caller.ok_or_else(|| self.again.target.unknown())?;
        let again = &self.again;
        let authorized = super::authorize(&self.rooms, (&again.caller, &again.server), &again.target, again.revision, &again.span).await?;
        let resume = Resume { answers: std::mem::take(&mut self.answers), state: std::mem::take(&mut self.state) };
        let start =
            Start { about: self.again.clone(), authorized, in_flight: None, resume: Some(resume), running: Arc::clone(&self.running) };
        let cancelled = Cancel::of(self.in_flight.as_ref());
        match start.unless(&cancelled, &self.rooms).await? {
            Started::Running(mut run) => {
                run.cancelled_by(cancelled);
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
        self.again.target.connection_max()
    }

    fn refuse(mut self: Box<Self>, reason: &'static str) {
        if let Some(run) = self.run.take() {
            run.refuse(reason);
        }
    }
}
