//! JSON as Cedar's values.
//!
//! Cedar has no numbers with a point, and no null. A number that is no 64-bit integer becomes the text that it is written as, for `decimal`
//! to read; a null is left out. What looks like Cedar's own escapes (`__entity`) is data like all else: claims and arguments make no entities.

use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value};

/// Deeper than this no argument is sensible, and a guest's stack is small.
const DEPTH_MAX: usize = 32;

/// A JSON object as the members of a record.
///
/// # Errors
///
/// It is no JSON object, or nested too deep.
pub(crate) fn members(json: &str) -> Result<Vec<(String, RestrictedExpression)>, String> {
    match serde_json::from_str(json) {
        Ok(Value::Object(members)) => of_members(members, DEPTH_MAX),
        Ok(_) => Err("is not a JSON object".to_owned()),
        Err(_) => Err("is not JSON".to_owned()),
    }
}

/// A record of members.
///
/// # Errors
///
/// Two members have one name, which a JSON object cannot have.
pub(crate) fn record(members: Vec<(String, RestrictedExpression)>) -> Result<RestrictedExpression, String> {
    RestrictedExpression::new_record(members).map_err(|error| error.to_string())
}

fn of_members(members: Map<String, Value>, depth: usize) -> Result<Vec<(String, RestrictedExpression)>, String> {
    let mut converted = Vec::with_capacity(members.len());
    for (name, value) in members {
        if let Some(value) = expression(value, depth)? {
            converted.push((name, value));
        }
    }
    Ok(converted)
}

fn expression(value: Value, depth: usize) -> Result<Option<RestrictedExpression>, String> {
    let inner = depth.checked_sub(1).ok_or_else(|| format!("is nested deeper than {DEPTH_MAX} levels"))?;
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(flag) => RestrictedExpression::new_bool(flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => RestrictedExpression::new_long(number),
            None => RestrictedExpression::new_string(number.to_string()),
        },
        Value::String(text) => RestrictedExpression::new_string(text),
        Value::Array(items) => {
            let mut set = Vec::with_capacity(items.len());
            for item in items {
                set.extend(expression(item, inner)?);
            }
            RestrictedExpression::new_set(set)
        }
        Value::Object(members) => record(of_members(members, inner)?)?,
    }))
}
