//! The settings, as they are used.

use crate::find::{CLASSES, Class};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use kit::fields::{Table, read};
use kit::pattern::{Pattern, any_fits};
use kit::types::{Target, TargetKind};
use kit::uri::is_unclear;
use regex::{Regex, RegexBuilder};

const REGEXES_MAX: usize = 32;
const REGEX_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 40;
const KEPT_MAX: usize = 100;
const KEPT_BYTES_MAX: usize = 256;
const REPLACEMENT_BYTES_MAX: usize = 100;
const PATTERNS_MAX: usize = 256;
/// Compiled, for each expression. The whole policy has 16 MiB, and all 32 may be large.
const REGEX_SIZE_MAX: usize = 128 * 1024;
/// What a search may use to be quick; beyond it is slower, and still linear.
const REGEX_CACHE_MAX: usize = 128 * 1024;
const REGEX_NESTING_MAX: u32 = 32;

/// What becomes of a result that holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InResults {
    Replace,
    Withhold,
    Pass,
}

/// What becomes of a call whose arguments hold something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InArguments {
    Pass,
    Replace,
    Deny,
}

/// An expression of the operator's own.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) name: String,
    pub(crate) regex: Regex,
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) classes: Vec<Class>,
    pub(crate) own: Vec<Own>,
    pub(crate) keep: Vec<String>,
    pub(crate) replacement: String,
    pub(crate) results: InResults,
    pub(crate) withhold_binary: bool,
    pub(crate) arguments: InArguments,
    tools: Option<Vec<Pattern>>,
    resources: Option<Vec<Pattern>>,
    prompts: Option<Vec<Pattern>>,
    except: Vec<Pattern>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, for the operator.
    pub(crate) fn read(settings: &str) -> Result<Self, String> {
        read(settings, |root| {
            let results = [("replace", InResults::Replace), ("withhold", InResults::Withhold), ("pass", InResults::Pass)];
            let arguments = [("pass", InArguments::Pass), ("replace", InArguments::Replace), ("deny", InArguments::Deny)];
            let settings = Self {
                classes: root.choices("classes", &CLASSES).unwrap_or_else(|| CLASSES.iter().map(|(_, class)| *class).collect()),
                own: root.tables("patterns", REGEXES_MAX, own).into_iter().flatten().collect(),
                keep: keep(root),
                replacement: replacement(root),
                results: root.choice("results", InResults::Replace, &results),
                withhold_binary: root.choice("binary", false, &[("pass", false), ("withhold", true)]),
                arguments: root.choice("arguments", InArguments::Pass, &arguments),
                tools: root.patterns("tools", PATTERNS_MAX),
                resources: root.patterns("resources", PATTERNS_MAX),
                prompts: root.patterns("prompts", PATTERNS_MAX),
                except: root.patterns("except", PATTERNS_MAX).unwrap_or_default(),
            };
            if [&settings.tools, &settings.resources, &settings.prompts].iter().all(|list| list.as_ref().is_some_and(Vec::is_empty)) {
                root.problem(
                    "tools",
                    "is empty, and so are resources and prompts: nothing would be looked at. Leave one out for all of its kind",
                );
            }
            if settings.classes.is_empty() && settings.own.is_empty() {
                root.problem("classes", "is empty, and so is patterns: nothing would be looked for");
            }
            if settings.results == InResults::Pass && settings.arguments == InArguments::Pass && !settings.withhold_binary {
                root.problem("results", "is 'pass', and so is arguments: nothing would be changed");
            }
            // Otherwise a result that passes twice is changed twice, and a class could hide behind another's replacement.
            for name in settings.names().filter(|name| !settings.find(&settings.replaced(name), "").is_empty()) {
                root.problem("replacement", &format!("gives '{}', which is itself something to be replaced", settings.replaced(name)));
            }
            settings
        })
    }

    /// Whether a thing is one of those to be looked at.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        let of_kind = match target.kind {
            TargetKind::Tool => &self.tools,
            // What a URI begins with does not tell what an unclear one leads to.
            TargetKind::Resource | TargetKind::ResourceTemplate if is_unclear(&target.name) => return true,
            TargetKind::Resource | TargetKind::ResourceTemplate => &self.resources,
            TargetKind::Prompt => &self.prompts,
        };
        of_kind.as_ref().is_none_or(|patterns| any_fits(patterns, &target.name)) && !any_fits(&self.except, &target.name)
    }

    /// What stands in the place of something found.
    pub(crate) fn replaced(&self, name: &str) -> String {
        self.replacement.replace("{class}", name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|class| class.name()).chain(self.own.iter().map(|own| own.name.as_str()))
    }
}

fn own(table: &mut Table<'_>) -> Option<Own> {
    let name = table.text("name").unwrap_or_default().to_owned();
    let regular = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(regular) {
        table.problem("name", "has to be 1 to 40 of a-z, 0-9 and -");
    }
    let text = table.text("regex").unwrap_or_default();
    if !(1..=REGEX_BYTES_MAX).contains(&text.len()) {
        table.problem("regex", "has to be a text of 1 to 1,024 bytes");
        return None;
    }
    let built = RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).dfa_size_limit(REGEX_CACHE_MAX).nest_limit(REGEX_NESTING_MAX).build();
    match built {
        Ok(regex) if regex.is_match("") => table.problem("regex", "fits the empty text, which is everywhere"),
        Ok(regex) => return Some(Own { name, regex }),
        // Its message draws a picture of several lines; the last says what is wrong.
        Err(error) => table.problem("regex", &format!("cannot be used: {}", error.to_string().lines().last().unwrap_or_default())),
    }
    None
}

fn keep(root: &mut Table<'_>) -> Vec<String> {
    let texts = root.texts("keep", KEPT_MAX).unwrap_or_default();
    if texts.iter().any(|text| !(1..=KEPT_BYTES_MAX).contains(&text.len())) {
        root.problem("keep", "holds a text that is empty or longer than 256 bytes");
    }
    texts.into_iter().map(ToOwned::to_owned).collect()
}

fn replacement(root: &mut Table<'_>) -> String {
    let text = root.text("replacement").unwrap_or("[redacted:{class}]");
    if text.len() > REPLACEMENT_BYTES_MAX || text.chars().any(char::is_control) {
        root.problem("replacement", "has to be a text of at most 100 bytes without control characters");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[track_caller]
    fn refused(settings: &str, complaint: &str) {
        assert_eq!(Settings::read(settings).unwrap_err(), complaint);
    }

    #[test]
    fn expressions_are_tried() {
        refused(r#"{"patterns": [{"name": "a", "regex": "("}]}"#, "patterns[0].regex cannot be used: error: unclosed group");
        refused(r#"{"patterns": [{"name": "a", "regex": "a*"}]}"#, "patterns[0].regex fits the empty text, which is everywhere");
        refused(
            r#"{"patterns": [{"name": "a", "regex": "(?=x)"}]}"#,
            "patterns[0].regex cannot be used: error: look-around, including look-ahead and look-behind, is not supported",
        );
        refused(
            r#"{"patterns": [{"name": "A b"}]}"#,
            "patterns[0].name has to be 1 to 40 of a-z, 0-9 and -\npatterns[0].regex has to be a text of 1 to 1,024 bytes",
        );
        for large in ["(a{500}){500}", "\\\\w{400}", "((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))"] {
            let error = Settings::read(&format!(r#"{{"patterns": [{{"name": "a", "regex": "{large}"}}]}}"#)).unwrap_err();
            assert!(error.starts_with("patterns[0].regex cannot be used: "), "{error}");
        }
        assert!(Settings::read(r#"{"patterns": [{"name": "a", "regex": "(?i)\\bEMP-\\d{6}\\b"}]}"#).is_ok());
    }

    #[test]
    fn settings_without_effect_are_a_mistake() {
        refused(r#"{"classes": []}"#, "classes is empty, and so is patterns: nothing would be looked for");
        refused(r#"{"results": "pass"}"#, "results is 'pass', and so is arguments: nothing would be changed");
        refused(
            r#"{"tools": [], "resources": [], "prompts": []}"#,
            "tools is empty, and so are resources and prompts: nothing would be looked at. Leave one out for all of its kind",
        );
    }

    #[test]
    fn a_replacement_is_not_found_again() {
        refused(
            r#"{"classes": ["jwt"], "patterns": [{"name": "a", "regex": "redacted:[a-z]"}]}"#,
            "replacement gives '[redacted:jwt]', which is itself something to be replaced\n\
             replacement gives '[redacted:a]', which is itself something to be replaced",
        );
    }
}
