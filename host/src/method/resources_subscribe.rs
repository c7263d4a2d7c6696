//! `resources/subscribe` and `resources/unsubscribe` of the handshake era: what a session hears of on its standalone stream. Kept like the
//! session.

use super::{Context, Rooms};
use crate::auth::Denied;
use crate::failure::Failure;
use crate::outbox::End;
use crate::session::Session;
use mcp::params::{Params, SubscribeParams};
use std::sync::Arc;

pub(super) async fn subscribe(rooms: &Rooms, context: &Context, params: &Params<'_>) -> End {
    let session = session(context, "resources/subscribe")?;
    let uri = SubscribeParams::read(params)?.uri;
    let unknown = || Failure::UnknownResource(uri.clone());
    let readable = context.server.readable(&uri).ok_or_else(unknown)?;
    rooms.policy.may_watch(&context.caller, &context.server, &readable, &uri, &context.span).await.map_err(|denied| {
        rooms.note_denied(&context.caller, &context.server, super::refused::listed(&readable), &denied);
        match denied {
            Denied::Hidden => unknown(),
            Denied::Forbidden { by, scopes } => Failure::PolicyDenied { by: by.map(super::call::blamed), scopes },
            Denied::NoAnswer => Failure::PolicyUnavailable,
        }
    })?;
    if !rooms.sessions.subscribe(session, uri) {
        return Err(Failure::SubscriptionQuota);
    }
    rooms.sessions.keep(session).await;
    Ok(mcp::result::empty(context.revision, &rooms.implementation))
}

/// What is not subscribed to is unsubscribed from already.
pub(super) async fn unsubscribe(rooms: &Rooms, context: &Context, params: &Params<'_>) -> End {
    let session = session(context, "resources/unsubscribe")?;
    if session.unsubscribe(&SubscribeParams::read(params)?.uri) {
        rooms.sessions.keep(session).await;
    }
    Ok(mcp::result::empty(context.revision, &rooms.implementation))
}

/// Without a session there is nothing to remember it by, and it was not announced.
fn session<'a>(context: &'a Context, method: &str) -> Result<&'a Arc<Session>, Failure> {
    context.session.as_ref().ok_or_else(|| Failure::MethodNotFound(method.into()))
}
