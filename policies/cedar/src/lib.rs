//! A policy: rules written in Cedar.
//!
//! `settings` reads and checks the policies, `request` says what a caller and a target are in Cedar's terms, `value` turns JSON
//! into Cedar's values, and `decide` turns Cedar's answer into one of ours.

mod decide;
mod request;
mod settings;
mod value;

/// What `wit-bindgen` makes of the contract.
#[expect(unsafe_code, reason = "generated; the host passes memory by address")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "authorizer-policy",
        with: { "gatehouse:policy/policy-types@0.1.0": kit::types },
    });

    export!(Cedar with_types_in self);

    use super::Cedar;
}

use bindings::exports::gatehouse::policy;
use kit::types::{Action, Decision, Denial, Principal, Target};
use settings::Settings;

struct Cedar;

impl policy::settings::Guest for Cedar {
    fn schema() -> String {
        include_str!("settings.schema.json").to_owned()
    }

    fn check(settings: String) -> Result<(), String> {
        Settings::read(&settings)?.check()
    }
}

impl policy::authorizer::Guest for Cedar {
    fn authorize(settings: String, who: Principal, what: Action, targets: Vec<Target>, arguments: Option<String>) -> Vec<Decision> {
        let decided = Settings::read(&settings)
            .map_err(|what| format!("the settings are broken: {what}"))
            .and_then(|settings| decide::decide_all(&settings, &who, what, &targets, arguments.as_deref()));
        // What could not be asked is denied: a `forbid` might have been there for it.
        decided.unwrap_or_else(|reason| {
            let reason = reason.lines().next().unwrap_or_default();
            let deny = || Decision::Deny(Denial { reason: reason.to_owned(), missing_scopes: Vec::new() });
            targets.iter().map(|_| deny()).collect()
        })
    }
}
