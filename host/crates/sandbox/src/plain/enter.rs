//! JSON → the engine's values, by the shape of a type. What does not fit is told with its place, as a JSON pointer.
//!
//! The host has compared the arguments with the schema before; this is the second wall, and the place where lengths become memory.

use super::shape::{Case, Field, Integer, Shape};
use super::shown;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use wasmtime::component::Val;

/// As schemas have it: padding is wanted, and bits that nobody reads may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The values of parameters, which may take `bytes_max` bytes of memory together.
///
/// # Errors
///
/// The first thing that does not fit: where it stands, and what would.
pub(super) fn arguments(parameters: &[Field], json: &str, bytes_max: usize) -> Result<Vec<Val>, String> {
    let value: Value = serde_json::from_str(json).map_err(|error| format!("the arguments are no JSON: {error}"))?;
    let mut reader = Reader { bytes: bytes_max };
    let place = Place { above: None, step: Step::Root };
    let fields = reader.fields(parameters, &value, &place)?;
    Ok(fields.into_iter().map(|(_, value)| value).collect())
}

/// One value; of which type stands outside.
#[cfg(test)]
pub(super) fn value(shape: &Shape, json: &Value, bytes_max: usize) -> Result<Val, String> {
    Reader { bytes: bytes_max }.value(shape, json, &Place { above: None, step: Step::Root })
}

/// Where a value stands, from the inside to the outside.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

impl Place<'_> {
    fn member<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place { above: Some(self), step: Step::Member(name) }
    }

    fn item(&self, at: usize) -> Place<'_> {
        Place { above: Some(self), step: Step::Item(at) }
    }

    fn pointer(&self) -> String {
        let mut text = self.above.map(Place::pointer).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Member(name) => text.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1"))),
            Step::Item(at) => text.push_str(&format!("/{at}")),
        }
        text
    }

    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        let place = self.pointer();
        let place = if place.is_empty() { "the arguments" } else { &place };
        Err(format!("{}: {what}", shown(place)))
    }
}

/// What a JSON value is, without what it says.
fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Makes values as long as there is room for them.
struct Reader {
    bytes: usize,
}

impl Reader {
    fn take(&mut self, bytes: usize, place: &Place<'_>) -> Result<(), String> {
        match self.bytes.checked_sub(bytes) {
            Some(rest) => self.bytes = rest,
            None => return place.wrong("the arguments take more memory than a call may hand over"),
        }
        Ok(())
    }

    fn value(&mut self, shape: &Shape, json: &Value, place: &Place<'_>) -> Result<Val, String> {
        self.take(size_of::<Val>(), place)?;
        match shape {
            Shape::Bool => match json {
                Value::Bool(value) => Ok(Val::Bool(*value)),
                other => place.wrong(&format!("it must be a boolean, and is {}", kind(other))),
            },
            Shape::Integer(integer) => self::integer(*integer, json, place),
            Shape::Float32 => match float(json) {
                // Beyond that there is only infinity, which nobody wrote.
                Some(value) if value.is_finite() && value.abs() > f64::from(f32::MAX) => place.wrong("it is too large for a 32-bit float"),
                #[expect(clippy::cast_possible_truncation, reason = "the nearest of the smaller type is what is asked for")]
                Some(value) => Ok(Val::Float32(value as f32)),
                None => place.wrong(&not_a_float(json)),
            },
            Shape::Float64 => match float(json) {
                Some(value) => Ok(Val::Float64(value)),
                None => place.wrong(&not_a_float(json)),
            },
            Shape::Char => {
                let text = self.text(json, place)?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(value), None) => Ok(Val::Char(value)),
                    _ => place.wrong("it must be one character"),
                }
            }
            Shape::String => Ok(Val::String(self.text(json, place)?.to_owned())),
            Shape::Bytes => {
                let text = self.text(json, place)?;
                let Ok(bytes) = BASE64.decode(text) else { return place.wrong("it must be base64, with padding") };
                self.take(bytes.len().saturating_mul(size_of::<Val>()), place)?;
                Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
            }
            Shape::List(item) => {
                let Value::Array(items) = json else { return place.wrong(&format!("it must be an array, and is {}", kind(json))) };
                let each = items.iter().enumerate().map(|(at, json)| self.value(item, json, &place.item(at)));
                Ok(Val::List(each.collect::<Result<_, _>>()?))
            }
            Shape::Tuple(shapes) => match json {
                Value::Array(items) if items.len() == shapes.len() => {
                    let each = shapes.iter().zip(items).enumerate().map(|(at, (shape, json))| self.value(shape, json, &place.item(at)));
                    Ok(Val::Tuple(each.collect::<Result<_, _>>()?))
                }
                _ => place.wrong(&format!("it must be an array of {} items", shapes.len())),
            },
            Shape::Record(fields) => self.fields(fields, json, place).map(Val::Record),
            Shape::Variant(cases) => self.variant(cases, json, place),
            Shape::Result(ok, err) => {
                let (tag, value) = self.tagged([("ok", ok.as_deref()), ("err", err.as_deref())].into_iter(), json, place)?;
                let value = value.map(Box::new);
                Ok(Val::Result(if tag == "ok" { Ok(value) } else { Err(value) }))
            }
            Shape::Enum(labels) => self.label(labels, json, place).map(Val::Enum),
            Shape::Flags(labels) => self.flags(labels, json, place),
            Shape::Option(_) if json.is_null() => Ok(Val::Option(None)),
            Shape::Option(inner) if inner.is_nullable() => {
                let (_, value) = self.tagged([("some", Some(&**inner))].into_iter(), json, place)?;
                Ok(Val::Option(value.map(Box::new)))
            }
            Shape::Option(inner) => Ok(Val::Option(Some(Box::new(self.value(inner, json, place)?)))),
        }
    }

    fn text<'a>(&mut self, json: &'a Value, place: &Place<'_>) -> Result<&'a str, String> {
        let Value::String(text) = json else { return place.wrong(&format!("it must be a string, and is {}", kind(json))) };
        self.take(text.len(), place)?;
        Ok(text)
    }

    /// All fields in their order, whatever the order in JSON.
    fn fields(&mut self, fields: &[Field], json: &Value, place: &Place<'_>) -> Result<Vec<(String, Val)>, String> {
        let Value::Object(members) = json else { return place.wrong(&format!("it must be an object, and is {}", kind(json))) };
        // A record may have many fields, and a list many records: what is not known is looked for only where there is something.
        let known = fields.iter().filter(|field| members.contains_key(&field.name)).count();
        if known < members.len()
            && let Some(unknown) = members.keys().find(|name| !fields.iter().any(|field| field.name == **name))
        {
            return place.wrong(&format!("there is no `{}` in it", shown(unknown)));
        }
        let each = fields.iter().map(|Field { name, shape, .. }| {
            self.take(size_of::<String>() + name.len(), place)?;
            let value = match members.get(name) {
                Some(json) => self.value(shape, json, &place.member(name))?,
                None if shape.is_nullable() => self.value(shape, &Value::Null, place)?,
                None => return place.wrong(&format!("`{name}` is missing")),
            };
            Ok((name.clone(), value))
        });
        each.collect()
    }

    fn variant(&mut self, cases: &[Case], json: &Value, place: &Place<'_>) -> Result<Val, String> {
        let cases = cases.iter().map(|Case { name, shape }| (name.as_str(), shape.as_ref()));
        let (tag, value) = self.tagged(cases, json, place)?;
        self.take(tag.len(), place)?;
        Ok(Val::Variant(tag.to_owned(), value.map(Box::new)))
    }

    /// `{"type": …, "value": …}`, the value only where the case has one.
    fn tagged<'a>(
        &mut self,
        cases: impl Iterator<Item = (&'a str, Option<&'a Shape>)> + Clone,
        json: &Value,
        place: &Place<'_>,
    ) -> Result<(&'a str, Option<Val>), String> {
        let Value::Object(members) = json else {
            return place.wrong(&format!("it must be an object with a `type`, and is {}", kind(json)));
        };
        let named = members.get("type").and_then(Value::as_str);
        let Some((tag, shape)) = cases.clone().find(|(tag, _)| Some(*tag) == named) else {
            let tags: Vec<_> = cases.map(|(tag, _)| tag).collect();
            return place.member("type").wrong(&one_of(&tags));
        };
        match (shape, members.get("value")) {
            (Some(shape), Some(json)) if members.len() == 2 => Ok((tag, Some(self.value(shape, json, &place.member("value"))?))),
            (Some(_), None) => place.wrong("`value` is missing"),
            (None, None) if members.len() == 1 => Ok((tag, None)),
            _ => place.wrong("there is more in it than its `type` and the `value` of that"),
        }
    }

    fn label(&mut self, labels: &[String], json: &Value, place: &Place<'_>) -> Result<String, String> {
        let text = self.text(json, place)?;
        match labels.iter().find(|label| *label == text) {
            Some(label) => Ok(label.clone()),
            None => place.wrong(&one_of(&labels.iter().map(String::as_str).collect::<Vec<_>>())),
        }
    }

    fn flags(&mut self, labels: &[String], json: &Value, place: &Place<'_>) -> Result<Val, String> {
        let Value::Array(items) = json else { return place.wrong(&format!("it must be an array, and is {}", kind(json))) };
        if items.len() > labels.len() {
            return place.wrong(&format!("it has at most {} items, each of them once", labels.len()));
        }
        let mut set: Vec<String> = Vec::with_capacity(items.len());
        for (at, json) in items.iter().enumerate() {
            self.take(size_of::<String>(), place)?;
            let label = self.label(labels, json, &place.item(at))?;
            if set.contains(&label) {
                return place.item(at).wrong("it stands there twice");
            }
            set.push(label);
        }
        Ok(Val::Flags(set))
    }
}

/// As many as fit a line.
fn one_of(labels: &[&str]) -> String {
    let rest = labels.len().saturating_sub(20);
    let more = if rest > 0 { format!(" and {rest} others") } else { String::new() };
    format!("it must be one of {}{more}", labels.iter().take(20).copied().collect::<Vec<_>>().join(", "))
}

fn not_a_float(json: &Value) -> String {
    match json {
        Value::String(_) => "it must be a number, or one of NaN, Infinity, -Infinity".to_owned(),
        other => format!("it must be a number, and is {}", kind(other)),
    }
}

fn float(json: &Value) -> Option<f64> {
    match json {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn integer(integer: Integer, json: &Value, place: &Place<'_>) -> Result<Val, String> {
    let (least, largest) = integer.bounds();
    let value = match json {
        Value::Number(number) => whole(number),
        Value::String(text) if integer.is_long() => decimal(text),
        _ => None,
    };
    // `try_from` cannot fail within the bounds.
    let made = value.and_then(|value| {
        Some(match integer {
            Integer::S8 => Val::S8(value.try_into().ok()?),
            Integer::U8 => Val::U8(value.try_into().ok()?),
            Integer::S16 => Val::S16(value.try_into().ok()?),
            Integer::U16 => Val::U16(value.try_into().ok()?),
            Integer::S32 => Val::S32(value.try_into().ok()?),
            Integer::U32 => Val::U32(value.try_into().ok()?),
            Integer::S64 => Val::S64(value.try_into().ok()?),
            Integer::U64 => Val::U64(value.try_into().ok()?),
        })
    });
    match made {
        Some(value) => Ok(value),
        None => place.wrong(&format!("it must be an integer from {least} to {largest}")),
    }
}

/// A number without a fraction, however it is written: `1.0` is an integer in JSON Schema.
fn whole(number: &serde_json::Number) -> Option<i128> {
    if let Some(value) = number.as_i64() {
        return Some(value.into());
    }
    if let Some(value) = number.as_u64() {
        return Some(value.into());
    }
    let value = number.as_f64()?;
    // 2^64: what is larger fits no type, and below it a float without a fraction is exactly that integer.
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the type")]
    (value.fract() == 0.0 && value.abs() <= 18_446_744_073_709_551_616.0).then_some(value as i128)
}

/// Digits as the schema's pattern has them.
fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_one = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 20 && (!digits.starts_with('0') || text == "0");
    if is_one { text.parse().ok() } else { None }
}
