//! Runs a call where it is polled, and moves it away once it turns out to be long.
//!
//! Most calls end within microseconds: a hop to another thread would cost them more than they do. A guest that computes on until
//! the epoch interrupts it is moved to another runtime, so that it never delays anybody else's input and output: a call to threads of low
//! priority, a decision of a policy to threads of its own, where it does not stand behind calls that compute for seconds.
//! (Yielding alone does not help: a task that wakes itself keeps a worker from its I/O driver for 61 polls.)

use crate::meter::Spent;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// What a call and whoever polls it share.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) spent: Arc<Spent>,
    /// The epoch interrupted the guest: it is not a short call.
    pub(crate) interrupted: AtomicBool,
}

/// A call in progress. Dropping it ends the guest, wherever it runs.
pub(crate) struct Demotable<T> {
    place: Place<T>,
    pulse: Arc<Pulse>,
    elsewhere: Handle,
}

enum Place<T> {
    Here(Metered<T>),
    There(JoinHandle<T>),
    Gone,
}

impl<T: Send + 'static> Demotable<T> {
    pub(crate) fn new(call: impl Future<Output = T> + Send + 'static, pulse: Arc<Pulse>, elsewhere: Handle) -> Self {
        Self { place: Place::Here(Metered { call: Box::pin(call), pulse: Arc::clone(&pulse) }), pulse, elsewhere }
    }
}

impl<T: Send + 'static> Future for Demotable<T> {
    /// An error says that the call panicked in the other runtime, or that this one is shutting down.
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Place::Here(call) = &mut self.place {
            match Pin::new(call).poll(context) {
                Poll::Ready(done) => {
                    self.place = Place::Gone;
                    return Poll::Ready(Ok(done));
                }
                Poll::Pending if !self.pulse.interrupted.load(Relaxed) => return Poll::Pending,
                Poll::Pending => {
                    if let Place::Here(call) = std::mem::replace(&mut self.place, Place::Gone) {
                        self.place = Place::There(self.elsewhere.spawn(call));
                    }
                }
            }
        }
        match &mut self.place {
            Place::There(call) => Pin::new(call).poll(context),
            // Polled again after it was done, which no executor does.
            Place::Here(_) | Place::Gone => Poll::Pending,
        }
    }
}

impl<T> Drop for Demotable<T> {
    fn drop(&mut self) {
        if let Place::There(call) = &self.place {
            call.abort();
        }
    }
}

/// Adds each poll's processor time to the meter.
struct Metered<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    pulse: Arc<Pulse>,
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.pulse.spent.cpu.begin();
        let polled = self.call.as_mut().poll(context);
        self.pulse.spent.cpu.end();
        polled
    }
}
