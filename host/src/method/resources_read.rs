//! `resources/read`: the resource of a list, or of a template that can make its URI.

use super::call::{self, Target, begin};
use super::{Answer, Context, Rooms};
use crate::failure::Failure;
use mcp::params::{Params, ReadResourceParams};
use std::sync::Arc;

pub(super) async fn resources_read(rooms: &Arc<Rooms>, context: Context, params: &Params<'_>) -> Result<Answer, Failure> {
    let params = ReadResourceParams::read(params)?;
    let unknown = || Failure::UnknownResource(params.uri.clone());
    let readable = context.server.readable(&params.uri).ok_or_else(unknown)?;
    let target = Target::Resource { readable, uri: params.uri.clone() };
    let authorized = call::authorize(rooms, (&context.caller, &context.server), &target, context.revision, &context.span).await?;
    begin(rooms, context, target, authorized, (params.input, params.meta), false).await
}
