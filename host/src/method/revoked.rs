//! What a revocation does beside keeping people out: calls in flight are stopped, sessions, streams and tasks end, lists change. And what it
//! is to take one back.

use super::Rooms;
use crate::auth::Item;
use crate::catalog::Server;
use crate::config::{KEY_ISSUER, POLICY_ISSUER_PREFIX};
use crate::failure::Failure;
use crate::revocation::{Revocation, Target};
use crate::task::Change as TaskChange;
use mcp::listen::ListKind;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// For guests that were stopped to be gone. It takes milliseconds.
const GONE_WAIT: Duration = Duration::from_secs(2);

/// What a revocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// Whether there is something of that name now; of a principal, whether somebody vouches for such.
    pub is_there: bool,
    /// Calls that were stopped.
    pub calls: usize,
    /// Of these, the calls whose guests have not gone yet.
    pub calls_left: usize,
    /// Sessions that ended.
    pub sessions: usize,
    /// Event streams that ended with them or by themselves.
    pub streams: usize,
    /// Tasks that ended.
    pub tasks: usize,
}

impl Rooms {
    /// Revokes, at once. Returns when what it ends has ended; it is not kept yet.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub async fn revoke(&self, revocation: Revocation) -> Result<Effect, String> {
        let target = revocation.target.clone();
        let (is_there, streams) = (self.is_there(&target), self.stream_places.of(|owner| target.bars(owner.who())));
        let stopping = self.revocations.revoke(revocation)?;
        // Nothing that is revoked waits for its next call; the others begin anew.
        self.sandbox.drop_kept();
        let (mut sessions, mut tasks) = (0, Vec::new());
        if target.is_of_callers() {
            tasks = self.task_store.of(|owner| target.bars(owner.who()));
            let text = || (self.error_text)(&Failure::Revoked);
            let ending = tasks.iter().map(async |task| {
                task.cancelled.cancel();
                self.task_store.change(task, TaskChange::Failed(text())).await;
            });
            (sessions, _) = tokio::join!(self.rules_changed(), futures_util::future::join_all(ending));
        } else {
            self.tell_lists_of(&target);
        }
        let calls_left = stopping.gone(GONE_WAIT).await;
        Ok(Effect { is_there, calls: stopping.count(), calls_left, sessions, streams, tasks: tasks.len() })
    }

    /// Takes one back; none if there is none of that target. Blocks until that is kept.
    ///
    /// # Errors
    ///
    /// When it cannot be kept: then it stays revoked.
    pub fn restore(&self, target: &Target) -> io::Result<Option<Revocation>> {
        let restored = self.revocations.restore(target)?;
        if restored.is_some() {
            self.tell_lists_of(target);
        }
        Ok(restored)
    }

    /// Takes those back whose time has passed.
    pub fn restore_what_is_over(&self) -> Vec<Revocation> {
        let over = self.revocations.restore_what_is_over();
        over.iter().for_each(|revocation| self.tell_lists_of(&revocation.target));
        over
    }

    /// Lists that have something of it, or had, are others now.
    fn tell_lists_of(&self, target: &Target) {
        let generation = self.generation.load_full();
        for (tenant, server) in generation.catalog.servers() {
            let lists: Vec<_> = ListKind::ALL.into_iter().filter(|list| has(server, *list, tenant.as_str(), target)).collect();
            self.tell_lists(tenant, server.id.as_ref(), &lists);
        }
    }

    fn is_there(&self, target: &Target) -> bool {
        let generation = self.generation.load_full();
        match target {
            Target::Tenant { tenant } => generation.authenticator.tenants().get(tenant).is_some(),
            Target::Principal { issuer, .. } => generation.authenticator.bearer().is_some_and(|bearer| {
                **issuer == *KEY_ISSUER || issuer.starts_with(POLICY_ISSUER_PREFIX) || bearer.issuers().any(|known| *known == **issuer)
            }),
            Target::Plugin { .. } | Target::Tool { .. } => generation
                .catalog
                .servers()
                .any(|(tenant, server)| ListKind::ALL.into_iter().any(|list| has(server, list, tenant.as_str(), target))),
        }
    }
}

/// Whether a list of a tenant's server has something that the target hides.
fn has(server: &Server, list: ListKind, tenant: &str, target: &Target) -> bool {
    fn any<'s, T>(items: &'s [Arc<T>], item: impl Fn(&'s T) -> Item<'s>, hidden: &dyn Fn(Item<'_>) -> bool) -> bool {
        items.iter().any(|one| hidden(item(one)))
    }
    let hidden = |item: Item<'_>| target.hides(tenant, item.what(server));
    match list {
        ListKind::Tools => any(server.tools(), Item::Tool, &hidden),
        ListKind::Prompts => any(server.prompts(), Item::Prompt, &hidden),
        ListKind::Resources => any(server.resources(), Item::Resource, &hidden) || any(server.templates(), Item::Template, &hidden),
    }
}
