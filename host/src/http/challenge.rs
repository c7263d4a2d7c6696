//! What an unknown caller is told: that a token is needed, of whom, and for what (RFC 6750, RFC 9728).

use super::error::{self, NeededScopes, later};
use crate::auth::{Bearer, Unknown};
use crate::config::ServerId;
use crate::metrics;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use std::time::Duration;

/// Where the metadata of a resource lies, in front of the resource's own path.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// How long a client waits before it shows a token again whose issuer's keys cannot be had.
const KEYS_RETRY_AFTER_S: u32 = 5;

/// The answer to a request without a caller. The reason is for the log alone.
pub(super) fn refused(bearer: &Bearer, path: &str, unknown: Unknown) -> Response<Body> {
    let (status, parameters) = match unknown {
        Unknown::NoToken => (StatusCode::UNAUTHORIZED, String::new()),
        Unknown::Malformed => (StatusCode::BAD_REQUEST, ", error=\"invalid_request\"".to_owned()),
        Unknown::Refused(reason) => {
            tracing::info!(reason = reason.as_str(), "a token was refused");
            (StatusCode::UNAUTHORIZED, ", error=\"invalid_token\"".to_owned())
        }
        Unknown::NoKeys => return no_keys(),
        Unknown::NoAnswer => return no_answer(),
        Unknown::Revoked => return revoked(),
    };
    let mut response = text(status, "a bearer token is needed\n");
    challenge(&mut response, bearer, path, &parameters);
    response
}

/// 403 and not 401: another token would not help, and a client that was asked for one would send its user to log in again and again.
pub(super) fn revoked() -> Response<Body> {
    text(StatusCode::FORBIDDEN, "access is revoked\n")
}

/// Nobody knows whether the token counts. A 401 would say that it does not: clients throw such a token away and send their user to log in, at
/// an issuer that cannot be reached.
fn no_keys() -> Response<Body> {
    tracing::info!("a token cannot be looked at: its issuer's keys cannot be had");
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "the keys of the token's issuer cannot be had now; try again later\n");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(later::after_s(KEYS_RETRY_AFTER_S)));
    response
}

/// Nobody knows whether the credential counts, for the same reason.
fn no_answer() -> Response<Body> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "who this is cannot be found out now; try again later\n");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(later::after_s(KEYS_RETRY_AFTER_S)));
    response
}

/// An address that has shown too much that does not count. What it shows now is not logged: it can write as fast as it likes.
pub(super) fn too_many(wait: Duration) -> Response<Body> {
    metrics::SHED.count("auth_failures");
    let mut response = text(StatusCode::TOO_MANY_REQUESTS, "too many tokens of this address did not count; try again later\n");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
    response
}

fn text(status: StatusCode, says: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(says));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Tells a client that a token with more scopes would help, all of the operation's at once.
pub(super) fn step_up(response: &mut Response<Body>, bearer: &Bearer, path: &str) {
    let needed = response.extensions_mut().remove::<NeededScopes>().filter(|needed| !needed.0.is_empty());
    if let Some(NeededScopes(scopes)) = needed {
        challenge(response, bearer, path, &format!(", error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" ")));
    }
}

fn challenge(response: &mut Response<Body>, bearer: &Bearer, path: &str, parameters: &str) {
    let path = Some(path.trim_end_matches('/')).filter(|path| can_be_ours(path)).unwrap_or("/mcp");
    let metadata = bearer.resource(&format!("{METADATA}{path}"));
    if let Ok(value) = HeaderValue::try_from(format!("Bearer resource_metadata=\"{metadata}\"{parameters}")) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}

/// Whether a server could have that path. No other one is repeated in a challenge: what a client is made to write into a path could end the
/// quoted text and name somebody else's metadata.
pub(super) fn can_be_ours(path: &str) -> bool {
    let id = path.strip_prefix("/servers/").and_then(|rest| rest.strip_suffix("/mcp"));
    path == "/mcp" || id.and_then(ServerId::parse).is_some()
}

/// The metadata of a resource: for anybody, pages of other sites included.
pub(super) fn metadata(bearer: &Bearer, path: &str) -> Response<Body> {
    let issuers: Vec<_> = bearer.issuers().collect();
    let mut document = json!({
        "resource": bearer.resource(path),
        "bearer_methods_supported": ["header"],
        "resource_name": "Gatehouse",
    });
    // RFC 9728, 2: a member that would have no values is left out. API keys come from nowhere that a client could go to.
    if let Some(members) = document.as_object_mut().filter(|_| !issuers.is_empty()) {
        members.insert("authorization_servers".to_owned(), issuers.into());
    }
    let mut response = error::json(StatusCode::OK, document.to_string().into_bytes());
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
