//! `server/discover`: what the modern era has instead of a handshake (protocol 1.7).

use super::{CACHE, Context, Rooms, capabilities};
use crate::outbox::End;
use mcp::capability::ListChanged;
use mcp::result::DiscoverResult;

pub(super) fn discover(rooms: &Rooms, context: &Context) -> End {
    let result = DiscoverResult {
        revision: context.revision,
        capabilities: &capabilities(&context.server, ListChanged::Announced),
        server: &rooms.implementation,
        instructions: context.server.instructions.as_deref(),
        cache: CACHE,
    };
    Ok(result.write())
}
