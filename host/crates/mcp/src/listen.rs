//! `subscriptions/listen`: what a modern client wants to hear of outside of its calls (1.8).

use crate::jsonrpc::Id;
use crate::members::Members;
use crate::meta::{self, RequestMeta};
use crate::params::{Params, ParamsError};
use crate::result::List;
use crate::text::{JsonText, Object};
use crate::write;
use serde_json::value::RawValue;

/// Resources, and tasks, that one subscription may name.
pub const ITEMS_MAX: usize = 64;

/// A list whose changes are announced. That of resources stands for the templates too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `notifications/tools/list_changed`
    Tools,
    /// `notifications/prompts/list_changed`
    Prompts,
    /// `notifications/resources/list_changed`
    Resources,
}

impl ListKind {
    /// Each of them.
    pub const ALL: [ListKind; 3] = [ListKind::Tools, ListKind::Prompts, ListKind::Resources];

    const fn method(self) -> &'static str {
        match self {
            ListKind::Tools => "notifications/tools/list_changed",
            ListKind::Prompts => "notifications/prompts/list_changed",
            ListKind::Resources => "notifications/resources/list_changed",
        }
    }

    /// The list itself.
    #[must_use]
    pub const fn list(self) -> List {
        match self {
            ListKind::Tools => List::Tools,
            ListKind::Prompts => List::Prompts,
            ListKind::Resources => List::Resources,
        }
    }

    /// The announcement on a standalone stream.
    #[must_use]
    pub fn changed(self) -> Vec<u8> {
        write::notification(self.method(), None)
    }

    /// The announcement on a listen stream.
    #[must_use]
    pub fn changed_for(self, subscription: &Id) -> Vec<u8> {
        write::subscription_notification(self.method(), subscription)
    }
}

/// `notifications/cancelled` of a server that ends a subscription: the only use that it has for it (basic, cancellation).
#[must_use]
pub fn cancelled(subscription: &Id) -> Vec<u8> {
    let mut own = Object::new();
    own.raw(meta::SUBSCRIPTION_ID, &subscription.write());
    let mut params = Object::new();
    params.raw("requestId", &subscription.write());
    params.string("reason", "The gateway ends this subscription");
    params.raw("_meta", &own.end());
    write::notification("notifications/cancelled", Some(&params.end()))
}

/// `subscriptions/listen`. Narrowed to what is served, it is also what the acknowledgement says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListenParams {
    /// The list of tools.
    pub tools_list_changed: bool,
    /// The list of prompts.
    pub prompts_list_changed: bool,
    /// The list of resources, or that of templates.
    pub resources_list_changed: bool,
    /// Single resources, by URI.
    pub resource_subscriptions: Vec<Box<str>>,
    /// Single tasks.
    pub task_ids: Vec<Box<str>>,
}

impl ListenParams {
    /// Reads `params`. Kinds that are not known here are not read: the acknowledgement leaves them out.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(params: &Params<'_>) -> Result<ListenParams, ParamsError> {
        RequestMeta::read(params)?;
        let wanted = params.members.object("notifications")?.ok_or(ParamsError::missing("notifications"))?;
        let wanted = Members::of(wanted.get()).unwrap_or_default();
        let flag = |name: &str, error: ParamsError| match wanted.optional(name).map(RawValue::get) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(error),
        };
        let texts = |name: &str, error: ParamsError| -> Result<Vec<Box<str>>, ParamsError> {
            let Some(raw) = wanted.optional(name) else { return Ok(Vec::new()) };
            serde_json::from_str(raw.get()).ok().filter(|texts: &Vec<_>| texts.len() <= ITEMS_MAX).ok_or(error)
        };
        let boolean = |member| ParamsError::wrong(member, "a boolean");
        let strings = |member| ParamsError::wrong(member, "a list of at most 64 strings");
        Ok(ListenParams {
            tools_list_changed: flag("toolsListChanged", boolean("notifications.toolsListChanged"))?,
            prompts_list_changed: flag("promptsListChanged", boolean("notifications.promptsListChanged"))?,
            resources_list_changed: flag("resourcesListChanged", boolean("notifications.resourcesListChanged"))?,
            resource_subscriptions: texts("resourceSubscriptions", strings("notifications.resourceSubscriptions"))?,
            task_ids: texts("taskIds", strings("notifications.taskIds"))?,
        })
    }

    /// Whether changes of that list are wanted.
    #[must_use]
    pub const fn wants(&self, list: ListKind) -> bool {
        match list {
            ListKind::Tools => self.tools_list_changed,
            ListKind::Prompts => self.prompts_list_changed,
            ListKind::Resources => self.resources_list_changed,
        }
    }

    /// The first message of the stream: what of it is served.
    #[must_use]
    pub fn acknowledged(&self, subscription: &Id) -> Vec<u8> {
        let mut served = Object::new();
        let flags = [
            ("toolsListChanged", self.tools_list_changed),
            ("promptsListChanged", self.prompts_list_changed),
            ("resourcesListChanged", self.resources_list_changed),
        ];
        for (name, _) in flags.iter().filter(|(_, wanted)| *wanted) {
            served.flag(name, true);
        }
        for (name, texts) in [("resourceSubscriptions", &self.resource_subscriptions), ("taskIds", &self.task_ids)] {
            if !texts.is_empty() {
                served.list(name, texts.iter().map(|text| JsonText::string(text)));
            }
        }
        let mut own = Object::new();
        own.raw(meta::SUBSCRIPTION_ID, &subscription.write());
        let mut params = Object::new();
        params.raw("notifications", &served.end());
        params.raw("_meta", &own.end());
        write::notification("notifications/subscriptions/acknowledged", Some(&params.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let read = |text: &str| ListenParams::read(&Params::of(Some(&serde_json::from_str::<Box<RawValue>>(text).expect("JSON"))));
        assert!(read("{}").is_err() && read(r#"{"notifications":[]}"#).is_err());
        for wrong in [r#""toolsListChanged":1"#, r#""promptsListChanged":"yes""#, r#""taskIds":[1]"#, r#""resourceSubscriptions":"a:b""#] {
            assert!(read(&format!("{{\"notifications\":{{{wrong}}}}}")).is_err(), "{wrong}");
        }
        let many = serde_json::to_string(&vec!["a:b"; ITEMS_MAX + 1]).expect("JSON");
        assert!(read(&format!("{{\"notifications\":{{\"resourceSubscriptions\":{many}}}}}")).is_err());
    }

    #[test]
    fn what_is_served_is_acknowledged() {
        let wanted = r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourcesListChanged":true,
            "resourceSubscriptions":["a:b"],"taskIds":["t"],"somethingNew":true}}"#;
        let read = ListenParams::read(&Params::of(Some(&serde_json::from_str::<Box<RawValue>>(wanted).expect("JSON")))).expect("read");
        let said = String::from_utf8(read.acknowledged(&Id::Number(7))).expect("text");
        let served = r#"{"toolsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["a:b"],"taskIds":["t"]}"#;
        assert!(said.contains(&format!("\"notifications\":{served}")) && said.contains("subscriptionId\":7"), "{said}");
    }
}
