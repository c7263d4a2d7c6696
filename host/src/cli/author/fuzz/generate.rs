//! Values from a JSON Schema: the usual, the smallest, the largest, and the odd.
//!
//! What comes out fits most schemas; whoever uses it looks, because a schema can say what nothing here knows of.

use super::pattern::matching;
use super::rng::Rng;
use base64::Engine as _;
use serde_json::{Map, Number, Value};

/// Levels below which only what is needed is made.
const DEPTH_MAX: usize = 6;
/// Items, and members that no schema names.
const ITEMS_MAX: usize = 8;
const CHARACTERS_MAX: usize = 40;
/// A long text, now and then, where a schema allows it.
const CHARACTERS_LONG: usize = 5_000;

/// Texts that programs stumble over.
const ODD: [&str; 26] = [
    "",
    " ",
    "0",
    "-1",
    "a",
    "A",
    "null",
    "true",
    "NaN",
    "1e999",
    "\0",
    "\n",
    "\r\n",
    "\t",
    "\"",
    "'",
    "\\",
    "%s%n",
    "../../x",
    "<b>&amp;",
    "{}",
    "[",
    "é",
    "日本語",
    "🦀👩‍👩‍👧",
    "\u{202e}abc",
];

/// Levels of what is needed. A type that needs itself has no end.
const NEEDED_DEPTH_MAX: usize = 64;
/// Parts of one value, and characters of its texts. A schema may want more than any memory has: then nothing fits it.
const ROOM: usize = 1 << 16;

pub(super) struct Generator<'a> {
    root: &'a Value,
    rng: &'a mut Rng,
    /// What there is room for.
    room: usize,
}

impl<'a> Generator<'a> {
    pub(super) fn new(root: &'a Value, rng: &'a mut Rng) -> Self {
        Self { root, rng, room: ROOM }
    }

    /// A value of the whole schema.
    pub(super) fn value(&mut self) -> Value {
        self.of(self.root, 0)
    }

    fn of(&mut self, schema: &Value, depth: usize) -> Value {
        if self.room == 0 || depth > NEEDED_DEPTH_MAX {
            return Value::Null;
        }
        self.room -= 1;
        let Value::Object(schema) = schema else { return self.anything(depth) };
        let schema = self.flat(schema.clone(), 0);
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return self.rng.pick(values).cloned().unwrap_or_default();
        }
        let said: Vec<_> = ["default", "examples"].into_iter().filter_map(|member| schema.get(member)).collect();
        if !said.is_empty() && self.rng.one_in(12) {
            return match self.rng.pick(&said) {
                Some(Value::Array(examples)) if schema.get("examples").is_some() => self.rng.pick(examples).cloned().unwrap_or_default(),
                said => said.copied().cloned().unwrap_or_default(),
            };
        }
        match self.kind(&schema) {
            "object" => self.object(&schema, depth),
            "array" => self.array(&schema, depth),
            "string" => Value::from(self.text(&schema)),
            "integer" => self.integer(&schema),
            "number" => self.number(&schema),
            "boolean" => Value::from(self.rng.one_in(2)),
            "null" => Value::Null,
            _ => self.anything(depth),
        }
    }

    /// Without references and choices: they are followed, and made.
    fn flat(&mut self, mut schema: Map<String, Value>, depth: usize) -> Map<String, Value> {
        // A reference to itself has no end.
        if depth > 16 {
            return schema;
        }
        if let Some(Value::String(target)) = schema.remove("$ref") {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            if let Some(Value::Object(target)) = found {
                merge(&mut schema, target);
            }
            return self.flat(schema, depth + 1);
        }
        for member in ["allOf", "anyOf", "oneOf"] {
            let Some(Value::Array(ways)) = schema.remove(member) else { continue };
            if member == "allOf" {
                ways.iter().filter_map(Value::as_object).for_each(|way| merge(&mut schema, way));
            } else if let Some(Value::Object(way)) = self.rng.pick(&ways) {
                merge(&mut schema, way);
            }
            return self.flat(schema, depth + 1);
        }
        schema
    }

    /// One of the types that a schema names, or one that its other words are about.
    fn kind(&mut self, schema: &Map<String, Value>) -> &'static str {
        const KINDS: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];
        let named = |name: &str| KINDS.into_iter().find(|kind| *kind == name).unwrap_or("any");
        match schema.get("type") {
            Some(Value::String(name)) => named(name),
            Some(Value::Array(names)) => self.rng.pick(names).and_then(Value::as_str).map_or("any", named),
            _ => {
                let about = [
                    ("properties", "object"),
                    ("required", "object"),
                    ("items", "array"),
                    ("prefixItems", "array"),
                    ("pattern", "string"),
                    ("maxLength", "string"),
                    ("minLength", "string"),
                    ("minimum", "number"),
                    ("maximum", "number"),
                ];
                about.into_iter().find(|(word, _)| schema.contains_key(*word)).map_or("any", |(_, kind)| kind)
            }
        }
    }

    fn anything(&mut self, depth: usize) -> Value {
        let nothing = Map::new();
        match self.rng.below(if depth < DEPTH_MAX { 7 } else { 5 }) {
            0 => Value::Null,
            1 => Value::from(self.rng.one_in(2)),
            2 => self.integer(&nothing),
            3 => self.number(&nothing),
            4 => Value::from(self.text(&nothing)),
            5 => (0..self.rng.below(4)).map(|_| self.anything(depth + 2)).collect(),
            _ => Value::Object((0..self.rng.below(4)).map(|_| (self.text(&nothing), self.anything(depth + 2))).collect()),
        }
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let required: Vec<_> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        // Now and then all that may be left out is, or nothing.
        let habit = self.rng.below(4);
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let wanted = required.contains(&name.as_str());
            let chosen = match habit {
                0 => false,
                1 => true,
                _ => self.rng.one_in(2),
            };
            if wanted || (chosen && depth < DEPTH_MAX) {
                object.insert(name.clone(), self.of(property, depth + 1));
            }
        }
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), self.anything(depth + 1));
            }
        }
        let least = count(schema, "minProperties").unwrap_or(0);
        let most = count(schema, "maxProperties").unwrap_or(usize::MAX);
        let more = schema.get("additionalProperties");
        let is_map = more.is_some_and(Value::is_object);
        let wanted = if is_map { self.rng.below(ITEMS_MAX) } else { usize::from(more.is_none() && depth > 0 && self.rng.one_in(8)) };
        let wanted = (object.len() + wanted).clamp(least, most.max(least)).saturating_sub(object.len()).min(ITEMS_MAX.max(least));
        for _ in 0..wanted {
            if self.room == 0 {
                break;
            }
            let name = self.text(&Map::new());
            let value = match more.filter(|_| is_map) {
                Some(more) => self.of(more, depth + 1),
                None => self.anything(depth + 1),
            };
            object.insert(name, value);
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let (least, most) = (count(schema, "minItems").unwrap_or(0), count(schema, "maxItems").unwrap_or(usize::MAX));
        let usual = if depth < DEPTH_MAX { ITEMS_MAX } else { 0 };
        let length = match self.rng.below(4) {
            0 => least,
            1 => most.min(least.max(usual)),
            _ => self.rng.between(least, most.min(least.max(usual))),
        };
        let length = if first.is_some() && schema.get("items") == Some(&Value::Bool(false)) {
            least.max(length.min(first.map_or(0, Vec::len)))
        } else {
            length
        };
        let mut items: Vec<Value> = Vec::new();
        for index in 0..length {
            if self.room == 0 {
                break;
            }
            let schema = first.and_then(|first| first.get(index)).or_else(|| schema.get("items")).unwrap_or(&Value::Bool(true));
            let item = self.of(&schema.clone(), depth + 1);
            items.push(item);
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut unique: Vec<Value> = Vec::new();
            items.into_iter().for_each(|item| {
                if !unique.contains(&item) {
                    unique.push(item)
                }
            });
            items = unique;
        }
        Value::Array(items)
    }

    fn text(&mut self, schema: &Map<String, Value>) -> String {
        let word = |member: &str| schema.get(member).and_then(Value::as_str);
        if word("contentEncoding") == Some("base64") {
            let bytes: Vec<u8> = (0..self.rng.below(CHARACTERS_MAX)).map(|_| (self.rng.next() & 0xff) as u8).collect();
            return base64::engine::general_purpose::STANDARD.encode(bytes);
        }
        if let Some(text) = word("pattern").and_then(|pattern| matching(pattern, self.rng)) {
            return text;
        }
        if let Some(text) = word("format").and_then(|format| self.formatted(format)) {
            return text;
        }
        let (least, most) = (count(schema, "minLength").unwrap_or(0), count(schema, "maxLength").unwrap_or(usize::MAX));
        let mut text = match self.rng.below(8) {
            0 => String::new(),
            1 => self.characters(most.min(CHARACTERS_LONG)),
            2..=4 => self.rng.pick(&ODD).copied().unwrap_or_default().to_owned(),
            _ => {
                let length = self.rng.between(least.min(CHARACTERS_MAX), most.min(CHARACTERS_MAX.max(least)));
                self.characters(length)
            }
        };
        let length = text.chars().count();
        if length < least {
            let more = self.characters(least - length);
            text.push_str(&more);
        }
        if length > most { text.chars().take(most).collect() } else { text }
    }

    fn characters(&mut self, length: usize) -> String {
        let length = length.min(self.room);
        self.room -= length;
        let plain = self.rng.one_in(2);
        let one = |rng: &mut Rng| match rng.below(if plain { 4 } else { 8 }) {
            0 => ' ',
            1..=3 => char::from(b'a' + (rng.next() % 26) as u8),
            4 => char::from((rng.next() % 128) as u8),
            5 => char::from_u32(0xa0 + (rng.next() % 0x500) as u32).unwrap_or('é'),
            6 => char::from_u32(0x4e00 + (rng.next() % 0x5000) as u32).unwrap_or('日'),
            _ => char::from_u32(0x1f300 + (rng.next() % 0x300) as u32).unwrap_or('🦀'),
        };
        (0..length).map(|_| one(self.rng)).collect()
    }

    /// Only formats that a text has to be made for.
    fn formatted(&mut self, format: &str) -> Option<String> {
        let (a, b, c) = (self.rng.below(10_000), self.rng.below(12) + 1, self.rng.below(28) + 1);
        let (h, m, s) = (self.rng.below(24), self.rng.below(60), self.rng.below(60));
        Some(match format {
            "date" => format!("{a:04}-{b:02}-{c:02}"),
            "time" => format!("{h:02}:{m:02}:{s:02}Z"),
            "date-time" => format!("{a:04}-{b:02}-{c:02}T{h:02}:{m:02}:{s:02}Z"),
            "email" => format!("a{a}@example.com"),
            "hostname" => format!("a{a}.example.com"),
            "uri" | "url" | "iri" => format!("https://example.com/{a}?b={b}#c"),
            "uri-reference" => format!("/{a}"),
            "uuid" => format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", self.rng.below(1 << 32), a, b, c, self.rng.below(1 << 48)),
            "ipv4" => format!("{}.{}.{}.{}", a % 256, b, c, h),
            "ipv6" => format!("2001:db8::{a:x}"),
            _ => return None,
        })
    }

    fn integer(&mut self, schema: &Map<String, Value>) -> Value {
        let bound = |member: &str| schema.get(member).and_then(whole);
        let least = [bound("minimum"), bound("exclusiveMinimum").map(|bound| bound + 1)].into_iter().flatten().max();
        let most = [bound("maximum"), bound("exclusiveMaximum").map(|bound| bound - 1)].into_iter().flatten().min();
        let (low, high) = (least.unwrap_or(i64::MIN.into()), most.unwrap_or(i64::MAX.into()));
        let edges = [low, high, low + 1, high - 1, 0, 1, -1, 2, 10, 255, 256, 65_536, 1 << 31, 1 << 32, 1 << 53, -(1 << 31), -(1 << 53)];
        let spread = u128::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        let anywhere = low.saturating_add(i128::try_from(u128::from(self.rng.next()) % spread).unwrap_or(0));
        let near = i128::from(self.rng.next() % 200) - 100;
        let chosen = match self.rng.below(4) {
            0 => anywhere,
            1 => near,
            _ => self.rng.pick(&edges).copied().unwrap_or(0),
        };
        let mut chosen = chosen.clamp(low, high.max(low));
        if let Some(step) = bound("multipleOf").filter(|step| *step > 0) {
            chosen -= chosen.rem_euclid(step);
            if chosen < low {
                chosen += step;
            }
        }
        match (i64::try_from(chosen), u64::try_from(chosen)) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => Value::from(0),
        }
    }

    fn number(&mut self, schema: &Map<String, Value>) -> Value {
        if self.rng.one_in(3) {
            return self.integer(schema);
        }
        let bound = |member: &str| schema.get(member).and_then(Value::as_f64);
        let low = bound("minimum").or(bound("exclusiveMinimum").map(f64::next_up));
        let high = bound("maximum").or(bound("exclusiveMaximum").map(f64::next_down));
        let edges = [0.0, -0.0, 0.1, 0.5, 1.5, -2.5, 1e-300, 1e15, 1e300, -1e300, f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0];
        let part = (self.rng.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let chosen = match (low, high, self.rng.below(4)) {
            (Some(low), _, 0) => low,
            (_, Some(high), 1) => high,
            (Some(low), Some(high), 2) => low + (high - low) * part,
            _ => self.rng.pick(&edges).copied().unwrap_or(0.0),
        };
        let chosen = chosen.max(low.unwrap_or(f64::MIN)).min(high.unwrap_or(f64::MAX));
        let chosen = bound("multipleOf").filter(|step| *step > 0.0).map_or(chosen, |step| (chosen / step).round() * step);
        Number::from_f64(chosen).map_or_else(|| Value::from(0), Value::Number)
    }
}

/// What one schema says beside another. Properties and required names come together; of other words the newer one counts.
fn merge(schema: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (member, value) in more {
        match (schema.get_mut(member), value) {
            (Some(Value::Object(known)), Value::Object(value)) if member == "properties" || member == "$defs" => {
                known.extend(value.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (Some(Value::Array(known)), Value::Array(value)) if member == "required" => known.extend(value.iter().cloned()),
            _ => {
                schema.insert(member.clone(), value.clone());
            }
        }
    }
}

fn count(schema: &Map<String, Value>, member: &str) -> Option<usize> {
    schema.get(member).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
}

fn whole(number: &Value) -> Option<i128> {
    let float = || number.as_f64().filter(|number| number.abs() < 1e18).map(|number| number as i128);
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or_else(float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What nothing can fit is not made either, and that comes to an end.
    #[test]
    fn what_a_schema_wants_without_end_is_not_made() {
        let needs = |member: Value| json!({ "type": "object", "properties": { "a": member }, "required": ["a"] });
        let list = json!({ "type": "array", "minItems": 1_000_000_000_u64, "items": { "type": "integer" } });
        let lists = json!({ "type": "array", "minItems": 100_000, "items": { "type": "array", "minItems": 100_000 } });
        let schemas = [
            needs(json!({ "$ref": "#" })),
            needs(list),
            needs(lists),
            needs(json!({ "type": "string", "minLength": 1_000_000_000_u64 })),
            needs(json!({ "type": "object", "minProperties": 1_000_000_000_u64 })),
        ];
        for schema in &schemas {
            let value = Generator::new(schema, &mut Rng::new(7, 1)).value();
            assert!(!jsonschema::validator_for(schema).expect("a schema").is_valid(&value), "{schema}");
        }
    }

    /// Made for each of these schemas, most values fit; and with the same seed they are the same.
    #[test]
    fn what_is_made_fits() {
        let schemas = [
            json!({ "type": "object", "properties": { "a": { "type": "integer", "minimum": 3, "maximum": 5 }, "b": { "type": "string", "minLength": 2, "maxLength": 9 } }, "required": ["a"], "additionalProperties": false }),
            json!({ "type": "object", "properties": { "l": { "type": "array", "items": { "enum": ["x", "y", 3] }, "minItems": 1, "maxItems": 4 } }, "required": ["l"] }),
            json!({ "type": "object", "properties": { "t": { "$ref": "#/$defs/tree" } }, "required": ["t"], "$defs": { "tree": { "type": "object", "properties": { "next": { "$ref": "#/$defs/tree" } } } } }),
            json!({ "type": "object", "properties": { "p": { "type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(x|y)?$" } }, "required": ["p"] }),
            json!({ "type": "object", "properties": { "n": { "type": "number", "exclusiveMinimum": 0, "maximum": 1 } }, "required": ["n"] }),
            json!({ "type": "object", "properties": { "v": { "oneOf": [ { "type": "object", "properties": { "type": { "const": "a" } }, "required": ["type"], "additionalProperties": false }, { "type": "null" } ] } }, "required": ["v"] }),
            json!({ "type": "object", "properties": { "t": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "boolean" }], "items": false, "minItems": 2 } }, "required": ["t"] }),
            json!({ "type": "object", "properties": { "m": { "type": ["integer", "null"], "multipleOf": 7 } }, "required": ["m"] }),
            json!({ "type": "object", "additionalProperties": { "type": "integer" }, "minProperties": 1 }),
            json!({ "type": "object", "properties": { "u": { "type": "integer", "minimum": 0, "maximum": 18_446_744_073_709_551_615_u64 } }, "required": ["u"] }),
        ];
        for schema in &schemas {
            let validator = jsonschema::validator_for(schema).expect("a schema");
            let made = |turn| Generator::new(schema, &mut Rng::new(7, turn)).value();
            let values: Vec<_> = (0..200).map(made).collect();
            let fit = values.iter().filter(|value| validator.is_valid(value)).count();
            let different: std::collections::BTreeSet<_> = values.iter().map(Value::to_string).collect();
            assert!(fit >= 150, "{fit} of 200 fit {schema}");
            assert!(different.len() >= 2, "{schema}");
            assert_eq!(values, (0..200).map(made).collect::<Vec<_>>());
        }
    }
}
