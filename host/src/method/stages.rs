//! Requests that are answered at the same time go through their stages side by side.
//!
//! What one call runs through, its kernel's part included, is more code than a processor core keeps near (450 KB of 512 KiB, beside all data): one
//! after the other, each request would fetch all of it again, and most of its processor time would be the waiting for that. So a request that
//! has come to the end of a stage lets the others come there too, and finds the next stage's code where the one before it has left it.
//!
//! A request counts until the head of its answer is there, also while its guest waits for something: those who are ready meanwhile look around in
//! vain, which is cheaper than to know better. It stands at the end of the ready ones twice, and waits for nobody who is not ready.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many requests are being answered.
#[derive(Debug, Default)]
pub struct Stages {
    under_way: AtomicUsize,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Stages);

impl Stages {
    /// One more is being answered.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(self)
    }

    /// The end of a stage: others that are ready go first, if there may be any. Cancel-safe.
    pub async fn next(&self) {
        // To look for others costs a system call, and who is alone has none.
        if self.under_way.load(Relaxed) > 1 {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn who_is_alone_waits_for_nobody() {
        let stages = Stages::default();
        let first = stages.begin();
        assert_eq!(stages.next().now_or_never(), Some(()));
        let second = stages.begin();
        assert_eq!(stages.next().now_or_never(), None);
        drop(second);
        assert_eq!(stages.next().now_or_never(), Some(()));
        drop(first);
    }
}
