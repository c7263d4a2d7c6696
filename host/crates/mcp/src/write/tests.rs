use super::{batch, failure, notification, request, subscription_notification, success};
use crate::{ErrorCode, ErrorObject, Id, JsonLimits, JsonText};

#[track_caller]
fn check(message: Vec<u8>, expected: &str) {
    assert_eq!(String::from_utf8(message).unwrap(), expected);
}

#[test]
fn messages() {
    let text = JsonText::parse("{ \"a\": 1e2 }", &JsonLimits::default()).unwrap();
    let one = Id::Number(1);
    check(success(&one, &text), r#"{"jsonrpc":"2.0","id":1,"result":{ "a": 1e2 }}"#);
    check(success(&Id::String("é\n\"".into()), &text), r#"{"jsonrpc":"2.0","id":"é\n\"","result":{ "a": 1e2 }}"#);
    let error = ErrorObject::new(ErrorCode::PARSE_ERROR, "e");
    check(failure(None, &error), r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"e"}}"#);
    check(failure(Some(&one), &error), r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32700,"message":"e"}}"#);
    check(notification("n", None), r#"{"jsonrpc":"2.0","method":"n"}"#);
    check(request(&one, "m", Some(&text)), r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{ "a": 1e2 }}"#);
    check(
        subscription_notification("n", &Id::String("1".into())),
        r#"{"jsonrpc":"2.0","method":"n","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"1"}}}"#,
    );
}

#[test]
fn batches() {
    check(batch(&[]), "[]");
    check(batch(&[b"1".to_vec(), b"2".to_vec()]), "[1,2]");
}
