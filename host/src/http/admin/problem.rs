//! What went wrong, in the words of RFC 9457.

use crate::http::error::ladder::{self, Rung};
use crate::metrics;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// A status and a reason.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    /// With a header that says more.
    pub(super) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// The connection ends: a body may be unread, and who errs here is told once.
    pub(super) fn into_response(self) -> Response<Body> {
        let title = self.status.canonical_reason().unwrap_or_default();
        let told = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let mut response = Response::new(Body::from(told.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

/// A refusal of HTTP's own has the status that it has at the public listener.
impl From<&Rung> for Problem {
    fn from(rung: &Rung) -> Self {
        metrics::HTTP_REJECTED.count(ladder::word(rung));
        Self::new(rung.status, rung.says.trim_end())
    }
}
