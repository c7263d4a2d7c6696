//! `logging/setLevel` of the handshake era: which log lines a session's calls tell their client.

use super::{Context, Rooms};
use crate::failure::Failure;
use crate::outbox::End;
use mcp::params::{Params, SetLevelParams};

pub(super) async fn set_level(rooms: &Rooms, context: &Context, params: &Params<'_>) -> End {
    // Without a session there is nothing to remember it by, and it was not announced.
    let session = context.session.as_ref().ok_or_else(|| Failure::MethodNotFound("logging/setLevel".into()))?;
    let level = SetLevelParams::read(params)?.level;
    session.set_log_level(level);
    rooms.sessions.keep(session).await;
    Ok(mcp::result::empty(context.revision, &rooms.implementation))
}
