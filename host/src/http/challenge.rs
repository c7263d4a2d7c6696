//! What an unknown caller is told: that a token is needed, of whom, and for what (RFC 6750, RFC 9728).

use super::error::{self, MissingScopes};
use crate::auth::{Bearer, Unknown};
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// Where the metadata of a resource lies, in front of the resource's own path.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The answer to a request without a caller. The reason is for the log alone.
pub(super) fn refused(bearer: &Bearer, path: &str, unknown: Unknown) -> Response<Body> {
    let (status, parameters) = match unknown {
        Unknown::NoToken => (StatusCode::UNAUTHORIZED, String::new()),
        Unknown::Malformed => (StatusCode::BAD_REQUEST, ", error=\"invalid_request\"".to_owned()),
        Unknown::Refused(_) => (StatusCode::UNAUTHORIZED, ", error=\"invalid_token\"".to_owned()),
    };
    if let Unknown::Refused(reason) = unknown {
        tracing::info!(reason, "a token was refused");
    }
    let mut response = Response::new(Body::from("a bearer token is needed\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    challenge(&mut response, bearer, path, &parameters);
    response
}

/// Tells a client that a token with more scopes would help, all of the operation's at once.
pub(super) fn step_up(response: &mut Response<Body>, bearer: &Bearer, path: &str) {
    let missing = response.extensions_mut().remove::<MissingScopes>().filter(|missing| !missing.0.is_empty());
    if let Some(MissingScopes(scopes)) = missing {
        challenge(response, bearer, path, &format!(", error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" ")));
    }
}

fn challenge(response: &mut Response<Body>, bearer: &Bearer, path: &str, parameters: &str) {
    let metadata = bearer.resource(&format!("{METADATA}{}", path.trim_end_matches('/')));
    if let Ok(value) = HeaderValue::try_from(format!("Bearer resource_metadata=\"{metadata}\"{parameters}")) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}

/// The metadata of a resource: for anybody, pages of other sites included.
pub(super) fn metadata(bearer: &Bearer, path: &str) -> Response<Body> {
    let issuers: Vec<_> = bearer.issuers().collect();
    let document = json!({
        "resource": bearer.resource(path),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "resource_name": "Gatehouse",
    });
    let mut response = error::json(StatusCode::OK, document.to_string().into_bytes());
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
