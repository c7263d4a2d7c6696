//! The settings: read for every decision, checked once when they are loaded.

use crate::request::{ACTION_GROUPS, ACTIONS, TYPES};
use cedar_policy::{Entities, EntityTypeName, PolicySet, PrincipalConstraint, ResourceConstraint};
use kit::fields::{Table, read};
use miette::Diagnostic;
use serde_json::Value;

const POLICIES_BYTES_MAX: usize = 64 * 1024;
const ENTITIES_MAX: usize = 1_000;

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) policies: PolicySet,
    /// What the operator says about groups, plugins, callers and the like.
    pub(crate) entities: Entities,
    pub(crate) groups_claim: Option<String>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, for the operator.
    pub(crate) fn read(settings: &str) -> Result<Self, String> {
        read(settings, |root| {
            let groups_claim = root.text("groups_claim").map(ToOwned::to_owned);
            if groups_claim.as_deref() == Some("") {
                root.problem("groups_claim", "is empty");
            }
            Self { policies: policies(root), entities: entities(root), groups_claim }
        })
    }

    /// Looks for what Cedar takes and what can never be meant: a `forbid` about an action that does not exist forbids nothing.
    ///
    /// # Errors
    ///
    /// What it is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        if self.policies.is_empty() {
            problems.push("policies holds no policy: everything would be left to others".to_owned());
        }
        if let Some(template) = self.policies.templates().next() {
            problems.push(format!("policy {} is a template (?principal, ?resource), which nobody fills in", template.id()));
        }
        for policy in self.policies.policies() {
            for uid in policy.entity_literals() {
                let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
                if kind != "Action" {
                    self.unknown_type(&kind).into_iter().for_each(|what| problems.push(format!("policy {} {what}", policy.id())));
                } else if !ACTIONS.iter().any(|(name, _)| *name == id) && !ACTION_GROUPS.contains(&id) {
                    let known: Vec<_> = ACTIONS.iter().map(|(name, _)| *name).chain(ACTION_GROUPS).collect();
                    problems.push(format!("policy {} names the action '{id}', which is not one of {}", policy.id(), known.join(", ")));
                }
            }
            let principal = match policy.principal_constraint() {
                PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => Some(kind),
                PrincipalConstraint::Any | PrincipalConstraint::In(_) | PrincipalConstraint::Eq(_) => None,
            };
            let resource = match policy.resource_constraint() {
                ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => Some(kind),
                ResourceConstraint::Any | ResourceConstraint::In(_) | ResourceConstraint::Eq(_) => None,
            };
            for what in [principal, resource].into_iter().flatten().filter_map(|kind| self.unknown_type(&kind.to_string())) {
                problems.push(format!("policy {} {what}", policy.id()));
            }
        }
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }

    fn unknown_type(&self, kind: &str) -> Option<String> {
        let of_entities = |known: &EntityTypeName| known.to_string() == kind;
        let known = TYPES.contains(&kind) || self.entities.iter().any(|entity| of_entities(entity.uid().type_name()));
        (!known).then(|| format!("names the type {kind}, which is neither one of {} nor in entities", TYPES.join(", ")))
    }
}

fn policies(root: &mut Table<'_>) -> PolicySet {
    let Some(text) = root.text("policies") else {
        root.problem("policies", "is missing: a text in Cedar's language");
        return PolicySet::new();
    };
    if text.len() > POLICIES_BYTES_MAX {
        root.problem("policies", &format!("has {} bytes; the limit is {POLICIES_BYTES_MAX}", text.len()));
        return PolicySet::new();
    }
    text.parse().unwrap_or_else(|errors: cedar_policy::ParseErrors| {
        for error in errors.iter() {
            let place = error.labels().and_then(|mut labels| labels.next()).map(|label| place(text, label.offset()));
            root.problem("policies", &format!("cannot be read{}: {error}", place.unwrap_or_default()));
        }
        PolicySet::new()
    })
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
    format!(" at line {line}, column {column}")
}

fn entities(root: &mut Table<'_>) -> Entities {
    let list = match root.value("entities") {
        None => return Entities::empty(),
        Some(Value::Array(list)) if list.len() <= ENTITIES_MAX => list,
        Some(Value::Array(list)) => {
            root.problem("entities", &format!("has {} entries; the limit is {ENTITIES_MAX}", list.len()));
            return Entities::empty();
        }
        Some(_) => {
            root.problem("entities", "is not a list");
            return Entities::empty();
        }
    };
    let complete: Value = list.iter().cloned().map(with_defaults).collect();
    let entities = match Entities::from_json_value(complete, None) {
        Ok(entities) => entities,
        Err(error) => {
            root.problem("entities", &format!("cannot be read: {}", in_full(&error)));
            return Entities::empty();
        }
    };
    if entities.iter().any(|entity| entity.uid().type_name().to_string() == "Action") {
        root.problem("entities", "holds an Action; those are given");
    }
    entities
}

/// Cedar wants all three members; in a settings file most entities are groups or plugins with nothing to say.
fn with_defaults(mut entity: Value) -> Value {
    if let Value::Object(members) = &mut entity {
        members.entry("attrs").or_insert_with(|| Value::Object(serde_json::Map::new()));
        members.entry("parents").or_insert_with(|| Value::Array(Vec::new()));
    }
    entity
}

/// Cedar says in the cause what was wrong where.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Settings, place};
    use serde_json::json;

    #[track_caller]
    fn refused(policies: &str, complaint: &str) {
        let settings = json!({ "policies": policies }).to_string();
        let error = Settings::read(&settings).and_then(|settings| settings.check()).unwrap_err();
        assert!(error.contains(complaint), "{error}");
    }

    #[test]
    fn places_are_counted_from_one() {
        for (offset, expected) in [(0, "line 1, column 1"), (3, "line 1, column 3"), (4, "line 2, column 1"), (99, "line 3, column 2")] {
            assert_eq!(place("aä\nb\nc", offset), format!(" at {expected}"));
        }
    }

    #[test]
    fn faults_have_a_place() {
        refused("permit(principal, action, resource)\n  when { principal.x ==== 1 };", "policies cannot be read at line 2, column");
        refused("permit(principal, action, resource) when { iq(\"1.2.3.4\").isLoopback() };", "policies cannot be read at line 1");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        refused("", "policies holds no policy");
        refused("forbid(principal, action == Action::\"call_tool\", resource);", "names the action 'call_tool'");
        refused("forbid(principal, action, resource) when { action in Action::\"tool\" };", "names the action 'tool'");
        refused("forbid(principal, action, resource is Tol);", "names the type Tol");
        refused("forbid(principal in Grop::\"a\", action, resource);", "names the type Grop");
        refused("permit(principal == ?principal, action, resource);", "is a template");
    }

    #[test]
    fn types_of_the_operators_own() {
        let policies = "permit(principal in Team::\"a\", action, resource);";
        let entities = json!([{ "uid": { "type": "Team", "id": "a" } }]);
        let settings = json!({ "policies": policies, "entities": entities }).to_string();
        Settings::read(&settings).unwrap().check().unwrap();
    }

    #[test]
    fn entities_are_read() {
        for (entities, complaint) in [
            (json!([{ "uid": "x" }]), "entities cannot be read"),
            (json!([{ "uid": { "type": "Action", "id": "x" } }]), "entities holds an Action"),
            (json!({}), "entities is not a list"),
            (json!([{ "uid": { "type": "A", "id": "x" }, "attrs": { "a": 1.5 } }]), "entities cannot be read"),
        ] {
            let settings = json!({ "policies": "permit(principal, action, resource);", "entities": entities }).to_string();
            let error = Settings::read(&settings).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
