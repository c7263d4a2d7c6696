//! The end of a line: who would stand in it waits outside while there are too many of its share in it.

use crate::{ForgetGone, Places, Queue, Share};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// A place that is going to be asked for. Until it is dropped it counts as one that its share wants.
#[derive(Debug)]
pub struct Claim {
    places: Places,
    share: Share,
}

/// A claim to come. Cancel-safe: who does not wait any more is passed over.
#[derive(Debug)]
pub struct Claiming(Claimed);

#[derive(Debug)]
enum Claimed {
    Now(Option<Claim>),
    Waits { comes: oneshot::Receiver<Claim>, _outside: Outside },
}

/// One that waits outside; it counts as such until it is dropped.
#[derive(Debug)]
struct Outside(Share);

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.0.claiming.fetch_sub(1, Relaxed);
    }
}

/// Who has a claim from now on, and does not know it yet.
pub(crate) type Entering = Option<(Claim, oneshot::Sender<Claim>)>;

/// Outside of the lock: who went away in this moment drops the claim, and that gives it to the next.
pub(crate) fn give(entering: Entering) {
    if let Some((claim, enters)) = entering {
        drop(enters.send(claim));
    }
}

impl Places {
    /// A claim, when less than `most` of the share have or want a place and nobody has come before. From now on that is the share's `most`.
    pub fn claim(&self, share: &Share, most: usize) -> Claiming {
        share.0.most.store(most, Relaxed);
        let mut queue = self.0.queue.lock();
        if let Some(line) = queue.claimants.get_mut(&share.0.id) {
            line.forget_gone();
            if line.is_empty() {
                queue.claimants.remove(&share.0.id);
            }
        }
        if share.wanted() < most && !queue.claimants.contains_key(&share.0.id) {
            return Claiming(Claimed::Now(Some(self.claimed(share))));
        }
        let (enters, comes) = oneshot::channel();
        queue.claimants.entry(share.0.id).or_default().push_back(enters);
        share.0.claiming.fetch_add(1, Relaxed);
        drop(queue);
        Claiming(Claimed::Waits { comes, _outside: Outside(share.clone()) })
    }

    /// Only under the lock.
    fn claimed(&self, share: &Share) -> Claim {
        self.enters(share);
        share.0.claims.fetch_add(1, Relaxed);
        Claim { places: self.clone(), share: share.clone() }
    }

    pub(crate) fn next_claim(&self, queue: &mut Queue, share: &Share) -> Entering {
        if share.wanted() >= share.0.most.load(Relaxed) {
            return None;
        }
        let line = queue.claimants.get_mut(&share.0.id)?;
        let next = std::iter::from_fn(|| line.pop_front()).find(|next| !next.is_closed());
        if line.is_empty() {
            queue.claimants.remove(&share.0.id);
        }
        next.map(|next| (self.claimed(share), next))
    }
}

impl Claim {
    /// Asks for the place, as somebody who has had none yet.
    pub fn ask(self) -> crate::Asking {
        self.places.ask_first(&self.share)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut queue = self.places.0.queue.lock();
        self.share.0.claims.fetch_sub(1, Relaxed);
        let enters = self.places.left(&mut queue, &self.share);
        drop(queue);
        give(enters);
    }
}

impl Claiming {
    /// The claim, if nothing stood in its way.
    ///
    /// # Errors
    ///
    /// Itself, to be waited for.
    pub fn now(mut self) -> Result<Claim, Self> {
        match &mut self.0 {
            Claimed::Now(claim) => claim.take().ok_or(self),
            Claimed::Waits { .. } => Err(self),
        }
    }
}

impl Future for Claiming {
    type Output = Claim;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Claim> {
        match &mut self.0 {
            // Polled again after it was done, which no executor does.
            Claimed::Now(claim) => claim.take().map_or(Poll::Pending, Poll::Ready),
            Claimed::Waits { comes, .. } => match ready!(Pin::new(comes).poll(context)) {
                Ok(claim) => Poll::Ready(claim),
                // The other end is dropped with the places only.
                Err(_) => Poll::Pending,
            },
        }
    }
}
