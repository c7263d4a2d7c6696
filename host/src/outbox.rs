//! Where the messages of one running call go, and where they are read.
//!
//! There is one reader, [`Replies`], and two ways to it. Inline, the reader itself drives the call: dropping it ends the guest, which is
//! what a closed connection means in the modern era. Detached, the call runs in a task of its own and writes into a bounded channel: in
//! the handshake era a closed connection ends nothing.

use crate::failure::Failure;
use mcp::JsonText;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Messages that a detached call may be ahead of its reader.
const AHEAD_MAX: usize = 64;

/// The end of a call: a result, or why there is none.
pub type End = Result<JsonText, Failure>;

/// One message of a call, in the order of their making; the last one is the end.
#[derive(Debug)]
pub enum Reply {
    /// A whole notification.
    Notification(Vec<u8>),
    /// No more comes.
    End(Box<End>),
}

/// A call in progress: yields its notifications, then its end. Cancel-safe between two replies.
pub trait Run: Send {
    /// The next reply. Not asked again after the end.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>>;
}

/// The reader of a call's messages.
pub enum Replies {
    /// It drives the call.
    Inline(Box<dyn Run>),
    /// It reads what the call wrote.
    Detached(mpsc::Receiver<Reply>),
}

impl std::fmt::Debug for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Inline(_) => "Inline",
            Self::Detached(_) => "Detached",
        })
    }
}

impl Replies {
    /// Runs the call in a task of its own, which goes on whether or not anybody reads.
    pub fn detach(mut run: Box<dyn Run>, tasks: &TaskTracker) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD_MAX);
        tasks.spawn(async move {
            loop {
                let reply = run.next().await;
                let over = matches!(reply, Reply::End(_));
                // Nobody reads any more: the call still runs to its end.
                let _ = sender.send(reply).await;
                if over {
                    return;
                }
            }
        });
        Self::Detached(receiver)
    }

    /// The next message. Cancel-safe. After the end, or when the task died, an internal failure.
    pub async fn next(&mut self) -> Reply {
        match self {
            Self::Inline(run) => run.next().await,
            Self::Detached(receiver) => receiver.recv().await.unwrap_or_else(|| Reply::End(Box::new(Err(Failure::Internal)))),
        }
    }

    /// The end, with everything before it dropped: for a client that can take only one JSON body.
    pub async fn end(&mut self) -> End {
        loop {
            if let Reply::End(end) = self.next().await {
                return *end;
            }
        }
    }
}
