//! `logging/setLevel` of the handshake era: which log lines a session's calls tell their client.

use super::{Context, Rooms};
use crate::failure::Failure;
use crate::outbox::End;
use mcp::params::SetLevelParams;
use serde_json::value::RawValue;

pub(super) async fn set_level(rooms: &Rooms, context: &Context, params: Option<&RawValue>) -> End {
    let level = SetLevelParams::read(params)?.level;
    // Without a session there is nothing to remember it by.
    let session = context.session.as_ref().ok_or(Failure::SessionRequired)?;
    session.set_log_level(level);
    rooms.sessions.keep(session).await;
    Ok(mcp::result::empty(context.revision, &rooms.implementation))
}
