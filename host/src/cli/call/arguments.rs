//! Arguments as they are typed → the JSON object that a tool takes.

use super::super::Failed;
use serde_json::{Map, Value};

/// What the user gave.
#[derive(Debug)]
pub(super) enum Given {
    /// As one object.
    Object(Map<String, Value>),
    /// One by one.
    Pairs(Vec<(String, String)>),
}

impl Given {
    pub(super) fn read(pairs: &[String], object: Option<&str>) -> Result<Self, Failed> {
        if let Some(text) = object.filter(|text| !text.is_empty()) {
            if !pairs.is_empty() {
                return Err(Failed { code: 64, message: "give the arguments one by one or as one object, not both".to_owned() });
            }
            return match serde_json::from_str(text) {
                Ok(Value::Object(object)) => Ok(Self::Object(object)),
                Ok(_) => Err(Failed { code: 64, message: "the arguments must be a JSON object".to_owned() }),
                Err(error) => Err(Failed { code: 64, message: format!("the arguments are no JSON: {error}") }),
            };
        }
        let pairs = pairs.iter().map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failed { code: 64, message: format!("`{pair}` is not NAME=VALUE") }),
        });
        Ok(Self::Pairs(pairs.collect::<Result<_, _>>()?))
    }

    /// The object. Where the schema wants a string the value is one as it stands; elsewhere it is read as JSON, and is a string if that
    /// cannot be.
    pub(super) fn resolve(self, schema: Option<&Value>) -> Map<String, Value> {
        let pairs = match self {
            Self::Object(object) => return object,
            Self::Pairs(pairs) => pairs,
        };
        let wants_string = |name: &str| {
            let kind = schema.and_then(|schema| schema.get("properties")?.get(name)?.get("type"));
            kind.and_then(Value::as_str) == Some("string")
        };
        let typed = pairs.into_iter().map(|(name, text)| {
            let value = if wants_string(&name) { None } else { serde_json::from_str(&text).ok() };
            (name, value.unwrap_or(Value::String(text)))
        });
        typed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_the_schema_wants_them() {
        let schema = json!({ "properties": { "text": { "type": "string" }, "n": { "type": "integer" } } });
        let pairs = ["text=5", "n=5", "other=[1]", "word=a=b"].map(str::to_owned);
        let given = Given::read(&pairs, None).expect("pairs");
        assert_eq!(Value::Object(given.resolve(Some(&schema))), json!({ "text": "5", "n": 5, "other": [1], "word": "a=b" }));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |pairs: &[String], object| Given::read(pairs, object).expect_err("wrong").message;
        assert_eq!(message(&["x".to_owned()], None), "`x` is not NAME=VALUE");
        assert_eq!(message(&[], Some("[1]")), "the arguments must be a JSON object");
        assert_eq!(message(&["a=1".to_owned()], Some("{}")), "give the arguments one by one or as one object, not both");
    }
}
