//! The decision about one thing.

use crate::rules::{Otherwise, Rule, Rules, ToolScopes};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use kit::pattern::{Pattern, any_fits};
use kit::types::{Action, Decision, Denial, Principal, Target, TargetKind};
use kit::uri::is_unclear;

fn patterns(rule: &Rule, kind: TargetKind) -> &[Pattern] {
    match kind {
        TargetKind::Tool => &rule.tools,
        TargetKind::Resource | TargetKind::ResourceTemplate => &rule.resources,
        TargetKind::Prompt => &rule.prompts,
    }
}

/// Allows a target if the caller has all the scopes of one of the rules that name it; otherwise says which scopes are the fewest to ask
/// for.
pub(crate) fn decide(rules: &Rules, who: &Principal, what: Action, target: &Target) -> Decision {
    if matches!(target.kind, TargetKind::Resource | TargetKind::ResourceTemplate) && is_unclear(&target.name) {
        return deny("the URI is not in its simplest form".to_owned(), Vec::new());
    }
    let demanded = lacking(who, &target.scopes);
    let named = rules.rules.iter().filter(|rule| names(rule, what, target));
    let fewest =
        if open_to_all(rules, target) { Some(Vec::new()) } else { named.map(|rule| lacking(who, &rule.scopes)).min_by_key(Vec::len) };
    match fewest {
        Some(lacking) => allow_unless(lacking, demanded),
        None if !target.scopes.is_empty() && rules.tool_scopes == ToolScopes::Enough => allow_unless(Vec::new(), demanded),
        None => match rules.otherwise {
            Otherwise::Deny => deny("no rule names it".to_owned(), Vec::new()),
            Otherwise::Abstain => Decision::Abstain,
        },
    }
}

/// A tool that says both, that it changes nothing and that it may destroy, is not believed.
fn open_to_all(rules: &Rules, target: &Target) -> bool {
    rules.read_only && target.kind == TargetKind::Tool && target.read_only == Some(true) && target.destructive != Some(true)
}

fn names(rule: &Rule, what: Action, target: &Target) -> bool {
    rule.actions.as_ref().is_none_or(|actions| actions.contains(&what))
        && any_fits(patterns(rule, target.kind), &target.name)
        && rule.plugins.as_ref().is_none_or(|plugins| any_fits(plugins, &target.plugin))
}

fn lacking<'a>(who: &Principal, wanted: &'a [String]) -> Vec<&'a str> {
    wanted.iter().filter(|scope| !who.scopes.contains(scope)).map(String::as_str).collect()
}

fn allow_unless<'a>(mut lacking: Vec<&'a str>, demanded: Vec<&'a str>) -> Decision {
    for scope in demanded {
        if !lacking.contains(&scope) {
            lacking.push(scope);
        }
    }
    if lacking.is_empty() {
        return Decision::Allow;
    }
    let plural = if lacking.len() == 1 { "" } else { "s" };
    deny(format!("lacks the scope{plural} {}", lacking.join(" ")), lacking.into_iter().map(ToOwned::to_owned).collect())
}

fn deny(reason: String, missing_scopes: Vec<String>) -> Decision {
    Decision::Deny(Denial { reason, missing_scopes })
}
