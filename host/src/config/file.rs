//! The settings file as it is written: TOML, read key by key so that every mistake is found in one go.
//!
//! A derived deserializer stops at the first mistake. This reader notes each one with its line, goes on with the default, and in the
//! end also names the keys that nobody asked for, with the nearest known one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1; none where no line is to blame.
    pub line: Option<usize>,
    /// The key, with its sections, or empty for a mistake of syntax.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A number that was read: what counts, and what could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// What it is a limit of; empty where its section says that already.
    pub subject: &'static str,
    /// The key, with its sections; the unit ends it.
    pub key: String,
    /// What counts.
    pub value: u64,
    /// What counts where nothing is set; none: another setting then.
    pub default: Option<u64>,
    /// What may be set.
    pub range: RangeInclusive<u64>,
    /// The line that sets it, counted from 1; none: the default counts.
    pub line: Option<usize>,
    /// What becomes of what is beyond it, or what is answered; empty where it is no border that something is beyond.
    pub beyond: &'static str,
}

/// Collects mistakes, and the numbers that count, while a file is read.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    found: RefCell<Vec<Mistake>>,
    numbers: RefCell<Vec<Number>>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::default(), numbers: RefCell::default() }
    }

    pub(super) fn note(&self, offset: Option<usize>, key: &str, message: impl Into<String>) {
        let line = offset.map(|at| mcp::text::line_number(self.text, at));
        self.found.borrow_mut().push(Mistake { line, key: key.to_owned(), message: message.into() });
    }

    /// Every number that was read, in the order of reading.
    pub(super) fn numbers(&self) -> Vec<Number> {
        self.numbers.take()
    }

    /// By line.
    pub(super) fn into_list(self) -> Vec<Mistake> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|mistake| mistake.line);
        found
    }
}

/// Parses the file's text; what is not TOML is noted and left out.
pub(super) fn parse<'t>(mistakes: &Mistakes<'t>) -> DeTable<'t> {
    let (table, errors) = DeTable::parse_recoverable(mistakes.text);
    for error in errors {
        mistakes.note(error.span().map(|span| span.start), "", error.message().trim());
    }
    table.into_inner()
}

/// What stands under a name that is free.
pub(super) enum Entry<'a, 't> {
    Text(String),
    Table(Section<'a, 't>),
}

/// One table of the file. Every key that is read is known; [`Section::end`] refuses the rest.
pub(super) struct Section<'a, 't> {
    path: String,
    table: Option<&'a DeTable<'t>>,
    mistakes: &'a Mistakes<'t>,
    known: RefCell<BTreeSet<String>>,
}

impl<'a, 't> Section<'a, 't> {
    pub(super) fn root(table: &'a DeTable<'t>, mistakes: &'a Mistakes<'t>) -> Self {
        Self { path: String::new(), table: Some(table), mistakes, known: RefCell::default() }
    }

    /// The table of that name, or an empty one.
    pub(super) fn section(&self, key: &str) -> Section<'a, 't> {
        let table = self.value(key).and_then(|value| self.expect(key, value, "a table", value.get_ref().as_table()));
        self.below(key, table)
    }

    /// Every table inside of the table of that name, by its own name.
    pub(super) fn sections(&self, key: &str) -> Vec<(String, usize, Section<'a, 't>)> {
        let outer = self.section(key);
        let Some(table) = outer.table else { return Vec::new() };
        table
            .iter()
            .filter_map(|(name, value)| {
                let inner = outer.expect(name.get_ref(), value, "a table", value.get_ref().as_table())?;
                Some((name.get_ref().to_string(), name.span().start, outer.below(name.get_ref(), Some(inner))))
            })
            .collect()
    }

    /// Everything inside of the table of that name, by its own name: names are free there, and each has a text, or a table in its place.
    pub(super) fn entries(&self, key: &str) -> Vec<(String, usize, Entry<'a, 't>)> {
        let outer = self.section(key);
        let Some(table) = outer.table else { return Vec::new() };
        let entries = table.iter().filter_map(|(name, value)| {
            let entry = match value.get_ref() {
                DeValue::String(text) => Some(Entry::Text(text.to_string())),
                DeValue::Table(inner) => Some(Entry::Table(outer.below(name.get_ref(), Some(inner)))),
                _ => None,
            };
            Some((name.get_ref().to_string(), name.span().start, outer.expect(name.get_ref(), value, "a string or a table", entry)?))
        });
        entries.collect()
    }

    /// Whether it is given at all.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        let value = self.value(key)?;
        self.expect(key, value, "a string", value.get_ref().as_str()).map(ToOwned::to_owned)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(items) = self.expect(key, value, "a list of strings", value.get_ref().as_array()) else { return Vec::new() };
        items
            .iter()
            .filter_map(|item| self.expect(key, item, "a list of strings", item.get_ref().as_str()).map(ToOwned::to_owned))
            .collect()
    }

    /// A table of somebody else's settings, as JSON.
    pub(super) fn json(&self, key: &str) -> Option<serde_json::Value> {
        let value = self.value(key)?;
        self.expect(key, value, "a table", value.get_ref().as_table())?;
        json(value.get_ref()).map_err(|message| self.note(key, message)).ok()
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        let Some(value) = self.value(key) else { return default };
        self.expect(key, value, "true or false", value.get_ref().as_bool()).unwrap_or(default)
    }

    /// A whole number inside `range`.
    pub(super) fn number(&self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.limit(key, default, range, "", "")
    }

    /// The same with what it is a limit of and what becomes of what is beyond it, for whoever asks for all limits.
    pub(super) fn limit(&self, key: &str, default: u64, range: RangeInclusive<u64>, subject: &'static str, beyond: &'static str) -> u64 {
        let value = self.whole(key, &range).unwrap_or(default);
        self.keep(Number { subject, key: self.path_of(key), value, default: Some(default), range, line: self.line_of(key), beyond });
        value
    }

    /// The same where another setting counts in its place if it is not given.
    pub(super) fn given(&self, key: &str, range: RangeInclusive<u64>, beyond: &'static str) -> Option<u64> {
        let value = self.whole(key, &range)?;
        self.keep(Number { subject: "", key: self.path_of(key), value, default: None, range, line: self.line_of(key), beyond });
        Some(value)
    }

    fn whole(&self, key: &str, range: &RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let number = value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.expect(key, value, &expected, number.filter(|number| range.contains(number)))
    }

    fn keep(&self, number: Number) {
        self.mistakes.numbers.borrow_mut().push(number);
    }

    /// The line of a key that is given.
    fn line_of(&self, key: &str) -> Option<usize> {
        let (name, _) = self.table?.get_key_value(key)?;
        Some(mcp::text::line_number(self.mistakes.text, name.span().start))
    }

    /// A number from 0 to 1, with or without a fraction.
    pub(super) fn ratio(&self, key: &str, default: f64) -> f64 {
        let Some(value) = self.value(key) else { return default };
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        self.expect(key, value, "a number from 0.0 to 1.0", number.filter(|number| (0.0..=1.0).contains(number))).unwrap_or(default)
    }

    /// Text that `parse` understands; its error is shown.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|message| self.note(key, message)).ok()
    }

    /// Notes a mistake about one key.
    pub(super) fn note(&self, key: &str, message: impl Into<String>) {
        let offset = self.table.and_then(|table| table.get(key)).map(|value| value.span().start);
        self.mistakes.note(offset, &self.path_of(key), message);
    }

    /// Refuses what was not asked for.
    pub(super) fn end(self) {
        let known = self.known.borrow();
        for (key, _) in self.table.into_iter().flat_map(DeTable::iter) {
            if known.contains(key.get_ref().as_ref()) {
                continue;
            }
            let near = known.iter().map(|name| (distance(name, key.get_ref()), name)).min().filter(|(distance, _)| *distance <= 3);
            let message = match near {
                Some((_, name)) => format!("there is no such setting; did you mean `{name}`?"),
                None => format!("there is no such setting; here belong {}", join(&known)),
            };
            self.mistakes.note(Some(key.span().start), &self.path_of(key.get_ref()), message);
        }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.known.borrow_mut().insert(key.to_owned());
        self.table?.get(key)
    }

    fn below(&self, key: &str, table: Option<&'a DeTable<'t>>) -> Section<'a, 't> {
        Section { path: self.path_of(key), table, mistakes: self.mistakes, known: RefCell::default() }
    }

    fn expect<T>(&self, key: &str, value: &Spanned<DeValue<'t>>, expected: &str, read: Option<T>) -> Option<T> {
        if read.is_none() {
            let message = format!("must be {expected}");
            self.mistakes.note(Some(value.span().start), &self.path_of(key), message);
        }
        read
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn json(value: &DeValue<'_>) -> Result<serde_json::Value, String> {
    use serde_json::Value;
    Ok(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => return Err(format!("the number {} does not fit 64 bits", number.as_str())),
        },
        DeValue::Float(number) => number.as_str().parse::<f64>().map(Value::from).unwrap_or_default(),
        DeValue::Boolean(flag) => Value::from(*flag),
        // JSON has none.
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Result<_, _>>()?,
        DeValue::Table(table) => {
            let members = table.iter().map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref())?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

fn join(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "no settings".to_owned() } else { names.join(", ") }
}

/// How many letters to insert, delete or change to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(from != *to)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
