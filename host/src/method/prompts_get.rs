//! `prompts/get`.

use super::call::{Target, begin};
use super::{Answer, Context, Rooms};
use crate::failure::Failure;
use mcp::params::GetPromptParams;
use serde_json::value::RawValue;
use std::sync::Arc;

pub(super) async fn prompts_get(rooms: &Arc<Rooms>, context: Context, params: Option<&RawValue>) -> Result<Answer, Failure> {
    let params = GetPromptParams::read(params)?;
    let unknown = || Failure::UnknownPrompt(params.name.clone());
    let prompt = Arc::clone(context.server.prompt(&params.name).ok_or_else(unknown)?);
    let target = Target::Prompt { prompt, arguments: params.arguments };
    let permit = rooms.policy.authorize(&context.caller, &context.server, target.item(), target.work()).await;
    let permit = permit.map_err(|denied| target.denied(denied))?;
    begin(rooms, context, target, permit, (params.input, params.meta), false).await
}
