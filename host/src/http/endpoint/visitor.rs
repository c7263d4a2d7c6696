//! The gate of callers: who asks, and for what server; and what the journal is told of those who are nobody.

use super::{Front, not_found, server, server_id};
use crate::auth::{Caller, Unknown, Visit};
use crate::catalog::Server;
use crate::config::ServerId;
use crate::failure::Failure;
use crate::generation::Generation;
use crate::http::failures::TooMany;
use crate::http::lane::Lane;
use crate::http::{challenge, error};
use crate::journal::{Event, Kind, Source};
use crate::metrics;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use mcp::Era;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// The connection that a request came on.
pub(super) struct Connection {
    pub(super) peer: Option<IpAddr>,
    pub(super) lane: Lane,
}

impl Front {
    /// H5: who asks, on every request, and at which of its tenant's servers. Another tenant's is answered like one that is not there.
    pub(super) async fn visitor(
        &self,
        generation: &Generation,
        path: &str,
        headers: &HeaderMap,
        &Connection { peer, ref lane }: &Connection,
    ) -> Result<(Caller, Arc<Server>), Box<Response<Body>>> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let visit = Visit { path, server: server_id(path), authorization: [shown.next(), shown.next()], address: peer };
        let may_ask = || peer.is_none_or(|peer| !self.auth_failures.is_over(peer, Instant::now()));
        let authenticator = &generation.authenticator;
        let authenticated = authenticator.authenticate(&visit, may_ask).await;
        lane.is_of(authenticated.as_ref().map_or(self.auth_failures.load(), |caller| caller.tenant().load())).await;
        let caller = authenticated.map_err(|unknown| {
            metrics::AUTH_FAILURES.count(unknown.word());
            self.note_unknown(generation, visit.server, peer, unknown.word());
            let too_many = match (unknown, peer) {
                (Unknown::Refused(_), Some(peer)) => self.auth_failures.count(peer, Instant::now()).map(|too_many| (peer, too_many)),
                _ => None,
            };
            if let Some((peer, TooMany { is_first: true, .. })) = too_many {
                self.rooms.journal.note_often(Kind::AuthLockedOut, &Source::Address(peer), "too_many", |event| event);
            }
            match (too_many, authenticator.bearer()) {
                (Some((_, TooMany { wait, .. })), _) => challenge::too_many(wait),
                (None, _) if unknown == Unknown::Revoked => challenge::revoked(),
                (None, Some(bearer)) => challenge::refused(bearer, path, unknown),
                (None, None) => error::response(None, &Failure::Internal, Era::Legacy),
            }
        })?;
        let server = server(&generation.catalog, &caller.tenant().id, path).ok_or_else(not_found)?;
        Ok((caller, server))
    }

    /// In the journal, with the true reason, which nobody outside learns.
    fn note_unknown(&self, generation: &Generation, server: Option<&str>, peer: Option<IpAddr>, reason: &'static str) {
        let source = peer.map_or(Source::Many, Source::Address);
        self.rooms.journal.note_often(Kind::AuthDenied, &source, reason, |event: Event| {
            // A path is the client's own words, unless it names what there is.
            let known = server.and_then(ServerId::parse);
            let known = known.filter(|server| generation.catalog.servers().any(|(_, there)| there.id.as_ref() == Some(server)));
            event.at_server(known.as_ref())
        });
    }
}
