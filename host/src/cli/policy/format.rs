//! The format of a file of cases: `policies/README.md` describes it.

use super::credential::Credential;
use sandbox::{Action, Principal, Target, TargetKind};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) defaults: Defaults,
    #[serde(default)]
    pub(super) check: Vec<Check>,
    #[serde(default)]
    pub(super) case: Vec<Case>,
    #[serde(default)]
    pub(super) filter: Vec<Filtered>,
    #[serde(default)]
    pub(super) credential: Vec<Credential>,
}

impl File {
    /// All entries.
    pub(super) fn count(&self) -> usize {
        self.check.len() + self.case.len() + self.filter.len() + self.credential.len()
    }

    /// The virtual server's id where an entry does not say it.
    pub(super) fn server(&self) -> Option<String> {
        self.defaults.server.clone()
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it. One that expects nothing is: it would pass whatever the policy does.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.count() == 0 {
            return Err("it holds no cases: there is no [[check]], [[case]], [[filter]] or [[credential]]".to_owned());
        }
        match file.filter.iter().find(|case| case.expect_call.is_none() && case.expect_result.is_none()) {
            Some(case) => Err(format!("the filter case '{}' expects nothing: it needs expect_call, expect_result or both", case.name)),
            None => Ok(file),
        }
    }
}

/// What holds for every entry that does not say otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    settings: Option<toml::Table>,
    principal: Option<Caller>,
    server: Option<String>,
}

/// Settings that are looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) settings: Option<toml::Table>,
    pub(super) settings_json: Option<String>,
    #[serde(default)]
    pub(super) fill: Filled,
    #[serde(default)]
    pub(super) refused: bool,
    #[serde(default)]
    pub(super) says: Vec<String>,
}

/// A question to an authorizer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) settings: Option<toml::Table>,
    pub(super) settings_json: Option<String>,
    #[serde(default = "yes")]
    pub(super) checked: bool,
    #[serde(default)]
    pub(super) fill: Filled,
    pub(super) principal: Option<Caller>,
    pub(super) server: Option<String>,
    pub(super) action: ActionName,
    pub(super) targets: Vec<Thing>,
    pub(super) arguments: Option<toml::Value>,
    pub(super) arguments_json: Option<String>,
    pub(super) expect: Vec<ExpectedDecision>,
    pub(super) missing_scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) says: Vec<String>,
}

/// A call that a filter looks into.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filtered {
    pub(super) name: String,
    pub(super) settings: Option<toml::Table>,
    pub(super) settings_json: Option<String>,
    #[serde(default = "yes")]
    pub(super) checked: bool,
    #[serde(default)]
    pub(super) fill: Filled,
    pub(super) principal: Option<Caller>,
    pub(super) server: Option<String>,
    #[serde(default)]
    pub(super) action: ActionName,
    #[serde(default)]
    pub(super) target: Thing,
    pub(super) arguments: Option<toml::Value>,
    pub(super) arguments_json: Option<String>,
    pub(super) reply: Option<toml::Value>,
    pub(super) reply_json: Option<String>,
    pub(super) expect_call: Option<ExpectedCall>,
    pub(super) expect_result: Option<ExpectedResult>,
    #[serde(default)]
    pub(super) says: Vec<String>,
    #[serde(default)]
    pub(super) never: Vec<String>,
}

/// `"proceed"`, `"deny"`, or the arguments to go on with.
#[derive(Debug)]
pub(super) enum ExpectedCall {
    Proceed,
    Deny,
    With(toml::Value),
}

/// `"pass"`, `"withhold"`, or the result to go on with.
#[derive(Debug)]
pub(super) enum ExpectedResult {
    Pass,
    Withhold,
    With(toml::Value),
    /// Byte for byte.
    Exactly(String),
}

/// `"allow"`, `"deny"` or `"abstain"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExpectedDecision {
    Allow,
    Deny,
    Abstain,
}

/// A word, or a table of its own form.
pub(super) enum WordOr<T> {
    Word(String),
    Table(T),
}

/// Told apart by hand: serde's untagged enums take tables with keys that they do not know, and say of no mistake where it is.
pub(super) fn word_or<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<WordOr<T>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(word) => Ok(WordOr::Word(word)),
        table => table.try_into().map(WordOr::Table).map_err(|error: toml::de::Error| D::Error::custom(error.message())),
    }
}

impl<'de> Deserialize<'de> for ExpectedCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct With {
            arguments: toml::Value,
        }
        match word_or::<D, With>(deserializer)? {
            WordOr::Word(word) if word == "proceed" => Ok(Self::Proceed),
            WordOr::Word(word) if word == "deny" => Ok(Self::Deny),
            WordOr::Word(word) => Err(D::Error::custom(format!("'{word}' is neither 'proceed' nor 'deny'"))),
            WordOr::Table(With { arguments }) => Ok(Self::With(arguments)),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectedResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct With {
            replace: Option<toml::Value>,
            replace_json: Option<String>,
        }
        match word_or::<D, With>(deserializer)? {
            WordOr::Word(word) if word == "pass" => Ok(Self::Pass),
            WordOr::Word(word) if word == "withhold" => Ok(Self::Withhold),
            WordOr::Word(word) => Err(D::Error::custom(format!("'{word}' is neither 'pass' nor 'withhold'"))),
            WordOr::Table(With { replace: Some(result), replace_json: None }) => Ok(Self::With(result)),
            WordOr::Table(With { replace: None, replace_json: Some(text) }) => Ok(Self::Exactly(text)),
            WordOr::Table(_) => Err(D::Error::custom("one of `replace` and `replace_json` has to be there")),
        }
    }
}

/// Who asks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Caller {
    tenant: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    claims: Option<toml::Table>,
    claims_json: Option<String>,
}

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thing {
    kind: Option<KindName>,
    name: String,
    plugin: Option<String>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default = "once")]
    pub(super) repeat: usize,
}

pub(super) fn yes() -> bool {
    true
}

fn once() -> usize {
    1
}

/// An action by its name in the contract.
#[derive(Debug)]
pub(super) struct ActionName(pub(super) Action);

impl Default for ActionName {
    fn default() -> Self {
        Self(Action::CallTool)
    }
}

/// A target's kind by its name in the contract.
#[derive(Debug)]
struct KindName(TargetKind);

/// What an action is mostly for.
fn usual_kind(action: Action) -> TargetKind {
    match action {
        Action::ListTools | Action::CallTool => TargetKind::Tool,
        Action::ListResources | Action::ReadResource | Action::Subscribe => TargetKind::Resource,
        Action::ListPrompts | Action::GetPrompt | Action::Complete => TargetKind::Prompt,
    }
}

impl<'de> Deserialize<'de> for KindName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self(match name.as_str() {
            "tool" => TargetKind::Tool,
            "resource" => TargetKind::Resource,
            "resource-template" => TargetKind::ResourceTemplate,
            "prompt" => TargetKind::Prompt,
            _ => return Err(D::Error::custom(format!("'{name}' is no kind of target"))),
        }))
    }
}

impl<'de> Deserialize<'de> for ActionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self(match name.as_str() {
            "list-tools" => Action::ListTools,
            "call-tool" => Action::CallTool,
            "list-resources" => Action::ListResources,
            "read-resource" => Action::ReadResource,
            "list-prompts" => Action::ListPrompts,
            "get-prompt" => Action::GetPrompt,
            "complete" => Action::Complete,
            "subscribe" => Action::Subscribe,
            _ => return Err(D::Error::custom(format!("'{name}' is no action"))),
        }))
    }
}

/// Long texts by short names: `${name}` stands for `text`, `times` over.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filled(BTreeMap<String, Fill>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    text: String,
    times: usize,
}

impl Filled {
    pub(super) fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, fill)| {
            let mark = format!("${{{name}}}");
            if text.contains(&mark) { text.replace(&mark, &fill.text.repeat(fill.times)) } else { text }
        })
    }

    pub(super) fn value(&self, value: &toml::Value) -> Value {
        match value {
            toml::Value::String(text) => Value::String(self.text(text)),
            toml::Value::Integer(number) => Value::from(*number),
            toml::Value::Float(number) => Value::from(*number),
            toml::Value::Boolean(flag) => Value::Bool(*flag),
            toml::Value::Datetime(moment) => Value::String(moment.to_string()),
            toml::Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            toml::Value::Table(table) => Value::Object(self.object(table)),
        }
    }

    fn object(&self, table: &toml::Table) -> Map<String, Value> {
        table.iter().map(|(key, value)| (self.text(key), self.value(value))).collect()
    }

    pub(super) fn json(&self, value: Option<&toml::Value>, text: Option<&str>) -> Option<String> {
        text.map(|text| self.text(text)).or_else(|| value.map(|value| self.value(value).to_string()))
    }

    pub(super) fn settings(&self, own: &Option<toml::Table>, json: Option<&str>, file: &File) -> Result<String, String> {
        if let Some(text) = json {
            return Ok(self.text(text));
        }
        let table = own.as_ref().or(file.defaults.settings.as_ref()).ok_or("it has no settings")?;
        Ok(Value::Object(self.object(table)).to_string())
    }

    pub(super) fn principal(&self, own: &Option<Caller>, file: &File) -> Principal {
        self.caller(own.as_ref().or(file.defaults.principal.as_ref()).unwrap_or(&Caller::default()))
    }

    pub(super) fn caller(&self, caller: &Caller) -> Principal {
        let claims = caller.claims.as_ref().map(|claims| Value::Object(self.object(claims)).to_string());
        Principal {
            tenant: caller.tenant.as_deref().map_or_else(|| "default".to_owned(), |tenant| self.text(tenant)),
            issuer: caller.issuer.as_deref().map(|issuer| self.text(issuer)),
            subject: caller.subject.as_deref().map(|subject| self.text(subject)),
            scopes: caller.scopes.iter().map(|scope| self.text(scope)).collect(),
            claims: caller.claims_json.as_deref().map(|text| self.text(text)).or(claims),
        }
    }

    pub(super) fn target(&self, thing: &Thing, (action, number): (Action, usize), server: &Option<String>, file: &File) -> Target {
        Target {
            // That of `/mcp`.
            server: server.clone().or_else(|| file.server()).unwrap_or_default(),
            kind: thing.kind.as_ref().map_or_else(|| usual_kind(action), |kind| kind.0),
            name: self.text(&thing.name).replace("{n}", &number.to_string()),
            plugin: thing.plugin.clone().unwrap_or_else(|| "plugin".to_owned()),
            read_only: thing.read_only,
            destructive: thing.destructive,
            scopes: thing.scopes.clone(),
        }
    }
}
