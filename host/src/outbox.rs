//! The messages of one running call, and who drives it.
//!
//! Whoever reads a run drives it: dropping it ends the guest, which is what a closed connection means in the modern era. In the handshake
//! era a closed connection ends nothing, so there a run is [`Held`]: dropped in the middle, it goes on by itself.

use crate::failure::Failure;
use mcp::JsonText;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// The end of a call: a result, or why there is none.
pub type End = Result<JsonText, Failure>;

/// One message of a call, in the order of their making; the last one is the end.
#[derive(Debug)]
pub enum Reply {
    /// A whole notification.
    Notification(Vec<u8>),
    /// A request to the client (handshake era): the call goes on when it was answered.
    Question(Vec<u8>),
    /// No more comes.
    End(Box<End>),
}

/// A call in progress: yields its notifications, then its end. Begins when the first reply is asked for.
pub trait Run: Send {
    /// The next reply. Cancel-safe. Not asked again after the end.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>>;

    /// Whether its client asked to be told of its progress.
    fn reports(&self) -> bool;

    /// Whether it has no end of its own: then it has no place in one JSON body.
    fn is_endless(&self) -> bool {
        false
    }

    /// How long its connection is to stay open, if its tool said so.
    fn connection_max(&self) -> Option<Duration> {
        None
    }

    /// It is not begun, for that reason.
    fn refuse(self: Box<Self>, reason: &'static str);
}

impl std::fmt::Debug for dyn Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Run")
    }
}

/// The end of a call, with everything before it dropped: for a client that can take only one JSON body.
pub async fn end(run: &mut dyn Run) -> End {
    loop {
        match run.next().await {
            Reply::End(end) => return *end,
            Reply::Notification(_) => {}
            // One JSON body has no place for it.
            Reply::Question(_) => return Err(Failure::InputNotSupported),
        }
    }
}

/// A call that runs to its end once it was begun, whether or not anybody drives it.
pub struct Held {
    run: Option<Box<dyn Run>>,
    begun: bool,
    /// The last thing that it said was a question: dropped now, it would wait for an answer that cannot come.
    asked: bool,
    tasks: TaskTracker,
}

impl Held {
    /// Holds a run. `tasks` takes it over when it is dropped in the middle.
    pub fn new(run: Box<dyn Run>, tasks: TaskTracker) -> Self {
        Self { run: Some(run), begun: false, asked: false, tasks }
    }
}

impl Run for Held {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        self.begun = true;
        Box::pin(async {
            let Some(run) = self.run.as_mut() else { return Reply::End(Box::new(Err(Failure::Internal))) };
            let reply = run.next().await;
            self.asked = matches!(reply, Reply::Question(_));
            if matches!(reply, Reply::End(_)) {
                self.run = None;
            }
            reply
        })
    }

    fn reports(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.reports())
    }

    fn connection_max(&self) -> Option<Duration> {
        self.run.as_ref()?.connection_max()
    }

    fn refuse(mut self: Box<Self>, reason: &'static str) {
        if let Some(run) = self.run.take() {
            run.refuse(reason);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut run) = self.run.take().filter(|_| self.begun && !self.asked) {
            self.tasks.spawn(async move { drop(end(&mut *run).await) });
        }
    }
}
