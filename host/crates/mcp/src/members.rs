//! The members of a JSON object, borrowed, and typed looks at them whose errors name the member.

use crate::params::ParamsError;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// An object's members in their order. The text was checked: no key is there twice.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of the object that `text` holds; `None` if it holds something else.
    pub(crate) fn of(text: &'a str) -> Option<Members<'a>> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(Collect).ok().map(Members)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), *value))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The member as it stands, `null` included.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// An optional member; `null` counts as absent, as Python's SDK and `rmcp` read it.
    pub(crate) fn optional(&self, name: &str) -> Option<&'a RawValue> {
        self.get(name).filter(|raw| raw.get() != "null")
    }

    pub(crate) fn string(&self, name: &'static str) -> Result<Option<Box<str>>, ParamsError> {
        match self.optional(name) {
            None => Ok(None),
            Some(raw) => match serde_json::from_str(raw.get()) {
                Ok(string) => Ok(Some(string)),
                Err(_) => Err(ParamsError::wrong(name, "a string")),
            },
        }
    }

    pub(crate) fn required_string(&self, name: &'static str) -> Result<Box<str>, ParamsError> {
        self.string(name)?.ok_or(ParamsError::missing(name))
    }

    pub(crate) fn object(&self, name: &'static str) -> Result<Option<&'a RawValue>, ParamsError> {
        match self.optional(name) {
            Some(raw) if !crate::text::starts_object(raw.get()) => Err(ParamsError::wrong(name, "an object")),
            other => Ok(other),
        }
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(members)
    }
}

/// A key, borrowed where it has no escapes (`Cow` by itself is always read as owned).
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}
