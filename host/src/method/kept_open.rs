//! What a caller keeps open: sessions and event streams, within the quotas of the moment in which they begin.

use super::Rooms;
use crate::auth::Owner;
use crate::config::{QuotaConfig, ServerId};
use crate::failure::Failure;
use crate::session::{NoSession, Session};
use crate::stream::{NoPlace, Taken};
use crate::tenant::{Ceilings, Exceeded, Open, Quantity, Refused, Whose};

impl Rooms {
    /// A place for an event stream, in a session or outside of any.
    ///
    /// # Errors
    ///
    /// When there are as many as there may be.
    pub fn stream_place(&self, session: Option<&Session>, owner: Owner, server: Option<&ServerId>) -> Result<Taken, Failure> {
        let ceilings = self.ceilings(Quantity::Streams, &owner, server);
        let partition = session.map(|session| &session.partition);
        self.stream_places.take(partition, (owner, server.cloned()), &ceilings).map_err(|reason| match reason {
            NoPlace::Limit => Failure::StreamQuota,
            NoPlace::Quota(whose) => used_up(whose, Quantity::Streams),
        })
    }

    /// What there is of both, for the ledger.
    pub fn kept_open(&self) -> Open {
        Open::new(self.sessions.counts(), self.stream_places.counts())
    }

    /// Of whom there may be how many, by the settings of now.
    pub(super) fn ceilings(&self, quantity: Quantity, owner: &Owner, server: Option<&ServerId>) -> Ceilings {
        let generation = self.generation.load();
        let at_server = generation.catalog.server(owner.tenant(), server).map_or(QuotaConfig::NONE, |server| server.quota);
        let tenant = generation.authenticator.tenants().get(owner.tenant().as_str());
        tenant.map_or_else(Ceilings::default, |tenant| tenant.ceilings(quantity, &at_server, owner.name().is_none()))
    }
}

impl From<NoSession> for Failure {
    fn from(reason: NoSession) -> Self {
        match reason {
            NoSession::Host => Self::TooManySessions,
            NoSession::Tenant | NoSession::Principal => Self::SessionQuota,
            NoSession::Quota(whose) => used_up(whose, Quantity::Sessions),
            NoSession::NotKept => Self::StoreUnavailable,
            NoSession::NoRandomness => Self::Internal,
        }
    }
}

fn used_up(whose: Whose, quantity: Quantity) -> Failure {
    Failure::NoSlot(Refused::Quota(Exceeded::open(whose, quantity)))
}
