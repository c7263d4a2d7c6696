//! `notifications/tools/list_changed`: told to every session whose own list is another one now, on its standalone stream.

use super::Rooms;
use crate::catalog::{Catalog, Server};
use crate::session::Session;
use bytes::Bytes;
use std::sync::Arc;

impl Rooms {
    /// Tells sessions that their tools changed from one generation to the next, those that have opened their stream.
    pub fn tools_changed(&self, before: &Catalog, now: &Catalog) {
        let servers = [None].into_iter().chain(now.servers().map(|server| server.id.as_ref()));
        for id in servers {
            let (Some(old), Some(new)) = (before.server(id), now.server(id)) else { continue };
            if !is_same(old, new) {
                // Nobody may listen.
                let _ = self.lists_changed.send(id.cloned());
                self.sessions.at(id).iter().for_each(|session| self.tell_tools_changed(session));
            }
        }
    }

    /// Tells one session.
    pub fn tell_tools_changed(&self, session: &Session) {
        if let Some(stream) = self.streams.standalone_if_live(&session.partition) {
            self.tasks.spawn(stream.write(tools_changed(), false));
        }
    }
}

/// The message.
pub fn tools_changed() -> Bytes {
    mcp::write::notification("notifications/tools/list_changed", None).into()
}

/// Tools are built anew for each file that changes, so those of a file that did not are the very same.
fn is_same(old: &Server, new: &Server) -> bool {
    let (old, new) = (old.tools(), new.tools());
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new) || old.definition == new.definition)
}
