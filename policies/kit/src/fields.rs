//! Reads settings, and names everything that is wrong with them at once: the operator mends a file in one go.

use crate::pattern::Pattern;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::RangeInclusive;
use serde_json::{Map, Value};

/// Settings may have this many bytes.
pub const SETTINGS_BYTES_MAX: usize = 256 * 1024;
/// So many problems are shown; the first ones explain most of the others.
const PROBLEMS_SHOWN: usize = 20;

/// Reads settings that are one JSON object.
///
/// # Errors
///
/// All that is wrong: what `build` complained of, what has another type than it asked for, and members that it did not ask for.
pub fn read<T>(settings: &str, build: impl FnOnce(&mut Table<'_>) -> T) -> Result<T, String> {
    if settings.len() > SETTINGS_BYTES_MAX {
        return Err(format!("the settings have {} bytes; the limit is {SETTINGS_BYTES_MAX}", settings.len()));
    }
    let value: Value = serde_json::from_str(settings).map_err(|error| format!("the settings are not JSON: {error}"))?;
    let Value::Object(members) = &value else {
        return Err("the settings are not a table".to_owned());
    };
    let problems = RefCell::new(Vec::new());
    let mut root = Table { path: String::new(), members, known: Vec::new(), problems: &problems };
    let built = build(&mut root);
    root.finish();
    let problems = problems.into_inner();
    match problems.len() {
        0 => Ok(built),
        count if count > PROBLEMS_SHOWN => {
            let shown: Vec<_> = problems.into_iter().take(PROBLEMS_SHOWN).collect();
            Err(format!("{}\nand {} more", shown.join("\n"), count - PROBLEMS_SHOWN))
        }
        _ => Err(problems.join("\n")),
    }
}

/// A table of settings that is being read.
#[derive(Debug)]
pub struct Table<'a> {
    path: String,
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: &'a RefCell<Vec<String>>,
}

impl<'a> Table<'a> {
    /// Notes something that is wrong with a member.
    pub fn problem(&self, key: &str, what: &str) {
        self.problems.borrow_mut().push(format!("{}{key} {what}", self.path));
    }

    /// A member as it is.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.members.get(key)
    }

    /// A switch.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong(key, "true or false", other);
                default
            }
        }
    }

    /// A whole number in a range.
    pub fn number(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.value(key) else { return default };
        match value.as_u64() {
            Some(number) if range.contains(&number) => number,
            _ => {
                self.wrong(key, &format!("a whole number from {} to {}", range.start(), range.end()), value);
                default
            }
        }
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        match self.value(key) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.wrong(key, "a text", other);
                None
            }
        }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let Some(value) = self.value(key) else { return default };
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| value.as_str() == Some(*word)) {
            return *chosen;
        }
        self.wrong(key, &words(choices), value);
        default
    }

    /// A list of some words; none if it is left out.
    pub fn choices<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<Vec<T>> {
        let texts = self.texts(key, choices.len())?;
        let mut chosen = Vec::new();
        for (at, text) in texts.into_iter().enumerate() {
            match choices.iter().find(|(word, _)| text == *word) {
                Some((_, choice)) => chosen.push(*choice),
                None => self.problem(&format!("{key}[{at}]"), &format!("is {}, not {}", shown(text), words(choices))),
            }
        }
        Some(chosen)
    }

    /// A list of texts; none if it is left out.
    pub fn texts(&mut self, key: &'static str, count_max: usize) -> Option<Vec<&'a str>> {
        let items = self.list(key, count_max)?;
        let mut texts = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.as_str()),
                other => self.wrong(&format!("{key}[{at}]"), "a text", other),
            }
        }
        Some(texts)
    }

    /// A list of patterns; none if it is left out.
    pub fn patterns(&mut self, key: &'static str, count_max: usize) -> Option<Vec<Pattern>> {
        let texts = self.texts(key, count_max)?;
        let mut patterns = Vec::with_capacity(texts.len());
        for (at, text) in texts.into_iter().enumerate() {
            match Pattern::new(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(what) => self.problem(&format!("{key}[{at}]"), what),
            }
        }
        Some(patterns)
    }

    /// A list of tables, each built by `build`; empty if it is left out.
    pub fn tables<T>(&mut self, key: &'static str, count_max: usize, mut build: impl FnMut(&mut Table<'a>) -> T) -> Vec<T> {
        let items = self.list(key, count_max).unwrap_or_default();
        let mut built = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let path = format!("{}{key}[{at}].", self.path);
            match item {
                Value::Object(members) => {
                    let mut table = Table { path, members, known: Vec::new(), problems: self.problems };
                    built.push(build(&mut table));
                    table.finish();
                }
                other => self.wrong(&format!("{key}[{at}]"), "a table", other),
            }
        }
        built
    }

    fn list(&mut self, key: &'static str, count_max: usize) -> Option<&'a [Value]> {
        match self.value(key)? {
            Value::Array(items) if items.len() <= count_max => Some(items),
            Value::Array(items) => {
                self.problem(key, &format!("has {} entries; the limit is {count_max}", items.len()));
                Some(&[])
            }
            other => {
                self.wrong(key, "a list", other);
                Some(&[])
            }
        }
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value) {
        let found = match found {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) | Value::Number(_) => found.to_string(),
            Value::String(text) => shown(text),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a table".to_owned(),
        };
        self.problem(key, &format!("is {found}, not {wanted}"));
    }

    /// A setting with a typing error would otherwise be a setting that is not there.
    fn finish(&self) {
        for key in self.members.keys().filter(|key| !self.known.iter().any(|known| known == key)) {
            self.problem(&shown(key), &format!("is no setting; there are {}", self.known.join(", ")));
        }
    }
}

fn words<T>(choices: &[(&str, T)]) -> String {
    let words: Vec<_> = choices.iter().map(|(word, _)| format!("'{word}'")).collect();
    words.join(" or ")
}

/// A text from the settings inside of a message: short, on one line.
fn shown(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 60;
    let mut short: String = text.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        short.push('…');
    }
    format!("'{short}'")
}

#[cfg(test)]
mod tests {
    use super::{SETTINGS_BYTES_MAX, Table, read};

    #[derive(Debug, PartialEq)]
    struct Example(bool, u64, Vec<String>, Vec<Option<String>>);

    fn example(table: &mut Table<'_>) -> Example {
        let flag = table.flag("flag", true);
        let number = table.number("number", 7, 1..=9);
        let texts = table.texts("texts", 2).unwrap_or_default().into_iter().map(ToOwned::to_owned).collect();
        Example(flag, number, texts, table.tables("tables", 2, |table| table.text("name").map(ToOwned::to_owned)))
    }

    #[track_caller]
    fn refused(settings: &str, complaint: &str) {
        assert_eq!(read(settings, example), Err(complaint.to_owned()));
    }

    #[test]
    fn defaults_and_values() {
        assert_eq!(read("{}", example), Ok(Example(true, 7, vec![], vec![])));
        let settings = r#"{"flag": false, "number": 9, "texts": ["a"], "tables": [{"name": "x"}, {}]}"#;
        assert_eq!(read(settings, example), Ok(Example(false, 9, vec!["a".into()], vec![Some("x".into()), None])));
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let settings = r#"{"flag": "yes", "number": 10, "texts": ["a", 1], "tables": [{"nane": "x"}, 3], "flog": 1}"#;
        let complaint = "flag is 'yes', not true or false\n\
            number is 10, not a whole number from 1 to 9\n\
            texts[1] is 1, not a text\n\
            tables[0].'nane' is no setting; there are name\n\
            tables[1] is 3, not a table\n\
            'flog' is no setting; there are flag, number, texts, tables";
        refused(settings, complaint);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        refused("[]", "the settings are not a table");
        refused("null", "the settings are not a table");
        refused("{", "the settings are not JSON: EOF while parsing an object at line 1 column 1");
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        refused(&deep, "the settings are not JSON: recursion limit exceeded at line 1 column 128");
        let long = format!("{{\"x\": \"{}\"}}", "x".repeat(SETTINGS_BYTES_MAX));
        refused(&long, "the settings have 262153 bytes; the limit is 262144");
    }

    #[test]
    fn lists_have_an_end() {
        refused(r#"{"texts": ["a", "b", "c"]}"#, "texts has 3 entries; the limit is 2");
        refused(r#"{"texts": "a"}"#, "texts is 'a', not a list");
    }

    #[test]
    fn a_message_stays_on_one_line_and_short() {
        let settings = format!("{{\"flag\": \"a\\nb{}\"}}", "x".repeat(100));
        refused(&settings, &format!("flag is 'a\\nb{}…', not true or false", "x".repeat(57)));
        let many: Vec<_> = (0..30).map(|at| format!("\"k{at}\": 1")).collect();
        let error = read(&format!("{{{}}}", many.join(",")), example).unwrap_err();
        assert_eq!(error.lines().count(), 21);
        assert!(error.ends_with("and 10 more"), "{error}");
    }
}
