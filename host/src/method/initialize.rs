//! `initialize`: settles the revision and begins a session (protocol 2.1).

use super::{Rooms, capabilities};
use crate::auth::Caller;
use crate::catalog::Server;
use crate::failure::Failure;
use crate::session::Session;
use crate::tenant::Quantity;
use mcp::capability::ListChanged;
use mcp::params::{InitializeParams, Params};
use mcp::result::InitializeResult;
use mcp::{JsonText, Revision};
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
    params: &Params<'_>,
) -> Result<(JsonText, Option<Arc<Session>>), Failure> {
    let params = InitializeParams::read(params)?;
    if rooms.draining.is_cancelled() {
        return Err(Failure::Draining);
    }
    let revision = Revision::negotiate(&params.protocol_version);
    let session = if rooms.legacy.stateful_sessions {
        let (owner, at) = (caller.owner(), server.id.as_ref());
        let ceilings = rooms.ceilings(Quantity::Sessions, &owner, at);
        let session = rooms.sessions.create((owner.clone(), at.cloned()), revision, params.capabilities, &ceilings).await;
        Some(session.map_err(|reason| {
            let failure = Failure::from(reason);
            rooms.note_refusal(&owner, at, &failure, "initialize");
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
