//! What the operator sees. Nothing of it is a secret of a client: sessions are named by a part of their id's hash.

use super::{Admin, Problem, query};
use crate::config::TenantId;
use crate::http::error;
use crate::journal::Hash;
use crate::session::Session;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use sandbox::Digest;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Sessions on a page, if nothing else is asked for, and at most.
const PAGE_ITEMS: usize = 100;
const PAGE_ITEMS_MAX: usize = 1_000;
/// Of a hash, in bytes: enough that no two sessions share it, and nothing to go on with.
const SHOWN_BYTES: usize = 8;

fn ok(value: &Value) -> Response<Body> {
    error::json(StatusCode::OK, value.to_string().into_bytes())
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

impl Admin {
    pub(super) fn status(&self) -> Response<Body> {
        let front = &self.front;
        let last = front.last_reload.load();
        let reload = last.as_ref().map(|last| {
            let (text, ok) = match &last.said {
                Ok(text) => (text, true),
                Err(reason) => (reason, false),
            };
            json!({ "ok": ok, "text": text, "age_s": seconds(last.at.elapsed()) })
        });
        ok(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "generation": front.rooms.generation.load().catalog.generation,
            "uptime_s": seconds(self.began.elapsed()),
            "draining": front.rooms.draining.is_cancelled(),
            "listen": front.address.to_string(),
            "last_reload": reload,
        }))
    }

    pub(super) fn tenants(&self) -> Response<Body> {
        let rooms = &self.front.rooms;
        let (generation, sessions) = (rooms.generation.load_full(), rooms.sessions.by_tenant());
        let mut tenants: Vec<_> = generation.authenticator.tenants().all().collect();
        tenants.sort_by(|one, other| one.id.cmp(&other.id));
        let tenants = tenants.into_iter().map(|tenant| {
            let (in_flight, in_flight_max) = tenant.in_flight();
            let sessions = sessions.iter().find(|(id, _)| *id == tenant.id).map_or(0, |(_, count)| *count);
            json!({
                "id": tenant.id.as_str(),
                "isolation": tenant.isolation.word(),
                "calls_in_flight": in_flight,
                "calls_in_flight_max": in_flight_max,
                "sessions": sessions,
            })
        });
        ok(&json!({ "tenants": tenants.collect::<Vec<_>>() }))
    }

    pub(super) fn servers(&self) -> Response<Body> {
        let generation = self.front.rooms.generation.load_full();
        let servers = generation.catalog.servers().map(|(tenant, server)| {
            let id = server.id.as_ref().map(ToString::to_string);
            let path = id.as_ref().map_or_else(|| "/mcp".to_owned(), |id| format!("/servers/{id}/mcp"));
            json!({
                "tenant": tenant.as_str(),
                "id": id,
                "path": path,
                "tools": server.tools().len(),
                "resources": server.resources().len(),
                "resource_templates": server.templates().len(),
                "prompts": server.prompts().len(),
            })
        });
        ok(&json!({ "servers": servers.collect::<Vec<_>>() }))
    }

    pub(super) fn plugins(&self) -> Response<Body> {
        let generation = self.front.rooms.generation.load_full();
        let shelves = generation.catalog.shelves.all();
        let plugins =
            shelves.flat_map(|(tenant, shelf)| shelf.plugins.values().map(move |plugin| (tenant, plugin))).map(|(tenant, plugin)| {
                json!({
                    "tenant": tenant.map(TenantId::as_str),
                    "name": &*plugin.name,
                    "sha256": plugin.guest.digest().to_string(),
                    "bytes": plugin.guest.survey().bytes,
                    "tools": plugin.tools.iter().map(|tool| &*tool.own_name).collect::<Vec<_>>(),
                    "resources": plugin.resources.len(),
                    "resource_templates": plugin.templates.len(),
                    "prompts": plugin.prompts.len(),
                    "signed_by": plugin.signer.as_ref().map(|signer| json!({ "key": signer.key_id(), "comment": signer.comment() })),
                })
            });
        let plugins: Vec<_> = plugins.collect();
        let problems = self.front.readiness.problems.borrow().clone();
        let problems = problems.into_iter().map(|problem| {
            let quarantined = problem.untrusted.map(|untrusted| {
                let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
                let tools = untrusted.tools.into_iter();
                let tools = tools.map(|tool| json!({ "tool": tool.tool, "approved": text(tool.old), "found": text(tool.new) }));
                json!({
                    "reason": untrusted.why.word(),
                    "approved": text(untrusted.old),
                    "found": text(untrusted.new),
                    "tools": tools.collect::<Vec<_>>(),
                })
            });
            json!({
                "plugin": problem.plugin,
                "reason": problem.reason,
                "last_good_serves": problem.last_good_serves,
                "quarantined": quarantined,
            })
        });
        ok(&json!({ "plugins": plugins, "problems": problems.collect::<Vec<_>>() }))
    }

    /// The rows of `gatehouse usage --json`.
    pub(super) fn usage(&self, query: &str) -> Result<Response<Body>, Problem> {
        let [tenant] = query::read(query, ["tenant"])?;
        let tenant = tenant.map(query::tenant).transpose()?;
        let mut rows = (self.desks.ledger)();
        rows.retain(|row| tenant.as_ref().is_none_or(|tenant| row.get("tenant").and_then(Value::as_str) == Some(tenant.as_str())));
        Ok(ok(&json!({ "usage": rows })))
    }

    /// Page by page, in the order of what is shown of their ids.
    pub(super) fn sessions(&self, query: &str) -> Result<Response<Body>, Problem> {
        let Selection { tenant, after, items_max } = Selection::read(query)?;
        let rooms = &self.front.rooms;
        let now = rooms.store.now();
        let all = rooms.sessions.all().into_iter();
        let theirs = all.filter(|session| tenant.as_ref().is_none_or(|tenant| session.owner.tenant() == tenant));
        let mut page: Vec<(String, Arc<Session>)> = theirs.map(|session| (shown(session.id.as_str()), session)).collect();
        page.retain(|(id, _)| after.as_ref().is_none_or(|after| id > after));
        page.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = page.len() > items_max;
        page.truncate(items_max);
        let next = page.last().filter(|_| more).map(|(id, _)| id.clone());
        let sessions = page.iter().map(|(id, session)| {
            let (age, idle) = session.ages(now);
            let (issuer, subject) = session.owner.identity();
            json!({
                "id": id,
                "tenant": session.owner.tenant().as_str(),
                "issuer": issuer,
                "subject": subject,
                "server": session.server().map(ToString::to_string),
                "revision": session.revision.as_str(),
                "age_s": seconds(age),
                "idle_s": seconds(idle),
            })
        });
        Ok(ok(&json!({ "sessions": sessions.collect::<Vec<_>>(), "next": next })))
    }
}

fn shown(id: &str) -> String {
    beginning(id, SHOWN_BYTES)
}

/// Of the SHA-256 of what is not for an address, so many bytes of it.
pub(super) fn beginning(of: impl AsRef<[u8]>, bytes: usize) -> String {
    let mut digest = Hash::of(of.as_ref()).to_string();
    digest.truncate(bytes * 2);
    digest
}

/// Which sessions.
struct Selection {
    tenant: Option<TenantId>,
    after: Option<String>,
    items_max: usize,
}

impl Selection {
    fn read(query: &str) -> Result<Self, Problem> {
        let [tenant, after, limit] = query::read(query, ["tenant", "after", "limit"])?;
        let tenant = tenant.map(query::tenant).transpose()?;
        let is_id = |text: &&str| text.len() == 2 * SHOWN_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let after = after.map(|id| Some(id).filter(is_id).ok_or_else(|| query::wrong("after: this is no id of a session"))).transpose()?;
        let in_range = |limit: &usize| (1..=PAGE_ITEMS_MAX).contains(limit);
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(in_range);
        let items_max =
            limit.map(|text| plain(text).ok_or_else(|| query::wrong("limit: must be a whole number from 1 to 1000"))).transpose()?;
        Ok(Self { tenant, after: after.map(ToOwned::to_owned), items_max: items_max.unwrap_or(PAGE_ITEMS) })
    }
}
