use super::{HeaderParameters, MirrorError, number::Decimal};
use crate::header::HeaderValues;
use crate::modern::{HeaderFault, Refusal};
use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

fn loads(schema: &Value) -> Result<HeaderParameters, MirrorError> {
    HeaderParameters::from_schema(schema)
}

#[track_caller]
fn refuses(schema: &Value, error: MirrorError) {
    assert_eq!(loads(schema), Err(error), "{schema}");
}

#[test]
fn most_schemas_have_none() {
    assert!(loads(&json!({"type": "object", "properties": {"a": {"type": "string"}}})).unwrap().is_empty());
    assert!(loads(&json!(true)).unwrap().is_empty());
    // A property, a definition or data of that name is no annotation.
    let schema = json!({
        "properties": {"x-mcp-header": {"type": "object", "default": {"x-mcp-header": 1}}},
        "$defs": {"x-mcp-header": {"type": "string"}},
        "examples": [{"x-mcp-header": ""}],
    });
    assert!(loads(&schema).unwrap().is_empty());
}

#[test]
fn annotations_are_checked() {
    let with = |name: Value, kind: Value| json!({"properties": {"a": {"x-mcp-header": name, "type": kind}}});
    for kind in ["string", "integer", "boolean"] {
        assert!(!loads(&with(json!("Region"), json!(kind))).unwrap().is_empty());
    }
    for name in [json!(""), json!("a b"), json!("é"), json!(1), json!("a:b"), json!("a\r\nb")] {
        refuses(&with(name, json!("string")), MirrorError::NotAToken);
    }
    for kind in [json!("number"), json!("object"), json!("array"), json!(["string", "null"]), json!(null)] {
        refuses(&with(json!("A"), kind), MirrorError::Type("A".into()));
    }
    let twice = json!({"properties": {
        "a": {"type": "string", "x-mcp-header": "Region"},
        "b": {"type": "object", "properties": {"c": {"type": "string", "x-mcp-header": "rEGION"}}},
    }});
    assert!(matches!(loads(&twice), Err(MirrorError::Twice(_))));
}

#[test]
fn only_properties_lead_to_annotations() {
    let leaf = json!({"type": "string", "x-mcp-header": "A"});
    let property = json!({"properties": {"p": leaf}});
    for schema in [
        leaf.clone(),
        json!({"items": leaf}),
        json!({"prefixItems": [leaf]}),
        json!({"$defs": {"d": leaf}}),
        json!({"allOf": [property]}),
        json!({"if": property}),
        json!({"not": {"not": property}}),
        json!({"patternProperties": {"^a": leaf}}),
        json!({"additionalProperties": leaf}),
        json!({"dependentSchemas": {"a": property}}),
        json!({"properties": {"list": {"type": "array", "items": property}}}),
    ] {
        refuses(&schema, MirrorError::Unreachable("A".into()));
    }
}

/// One string, one integer, one nested boolean.
fn parameters() -> HeaderParameters {
    loads(&json!({"properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}},
    }}))
    .unwrap()
}

fn outcome(arguments: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    let raw: &RawValue = serde_json::from_str(arguments).unwrap();
    parameters().check(Some(raw), &|name| {
        let same = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        HeaderValues::collect(same.map(|(_, value)| value.as_bytes()))
    })
}

#[track_caller]
fn agrees(arguments: &str, headers: &[(&str, &str)]) {
    assert_eq!(outcome(arguments, headers), Ok(()), "{arguments} {headers:?}");
}

#[track_caller]
fn faults(arguments: &str, headers: &[(&str, &str)], name: &str, fault: HeaderFault) {
    assert_eq!(outcome(arguments, headers), Err(Refusal::Header { header: name.into(), fault }));
}

#[test]
fn rung_6_equal() {
    agrees("{}", &[]);
    agrees("{}", &[("Mcp-Param-Other", "x")]);
    agrees(r#"{"region":null,"deep":null}"#, &[]);
    agrees(r#"{"region":"eu"}"#, &[("mcp-param-REGION", "eu")]);
    agrees(r#"{"region":"\u00e9"}"#, &[("Mcp-Param-Region", "=?base64?w6k=?=")]);
    agrees(r#"{"region":""}"#, &[("Mcp-Param-Region", "")]);
    agrees(r#"{"deep":{"dry":true}}"#, &[("Mcp-Param-Dry", "true")]);
    agrees(r#"{"count":42}"#, &[("Mcp-Param-Count", "42.0")]);
    agrees(r#"{"count":42.0}"#, &[("Mcp-Param-Count", "42")]);
    agrees(r#"{"count":0}"#, &[("Mcp-Param-Count", "-0")]);
    assert_eq!(parameters().check(None, &|_| HeaderValues::Absent), Ok(()));
}

#[test]
fn rung_6_unequal() {
    let region = "Mcp-Param-Region";
    faults(r#"{"region":"eu"}"#, &[], region, HeaderFault::Absent);
    faults("{}", &[(region, "eu")], region, HeaderFault::Unmatched);
    faults(r#"{"region":null}"#, &[(region, "null")], region, HeaderFault::Unmatched);
    faults(r#"{"region":"eu"}"#, &[(region, "eu"), (region, "eu")], region, HeaderFault::Repeated);
    faults(r#"{"region":"eu"}"#, &[(region, "EU")], region, HeaderFault::differs("EU", "\"eu\""));
    faults(r#"{"region":["eu"]}"#, &[(region, "eu")], region, HeaderFault::differs("eu", "[\"eu\"]"));
    faults(r#"{"deep":{"dry":true}}"#, &[("Mcp-Param-Dry", "True")], "Mcp-Param-Dry", HeaderFault::differs("True", "true"));
    for value in ["43", "042", "4_2", "+42", "", "42x", "0x2a"] {
        faults(r#"{"count":42}"#, &[("Mcp-Param-Count", value)], "Mcp-Param-Count", HeaderFault::differs(value, "42"));
    }
    // No detour over floating point.
    faults(
        r#"{"count":9007199254740991}"#,
        &[("Mcp-Param-Count", "9007199254740991.0001")],
        "Mcp-Param-Count",
        HeaderFault::differs("9007199254740991.0001", "9007199254740991"),
    );
}

#[test]
fn decimals() {
    let same = |a: &str, b: &str| Decimal::parse(a).unwrap() == Decimal::parse(b).unwrap();
    for (a, b) in [("42", "4.2e1"), ("100", "1E+2"), ("0.50", "5e-1"), ("0", "0e9"), ("-0", "0.0"), ("1200", "12e2")] {
        assert!(same(a, b), "{a} {b}");
    }
    for (a, b) in [("42", "-42"), ("1", "10"), ("0.1", "0.01"), ("1e5", "1e6")] {
        assert!(!same(a, b), "{a} {b}");
    }
    for text in ["", "-", "1.", ".1", "1e", "1e+", "e1", "--1", "1e99999999999999999999", " 1"] {
        assert_eq!(Decimal::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn decimals_agree_with_integers(a in any::<i32>(), zeros in 0_usize..4) {
        let plain = Decimal::parse(&a.to_string());
        let fraction = format!("{a}.{}", "0".repeat(zeros + 1));
        prop_assert_eq!(&Decimal::parse(&fraction), &plain);
        prop_assert_eq!(&Decimal::parse(&format!("{a}{}e-{zeros}", "0".repeat(zeros))), &plain);
    }
}

#[test]
fn integers_are_safe_up_to_what_a_double_holds() {
    let safe = |text: &str| super::number::Decimal::parse(text).unwrap().is_safe();
    for text in ["0", "-9007199254740991", "9007199254740991", "9.007199254740991e15", "42.0", "0.5", "1e15", "123456789012345.75"] {
        assert!(safe(text), "{text}");
    }
    for text in ["9007199254740992", "-9007199254740992", "1e16", "1e400", "99999999999999999999", "9007199254740992.5"] {
        assert!(!safe(text), "{text}");
    }
}
