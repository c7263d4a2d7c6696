//! What the operator has the gateway do.

use super::{Admin, Problem};
use crate::http::{error, inbound};
use crate::journal::{Event, Kind};
use crate::telemetry;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use mcp::JsonLimits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use tokio::sync::oneshot;

/// For new settings to be in force: plugins of a new directory are compiled before.
const RELOAD_WAIT: Duration = Duration::from_secs(600);
/// Of a log filter, in bytes.
const FILTER_BYTES_MAX: usize = 4 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    filter: String,
}

/// A body of JSON that is as described.
pub(super) fn content<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8], limits: &JsonLimits) -> Result<T, Problem> {
    inbound::check_media_type(headers)?;
    let wrong = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let text = mcp::json::check(body, limits).map_err(|_| wrong("the body is no JSON within limits".to_owned()))?;
    serde_json::from_str(text).map_err(|error| wrong(format!("the body is not as described: {error}")))
}

/// Which lines are logged.
pub(super) fn log() -> Result<Response<Body>, Problem> {
    let filter = telemetry::filter().ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "there is no log"))?;
    Ok(error::json(StatusCode::OK, json!({ "filter": filter }).to_string().into_bytes()))
}

impl Admin {
    /// Has the settings read again, and waits for what becomes of it. Goes on if nobody waits any more.
    pub(super) async fn read_settings(&self) -> Result<Response<Body>, Problem> {
        let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the settings are being read already, or the gateway is stopping");
        tracing::info!("the operator has the settings read again");
        let (asks, said) = oneshot::channel();
        self.desks.reload.try_send(asks).map_err(|_| busy())?;
        self.front.rooms.journal.note(Event::new(Kind::AdminReload).because("listener"));
        let said = tokio::time::timeout(RELOAD_WAIT, said).await.ok().and_then(Result::ok).ok_or_else(busy)?;
        let text = said.map_err(|reason| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
        Ok(error::json(StatusCode::OK, json!({ "text": text }).to_string().into_bytes()))
    }

    /// Has other lines logged, until the process ends or the next word.
    pub(super) fn set_log(&self, headers: &HeaderMap, body: &[u8]) -> Result<Response<Body>, Problem> {
        let wrong = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
        let Log { filter } = content(headers, body, &self.front.limits.json)?;
        if filter.len() > FILTER_BYTES_MAX {
            return Err(wrong(format!("a filter has {FILTER_BYTES_MAX} bytes at most")));
        }
        telemetry::set_filter(&filter).map_err(|reason| wrong(format!("it is no log filter: {reason}")))?;
        self.front.rooms.journal.note(Event::new(Kind::AdminLogFilter).to(&mcp::text::line(&filter, 512)));
        tracing::warn!(filter = %mcp::text::line(&filter, 512), "the operator has other lines logged");
        log()
    }
}
