//! A policy: which OAuth scopes open which tools, resources and prompts.
//!
//! `rules` reads the settings, `decide` answers.

#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;
#[cfg(target_family = "wasm")]
use bare as _;

mod decide;
mod rules;

/// What `wit-bindgen` makes of the contract.
#[expect(unsafe_code, reason = "generated; the host passes memory by address")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "authorizer-policy",
        with: { "gatehouse:policy/policy-types@0.1.0": kit::types },
    });

    export!(Scopes with_types_in self);

    use super::Scopes;
}

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bindings::exports::gatehouse::policy::{authorizer, settings};
use kit::types::{Action, Decision, Denial, Principal, Target};
use rules::Rules;

struct Scopes;

impl settings::Guest for Scopes {
    fn schema() -> String {
        include_str!("settings.schema.json").to_owned()
    }

    fn check(settings: String) -> Result<(), String> {
        Rules::read(&settings).map(|_| ())
    }
}

impl authorizer::Guest for Scopes {
    fn authorize(settings: String, who: Principal, what: Action, targets: Vec<Target>, _: Option<String>) -> Vec<Decision> {
        match Rules::read(&settings) {
            Ok(rules) => targets.iter().map(|target| decide::decide(&rules, &who, what, target)).collect(),
            // `check` let them pass before, so this is a fault of the host's or ours: the answer is no.
            Err(what) => targets.iter().map(|_| broken(&what)).collect(),
        }
    }
}

fn broken(what: &str) -> Decision {
    let what = what.lines().next().unwrap_or_default();
    Decision::Deny(Denial { reason: format!("the settings are broken: {what}"), missing_scopes: Vec::new() })
}
