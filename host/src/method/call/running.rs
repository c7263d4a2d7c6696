//! The guest of a running call: who drives it.

use crate::tenant::Slot;
use sandbox::{Call, Fault, Finished, Permit, Sandbox, Usage};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// A guest with its call's slot. Dropping it ends the guest and gives the slot back.
pub(super) enum Guest {
    /// Whoever reads the replies drives it: no other thread, no task.
    Here(Pin<Box<dyn Future<Output = Finished> + Send>>),
    /// It runs by itself.
    There(AbortOnDropHandle<Finished>),
    /// It ended.
    Gone,
}

impl Guest {
    pub(super) fn new(sandbox: Arc<Sandbox>, permit: Permit, call: Call, slot: Slot) -> Self {
        Self::Here(Box::pin(async move {
            // Given back when the guest is gone, whenever its answer is read.
            let _slot = slot;
            sandbox.call(permit, call).await
        }))
    }

    /// Lets it run by itself from now on.
    ///
    /// Once a client has something to read, it may stop reading. Were it still the reader that drives, the guest would then stand still
    /// for as long as the connection is open: with its slot and its memory, and out of reach of its time limit.
    pub(super) fn let_go(&mut self, tasks: &TaskTracker) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Here(call) => Self::There(AbortOnDropHandle::new(tasks.spawn(call))),
            other => other,
        };
    }

    /// Its end, which comes once. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Finished {
        let finished = match self {
            Self::Here(call) => call.await,
            Self::There(task) => task.await.unwrap_or_else(|error| Finished {
                outcome: Err(Fault::Engine(error.to_string())),
                usage: Usage::default(),
                stdio: Vec::new(),
            }),
            Self::Gone => std::future::pending().await,
        };
        *self = Self::Gone;
        finished
    }
}
