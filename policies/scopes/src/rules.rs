//! The settings, as they are used.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use kit::fields::{Table, read};
use kit::pattern::Pattern;
use kit::types::Action;

const RULES_MAX: usize = 256;
const SCOPES_MAX: usize = 32;
const SCOPE_BYTES_MAX: usize = 256;
const PATTERNS_MAX: usize = 256;

/// The actions by the names that the contract gives them.
const ACTIONS: &[(&str, Action)] = &[
    ("list-tools", Action::ListTools),
    ("call-tool", Action::CallTool),
    ("list-resources", Action::ListResources),
    ("read-resource", Action::ReadResource),
    ("list-prompts", Action::ListPrompts),
    ("get-prompt", Action::GetPrompt),
    ("complete", Action::Complete),
    ("subscribe", Action::Subscribe),
];

/// What is said of a thing that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// No.
    Deny,
    /// Let another policy decide.
    Abstain,
}

/// What the scopes count for that a plugin demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolScopes {
    /// They are needed besides a rule's.
    Also,
    /// Who has them needs no rule.
    Enough,
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) otherwise: Otherwise,
    pub(crate) read_only: bool,
    pub(crate) tool_scopes: ToolScopes,
    pub(crate) rules: Vec<Rule>,
}

/// Some scopes and what they open.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) scopes: Vec<String>,
    pub(crate) tools: Vec<Pattern>,
    pub(crate) resources: Vec<Pattern>,
    pub(crate) prompts: Vec<Pattern>,
    /// None: every plugin.
    pub(crate) plugins: Option<Vec<Pattern>>,
    /// None: every action.
    pub(crate) actions: Option<Vec<Action>>,
}

impl Rules {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, for the operator.
    pub(crate) fn read(settings: &str) -> Result<Self, String> {
        read(settings, |root| Self {
            otherwise: root.choice("otherwise", Otherwise::Deny, &[("deny", Otherwise::Deny), ("abstain", Otherwise::Abstain)]),
            read_only: root.flag("read_only", false),
            tool_scopes: root.choice("tool_scopes", ToolScopes::Also, &[("also", ToolScopes::Also), ("enough", ToolScopes::Enough)]),
            rules: root.tables("rules", RULES_MAX, rule),
        })
    }
}

fn rule(table: &mut Table<'_>) -> Rule {
    let rule = Rule {
        scopes: scopes(table),
        tools: table.patterns("tools", PATTERNS_MAX).unwrap_or_default(),
        resources: table.patterns("resources", PATTERNS_MAX).unwrap_or_default(),
        prompts: table.patterns("prompts", PATTERNS_MAX).unwrap_or_default(),
        plugins: table.patterns("plugins", PATTERNS_MAX),
        actions: table.choices("actions", ACTIONS),
    };
    if rule.tools.is_empty() && rule.resources.is_empty() && rule.prompts.is_empty() {
        table.problem("tools", "is empty, and so are resources and prompts: the rule opens nothing");
    }
    if rule.actions.as_ref().is_some_and(Vec::is_empty) {
        table.problem("actions", "is empty: the rule opens nothing. Leave it out for every action");
    }
    if rule.plugins.as_ref().is_some_and(Vec::is_empty) {
        table.problem("plugins", "is empty: the rule opens nothing. Leave it out for every plugin");
    }
    rule
}

fn scopes(table: &mut Table<'_>) -> Vec<String> {
    let Some(texts) = table.texts("scopes", SCOPES_MAX) else {
        // Left out by mistake it would open the rule to everybody, so that has to be written.
        table.problem("scopes", "is missing; an empty list opens the rule to every caller");
        return Vec::new();
    };
    let mut scopes: Vec<String> = Vec::with_capacity(texts.len());
    for (at, text) in texts.into_iter().enumerate() {
        if !is_scope(text) {
            table.problem(&format!("scopes[{at}]"), "is no scope: those have 1 to 256 visible ASCII characters without '\"' and '\\'");
        } else if !scopes.iter().any(|scope| scope == text) {
            scopes.push(text.to_owned());
        }
    }
    scopes
}

/// RFC 6749, section 3.3. A challenge names scopes with a space between them, so one with a space would be two.
fn is_scope(text: &str) -> bool {
    (1..=SCOPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::Rules;

    #[track_caller]
    fn refused(settings: &str, complaint: &str) {
        assert_eq!(Rules::read(settings).unwrap_err(), complaint);
    }

    #[test]
    fn a_rule_says_whom_it_is_for() {
        refused(r#"{"rules": [{"tools": ["*"]}]}"#, "rules[0].scopes is missing; an empty list opens the rule to every caller");
        assert!(Rules::read(r#"{"rules": [{"scopes": [], "tools": ["*"]}]}"#).is_ok());
    }

    #[test]
    fn a_rule_that_opens_nothing_is_a_mistake() {
        refused(r#"{"rules": [{"scopes": ["a"]}]}"#, "rules[0].tools is empty, and so are resources and prompts: the rule opens nothing");
        refused(
            r#"{"rules": [{"scopes": ["a"], "tools": ["*"], "actions": []}]}"#,
            "rules[0].actions is empty: the rule opens nothing. Leave it out for every action",
        );
    }

    #[test]
    fn scopes_are_as_oauth_writes_them() {
        for scope in ["", "a b", "a\"b", "a\\b", "ä", "a\u{7}"] {
            let settings = format!(r#"{{"rules": [{{"scopes": [{}], "tools": ["*"]}}]}}"#, json(scope));
            refused(&settings, "rules[0].scopes[0] is no scope: those have 1 to 256 visible ASCII characters without '\"' and '\\'");
        }
        let rules = Rules::read(r#"{"rules": [{"scopes": ["a", "https://x/y.z", "a"], "tools": ["*"]}]}"#).unwrap();
        assert_eq!(rules.rules[0].scopes, ["a", "https://x/y.z"]);
    }

    fn json(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\u{7}', "\\u0007"))
    }

    #[test]
    fn unknown_words_are_refused() {
        refused(
            r#"{"otherwise": "allow", "rules": [{"scopes": [], "tool": ["*"], "actions": ["call_tool"]}]}"#,
            "otherwise is 'allow', not 'deny' or 'abstain'\n\
             rules[0].actions[0] is 'call_tool', not 'list-tools' or 'call-tool' or 'list-resources' or 'read-resource' or \
             'list-prompts' or 'get-prompt' or 'complete' or 'subscribe'\n\
             rules[0].tools is empty, and so are resources and prompts: the rule opens nothing\n\
             rules[0].actions is empty: the rule opens nothing. Leave it out for every action\n\
             rules[0].'tool' is no setting; there are scopes, tools, resources, prompts, plugins, actions",
        );
    }
}
