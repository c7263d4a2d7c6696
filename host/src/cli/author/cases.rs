//! The format of `cases.toml`: what is expected of a component's tools.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use toml::Spanned;

/// A case as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    tool: String,
    arguments: Option<toml::Table>,
    arguments_json: Option<String>,
    answers: Option<toml::Table>,
    text: Option<String>,
    #[serde(default)]
    text_contains: Texts,
    structured: Option<toml::Value>,
    structured_json: Option<String>,
    is_error: Option<bool>,
    fails: Option<String>,
    asks: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Written>>,
}

/// One text, or several.
#[derive(Debug, Default)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(vec![text])),
            texts => texts.try_into().map(Self).map_err(|error| serde::de::Error::custom(error.message())),
        }
    }
}

/// One call, and what is expected of it.
#[derive(Debug)]
pub(super) struct Case {
    /// Of the file, where it begins.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) tool: String,
    pub(super) arguments: Map<String, Value>,
    /// What the client's user answers, by the keys of the questions; none: the client can be asked nothing.
    pub(super) answers: Option<Map<String, Value>>,
    pub(super) expected: Expected,
}

/// What is expected of a call.
#[derive(Debug)]
pub(super) enum Expected {
    /// A result.
    Result(ExpectedResult),
    /// None, for a reason of which this is the word.
    Failure(String),
    /// Questions with these keys, in any order.
    Questions(Vec<String>),
}

#[derive(Debug)]
pub(super) struct ExpectedResult {
    pub(super) is_error: bool,
    pub(super) text: Option<String>,
    pub(super) contains: Vec<String>,
    pub(super) structured: Option<Value>,
}

/// Reads a file of cases.
///
/// # Errors
///
/// The first thing that is wrong with it, with its line.
pub(super) fn read(text: &str) -> Result<Vec<Case>, String> {
    let line = |at: usize| mcp::text::line_number(text, at);
    let file: File = toml::from_str(text).map_err(|error| {
        let what = mcp::text::line(error.message(), 400);
        error.span().map_or_else(|| what.clone(), |span| format!("line {}: {what}", line(span.start)))
    })?;
    if file.case.is_empty() {
        return Err("it holds no cases: there is no [[case]]".to_owned());
    }
    let cases = file.case.into_iter().map(|case| {
        let line = line(case.span().start);
        checked(line, case.into_inner()).map_err(|what| format!("line {line}: {what}"))
    });
    cases.collect()
}

fn checked(line: usize, case: Written) -> Result<Case, String> {
    let tables = (case.arguments, case.arguments_json);
    let arguments = match value(("arguments", tables.0.map(toml::Value::Table)), ("arguments_json", tables.1))? {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err("arguments_json is no JSON object".to_owned()),
    };
    let answers = match case.answers.map(|answers| json(&toml::Value::Table(answers))) {
        Some(Value::Object(answers)) => Some(answers),
        _ => None,
    };
    let structured = value(("structured", case.structured), ("structured_json", case.structured_json))?;
    let of_result = case.text.is_some() || !case.text_contains.0.is_empty() || structured.is_some() || case.is_error.is_some();
    let expected = match (of_result, case.fails, case.asks) {
        (true, None, None) => Expected::Result(ExpectedResult {
            is_error: case.is_error.unwrap_or(false),
            text: case.text,
            contains: case.text_contains.0,
            structured,
        }),
        (false, Some(word), None) => Expected::Failure(word),
        (false, None, Some(keys)) => Expected::Questions(keys),
        (false, None, None) => {
            return Err("the case expects nothing: say text, text_contains, structured, is_error, fails or asks".to_owned());
        }
        _ => return Err("the case expects a result, a failure or questions, and not two of them".to_owned()),
    };
    let name = case.name.unwrap_or_else(|| format!("{} in line {line}", case.tool));
    Ok(Case { line, name, tool: case.tool, arguments, answers, expected })
}

/// What is written as TOML, or as JSON, which has more to say: `null`, and whole numbers of any size.
fn value((one, table): (&str, Option<toml::Value>), (other, text): (&str, Option<String>)) -> Result<Option<Value>, String> {
    match (table, text) {
        (Some(_), Some(_)) => Err(format!("{one} and {other} say the same: write one of them")),
        (Some(table), None) => Ok(Some(json(&table))),
        (None, Some(text)) => serde_json::from_str(&text).map(Some).map_err(|error| format!("{other} is no JSON: {error}")),
        (None, None) => Ok(None),
    }
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Datetime(at) => Value::from(at.to_string()),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(members) => Value::Object(members.iter().map(|(key, value)| (key.clone(), json(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_read_with_its_lines() {
        let text = "# Cases.\n\n[[case]]\ntool = \"add\"\narguments = { a = 1, b = 2.5, c = [\"x\"] }\nstructured_json = \"null\"\n\n\
            [[case]]\nname = \"asks\"\ntool = \"add\"\nasks = [\"who\"]\nanswers.who.action = \"decline\"\n";
        let cases = read(text).expect("read");
        assert_eq!((cases[0].line, cases[0].name.as_str()), (3, "add in line 3"));
        assert_eq!(Value::Object(cases[0].arguments.clone()), json!({ "a": 1, "b": 2.5, "c": ["x"] }));
        assert!(matches!(&cases[0].expected, Expected::Result(result) if result.structured == Some(Value::Null) && !result.is_error));
        assert_eq!(cases[1].answers.clone().map(Value::Object), Some(json!({ "who": { "action": "decline" } })));
        assert!(matches!(&cases[1].expected, Expected::Questions(keys) if keys == &["who"]));
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let wrong = [
            ("", "it holds no cases"),
            ("[[case]]\ntool = \"a\"\n", "line 1: the case expects nothing"),
            ("\n[[case]]\ntool = \"a\"\nresult = 1\n", "line 4: unknown field `result`"),
            ("[[case]]\nname = \"x\"\n", "line 1: missing field `tool`"),
            ("[[case]]\ntool = 1\n", "line 2: invalid type: integer `1`, expected a string"),
            ("[[case]]\ntool = \"a\"\ntext_contains = 3\n", "line 3: "),
            ("[[case]]\ntool = \"a\"\ntext = \"x\"\nfails = \"trap\"\n", "line 1: the case expects a result, a failure or questions"),
            (
                "[[case]]\ntool = \"a\"\ntext = \"x\"\n[[case]]\ntool = \"a\"\narguments_json = \"{\"\nis_error = true\n",
                "line 4: arguments_json is no JSON",
            ),
            ("[[case]]\ntool = \"a\"\narguments_json = \"[]\"\nis_error = true\n", "line 1: arguments_json is no JSON object"),
            ("[[case]]\ntool = \"a\"\nstructured = 1\nstructured_json = \"1\"\n", "line 1: structured and structured_json say the same"),
            ("[[case\n", "line 1: "),
        ];
        for (text, told) in wrong {
            let refused = read(text).expect_err("it is refused");
            assert!(refused.starts_with(told), "{refused}");
        }
    }
}
