//! `notifications/cancelled` of the handshake era: the only thing there that ends a call early.

use crate::session::Session;
use mcp::Notification;
use mcp::params::{CancelledParams, Params};

/// One that cannot be read, or names nothing in flight, is ignored: the protocol expects such races.
pub(super) fn cancelled(session: &Session, notification: &Notification) {
    if let Ok(params) = CancelledParams::read(&Params::of(notification.params.as_deref())) {
        session.cancel(&params.request_id);
    }
}
