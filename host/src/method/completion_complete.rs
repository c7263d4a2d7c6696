//! `completion/complete`: suggestions for an argument of a prompt or of a resource template, from the plugin that has it.

use super::call::{self, Completed, Completion, Target, begin};
use super::{Answer, Context, Rooms};
use crate::failure::Failure;
use mcp::params::{CompleteParams, Input, Params, Reference};
use mcp::result::CompleteResult;
use std::sync::Arc;

pub(super) async fn completion_complete(rooms: &Arc<Rooms>, context: Context, params: &Params<'_>) -> Result<Answer, Failure> {
    let params = CompleteParams::read(params)?;
    let (of, guest) = match &params.reference {
        Reference::Prompt(name) => {
            let prompt = context.server.prompt(name).ok_or_else(|| Failure::UnknownPrompt(name.clone()))?;
            (Completed::Prompt(Arc::clone(prompt)), prompt.guest.clone())
        }
        Reference::ResourceTemplate(uri) => {
            let template = context.server.template(uri).ok_or(Failure::UnknownTemplate)?;
            (Completed::Template(Arc::clone(template)), template.guest.clone())
        }
    };
    let target = Target::Completion(Completion { of, argument: params.argument, value: params.value, context: params.context });
    let authorized = call::authorize(rooms, (&context.caller, &context.server), &target, context.revision, &context.span).await?;
    // A plugin need not suggest anything.
    if !guest.offer().completes {
        return Ok(Answer::Now(Ok(CompleteResult::default().write(context.revision, &rooms.implementation))));
    }
    begin(rooms, context, target, authorized, (Input::default(), params.meta), false).await
}
