//! `initialize`: settles the revision and begins a session (protocol 2.1).

use super::{Rooms, capabilities};
use crate::auth::Caller;
use crate::catalog::Server;
use crate::failure::Failure;
use crate::session::{NoSession, Session};
use mcp::capability::ListChanged;
use mcp::params::InitializeParams;
use mcp::result::InitializeResult;
use mcp::{JsonText, Request, Revision};
use std::sync::Arc;

/// Answers the handshake. The session is none in stateless mode; if there is one, it is in the store before its name is told.
///
/// # Errors
///
/// For parameters of a wrong shape, and when there are too many sessions: a refused handshake leaves nothing behind.
pub async fn initialize(
    rooms: &Rooms,
    caller: &Caller,
    server: &Server,
    request: &Request,
) -> Result<(JsonText, Option<Arc<Session>>), Failure> {
    let params = InitializeParams::read(request.params.as_deref())?;
    if rooms.draining.is_cancelled() {
        return Err(Failure::Draining);
    }
    let revision = Revision::negotiate(&params.protocol_version);
    let session = if rooms.legacy.stateful_sessions {
        let session = rooms.sessions.create(caller.owner(), server.id.clone(), revision, params.capabilities).await;
        Some(session.map_err(|reason| {
            let failure = match reason {
                NoSession::Host => Failure::TooManySessions,
                NoSession::Tenant | NoSession::Principal => Failure::SessionQuota,
                NoSession::NotKept => Failure::StoreUnavailable,
                NoSession::NoRandomness => Failure::Internal,
            };
            rooms.note_refusal(&caller.owner(), server.id.as_ref(), &failure, &request.method);
            failure
        })?)
    } else {
        None
    };
    // Without a session there is no stream of the server's own.
    let changes = if session.is_some() { ListChanged::Announced } else { ListChanged::Silent };
    let result = InitializeResult {
        revision,
        capabilities: &capabilities(server, changes),
        server: &rooms.implementation,
        instructions: server.instructions.as_deref(),
    };
    Ok((result.write(), session))
}
