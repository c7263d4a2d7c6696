//! JSON (RFC 8259) that has one reading: no object says a key twice, at any depth, after unescaping (RFC 7515, 4; RFC 7519, 4 leave it to
//! the reader, and two readers that choose differently are how one checks what the other does not use).
//!
//! Nothing here is an error text: whoever wrote the JSON learns nothing from where it was refused.

use crate::limits::JSON_DEPTH_MAX;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// One value. `Debug` is for tests: it shows what a token says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool,
    Integer(i64),
    /// What is no integer of 64 bits; finite.
    Real(f64),
    Text(String),
    Array(Vec<Value>),
    Object(Object),
}

/// The members of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(BTreeMap<String, Value>);

/// A member has another type than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongType;

/// Where a point in time goes that lies between two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Down,
    Up,
}

impl Object {
    /// The object that is the whole text; none for anything else.
    pub(crate) fn read(text: &str) -> Option<Object> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = Level(JSON_DEPTH_MAX).deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        match value {
            Value::Object(object) => Some(object),
            Value::Null | Value::Bool | Value::Integer(_) | Value::Real(_) | Value::Text(_) | Value::Array(_) => None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether it says one of these, `null` included.
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }

    /// A text, if the member is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null | Value::Bool | Value::Integer(_) | Value::Real(_) | Value::Array(_) | Value::Object(_)) => Err(WrongType),
        }
    }

    /// A text or several, if the member is there.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Texts<'_>>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(Texts::One(text))),
            Some(Value::Array(values)) => {
                values.iter().map(Value::as_text).collect::<Option<_>>().map(Texts::Many).map(Some).ok_or(WrongType)
            }
            Some(Value::Null | Value::Bool | Value::Integer(_) | Value::Real(_) | Value::Object(_)) => Err(WrongType),
        }
    }

    /// A `NumericDate` (RFC 7519, 2) as whole seconds since 1970, if the member is there: a number within 64 bits, with a fraction or not.
    pub(crate) fn seconds(&self, name: &str, round: Round) -> Result<Option<i64>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Integer(seconds)) => Ok(Some(*seconds)),
            Some(Value::Real(seconds)) => {
                let whole = match round {
                    Round::Down => seconds.floor(),
                    Round::Up => seconds.ceil(),
                };
                // -2^63 is a double, 2^63 - 1 is none: the range is half open. The cast cannot change what lies in it.
                let range = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
                if range.contains(&whole) { Ok(Some(whole as i64)) } else { Err(WrongType) }
            }
            Some(Value::Null | Value::Bool | Value::Text(_) | Value::Array(_) | Value::Object(_)) => Err(WrongType),
        }
    }
}

/// What says one text or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Texts<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

impl<'a> Texts<'a> {
    pub(crate) fn as_slice(&self) -> &[&'a str] {
        match self {
            Texts::One(text) => std::slice::from_ref(text),
            Texts::Many(texts) => texts,
        }
    }
}

impl Value {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool | Value::Integer(_) | Value::Real(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Reads a value in which so many containers may still open.
struct Level(usize);

impl Level {
    fn below<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Real(number as f64), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Real(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Level(below))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        // A tree, not a hash table: chosen keys cannot collide.
        let mut members = BTreeMap::new();
        while let Some(name) = items.next_key::<String>()? {
            let value = items.next_value_seed(Level(below))?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a key twice"));
            }
        }
        Ok(Value::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests;
