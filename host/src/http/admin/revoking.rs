//! What is revoked, over HTTP: the orders of `gatehouse revoke` and `gatehouse restore`, carried out by whoever carries out those.

use super::views::beginning;
use super::{Admin, Problem, acts};
use crate::config::{ServerId, TenantId};
use crate::http::error;
use crate::revocation::{Order, Revocation, Target, now_ms};
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// Of the hash that names a revocation, in bytes: names in it come from tokens, and no two may meet by design.
const ID_BYTES: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    target: Target,
    reason: Option<String>,
    /// How long it counts; none: until it is taken back.
    for_s: Option<NonZeroU32>,
}

impl Admin {
    /// All of them, in the order in which they came.
    pub(super) async fn revocations(&self) -> Result<Response<Body>, Problem> {
        let all = self.revoked().await?;
        Ok(ok(&json!({ "revocations": all.iter().map(shown).collect::<Vec<_>>() })))
    }

    /// Revokes, and tells what that stopped. One of the same target is replaced.
    pub(super) async fn revoke(&self, headers: &HeaderMap, body: &[u8]) -> Result<Response<Body>, Problem> {
        let Wanted { target, reason, for_s } = acts::content(headers, body, &self.front.limits.json)?;
        check_names(&target)?;
        let at_ms = now_ms();
        let until_ms = for_s.map(|seconds| at_ms.saturating_add(u64::from(seconds.get()).saturating_mul(1_000)));
        let revocation = Revocation { target, reason, at_ms, until_ms };
        if !revocation.is_sound() {
            return Err(wrong("a name is empty, or a name or the reason is too long"));
        }
        let id = id(&revocation.target);
        let mut effect = self.ask_one(Order::Revoke(revocation), StatusCode::CONFLICT).await?;
        if let Some(effect) = effect.as_object_mut() {
            effect.remove("ok");
            effect.insert("id".to_owned(), id.into());
        }
        Ok(ok(&effect))
    }

    /// Takes one back, and tells which it was.
    pub(super) async fn restore(&self, wanted: &str) -> Result<Response<Body>, Problem> {
        let gone = || Problem::new(StatusCode::NOT_FOUND, "there is no revocation of that id");
        let revocation = self.revoked().await?.into_iter().find(|revocation| id(&revocation.target) == wanted).ok_or_else(gone)?;
        let told = self.ask_one(Order::Restore(revocation.target.clone()), StatusCode::SERVICE_UNAVAILABLE).await?;
        // Somebody else may have been first.
        if told.get("restored").and_then(Value::as_bool) == Some(true) { Ok(ok(&shown(&revocation))) } else { Err(gone()) }
    }

    async fn revoked(&self) -> Result<Vec<Revocation>, Problem> {
        let told = self.order(Order::List {}).await?;
        Ok(told.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
    }

    /// The one line that is told of a change; `refused` is the status where nothing was changed.
    async fn ask_one(&self, order: Order, refused: StatusCode) -> Result<Value, Problem> {
        let told = self.order(order).await?.pop().unwrap_or_default();
        if told.get("ok").and_then(Value::as_bool) == Some(true) {
            return Ok(told);
        }
        Err(Problem::new(refused, told.get("text").and_then(Value::as_str).unwrap_or("it was not done")))
    }

    async fn order(&self, order: Order) -> Result<Vec<Value>, Problem> {
        let late = |_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the order was not carried out in time, and may be still; look at what is revoked",
            )
        };
        self.desks.order(order).await.map_err(late)
    }
}

fn ok(value: &Value) -> Response<Body> {
    error::json(StatusCode::OK, value.to_string().into_bytes())
}

fn wrong(reason: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, reason)
}

/// A name that nothing can have is a slip, as it is for the command.
fn check_names(target: &Target) -> Result<(), Problem> {
    let (tenant, server) = match target {
        Target::Tenant { tenant } => (Some(tenant), None),
        Target::Principal { tenant, .. } | Target::Plugin { tenant, .. } => (tenant.as_ref(), None),
        Target::Tool { tenant, server, .. } => (tenant.as_ref(), server.as_ref()),
    };
    if tenant.is_some_and(|name| TenantId::parse(name).is_none()) {
        return Err(wrong("target.tenant: this is no tenant's name"));
    }
    if server.is_some_and(|id| ServerId::parse(id).is_none()) {
        return Err(wrong("target.server: this is no virtual server's id"));
    }
    Ok(())
}

/// A revocation is its target: its names may be too long for an address, and their hash is not.
fn id(target: &Target) -> String {
    let text = serde_json::to_vec(target).unwrap_or_default();
    beginning(text, ID_BYTES)
}

fn shown(revocation: &Revocation) -> Value {
    let Revocation { target, reason, at_ms, until_ms } = revocation;
    json!({ "id": id(target), "target": target, "reason": reason, "at_ms": at_ms, "until_ms": until_ms })
}
