//! Who may cancel a call, if anybody may.

use crate::session::InFlight;
use tokio_util::sync::CancellationToken;

/// Most calls of the modern era are cancelled by nobody: their client goes away, which drops them. They need no token.
#[derive(Debug, Clone)]
pub(in crate::method) struct Cancel(Option<CancellationToken>);

impl Cancel {
    /// Whoever knows the id of its request.
    pub(super) fn of(in_flight: Option<&InFlight>) -> Self {
        Self(in_flight.map(|in_flight| in_flight.cancelled.clone()))
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Until somebody cancels it. Cancel-safe.
    pub(super) async fn cancelled(&self) {
        match &self.0 {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl From<CancellationToken> for Cancel {
    fn from(token: CancellationToken) -> Self {
        Self(Some(token))
    }
}
