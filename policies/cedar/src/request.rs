//! What a caller, an action and a target are in Cedar's terms.

use crate::settings::Settings;
use crate::value::{members, record};
use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use kit::types::{Action, Principal, Target, TargetKind};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The actions by the names that the contract gives them.
pub(crate) const ACTIONS: [(&str, Action); 8] = [
    ("list-tools", Action::ListTools),
    ("call-tool", Action::CallTool),
    ("list-resources", Action::ListResources),
    ("read-resource", Action::ReadResource),
    ("list-prompts", Action::ListPrompts),
    ("get-prompt", Action::GetPrompt),
    ("complete", Action::Complete),
    ("subscribe", Action::Subscribe),
];

/// What actions are members of: lists and uses of one kind of thing.
pub(crate) const ACTION_GROUPS: [&str; 3] = ["tools", "resources", "prompts"];

/// The types of entities that requests are made of.
pub(crate) const TYPES: [&str; 9] = ["User", "Anonymous", "Tenant", "Group", "Tool", "Resource", "Prompt", "Plugin", "Server"];

type Attributes = HashMap<String, RestrictedExpression>;

/// One target as Cedar is asked about it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
}

/// Who asks, and everything that all targets have in common.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) principal: EntityUid,
    what: Action,
    entities: Entities,
}

impl Asker {
    /// Puts the caller among the operator's entities.
    ///
    /// # Errors
    ///
    /// The claims cannot be read.
    pub(crate) fn new(settings: &Settings, who: &Principal, what: Action) -> Result<Self, String> {
        let principal = match &who.subject {
            Some(subject) => uid("User", &user_id(who.issuer.as_deref(), subject))?,
            None => uid("Anonymous", &who.tenant)?,
        };
        let mut parents = HashSet::from([uid("Tenant", &who.tenant)?]);
        if let (Some(claim), Some(claims)) = (&settings.groups_claim, &who.claims) {
            for group in groups(claims, claim) {
                parents.insert(uid("Group", &group)?);
            }
        }
        let claims =
            who.claims.as_deref().map_or(Ok(Vec::new()), members).map_err(|what| format!("the caller's claims: the text {what}"))?;
        let mut attributes = Attributes::from([
            ("tenant".to_owned(), text(&who.tenant)),
            ("scopes".to_owned(), texts(&who.scopes)),
            ("claims".to_owned(), record(claims)?),
        ]);
        attributes.extend(who.issuer.iter().map(|issuer| ("issuer".to_owned(), text(issuer))));
        attributes.extend(who.subject.iter().map(|subject| ("subject".to_owned(), text(subject))));
        let entities = with(settings.entities.clone(), principal.clone(), attributes, parents)?;
        Ok(Self { principal, what, entities })
    }

    /// Puts a target beside the caller. Nothing of the other targets is there: a list must not know more than a call.
    ///
    /// # Errors
    ///
    /// None that an input can cause; Cedar's own.
    pub(crate) fn ask(&self, target: &Target) -> Result<Asked, String> {
        let (entity, group, kind) = kind(target.kind);
        let resource = uid(entity, &target.name)?;
        let read_only = target.read_only.unwrap_or(false);
        let attributes = Attributes::from([
            ("kind".to_owned(), text(kind)),
            ("name".to_owned(), text(&target.name)),
            ("plugin".to_owned(), text(&target.plugin)),
            ("server".to_owned(), text(&target.server)),
            ("scopes".to_owned(), texts(&target.scopes)),
            // As MCP has it: a tool that says nothing may change things, and one that may, may destroy.
            ("readOnly".to_owned(), RestrictedExpression::new_bool(read_only)),
            ("destructive".to_owned(), RestrictedExpression::new_bool(target.destructive.unwrap_or(!read_only))),
        ]);
        let parents = HashSet::from([uid("Plugin", &target.plugin)?, uid("Server", &target.server)?]);
        let entities = with(self.entities.clone(), resource.clone(), attributes, parents)?;
        let name = ACTIONS.iter().find(|(_, action)| *action == self.what).map_or("", |(name, _)| *name);
        let action = uid("Action", name)?;
        let entities = with(entities, action.clone(), Attributes::new(), HashSet::from([uid("Action", group)?]))?;
        Ok(Asked { action, resource, entities })
    }
}

/// The context: the arguments of a call, if it is one.
///
/// # Errors
///
/// The arguments cannot be read.
pub(crate) fn context(arguments: Option<&str>) -> Result<Context, String> {
    let Some(arguments) = arguments else { return Ok(Context::empty()) };
    let arguments = record(members(arguments).map_err(|what| format!("the arguments: the text {what}"))?)?;
    Context::from_pairs([("arguments".to_owned(), arguments)]).map_err(|error| error.to_string())
}

/// One name for a person: two issuers may both have an `admin`. What separates the two halves cannot be in the first.
fn user_id(issuer: Option<&str>, subject: &str) -> String {
    format!("{}|{subject}", issuer.unwrap_or_default().replace('|', "%7C"))
}

fn groups(claims: &str, claim: &str) -> Vec<String> {
    let claims: Value = serde_json::from_str(claims).unwrap_or_default();
    let named = claims.get(claim).and_then(Value::as_array).into_iter().flatten();
    named.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// Type of the entity, the group of its actions, and the contract's name of the kind.
///
/// A template, and what is there by one alone, is a `Resource` too: a policy about a URI must not depend on whether its plugin lists it.
fn kind(kind: TargetKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        TargetKind::Tool => ("Tool", "tools", "tool"),
        TargetKind::Resource => ("Resource", "resources", "resource"),
        TargetKind::ResourceTemplate => ("Resource", "resources", "resource-template"),
        TargetKind::Prompt => ("Prompt", "prompts", "prompt"),
    }
}

/// Adds an entity, or its attributes and parents to what the operator says about it. A request's attributes win: the operator's may be
/// older than the token.
fn with(entities: Entities, uid: EntityUid, attributes: Attributes, parents: HashSet<EntityUid>) -> Result<Entities, String> {
    let known = entities.get(&uid).cloned().map(Entity::into_inner);
    let (_, mut all_attributes, mut all_parents) = known.unwrap_or_else(|| (uid.clone(), Attributes::new(), HashSet::new()));
    all_attributes.extend(attributes);
    all_parents.extend(parents);
    let entity = Entity::new(uid, all_attributes, all_parents).map_err(|error| error.to_string())?;
    entities.upsert_entities([entity], None).map_err(|error| error.to_string())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|error: cedar_policy::ParseErrors| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts(list: &[String]) -> RestrictedExpression {
    RestrictedExpression::new_set(list.iter().map(|item| text(item)))
}

#[cfg(test)]
mod tests {
    use super::{groups, user_id};

    #[test]
    fn no_two_callers_share_a_name() {
        let ids = [
            user_id(Some("https://a"), "b|c"),
            user_id(Some("https://a|b"), "c"),
            user_id(Some("https://a%7Cb"), "d"),
            user_id(None, "c"),
            user_id(None, "https://a|c"),
        ];
        assert_eq!(ids, ["https://a|b|c", "https://a%7Cb|c", "https://a%7Cb|d", "|c", "|https://a|c"]);
    }

    #[test]
    fn groups_are_a_list_of_texts() {
        assert_eq!(groups(r#"{"groups": ["a", 1, null, "b"]}"#, "groups"), ["a", "b"]);
        for claims in [r#"{"groups": "a"}"#, r#"{"groups": {"a": "b"}}"#, "{}", "[]", "", "{"] {
            assert_eq!(groups(claims, "groups"), [""; 0]);
        }
    }
}
