//! A task as the store keeps it: JSON, so that a later version can read it and a person can.

use super::{Called, State, Task, capability};
use crate::auth::Owner;
use crate::config::ServerId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use event_store::{Partition, StoreTime};
use mcp::result::InputRequest;
use mcp::task::Status;
use mcp::{JsonText, Revision};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// Members are added, never given another meaning.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    issuer: Option<Box<str>>,
    subject: Option<Box<str>>,
    server: Option<Box<str>>,
    tool: Box<str>,
    arguments: Box<RawValue>,
    meta: Option<Box<RawValue>>,
    capabilities: Box<RawValue>,
    revision: Box<str>,
    created_ms: u64,
    created_at_s: u64,
    updated_at_s: u64,
    status: Box<str>,
    end: Option<Box<RawValue>>,
    questions: Vec<Question>,
    answers: Vec<(Box<str>, Box<RawValue>)>,
    state: String,
    incarnation: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    key: Box<str>,
    needs: Box<str>,
    params: Box<RawValue>,
}

/// It is JSON already; what is not, which cannot be, becomes `null`.
fn raw(text: &JsonText) -> Box<RawValue> {
    RawValue::from_string(text.as_str().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

pub(super) fn write(task: &Task, state: &State) -> Bytes {
    let (issuer, subject) = task.owner.identity();
    let called = &task.called;
    let written = Written {
        issuer: issuer.map(Into::into),
        subject: subject.map(Into::into),
        server: called.server.as_ref().map(|server| server.to_string().into()),
        tool: called.tool.clone(),
        arguments: raw(&called.arguments),
        meta: called.meta.as_ref().map(raw),
        capabilities: raw(&called.capabilities),
        revision: called.revision.as_str().into(),
        created_ms: task.created.0,
        created_at_s: task.created_at_s,
        updated_at_s: state.updated_at_s,
        status: state.status.as_str().into(),
        end: state.end.as_ref().map(raw),
        questions: state
            .questions
            .iter()
            .map(|question| Question { key: question.key.clone(), needs: question.needs.to_string().into(), params: raw(&question.params) })
            .collect(),
        answers: state.answers.iter().map(|(key, answer)| (key.clone(), raw(answer))).collect(),
        state: STANDARD.encode(&state.guest_state),
        incarnation: state.incarnation,
    };
    serde_json::to_vec(&written).unwrap_or_default().into()
}

/// The task of a record; none if it is not one that this version understands.
pub(super) fn read(id: &str, partition: &Partition, data: &[u8]) -> Option<Task> {
    let written: Written = serde_json::from_slice(data).ok()?;
    let all = [Status::Working, Status::InputRequired, Status::Completed, Status::Failed, Status::Cancelled];
    let status = all.into_iter().find(|status| status.as_str() == &*written.status)?;
    let server = match &written.server {
        Some(server) => Some(ServerId::parse(server)?),
        None => None,
    };
    let questions = written
        .questions
        .into_iter()
        .map(|question| Some(InputRequest { key: question.key, needs: capability(&question.needs)?, params: (&*question.params).into() }));
    Some(Task {
        id: id.into(),
        owner: Owner::of(partition.tenant.as_str(), written.issuer.as_deref(), written.subject.as_deref()),
        called: Called {
            server,
            tool: written.tool,
            arguments: (&*written.arguments).into(),
            meta: written.meta.as_deref().map(Into::into),
            capabilities: (&*written.capabilities).into(),
            revision: written.revision.parse().ok().filter(|revision: &Revision| revision.result_type())?,
        },
        cancelled: CancellationToken::new(),
        partition: partition.clone(),
        created: StoreTime(written.created_ms),
        created_at_s: written.created_at_s,
        unsaved: AtomicBool::new(false),
        state: tokio::sync::Mutex::new(State {
            status,
            updated_at_s: written.updated_at_s,
            end: written.end.as_deref().map(Into::into),
            questions: questions.collect::<Option<_>>()?,
            answers: written.answers.into_iter().map(|(key, answer)| (key, (&*answer).into())).collect(),
            guest_state: STANDARD.decode(written.state).ok()?,
            incarnation: written.incarnation,
        }),
    })
}

pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn rfc3339(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let moment = moment.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = moment.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}T{:02}:{:02}:{:02}Z", u8::from(month), moment.hour(), moment.minute(), moment.second())
}
