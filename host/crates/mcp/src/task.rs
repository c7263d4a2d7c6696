//! The tasks extension (`io.modelcontextprotocol/tasks`, 3.6): a call whose result is fetched later. Modern era only.

use crate::jsonrpc::Id;
use crate::members::Members;
use crate::meta;
use crate::params::{Params, ParamsError};
use crate::result::{Implementation, InputRequest, Shell};
use crate::text::{JsonText, Object};
use crate::{Revision, write};
use serde_json::value::RawValue;

/// The extension's identifier.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The most answers in one `tasks/update`, and tasks in one `subscriptions/listen`.
const ITEMS_MAX: usize = 64;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its tool runs.
    Working,
    /// It waits for answers.
    InputRequired,
    /// It has a result, which may be the tool's own failure.
    Completed,
    /// It has an error.
    Failed,
    /// The client ended it.
    Cancelled,
}

impl Status {
    /// On the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Working => "working",
            Status::InputRequired => "input_required",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Cancelled)
    }
}

/// What is behind a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The status says it all.
    None,
    /// The tool's result, as it would have been answered.
    Result(JsonText),
    /// The error, as it would have been answered.
    Error(JsonText),
    /// The questions that are open.
    Input(Vec<InputRequest>),
}

/// A task as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task<'a> {
    /// Its name.
    pub id: &'a str,
    /// Where it is.
    pub status: Status,
    /// RFC 3339.
    pub created_at: &'a str,
    /// RFC 3339.
    pub last_updated_at: &'a str,
    /// How long it is kept, from when it was made.
    pub ttl_ms: u64,
    /// How often to ask.
    pub poll_interval_ms: u64,
}

impl Task<'_> {
    fn members(&self, object: &mut Object) {
        object.string("taskId", self.id);
        object.string("status", self.status.as_str());
        object.string("createdAt", self.created_at);
        object.string("lastUpdatedAt", self.last_updated_at);
        object.integer("ttlMs", i64::try_from(self.ttl_ms).unwrap_or(i64::MAX));
        object.integer("pollIntervalMs", i64::try_from(self.poll_interval_ms).unwrap_or(i64::MAX));
    }

    fn detail(object: &mut Object, detail: &Detail) {
        match detail {
            Detail::None => {}
            Detail::Result(result) => object.raw("result", result),
            Detail::Error(error) => object.raw("error", error),
            Detail::Input(requests) => object.raw("inputRequests", &InputRequest::map(requests)),
        }
    }

    /// The answer to `tools/call` in place of its result.
    #[must_use]
    pub fn created(&self, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "task");
        self.members(&mut shell.object);
        shell.end(None)
    }

    /// The answer to `tasks/get`.
    #[must_use]
    pub fn detailed(&self, detail: &Detail, revision: Revision, server: &Implementation) -> JsonText {
        let mut shell = Shell::new(revision, server, "complete");
        self.members(&mut shell.object);
        Self::detail(&mut shell.object, detail);
        shell.end(None)
    }

    /// `notifications/tasks` on a listen stream.
    #[must_use]
    pub fn notification(&self, detail: &Detail, subscription: &Id) -> Vec<u8> {
        let mut own = Object::new();
        own.raw(meta::SUBSCRIPTION_ID, &subscription.write());
        let mut params = Object::new();
        self.members(&mut params);
        Self::detail(&mut params, detail);
        params.raw("_meta", &own.end());
        write::notification("notifications/tasks", Some(&params.end()))
    }
}

/// `tasks/get` and `tasks/cancel`.
#[derive(Clone, Debug)]
pub struct TaskParams {
    /// Any string: whether there is such a task is for the host to say.
    pub task_id: Box<str>,
}

impl TaskParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<TaskParams, ParamsError> {
        Ok(TaskParams { task_id: params.members.required_string("taskId")? })
    }
}

/// `tasks/update`.
#[derive(Clone, Debug)]
pub struct UpdateParams {
    /// Any string.
    pub task_id: Box<str>,
    /// Answers by the key of their question; each an object.
    pub answers: Vec<(Box<str>, JsonText)>,
}

impl UpdateParams {
    /// Reads `params`.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<UpdateParams, ParamsError> {
        let members = &params.members;
        let task_id = members.required_string("taskId")?;
        let responses = members.object("inputResponses")?.ok_or(ParamsError::missing("inputResponses"))?;
        Ok(UpdateParams { task_id, answers: answers(responses)? })
    }
}

/// The answers in an `inputResponses`, each an object.
///
/// # Errors
/// One is no object, or there are too many.
pub fn answers(responses: &RawValue) -> Result<Vec<(Box<str>, JsonText)>, ParamsError> {
    let wrong = || ParamsError::wrong("inputResponses", "an object of at most 64 objects");
    let members = Members::of(responses.get()).ok_or_else(wrong)?;
    if members.len() > ITEMS_MAX || members.iter().any(|(_, raw)| !crate::text::starts_object(raw.get())) {
        return Err(wrong());
    }
    Ok(members.iter().map(|(key, raw)| (key.into(), raw.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let raw = |text: &str| -> Box<RawValue> { serde_json::from_str(text).expect("JSON") };
        let update = |text: &str| UpdateParams::read(&Params::of(Some(&raw(text))));
        assert!(update(r#"{"taskId":"t","inputResponses":{"k":1}}"#).is_err() && update(r#"{"taskId":"t"}"#).is_err());
        assert_eq!(update(r#"{"taskId":"t","inputResponses":{"k":{"a":1}}}"#).expect("read").answers[0].1.as_str(), r#"{"a":1}"#);
    }
}
