use super::{HeaderError, HeaderValues, decode, encode, literal};
use proptest::prelude::*;

#[track_caller]
fn check(value: &str, expected: Result<&str, HeaderError>) {
    assert_eq!(decode(value.as_bytes()).as_deref(), expected.as_ref().copied(), "{value:?}");
}

#[test]
fn literals() {
    check("echo", Ok("echo"));
    check(" \techo me\t ", Ok("echo me"));
    check("", Ok(""));
    check("=?base64?ZGFuZ2Vy", Ok("=?base64?ZGFuZ2Vy"));
    check("ZGFuZ2Vy?=", Ok("ZGFuZ2Vy?="));
    check("=?BASE64?ZGFuZ2Vy?=", Ok("=?BASE64?ZGFuZ2Vy?="));
    check("=?base64?=", Ok("=?base64?=")); // Open and close may not share a character.
    check("é", Err(HeaderError::Literal));
    check("a\u{7f}", Err(HeaderError::Literal));
    check("a\0b", Err(HeaderError::Literal));
    assert_eq!(decode(b"\xff"), Err(HeaderError::Literal));
}

/// J19.
#[test]
fn base64() {
    check("=?base64?ZGFuZ2Vy?=", Ok("danger"));
    check(" =?base64?ZGFuZ2Vy?= ", Ok("danger"));
    check("=?base64??=", Ok(""));
    check("=?base64?w6k=?=", Ok("é"));
    check("=?base64?w6k?=", Err(HeaderError::Base64)); // No padding.
    check("=?base64?w6k==?=", Err(HeaderError::Base64));
    check("=?base64?w6l=?=", Err(HeaderError::Base64)); // Bits after the end.
    check("=?base64?%%%?=", Err(HeaderError::Base64));
    check("=?base64?Z GFuZ2Vy?=", Err(HeaderError::Base64));
    check("=?base64?_w==?=", Err(HeaderError::Base64)); // The URL alphabet.
    check("=?base64?/w==?=", Err(HeaderError::Utf8));
}

#[test]
fn values_are_counted() {
    let collect = |values: &[&'static str]| HeaderValues::collect(values.iter().map(|value| value.as_bytes()));
    assert_eq!(collect(&[]), HeaderValues::Absent);
    assert_eq!(collect(&["a"]), HeaderValues::Once(b"a"));
    assert_eq!(collect(&["a", "a"]), HeaderValues::Many);
}

#[test]
fn encoding_is_literal_where_it_can_be() {
    assert_eq!(encode("echo me"), "echo me");
    assert_eq!(encode(" a"), "=?base64?IGE=?=");
    assert_eq!(encode("=?base64?x?="), "=?base64?PT9iYXNlNjQ/eD89?=");
}

proptest! {
    #[test]
    fn round_trip(text in prop_oneof![".{0,40}", "[ -~\t]{0,40}", r"=\?base64\?[A-Za-z=]{0,8}\?="]) {
        let encoded = encode(&text);
        prop_assert!(literal(encoded.as_bytes()).is_ok());
        let decoded = decode(encoded.as_bytes()).unwrap();
        prop_assert_eq!(decoded.as_ref(), text.as_str());
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode(&bytes);
    }
}
