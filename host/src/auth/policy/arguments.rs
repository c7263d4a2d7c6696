//! What work is done with, as policies see it, and other arguments in their place.

use mcp::params::ARGUMENTS_BYTES_MAX;
use mcp::{JsonLimits, JsonText};
use sandbox::{Action, Work};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Names with their values.
type Texts = BTreeMap<String, String>;

/// An argument of a prompt or a template that is being filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    argument: String,
    value: String,
    context: Texts,
}

/// What is done.
pub(super) fn action(work: &Work) -> Action {
    match work {
        Work::CallTool { .. } => Action::CallTool,
        Work::ReadResource { .. } => Action::ReadResource,
        Work::GetPrompt { .. } => Action::GetPrompt,
        Work::Complete { .. } => Action::Complete,
    }
}

/// With what, as a JSON object; none where the name says everything.
pub(super) fn of(work: &Work) -> Option<String> {
    match work {
        Work::CallTool { arguments, .. } => Some(arguments.clone()),
        Work::ReadResource { .. } => None,
        Work::GetPrompt { arguments, .. } => Some(texts(arguments).to_string()),
        Work::Complete { argument, value, context, .. } => {
            Some(json!({ "argument": argument, "value": value, "context": texts(context) }).to_string())
        }
    }
}

/// The same work with other arguments, in the form that [`of`] has; none if they do not have it, or pass a limit.
pub(super) fn instead(work: &Work, arguments: &str, limits: &JsonLimits) -> Option<Work> {
    if arguments.len() > ARGUMENTS_BYTES_MAX {
        return None;
    }
    let checked = JsonText::parse(arguments, limits).ok().filter(JsonText::is_object)?;
    let text = checked.as_str();
    let pairs = |texts: Texts| texts.into_iter().collect();
    match work {
        Work::CallTool { name, .. } => Some(Work::CallTool { name: name.clone(), arguments: checked.into_string() }),
        Work::ReadResource { uri } => {
            let nothing: Texts = serde_json::from_str(text).ok()?;
            nothing.is_empty().then(|| Work::ReadResource { uri: uri.clone() })
        }
        Work::GetPrompt { name, .. } => Some(Work::GetPrompt { name: name.clone(), arguments: pairs(serde_json::from_str(text).ok()?) }),
        Work::Complete { subject, .. } => {
            let Typed { argument, value, context } = serde_json::from_str(text).ok()?;
            Some(Work::Complete { subject: subject.clone(), argument, value, context: pairs(context) })
        }
    }
}

fn texts(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::contract::Subject;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn all() -> [Work; 4] {
        [
            Work::CallTool { name: "t".to_owned(), arguments: r#"{"a":1}"#.to_owned() },
            Work::ReadResource { uri: "a:b".to_owned() },
            Work::GetPrompt { name: "p".to_owned(), arguments: pairs(&[("a", "1"), ("b", "2")]) },
            Work::Complete {
                subject: Subject::Prompt("p".to_owned()),
                argument: "a".to_owned(),
                value: "v".to_owned(),
                context: pairs(&[("b", "2")]),
            },
        ]
    }

    #[test]
    fn what_policies_see_is_taken_back() {
        let seen: Vec<_> = all().iter().map(|work| of(work).unwrap_or_else(|| "{}".to_owned())).collect();
        assert_eq!(seen, [r#"{"a":1}"#, "{}", r#"{"a":"1","b":"2"}"#, r#"{"argument":"a","context":{"b":"2"},"value":"v"}"#]);
        for (work, seen) in all().iter().zip(seen) {
            let again = instead(work, &seen, &JsonLimits::default()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{work:?}"));
        }
    }

    #[test]
    fn what_is_not_of_that_form_is_not_taken() {
        let [tool, read, prompt, complete] = all();
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(ARGUMENTS_BYTES_MAX));
        let table: [(&Work, &[&str]); 4] = [
            (&tool, &["", "[]", "null", "1", "{", r#"{"a":1,"\u0061":2}"#, "{} {}", &long]),
            (&read, &[r#"{"uri":"a:c"}"#, "[]"]),
            (&prompt, &[r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":"1","a":"2"}"#, "[]"]),
            (
                &complete,
                &[
                    "{}",
                    r#"{"argument":"a","value":"v"}"#,
                    r#"{"argument":"a","value":"v","context":{"b":2}}"#,
                    r#"{"argument":"a","value":"v","context":{},"more":1}"#,
                ],
            ),
        ];
        for (work, texts) in table {
            for text in texts {
                assert!(instead(work, text, &JsonLimits::default()).is_none(), "{work:?} {}", &text[..text.len().min(80)]);
            }
        }
    }
}
