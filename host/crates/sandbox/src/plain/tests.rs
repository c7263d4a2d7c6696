mod exports;

use super::enter;
use super::leave::{self, Unwritten};
use super::schema;
use super::shape::{Case, Field, Integer, Shape};
use jsonschema::{Draft, PatternOptions, Validator};
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmtime::component::Val;

const ROOM: usize = 1 << 20;

fn field(name: &str, shape: Shape) -> Field {
    Field { name: name.to_owned(), docs: None, shape }
}

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn validator(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
    // As the host compiles them.
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .expect("it is a schema")
}

fn written(shape: &Shape, value: &Val) -> Value {
    serde_json::from_str(&leave::json(shape, value, ROOM).expect("it is written")).expect("it is JSON")
}

/// Any type, a few levels deep.
fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Bool),
        prop_oneof![
            Just(Integer::S8),
            Just(Integer::U8),
            Just(Integer::S16),
            Just(Integer::U16),
            Just(Integer::S32),
            Just(Integer::U32),
            Just(Integer::S64),
            Just(Integer::U64)
        ]
        .prop_map(Shape::Integer),
        Just(Shape::Float32),
        Just(Shape::Float64),
        Just(Shape::Char),
        Just(Shape::String),
        Just(Shape::Bytes),
        Just(Shape::Enum(labels(&["red", "green", "x"]))),
        Just(Shape::Flags(labels(&["read", "write", "x"]))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Shape::List),
            boxed.clone().prop_map(Shape::Option),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|shapes| {
                Shape::Record(shapes.into_iter().enumerate().map(|(at, shape)| field(&format!("f{at}"), shape)).collect())
            }),
            prop::collection::vec(prop::option::of(inner), 1..4).prop_map(|shapes| {
                Shape::Variant(shapes.into_iter().enumerate().map(|(at, shape)| Case { name: format!("f{at}"), shape }).collect())
            }),
            (prop::option::of(boxed.clone()), prop::option::of(boxed)).prop_map(|(ok, err)| Shape::Result(ok, err)),
        ]
    })
}

/// Any value of a type.
fn values(shape: &Shape) -> BoxedStrategy<Val> {
    let maybe = |shape: Option<&Shape>| match shape {
        None => Just(None).boxed(),
        Some(shape) => values(shape).prop_map(|value| Some(Box::new(value))).boxed(),
    };
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::Integer(Integer::S8) => any::<i8>().prop_map(Val::S8).boxed(),
        Shape::Integer(Integer::U8) => any::<u8>().prop_map(Val::U8).boxed(),
        Shape::Integer(Integer::S16) => any::<i16>().prop_map(Val::S16).boxed(),
        Shape::Integer(Integer::U16) => any::<u16>().prop_map(Val::U16).boxed(),
        Shape::Integer(Integer::S32) => any::<i32>().prop_map(Val::S32).boxed(),
        Shape::Integer(Integer::U32) => any::<u32>().prop_map(Val::U32).boxed(),
        Shape::Integer(Integer::S64) => prop_oneof![1 => Just(i64::MIN), 1 => Just(i64::MAX), 8 => any::<i64>()].prop_map(Val::S64).boxed(),
        Shape::Integer(Integer::U64) => prop_oneof![1 => Just(u64::MAX), 1 => 0..1_u64 << 53, 8 => any::<u64>()].prop_map(Val::U64).boxed(),
        Shape::Float32 => {
            let edges = [f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::EPSILON, f32::INFINITY, f32::from_bits(1), -0.0];
            let bits = any::<u32>().prop_map(f32::from_bits);
            prop_oneof![1 => prop::sample::select(edges.to_vec()), 9 => bits].prop_map(Val::Float32).boxed()
        }
        Shape::Float64 => {
            let edges = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::NEG_INFINITY, f64::from_bits(1), -0.0, 9_007_199_254_740_993.0];
            let bits = any::<u64>().prop_map(f64::from_bits);
            prop_oneof![1 => prop::sample::select(edges.to_vec()), 9 => bits].prop_map(Val::Float64).boxed()
        }
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => prop::collection::vec(any::<u8>().prop_map(Val::U8), 0..8).prop_map(Val::List).boxed(),
        Shape::List(item) => prop::collection::vec(values(item), 0..4).prop_map(Val::List).boxed(),
        Shape::Tuple(shapes) => shapes.iter().map(values).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
        Shape::Record(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
            let each: Vec<_> = fields.iter().map(|field| values(&field.shape)).collect();
            each.prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect())).boxed()
        }
        Shape::Variant(cases) => {
            let case = |case: &Case| {
                let name = case.name.clone();
                maybe(case.shape.as_ref()).prop_map(move |value| Val::Variant(name.clone(), value)).boxed()
            };
            prop::strategy::Union::new(cases.iter().map(case)).boxed()
        }
        Shape::Enum(labels) => prop::sample::select(labels.clone()).prop_map(Val::Enum).boxed(),
        Shape::Flags(labels) => prop::sample::subsequence(labels.clone(), 0..=labels.len()).prop_map(Val::Flags).boxed(),
        Shape::Option(inner) => prop::option::of(values(inner)).prop_map(|value| Val::Option(value.map(Box::new))).boxed(),
        Shape::Result(ok, err) => {
            let ok = maybe(ok.as_deref()).prop_map(|value| Val::Result(Ok(value)));
            prop_oneof![ok, maybe(err.as_deref()).prop_map(|value| Val::Result(Err(value)))].boxed()
        }
    }
}

/// What somebody might write in place of something.
fn junk() -> impl Strategy<Value = Value> {
    let texts = ["", "x", "red", "5", "-5", "-0", "05", "NaN", "nan", "Infinity", "QQ==", "QR==", "QQ", "Q===", "😀", "e\u{301}"];
    let numbers =
        ["0", "-1", "1.0", "-0.0", "1.5", "300", "1e20", "1e300", "9007199254740993", "18446744073709551615", "3.4028235e38", "-129"];
    let whole = [
        json!(null),
        json!(true),
        json!([]),
        json!([null]),
        json!(["x", "x"]),
        json!({}),
        json!({ "type": "ok" }),
        json!({ "type": "f0", "value": 1 }),
        json!({ "type": "some", "value": null }),
        json!({ "type": "f0", "value": null, "more": 1 }),
        json!({ "type": 1 }),
        json!({ "f0": 1 }),
    ];
    prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        prop::sample::select(numbers.to_vec()).prop_map(|text| serde_json::from_str(text).expect("a number")),
        prop::sample::select(whole.to_vec()),
    ]
}

/// Puts something in place of the part that is counted `at`.
fn replace(json: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *json = with.clone();
    }
    *at = at.wrapping_sub(1);
    match json {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, at, with)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, at, with)),
        _ => {}
    }
}

fn parts(json: &Value) -> usize {
    1 + match json {
        Value::Array(items) => items.iter().map(parts).sum(),
        Value::Object(members) => members.values().map(parts).sum(),
        _ => 0,
    }
}

/// Takes a member away, or adds one, wherever there are members.
fn without(json: &mut Value, adds: bool) {
    match json {
        Value::Object(members) if adds => drop(members.insert("unknown".to_owned(), json!(1))),
        Value::Object(members) => {
            if let Some(name) = members.keys().next().cloned() {
                members.remove(&name);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, adds)),
        _ => {}
    }
}

fn typed_values() -> impl Strategy<Value = (Shape, Val)> {
    shapes().prop_flat_map(|shape| {
        let values = values(&shape);
        (Just(shape), values)
    })
}

proptest! {
    #[test]
    fn values_leave_and_come_back_and_fit_their_schema((shape, value) in typed_values()) {
        let json = written(&shape, &value);
        prop_assert_eq!(enter::value(&shape, &json, ROOM), Ok(value), "{}", json);
        prop_assert!(validator(&schema::of(&shape)).is_valid(&json), "{} is no {}", json, schema::of(&shape));
    }

    /// Neither accepts what the other does not. A string of digits beyond 64 bits is the exception, and not among these.
    #[test]
    fn what_the_schema_takes_is_converted_and_nothing_else((shape, value) in typed_values(), at in any::<usize>(), with in junk()) {
        let schema = validator(&schema::of(&shape));
        let right = written(&shape, &value);
        let mut replaced = right.clone();
        replace(&mut replaced, &mut (at % parts(&right)), &with);
        let (mut less, mut more) = (right.clone(), right);
        without(&mut less, false);
        without(&mut more, true);
        for json in [replaced, less, more, with] {
            let taken = enter::value(&shape, &json, ROOM);
            prop_assert_eq!(taken.is_ok(), schema.is_valid(&json), "{} for {}: {:?}", json, schema::of(&shape), taken);
        }
    }

    #[test]
    fn a_result_is_never_longer_than_its_limit((shape, value) in typed_values(), limit in 0_usize..200) {
        let whole = leave::json(&shape, &value, usize::MAX).expect("it is written");
        let expected = if whole.len() <= limit { Ok(whole) } else { Err(Unwritten::TooLong) };
        prop_assert_eq!(leave::json(&shape, &value, limit), expected);
    }
}

#[test]
fn the_edges_of_64_bits_keep_their_digits() {
    let (signed, unsigned) = (Shape::Integer(Integer::S64), Shape::Integer(Integer::U64));
    let exact = 1_u64 << 53;
    let table = [
        (&unsigned, Val::U64(0), json!(0)),
        (&unsigned, Val::U64(exact), json!(exact)),
        (&unsigned, Val::U64(exact + 1), json!("9007199254740993")),
        (&unsigned, Val::U64(u64::MAX), json!("18446744073709551615")),
        (&signed, Val::S64(-(1 << 53)), json!(-(1_i64 << 53))),
        (&signed, Val::S64(-(1 << 53) - 1), json!("-9007199254740993")),
        (&signed, Val::S64(i64::MIN), json!("-9223372036854775808")),
        (&signed, Val::S64(i64::MAX), json!("9223372036854775807")),
    ];
    for (shape, value, expected) in table {
        assert_eq!(written(shape, &value), expected);
        assert_eq!(enter::value(shape, &expected, ROOM), Ok(value.clone()));
        // The number itself is taken as well, all of its digits.
        let number: Value = serde_json::from_str(expected.to_string().trim_matches('"')).expect("a number");
        assert_eq!(enter::value(shape, &number, ROOM), Ok(value));
    }
    for json in
        [json!("18446744073709551616"), json!("-1"), json!("007"), json!("+1"), json!("1 "), json!(""), json!(-1), json!(1e19 * 2.0)]
    {
        let wrong = "the arguments: it must be an integer from 0 to 18446744073709551615";
        assert_eq!(enter::value(&unsigned, &json, ROOM), Err(wrong.to_owned()), "{json}");
    }
    assert_eq!(enter::value(&signed, &json!("-0"), ROOM).is_err(), !validator(&schema::of(&signed)).is_valid(&json!("-0")));
    assert_eq!(enter::value(&unsigned, &json!(1e19), ROOM), Ok(Val::U64(10_000_000_000_000_000_000)));
}

#[test]
fn floats_have_words_where_json_has_no_numbers() {
    for (value, expected) in [
        (f64::NAN, json!("NaN")),
        (f64::INFINITY, json!("Infinity")),
        (f64::NEG_INFINITY, json!("-Infinity")),
        (0.1, json!(0.1)),
        (-0.0, json!(-0.0)),
    ] {
        assert_eq!(written(&Shape::Float64, &Val::Float64(value)), expected);
    }
    assert_eq!(leave::json(&Shape::Float32, &Val::Float32(0.1), ROOM).as_deref(), Ok("0.1"));
    assert_eq!(
        written(&Shape::Float32, &Val::Float32(f32::MAX)),
        json!(f64::from(f32::MAX)),
        "not a digit beyond the bounds of its schema"
    );
    assert_eq!(enter::value(&Shape::Float32, &json!(1e300), ROOM), Err("the arguments: it is too large for a 32-bit float".to_owned()));
}

/// Each error names the place.
#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let point = Shape::Record(vec![field("x", Shape::Integer(Integer::S8)), field("on", Shape::Option(Box::new(Shape::Bool)))]);
    let kind =
        Shape::Variant(vec![Case { name: "none".to_owned(), shape: None }, Case { name: "at/it".to_owned(), shape: Some(point.clone()) }]);
    let parameters = [
        field("points", Shape::List(Box::new(point))),
        field("kind", Shape::Option(Box::new(kind))),
        field("pair", Shape::Option(Box::new(Shape::Tuple(vec![Shape::Char, Shape::Bytes])))),
        field("flags", Shape::Option(Box::new(Shape::Flags(labels(&["a", "b"]))))),
        field("deep", Shape::Option(Box::new(Shape::Option(Box::new(Shape::Enum(labels(&["a", "b"]))))))),
    ];
    let table = [
        ("[]", "the arguments: it must be an object, and is an array"),
        ("{}", "the arguments: `points` is missing"),
        (r#"{"points":[],"more":1}"#, "the arguments: there is no `more` in it"),
        (r#"{"points":{}}"#, "/points: it must be an array, and is an object"),
        (r#"{"points":[{"x":1},{"x":128}]}"#, "/points/1/x: it must be an integer from -128 to 127"),
        (r#"{"points":[{"x":"1"}]}"#, "/points/0/x: it must be an integer from -128 to 127"),
        (r#"{"points":[{"x":1,"on":0}]}"#, "/points/0/on: it must be a boolean, and is a number"),
        (r#"{"points":[{"x":1,"y":0}]}"#, "/points/0: there is no `y` in it"),
        (r#"{"points":[null]}"#, "/points/0: it must be an object, and is null"),
        (r#"{"points":[],"kind":{"type":"at/it"}}"#, "/kind: `value` is missing"),
        (r#"{"points":[],"kind":{"type":"at/it","value":{"x":1.5}}}"#, "/kind/value/x: it must be an integer from -128 to 127"),
        (r#"{"points":[],"kind":{"type":"other"}}"#, "/kind/type: it must be one of none, at/it"),
        (r#"{"points":[],"kind":{"type":"none","value":null}}"#, "/kind: there is more in it than its `type` and the `value` of that"),
        (r#"{"points":[],"pair":["ab",""]}"#, "/pair/0: it must be one character"),
        (r#"{"points":[],"pair":["a","?"]}"#, "/pair/1: it must be base64, with padding"),
        (r#"{"points":[],"pair":["a"]}"#, "/pair: it must be an array of 2 items"),
        (r#"{"points":[],"flags":["a","a"]}"#, "/flags/1: it stands there twice"),
        (r#"{"points":[],"flags":["a","b","a"]}"#, "/flags: it has at most 2 items, each of them once"),
        (r#"{"points":[],"flags":["c"]}"#, "/flags/0: it must be one of a, b"),
        (r#"{"points":[],"deep":"a"}"#, "/deep: it must be an object with a `type`, and is a string"),
        (r#"{"points":[],"deep":{"type":"some","value":"c"}}"#, "/deep/value: it must be one of a, b"),
        ("{", "the arguments are no JSON: EOF while parsing an object at line 1 column 1"),
        (r#"{"points":1e999}"#, "the arguments are no JSON: number out of range at line 1 column 15"),
    ];
    for (json, expected) in table {
        assert_eq!(enter::arguments(&parameters, json, ROOM), Err(expected.to_owned()), "{json}");
    }
    let half = enter::arguments(&parameters, r#"{"points":[],"kind":{"type":"\ud83d"}}"#, ROOM).expect_err("half a character");
    assert!(half.starts_with("the arguments are no JSON: unexpected end of hex escape") || half.contains("surrogate"), "{half}");
    let deepest = format!(r#"{{"points":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    assert!(enter::arguments(&parameters, &deepest, ROOM).is_err_and(|text| text.contains("recursion limit exceeded")));
    let name = "n".repeat(100_000);
    let long = enter::arguments(&parameters, &format!(r#"{{"{name}":1}}"#), ROOM).expect_err("there is none");
    assert!(long.len() < 200, "{} bytes", long.len());
}

/// A short JSON text can stand for much memory.
#[test]
fn arguments_take_no_more_memory_than_a_call_may_hand_over() {
    let room = 1 << 20;
    let too_much = |place: &str| Err(format!("{place}: the arguments take more memory than a call may hand over"));
    let numbers = [field("numbers", Shape::List(Box::new(Shape::Integer(Integer::U8))))];
    let list = |count: usize| format!(r#"{{"numbers":[{}0]}}"#, "0,".repeat(count - 1));
    let fits = (room - 64) / size_of::<Val>() - 1;
    assert!(enter::arguments(&numbers, &list(fits), room).is_ok());
    assert_eq!(enter::arguments(&numbers, &list(fits + 10), room), too_much(&format!("/numbers/{}", fits + 1)));
    let bytes = [field("bytes", Shape::Bytes)];
    assert_eq!(enter::arguments(&bytes, &format!(r#"{{"bytes":"{}"}}"#, "AAAA".repeat(20_000)), room), too_much("/bytes"));
    let text = [field("text", Shape::String)];
    assert_eq!(enter::arguments(&text, &format!(r#"{{"text":"{}"}}"#, "a".repeat(room)), room), too_much("/text"));
}

/// The schema in full, as a model reads it.
#[test]
fn a_schema_says_what_the_type_says() {
    let point = Shape::Record(vec![
        Field { name: "x".to_owned(), docs: Some("To the \"right\".".to_owned()), shape: Shape::Integer(Integer::U8) },
        field("tag", Shape::Option(Box::new(Shape::String))),
    ]);
    let parameters = [field("at", point), field("twice", Shape::Option(Box::new(Shape::Option(Box::new(Shape::Bool)))))];
    let expected = concat!(
        r#"{"type":"object","properties":{"#,
        r#""at":{"type":"object","properties":{"x":{"type":"integer","minimum":0,"maximum":255,"description":"To the \"right\"."},"#,
        r#""tag":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["x"],"additionalProperties":false},"#,
        r#""twice":{"anyOf":[{"type":"object","properties":{"type":{"const":"some"},"value":{"anyOf":[{"type":"boolean"},{"type":"null"}]}},"#,
        r#""required":["type","value"],"additionalProperties":false},{"type":"null"}]}},"#,
        r#""required":["at"],"additionalProperties":false}"#
    );
    assert_eq!(schema::of_parameters(&parameters), expected);
    assert_eq!(schema::of_parameters(&[]), r#"{"type":"object","properties":{},"additionalProperties":false}"#);
}
