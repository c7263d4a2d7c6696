//! A session as the store keeps it: JSON, so that a later version can read it and a person can.

use super::{Session, SessionId, State, partition};
use crate::auth::Owner;
use crate::config::{ServerId, SessionLimits};
use bytes::Bytes;
use event_store::{Partition, StoreTime};
use mcp::Revision;
use mcp::capability::ClientCapabilities;
use mcp::params::LogLevel;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Members are added, never given another meaning.
#[derive(Debug, Serialize, Deserialize)]
struct Written<'a> {
    revision: &'a str,
    #[serde(borrow)]
    capabilities: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Box<str>>,
    began_ms: u64,
    last_use_ms: u64,
    initialized: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_level: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    subscriptions: BTreeSet<Box<str>>,
}

pub(super) fn write(session: &Session, state: &State) -> Bytes {
    let text = session.capabilities.text().as_str();
    let (issuer, subject) = session.owner.identity();
    let written = Written {
        revision: session.revision.as_str(),
        // It was read as JSON once, so it is.
        capabilities: serde_json::from_str(text).unwrap_or(RawValue::NULL),
        issuer: issuer.map(Into::into),
        subject: subject.map(Into::into),
        server: session.server.as_ref().map(|server| server.to_string().into()),
        began_ms: session.began.0,
        last_use_ms: state.last_use.0,
        initialized: state.initialized,
        log_level: state.log_level.map(|level| level.as_str().into()),
        subscriptions: state.subscriptions.clone(),
    };
    serde_json::to_vec(&written).unwrap_or_default().into()
}

/// The session of a record; none if it is not one that this version understands. Down time is nobody's idle time.
pub(super) fn read(found: &Partition, data: &[u8], now: StoreTime, epoch: u32, limits: &SessionLimits) -> Option<Session> {
    let written: Written<'_> = serde_json::from_slice(data).ok()?;
    let owner = Owner::of(found.tenant.as_str(), written.issuer.as_deref(), written.subject.as_deref());
    let revision = Revision::negotiate(written.revision);
    let server = match written.server {
        Some(server) => Some(ServerId::parse(&server)?),
        None => None,
    };
    Some(Session {
        id: SessionId::of(found),
        partition: partition(&owner, found.id)?,
        revision: (revision.as_str() == written.revision).then_some(revision)?,
        capabilities: ClientCapabilities::from_json(written.capabilities)?,
        owner,
        ended: CancellationToken::new(),
        scratch: Arc::default(),
        server,
        began: StoreTime(written.began_ms),
        requests_in_flight_max: limits.requests_in_flight_max,
        epoch,
        state: Mutex::new(State {
            initialized: written.initialized,
            last_use: now,
            log_level: written.log_level.as_deref().and_then(LogLevel::parse),
            subscriptions: written.subscriptions,
            in_flight: HashMap::new(),
            questions: HashMap::new(),
            asked: 0,
            attached: 0,
            saved: Some(StoreTime(written.last_use_ms)),
            restored: true,
            ended: false,
        }),
    })
}
