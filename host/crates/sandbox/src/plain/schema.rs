//! The JSON form of a type, as JSON Schema 2020-12. It says exactly what [`super::enter`] takes, except that a 64-bit integer in a string may
//! be too large: a pattern for that would be longer than most schemas. Members stand in the order of the type's author.

use super::shape::{Case, Field, Integer, Shape};
use std::fmt::Write as _;

/// Base64 with padding.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

/// Of a value.
pub(super) fn of(shape: &Shape) -> String {
    let mut text = String::new();
    schema(shape, None, &mut text);
    text
}

/// Of arguments by name.
pub(super) fn of_parameters(parameters: &[Field]) -> String {
    let mut text = "{".to_owned();
    object(parameters, &mut text);
    text.push('}');
    text
}

fn schema(shape: &Shape, docs: Option<&str>, out: &mut String) {
    out.push('{');
    members(shape, out);
    if let Some(docs) = docs {
        out.push_str(",\"description\":");
        string(docs, out);
    }
    out.push('}');
}

fn members(shape: &Shape, out: &mut String) {
    match shape {
        Shape::Bool => out.push_str(r#""type":"boolean""#),
        Shape::Integer(integer) => self::integer(*integer, out),
        Shape::Float32 => {
            let largest = f64::from(f32::MAX);
            float(&format!(r#"{{"type":"number","minimum":{:e},"maximum":{largest:e}}}"#, -largest), out);
        }
        Shape::Float64 => float(r#"{"type":"number"}"#, out),
        Shape::Char => out.push_str(r#""type":"string","minLength":1,"maxLength":1"#),
        Shape::String => out.push_str(r#""type":"string""#),
        Shape::Bytes => {
            out.push_str(r#""type":"string","contentEncoding":"base64","pattern":"#);
            string(BASE64, out);
        }
        Shape::List(item) => {
            out.push_str(r#""type":"array","items":"#);
            schema(item, None, out);
        }
        Shape::Record(fields) => object(fields, out),
        Shape::Tuple(items) => {
            out.push_str(r#""type":"array","prefixItems":["#);
            list(items, out, |item, out| schema(item, None, out));
            let count = items.len();
            append(out, format_args!(r#"],"items":false,"minItems":{count},"maxItems":{count}"#));
        }
        Shape::Variant(cases) => one_of(cases.iter().map(|Case { name, shape }| (name.as_str(), shape.as_ref())), out),
        Shape::Result(ok, err) => one_of([("ok", ok.as_deref()), ("err", err.as_deref())].into_iter(), out),
        Shape::Enum(labels) => {
            out.push_str(r#""type":"string","enum":["#);
            list(labels, out, |label, out| string(label, out));
            out.push(']');
        }
        Shape::Flags(labels) => {
            out.push_str(r#""type":"array","items":{"type":"string","enum":["#);
            list(labels, out, |label, out| string(label, out));
            out.push_str(r#"]},"uniqueItems":true"#);
        }
        Shape::Option(inner) => {
            out.push_str(r#""anyOf":["#);
            if inner.is_nullable() {
                // `null` is taken already: what is there is told from what is not by a tag.
                tagged("some", Some(inner), out);
            } else {
                schema(inner, None, out);
            }
            out.push_str(r#",{"type":"null"}]"#);
        }
    }
}

fn integer(integer: Integer, out: &mut String) {
    let (least, largest) = integer.bounds();
    if !integer.is_long() {
        return append(out, format_args!(r#""type":"integer","minimum":{least},"maximum":{largest}"#));
    }
    let pattern = if least < 0 { "^(0|-?[1-9][0-9]{0,18})$" } else { "^(0|[1-9][0-9]{0,19})$" };
    append(
        out,
        format_args!(r#""anyOf":[{{"type":"integer","minimum":{least},"maximum":{largest}}},{{"type":"string","pattern":"{pattern}"}}]"#),
    );
}

/// JSON has no numbers for the three words.
fn float(number: &str, out: &mut String) {
    append(out, format_args!(r#""anyOf":[{number},{{"type":"string","enum":["NaN","Infinity","-Infinity"]}}]"#));
}

fn object(fields: &[Field], out: &mut String) {
    out.push_str(r#""type":"object","properties":{"#);
    list(fields, out, |field, out| {
        string(&field.name, out);
        out.push(':');
        schema(&field.shape, field.docs.as_deref(), out);
    });
    out.push('}');
    let required: Vec<_> = fields.iter().filter(|field| !field.shape.is_nullable()).collect();
    if !required.is_empty() {
        out.push_str(r#","required":["#);
        list(&required, out, |field, out| string(&field.name, out));
        out.push(']');
    }
    out.push_str(r#","additionalProperties":false"#);
}

fn one_of<'a>(cases: impl Iterator<Item = (&'a str, Option<&'a Shape>)>, out: &mut String) {
    out.push_str(r#""oneOf":["#);
    let cases: Vec<_> = cases.collect();
    list(&cases, out, |(name, shape), out| tagged(name, *shape, out));
    out.push(']');
}

fn tagged(tag: &str, value: Option<&Shape>, out: &mut String) {
    out.push_str(r#"{"type":"object","properties":{"type":{"const":"#);
    string(tag, out);
    out.push('}');
    if let Some(shape) = value {
        out.push_str(r#","value":"#);
        schema(shape, None, out);
    }
    out.push_str(if value.is_some() { r#"},"required":["type","value"]"# } else { r#"},"required":["type"]"# });
    out.push_str(r#","additionalProperties":false}"#);
}

fn list<T>(items: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(item, out);
    }
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

/// As JSON.
pub(super) fn string(text: &str, out: &mut String) {
    // Neither can this, for a text.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}
