use super::{Object, Round, Value, WrongType};

#[track_caller]
fn refused(text: &str) {
    assert_eq!(Object::read(text), None, "{text}");
}

#[test]
fn an_object_is_read() {
    let object = Object::read(" {\"a\":\"x\\u0041\",\"b\":[1,-2,1.5,null,true],\"c\":{\"a\":{}}}\n").unwrap();
    assert_eq!(object.text("a"), Ok(Some("xA")));
    let items = [Value::Integer(1), Value::Integer(-2), Value::Real(1.5), Value::Null, Value::Bool];
    assert_eq!(object.get("b"), Some(&Value::Array(items.to_vec())));
    assert_eq!((object.text("c"), object.text("d")), (Err(WrongType), Ok(None)));
}

#[test]
fn a_key_twice_is_refused_at_any_depth_however_it_is_spelt() {
    refused(r#"{"a":1,"a":1}"#);
    refused(r#"{"a":1,"\u0061":1}"#);
    refused(r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#);
    assert!(Object::read(r#"{"a":{"a":1},"A":2}"#).is_some());
}

#[test]
fn what_is_no_object_or_not_json_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "1",
        "[]",
        "\"{}\"",
        "{",
        "{}}",
        "{} {}",
        "{}x",
        "\u{feff}{}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\t\"}",
        "/**/{}",
    ] {
        refused(text);
    }
}

#[test]
fn depth_has_a_limit() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(Object::read(&nested(31)).is_some());
    refused(&nested(32));
    refused(&nested(100_000));
}

#[test]
fn seconds_lie_within_64_bits() {
    let read = |number: &str, round| Object::read(&format!("{{\"exp\":{number}}}")).unwrap().seconds("exp", round);
    assert_eq!(read("1700000000", Round::Down), Ok(Some(1_700_000_000)));
    assert_eq!(read("1.7e9", Round::Down), Ok(Some(1_700_000_000)));
    assert_eq!((read("1.5", Round::Down), read("1.5", Round::Up)), (Ok(Some(1)), Ok(Some(2))));
    assert_eq!((read("-1.5", Round::Down), read("-0", Round::Up)), (Ok(Some(-2)), Ok(Some(0))));
    assert_eq!(read("9223372036854775807", Round::Down), Ok(Some(i64::MAX)));
    assert_eq!(read("-9223372036854775808", Round::Down), Ok(Some(i64::MIN)));
    for number in
        ["9223372036854775808", "18446744073709551615", "18446744073709551616", "1e308", "-1e19", "null", "\"1\"", "[1]", "{}", "true"]
    {
        assert_eq!(read(number, Round::Down), Err(WrongType), "{number}");
    }
}
