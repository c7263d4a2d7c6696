//! A policy: takes addresses, numbers and keys out of results, and looks for them in arguments.
//!
//! `settings` says what is looked for, `find` finds it in a text, `json` walks through all texts of a JSON document and changes
//! nothing else of it, and `rewrite` knows which of them a result's reader sees. This file gives the verdicts.

#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;
#[cfg(target_family = "wasm")]
use bare as _;

mod find;
mod json;
mod rewrite;
mod settings;

/// What `wit-bindgen` makes of the contract.
#[expect(unsafe_code, reason = "generated; the host passes memory by address")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "filter-policy",
        with: { "gatehouse:policy/policy-types@0.1.0": kit::types },
    });

    export!(Redact with_types_in self);

    use super::Redact;
}

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bindings::exports::gatehouse::policy::call_filter::{self, ResultVerdict, Verdict};
use bindings::exports::gatehouse::policy::settings as settings_export;
use kit::types::{Action, Denial, Principal, Target};
use rewrite::{Document, rewrite};
use settings::{InArguments, InResults, Settings};

struct Redact;

impl settings_export::Guest for Redact {
    fn schema() -> String {
        include_str!("settings.schema.json").to_owned()
    }

    fn check(settings: String) -> Result<(), String> {
        Settings::read(&settings).map(|_| ())
    }
}

impl call_filter::Guest for Redact {
    fn on_call(settings: String, _: Principal, _: Action, target: Target, arguments: String) -> Verdict {
        let settings = match Settings::read(&settings) {
            Ok(settings) => settings,
            Err(what) => return deny(broken(&what)),
        };
        if settings.arguments == InArguments::Pass || !settings.is_for(&target) {
            return Verdict::Proceed;
        }
        match (rewrite(&settings, Document::Arguments, &arguments), settings.arguments) {
            (Err(what), _) => deny(format!("the arguments cannot be looked through: {what}")),
            (Ok(rewritten), _) if rewritten.seen.is_empty() => Verdict::Proceed,
            (Ok(rewritten), InArguments::Deny) => deny(format!("the arguments hold {}", rewritten.seen)),
            // A member that holds something and was not changed cannot be; were it otherwise, it must not go in.
            (Ok(rewritten), _) => {
                rewritten.changed.map_or_else(|| deny("the arguments could not be changed".to_owned()), Verdict::ProceedWith)
            }
        }
    }

    fn on_result(settings: String, _: Principal, _: Action, target: Target, _: String, reply: String) -> ResultVerdict {
        let settings = match Settings::read(&settings) {
            Ok(settings) => settings,
            Err(what) => return ResultVerdict::Withhold(broken(&what)),
        };
        if settings.results == InResults::Pass || !settings.is_for(&target) {
            return ResultVerdict::Pass;
        }
        match (rewrite(&settings, Document::Result, &reply), settings.results) {
            (Err(what), _) => ResultVerdict::Withhold(format!("the result cannot be looked through: {what}")),
            (Ok(rewritten), _) if rewritten.binary && settings.withhold_binary => {
                ResultVerdict::Withhold("the result holds an image, a sound or a file, which cannot be looked through".to_owned())
            }
            (Ok(rewritten), _) if rewritten.seen.is_empty() => ResultVerdict::Pass,
            (Ok(rewritten), InResults::Withhold) => ResultVerdict::Withhold(format!("the result holds {}", rewritten.seen)),
            (Ok(rewritten), _) => match rewritten.changed {
                Some(reply) => ResultVerdict::Replace(reply),
                None => ResultVerdict::Withhold("the result could not be changed".to_owned()),
            },
        }
    }
}

fn deny(reason: String) -> Verdict {
    Verdict::Deny(Denial { reason, missing_scopes: Vec::new() })
}

fn broken(what: &str) -> String {
    format!("the settings are broken: {}", what.lines().next().unwrap_or_default())
}
