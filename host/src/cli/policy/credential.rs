//! Cases for policies that know credentials.

use super::format::{Caller, File, Filled, WordOr, word_or, yes};
use super::{Tested, contains_all, stopped};
use sandbox::{Credentials, Principal};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A credential that a policy is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    pub(super) name: String,
    settings: Option<toml::Table>,
    settings_json: Option<String>,
    #[serde(default = "yes")]
    checked: bool,
    #[serde(default)]
    fill: Filled,
    scheme: String,
    value: String,
    server: Option<String>,
    remote_address: Option<String>,
    expect: Expected,
    #[serde(default)]
    says: Vec<String>,
}

/// `"unknown"`, `"deny"`, or whose it is.
#[derive(Debug)]
enum Expected {
    Unknown,
    Deny,
    Of(Box<Caller>),
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match word_or::<D, Caller>(deserializer)? {
            WordOr::Word(word) if word == "unknown" => Ok(Self::Unknown),
            WordOr::Word(word) if word == "deny" => Ok(Self::Deny),
            WordOr::Word(word) => Err(D::Error::custom(format!("'{word}' is neither 'unknown' nor 'deny'"))),
            WordOr::Table(caller) => Ok(Self::Of(Box::new(caller))),
        }
    }
}

impl Tested {
    pub(super) async fn credential(&self, case: &Credential, file: &File) -> Result<(), String> {
        if !self.guest.kinds().authenticates {
            return Err("this policy knows no credentials".to_owned());
        }
        let settings = self.settings(&case.fill, &case.settings, case.settings_json.as_deref(), case.checked, file).await?;
        let credentials = Credentials {
            scheme: case.scheme.clone(),
            value: case.fill.text(&case.value),
            server: case.server.clone().or_else(|| file.server()).unwrap_or_default(),
            remote_address: case.remote_address.clone(),
        };
        let said = self.sandbox.authenticate(&self.guest, settings, credentials).await.map_err(stopped)?;
        match (said, &case.expect) {
            (Ok(None), Expected::Unknown) => contains_all("", &case.says),
            (Err(denial), Expected::Deny) => contains_all(&denial.reason, &case.says),
            (Ok(Some(found)), Expected::Of(wanted)) => same(&found, &case.fill.caller(wanted)),
            (Ok(None), _) => Err("the policy does not know it".to_owned()),
            (Ok(Some(found)), _) => Err(format!("it is of {}", of(&found))),
            (Err(denial), _) => Err(format!("it is denied: {}", mcp::text::line(&denial.reason, 200))),
        }
    }
}

/// Who vouches is not compared: the gateway says so itself.
fn same(found: &Principal, wanted: &Principal) -> Result<(), String> {
    let claims = |principal: &Principal| {
        principal.claims.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text)))
    };
    let all = |principal: &Principal| (principal.tenant.clone(), principal.subject.clone(), principal.scopes.clone(), claims(principal));
    if all(found) == all(wanted) { Ok(()) } else { Err(format!("it is of {}, not of {}", of(found), of(wanted))) }
}

fn of(principal: &Principal) -> String {
    let Principal { tenant, subject, scopes, claims, .. } = principal;
    mcp::text::line(&format!("{subject:?} of {tenant:?} with {scopes:?} and {claims:?}"), 400)
}
