//! `prompts/get`.

use super::call::{self, Target, begin};
use super::{Answer, Context, Rooms};
use crate::failure::Failure;
use mcp::params::{GetPromptParams, Params};
use std::sync::Arc;

pub(super) async fn prompts_get(rooms: &Arc<Rooms>, context: Context, params: &Params<'_>) -> Result<Answer, Failure> {
    let params = GetPromptParams::read(params)?;
    let unknown = || Failure::UnknownPrompt(params.name.clone());
    let prompt = Arc::clone(context.server.prompt(&params.name).ok_or_else(unknown)?);
    let target = Target::Prompt { prompt, arguments: params.arguments };
    let authorized = call::authorize(rooms, (&context.caller, &context.server), &target, context.revision, &context.span).await?;
    begin(rooms, context, target, authorized, (params.input, params.meta), false).await
}
