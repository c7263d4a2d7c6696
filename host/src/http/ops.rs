//! Is it alive, is it ready.

use crate::auth::Bearer;
use crate::catalog::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use event_store::EventStore;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What readiness depends on.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Fires when the gateway begins to stop.
    pub draining: CancellationToken,
    /// Plugins that are not served in their newest version: shown, and no reason not to be ready.
    pub problems: watch::Receiver<Vec<Problem>>,
    /// The store; none where nothing is kept.
    pub store: Option<Arc<dyn EventStore>>,
}

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// It takes new work. Names nothing: the endpoint is open to everybody who reaches it.
pub(super) async fn readyz(State(front): State<Arc<super::Front>>) -> Response<Body> {
    let draining = front.readiness.draining.is_cancelled();
    let problems = front.readiness.problems.borrow().len();
    let health = front.readiness.store.as_ref().map(|store| store.health());
    let store = match &health {
        None => "off",
        Some(health) if health.degraded.is_some() => "degraded",
        Some(_) => "ok",
    };
    let set_aside = health.is_some_and(|health| health.quarantined.is_some());
    let generation = front.rooms.generation.load();
    let (bearer, policies) = (generation.authenticator.bearer(), generation.authenticator.policies());
    // An issuer that went away later takes none of the others' callers with it: then the number says it, and the status does not.
    let awaited = bearer.is_some_and(|bearer| bearer.issuers_awaited() > 0);
    let without_keys = bearer.map_or(0, Bearer::issuers_without_keys);
    let missing = policies.missing().len();
    let journal = match (front.rooms.journal.is_on(), front.rooms.journal.is_failing()) {
        (false, _) => "off",
        (true, false) => "ok",
        (true, true) => "failing",
    };
    // Plugins that are missing are missing; a policy that is takes everything with it that it would have been asked about.
    let reason = match (draining, awaited, policies.is_ready(), front.rooms.journal.takes_calls()) {
        (true, ..) => Some("draining"),
        (false, true, ..) => Some("issuer_keys"),
        (false, false, false, _) => Some("policies"),
        (false, false, true, false) => Some("journal"),
        (false, false, true, true) => None,
    };
    let (ready, waits_for) = (reason.is_none(), reason.map(|reason| format!(",\"reason\":\"{reason}\"")).unwrap_or_default());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = format!(
        "{{\"ready\":{ready}{waits_for},\"plugins_with_problems\":{problems},\"policies_missing\":{missing},\"store\":\"{store}\",\
         \"store_set_aside\":{set_aside},\"journal\":\"{journal}\",\"issuers_without_keys\":{without_keys}}}
"
    );
    super::error::json(status, text.into_bytes())
}
