//! The engine's values → JSON text, by the shape of a type, and no longer than a limit.

use super::schema::string;
use super::shape::{Case, Field, Shape};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wasmtime::component::Val;

/// The largest number up to which every whole number is a 64-bit float: readers whose numbers are those lose digits beyond it.
const EXACT_MAX: u64 = 1 << 53;

/// Why there is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    TooLong,
    /// The value is of another type. Only a mistake of the host's leads here.
    Unlike,
}

/// A value as JSON text of at most `bytes_max` bytes.
pub(super) fn json(shape: &Shape, value: &Val, bytes_max: usize) -> Result<String, Unwritten> {
    let mut writer = Writer { text: String::new(), bytes_max };
    writer.value(shape, value)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    bytes_max: usize,
}

impl Writer {
    fn push(&mut self, text: &str) -> Result<(), Unwritten> {
        if self.text.len().saturating_add(text.len()) > self.bytes_max {
            return Err(Unwritten::TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Unwritten> {
        // Never shorter as JSON; so what is far too long is not copied first.
        if text.len() > self.bytes_max {
            return Err(Unwritten::TooLong);
        }
        let mut quoted = String::with_capacity(text.len().saturating_add(2));
        string(text, &mut quoted);
        self.push(&quoted)
    }

    fn value(&mut self, shape: &Shape, value: &Val) -> Result<(), Unwritten> {
        match (shape, value) {
            (Shape::Bool, Val::Bool(value)) => self.push(if *value { "true" } else { "false" }),
            (Shape::Integer(_), value) => self.integer(value),
            (Shape::Float32, Val::Float32(value)) => self.float(f64::from(*value), shortest(*value)),
            (Shape::Float64, Val::Float64(value)) => self.float(*value, *value),
            (Shape::Char, Val::Char(value)) => self.string(value.encode_utf8(&mut [0; 4])),
            (Shape::String, Val::String(text)) => self.string(text),
            (Shape::Bytes, Val::List(items)) => {
                let byte = |item: &Val| match item {
                    Val::U8(byte) => Ok(*byte),
                    _ => Err(Unwritten::Unlike),
                };
                let bytes = items.iter().map(byte).collect::<Result<Vec<u8>, _>>()?;
                self.string(&STANDARD.encode(bytes))
            }
            (Shape::List(item), Val::List(items)) => self.list(items.iter().map(|value| (&**item, value))),
            (Shape::Tuple(shapes), Val::Tuple(items)) if shapes.len() == items.len() => self.list(shapes.iter().zip(items)),
            (Shape::Record(fields), Val::Record(values)) if fields.len() == values.len() => self.record(fields, values),
            (Shape::Variant(cases), Val::Variant(name, value)) => {
                let case = cases.iter().find(|case| case.name == *name).ok_or(Unwritten::Unlike)?;
                let Case { name, shape } = case;
                self.tagged(name, shape.as_ref(), value.as_deref())
            }
            (Shape::Result(ok, _), Val::Result(Ok(value))) => self.tagged("ok", ok.as_deref(), value.as_deref()),
            (Shape::Result(_, err), Val::Result(Err(value))) => self.tagged("err", err.as_deref(), value.as_deref()),
            (Shape::Enum(_), Val::Enum(label)) => self.string(label),
            (Shape::Flags(_), Val::Flags(labels)) => {
                self.push("[")?;
                for (at, label) in labels.iter().enumerate() {
                    self.comma(at)?;
                    self.string(label)?;
                }
                self.push("]")
            }
            (Shape::Option(_), Val::Option(None)) => self.push("null"),
            (Shape::Option(inner), Val::Option(Some(value))) if inner.is_nullable() => self.tagged("some", Some(inner), Some(value)),
            (Shape::Option(inner), Val::Option(Some(value))) => self.value(inner, value),
            _ => Err(Unwritten::Unlike),
        }
    }

    fn integer(&mut self, value: &Val) -> Result<(), Unwritten> {
        let (text, long) = match value {
            Val::S8(value) => (value.to_string(), false),
            Val::U8(value) => (value.to_string(), false),
            Val::S16(value) => (value.to_string(), false),
            Val::U16(value) => (value.to_string(), false),
            Val::S32(value) => (value.to_string(), false),
            Val::U32(value) => (value.to_string(), false),
            Val::S64(value) => (value.to_string(), value.unsigned_abs() > EXACT_MAX),
            Val::U64(value) => (value.to_string(), *value > EXACT_MAX),
            _ => return Err(Unwritten::Unlike),
        };
        if long { self.string(&text) } else { self.push(&text) }
    }

    fn float(&mut self, value: f64, written: f64) -> Result<(), Unwritten> {
        if value.is_nan() {
            self.push("\"NaN\"")
        } else if value.is_infinite() {
            self.push(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
        } else {
            self.push(&serde_json::to_string(&written).map_err(|_| Unwritten::Unlike)?)
        }
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = (&'a Shape, &'a Val)>) -> Result<(), Unwritten> {
        self.push("[")?;
        for (at, (shape, value)) in items.enumerate() {
            self.comma(at)?;
            self.value(shape, value)?;
        }
        self.push("]")
    }

    /// Without the fields that are not there.
    fn record(&mut self, fields: &[Field], values: &[(String, Val)]) -> Result<(), Unwritten> {
        self.push("{")?;
        let there = fields.iter().zip(values).filter(|(_, (_, value))| !matches!(value, Val::Option(None)));
        for (at, (field, (_, value))) in there.enumerate() {
            self.comma(at)?;
            self.string(&field.name)?;
            self.push(":")?;
            self.value(&field.shape, value)?;
        }
        self.push("}")
    }

    fn tagged(&mut self, tag: &str, shape: Option<&Shape>, value: Option<&Val>) -> Result<(), Unwritten> {
        self.push("{\"type\":")?;
        self.string(tag)?;
        match (shape, value) {
            (None, None) => {}
            (Some(shape), Some(value)) => {
                self.push(",\"value\":")?;
                self.value(shape, value)?;
            }
            _ => return Err(Unwritten::Unlike),
        }
        self.push("}")
    }

    fn comma(&mut self, at: usize) -> Result<(), Unwritten> {
        if at > 0 { self.push(",") } else { Ok(()) }
    }
}

/// A 32-bit float with the fewest digits that are read as it: 0.1, not 0.10000000149011612.
fn shortest(value: f32) -> f64 {
    let short = value.to_string().parse().unwrap_or(f64::from(value));
    // Being read is rounding twice, which could end elsewhere; and the largest of them rounds up, beyond what its type takes.
    #[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
    if short as f32 == value && short.abs() <= f64::from(f32::MAX) { short } else { f64::from(value) }
}
