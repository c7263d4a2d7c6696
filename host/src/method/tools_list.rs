//! `tools/list`: from the catalog, without entering a component.

use super::{CACHE, Context, Rooms};
use crate::failure::Failure;
use crate::outbox::End;
use mcp::params::ListParams;
use mcp::result::ListToolsResult;
use serde_json::value::RawValue;

pub(super) fn tools_list(rooms: &Rooms, context: &Context, params: Option<&RawValue>) -> End {
    let params = ListParams::read(params)?;
    // The list is one page, so no cursor of ours exists that a client could bring back.
    if params.cursor.is_some() {
        return Err(Failure::BadCursor);
    }
    let shown = context.server.tools().iter().filter(|tool| rooms.policy.allows(&context.caller, tool));
    let tools: Vec<_> = shown.filter_map(|tool| tool.written(context.revision)).collect();
    Ok(ListToolsResult { tools: &tools, next_cursor: None, cache: CACHE }.write(context.revision, &rooms.implementation))
}
