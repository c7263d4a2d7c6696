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
use std::task::{Context, Poll, ready};
use std::time::Duration;
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
pub(crate) struct Demotable<'a, T> {
    place: Place<T>,
    pulse: Arc<Pulse>,
    elsewhere: Elsewhere<'a>,
}

/// Where a call goes on that computes for long.
pub(crate) struct Elsewhere<'a> {
    pub(crate) runtime: &'a Handle,
    /// The turns that are taken there, and whose; none: it runs whenever a thread is free.
    pub(crate) turns: Option<(&'a fair::Places, fair::Share)>,
}

enum Place<T> {
    Here(Metered<T>),
    There(JoinHandle<T>),
    Gone,
}

impl<'a, T: Send + 'static> Demotable<'a, T> {
    /// With a claim it is taken for a long one from the start, and goes elsewhere at once: the guests of its share compute already, and have to wait
    /// for each other.
    pub(crate) fn new(
        call: Pin<Box<dyn Future<Output = T> + Send>>,
        pulse: Arc<Pulse>,
        elsewhere: Elsewhere<'a>,
        claim: Option<fair::Claim>,
    ) -> Self {
        let call = Metered { call, pulse: Arc::clone(&pulse) };
        let place = match claim {
            Some(claim) => Place::There(elsewhere.go_on(call, Some(claim))),
            None => Place::Here(call),
        };
        Self { place, pulse, elsewhere }
    }
}

impl Elsewhere<'_> {
    /// It stands in line from now on, though the other runtime may not come to it soon.
    fn go_on<T: Send + 'static>(&self, call: Metered<T>, claim: Option<fair::Claim>) -> JoinHandle<T> {
        match &self.turns {
            Some((turns, share)) => {
                let asking = claim.map_or_else(|| turns.ask(share), fair::Claim::ask);
                self.runtime.spawn(InTurns { call, turns: (*turns).clone(), share: share.clone(), asking: Some(asking) })
            }
            None => self.runtime.spawn(call),
        }
    }
}

impl<T: Send + 'static> Future for Demotable<'_, T> {
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
                        self.place = Place::There(self.elsewhere.go_on(call, None));
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

impl<T> Drop for Demotable<'_, T> {
    fn drop(&mut self) {
        if let Place::There(call) = &self.place {
            call.abort();
        }
    }
}

/// A guest's slice is as long as the epoch's tick. One that took longer, in one long copy say, has had so many.
const SLICE: Duration = Duration::from_millis(1);

/// Polls a call only when it is its share's turn. What waits for something outside has no turn meanwhile.
struct InTurns<T> {
    call: Metered<T>,
    turns: fair::Places,
    share: fair::Share,
    asking: Option<fair::Asking>,
}

impl<T> Future for InTurns<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let asking = this.asking.get_or_insert_with(|| this.turns.ask(&this.share));
        let turn = ready!(Pin::new(asking).poll(context));
        this.asking = None;
        this.call.pulse.interrupted.store(false, Relaxed);
        let before = this.call.pulse.spent.cpu();
        let polled = Pin::new(&mut this.call).poll(context);
        let slices = (this.call.pulse.spent.cpu().saturating_sub(before)).as_nanos() / SLICE.as_nanos();
        if slices > 1 {
            turn.costs_more(u64::try_from(slices - 1).unwrap_or(u64::MAX));
        }
        if polled.is_pending() && this.call.pulse.interrupted.load(Relaxed) {
            // It goes on: back into line before the turn is given up. The runtime would poll it again only when it has nothing else to do, and
            // a share whose guests are not in line loses its turns to others.
            let mut asking = this.turns.ask(&this.share);
            drop(turn);
            if let Poll::Ready(turn) = Pin::new(&mut asking).poll(context) {
                context.waker().wake_by_ref();
                asking = fair::Asking::of(turn);
            }
            this.asking = Some(asking);
        }
        polled
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
