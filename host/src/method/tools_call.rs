//! `tools/call`: tool → policy → headers that repeat arguments, and then like any other work of a guest.

use super::call::{self, begin};
use super::{Answer, Context, Rooms};
use crate::catalog::TaskNeed;
use crate::failure::Failure;
use mcp::capability::Capability;
use mcp::params::{CallToolParams, Params};
use std::sync::Arc;

pub(super) async fn tools_call(rooms: &Arc<Rooms>, context: Context, params: &Params<'_>) -> Result<Answer, Failure> {
    let params = CallToolParams::read(params)?;
    let modern = context.revision.disconnect_cancels();

    // A tool that is not there and one that the caller may not call are answered alike.
    let unknown = || Failure::UnknownTool(params.name.clone());
    let tool = Arc::clone(context.server.tool(&params.name).ok_or_else(unknown)?);
    let target = call::tool(&tool, params.arguments.as_deref());
    let authorized = call::authorize(rooms, (&context.caller, &context.server), &target, context.revision, &context.span).await?;

    // Rung 6 of the modern ladder needs the tool, so it stands here.
    if !tool.mirrored.is_empty() && modern {
        tool.mirrored.check(params.arguments.as_deref(), &|name| context.mirrored.values(name))?;
    }
    let tasks = Capability::Extension(mcp::task::EXTENSION.into());
    let declared = modern && context.capabilities.as_ref().is_some_and(|client| client.has(&tasks));
    if tool.task.need == TaskNeed::Required && !declared {
        return Err(Failure::MissingCapability(tasks));
    }
    let taskable = declared && tool.task.need != TaskNeed::Forbidden;
    begin(rooms, context, target, authorized, (params.input, params.meta), taskable).await
}
