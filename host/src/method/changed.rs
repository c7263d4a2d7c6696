//! What changes outside of requests, and who is told: sessions on their standalone streams, listeners on theirs.
//!
//! Lists change with a generation of the catalog. That a resource changed is what its plugin says; it reaches the tenant on whose behalf
//! the plugin ran, and nobody else.

use super::Rooms;
use crate::catalog::{Catalog, Server};
use crate::config::ServerId;
use crate::session::{Ending, Session};
use crate::stream::Unwritten;
use crate::tenant::{Tenant, TenantId};
use bytes::Bytes;
use mcp::listen::ListKind;
use sandbox::{Change as Said, Guest, Lists};
use std::sync::Arc;

/// Something changed.
#[derive(Debug, Clone)]
pub enum Change {
    /// A list of a tenant's server; the default one has no id.
    List {
        /// Whose.
        tenant: TenantId,
        /// Which server.
        server: Option<ServerId>,
        /// Which list.
        list: ListKind,
    },
    /// The settings: who was let in may not be any more.
    Rules,
    /// The content of a resource.
    Resource {
        /// On whose behalf its plugin ran.
        tenant: TenantId,
        /// Which plugin says so.
        plugin: Arc<str>,
        /// Which resource.
        uri: Arc<str>,
    },
}

impl Rooms {
    /// Tells of lists that are others in one generation than in the one before; all of them may be, to somebody, if the rules are.
    pub fn lists_changed(&self, before: &Catalog, now: &Catalog, rules: bool) {
        for (tenant, new) in now.servers() {
            let id = new.id.as_ref();
            let Some(old) = before.server(tenant, id) else { continue };
            let lists: Vec<_> = ListKind::ALL.into_iter().filter(|list| rules || !is_same(old, new, *list)).collect();
            self.tell_lists(tenant, id, &lists);
        }
    }

    /// Tells whoever hears of these lists of a server that they are others.
    pub(super) fn tell_lists(&self, tenant: &TenantId, server: Option<&ServerId>, lists: &[ListKind]) {
        if lists.is_empty() {
            return;
        }
        for list in lists {
            // Nobody may listen.
            let _ = self.changes.send(Change::List { tenant: tenant.clone(), server: server.cloned(), list: *list });
        }
        let messages = || lists.iter().map(|list| list.changed().into()).collect();
        self.sessions.at(tenant, server).iter().for_each(|session| self.tell(session, messages()));
    }

    /// There are other rules: what goes on for somebody whom they do not know, or at a server that they do not have, ends. Says how many
    /// sessions did.
    pub async fn rules_changed(&self) -> usize {
        let generation = self.generation.load_full();
        // Nobody may listen.
        let _ = self.changes.send(Change::Rules);
        let goes = |session: &Arc<Session>| {
            let there = generation.catalog.server(session.owner.tenant(), session.server()).is_some();
            !there || !generation.authenticator.knows(&session.owner)
        };
        // Side by side: none waits for the disk before it ends.
        let going = self.sessions.all().into_iter().filter(goes).map(async |session| {
            self.sessions.end(&session, Ending::Barred).await;
            self.streams.forget(&session.partition);
        });
        futures_util::future::join_all(going).await.len()
    }

    /// A guest said that something of its own changed while it ran for this tenant.
    pub(super) fn said(&self, tenant: &Tenant, plugin: &Arc<str>, guest: &Guest, change: Said) {
        let ask = |lists| self.generation.load().catalog.shelves.refresh(&tenant.id, plugin).ask(plugin, guest.digest(), lists);
        match change {
            Said::Tools => ask(Lists { tools: true, ..Lists::default() }),
            Said::Resources => ask(Lists { resources: true, ..Lists::default() }),
            Said::Prompts => ask(Lists { prompts: true, ..Lists::default() }),
            Said::Resource(uri) => {
                let change = Change::Resource { tenant: tenant.id.clone(), plugin: Arc::clone(plugin), uri: uri.as_str().into() };
                let _ = self.changes.send(change);
                for session in self.sessions.subscribed(&uri) {
                    let theirs = *session.owner.tenant() == tenant.id && self.is_of(&tenant.id, session.server(), &uri, plugin);
                    if theirs {
                        self.tell(&session, vec![mcp::resource::updated(&uri, None).into()]);
                    }
                }
            }
        }
    }

    /// Whether a tenant's server shows this resource, and as this plugin's: no plugin speaks for another one's.
    pub(super) fn is_of(&self, tenant: &TenantId, server: Option<&ServerId>, uri: &str, plugin: &str) -> bool {
        let generation = self.generation.load();
        let readable = generation.catalog.server(tenant, server).and_then(|server| server.readable(uri));
        readable.is_some_and(|readable| **readable.plugin() == *plugin)
    }

    /// Tells a session that has opened its stream, in this order.
    fn tell(&self, session: &Session, messages: Vec<Bytes>) {
        let Some(stream) = self.streams.standalone_if_live(&session.partition) else { return };
        self.tasks.spawn(async move {
            for message in messages {
                stream.write(Unwritten { message, is_final: false }).await;
            }
        });
    }

    /// Tells a session of everything that may have changed while nobody looked.
    pub fn tell_all(&self, session: &Session) {
        self.tell(session, self.whatever_changed(session));
    }

    /// Everything that a session is told of, as if all of it had changed.
    pub fn whatever_changed(&self, session: &Session) -> Vec<Bytes> {
        let generation = self.generation.load();
        let server = generation.catalog.server(session.owner.tenant(), session.server());
        let offered = |list: &ListKind| server.is_some_and(|server| server.offers(list.list()));
        let lists = ListKind::ALL.into_iter().filter(offered).map(|list| list.changed().into());
        let resources = session.subscriptions().into_iter().map(|uri| mcp::resource::updated(&uri, None).into());
        lists.chain(resources).collect()
    }
}

/// Items are made anew for each file that changes, so those of a file that did not are the very same.
fn is_same(old: &Server, new: &Server, list: ListKind) -> bool {
    fn same<T, D: PartialEq>(old: &[Arc<T>], new: &[Arc<T>], definition: impl Fn(&T) -> &D) -> bool {
        let each = |(old, new): (&Arc<T>, &Arc<T>)| Arc::ptr_eq(old, new) || definition(old) == definition(new);
        old.len() == new.len() && old.iter().zip(new).all(each)
    }
    match list {
        ListKind::Tools => same(old.tools(), new.tools(), |tool| &tool.definition),
        ListKind::Prompts => same(old.prompts(), new.prompts(), |prompt| &prompt.definition),
        ListKind::Resources => {
            same(old.resources(), new.resources(), |resource| &resource.definition)
                && same(old.templates(), new.templates(), |template| &template.definition)
        }
    }
}
