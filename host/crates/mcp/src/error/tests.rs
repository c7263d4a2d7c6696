use super::{ErrorCode, ErrorObject};
use crate::capability::Capability;

#[track_caller]
fn check(error: &ErrorObject, expected: &str) {
    assert_eq!(error.write().as_str(), expected);
}

#[test]
fn gatehouse_codes_say_their_kind() {
    check(&ErrorObject::new(ErrorCode::QUOTA, "Quota used up"), r#"{"code":-31005,"message":"Quota used up","data":{"kind":"quota"}}"#);
    for code in -31014..=-31001 {
        assert!(ErrorCode(code).kind().is_some(), "{code}");
    }
    assert_eq!(ErrorCode::INTERNAL_ERROR.kind(), None);
    check(&ErrorObject::new(ErrorCode::INTERNAL_ERROR, "e"), r#"{"code":-32603,"message":"e"}"#);
    check(
        &ErrorObject::arguments_too_large(),
        r#"{"code":-32600,"message":"params.arguments is too large","data":{"kind":"args_too_large"}}"#,
    );
    check(
        &ErrorObject::new(ErrorCode::INVALID_REQUEST, "e").with_kind("json_too_deep"),
        r#"{"code":-32600,"message":"e","data":{"kind":"json_too_deep"}}"#,
    );
}

#[test]
fn foreign_names_are_cut_and_escaped() {
    let long = format!("a\n\u{1b}{}", "x".repeat(100_000));
    let expected = format!("a\\u{{a}}\\u{{1b}}{}…", "x".repeat(125));
    assert_eq!(*ErrorObject::unknown_tool(&long).message, *format!("Unknown tool: {expected}"));
    assert_eq!(*ErrorObject::method_not_found(&long).message, *format!("Method not found: {expected}"));
}

#[test]
fn the_protocols_own_data() {
    check(
        &ErrorObject::missing_capability(&Capability::Sampling),
        r#"{"code":-32021,"message":"The client must declare the capability sampling","data":{"requiredCapabilities":{"sampling":{}}}}"#,
    );
    check(
        &ErrorObject::unsupported_version("2099-01-01"),
        r#"{"code":-32022,"message":"Unsupported protocol version: 2099-01-01","data":{"supported":["2026-07-28"],"requested":"2099-01-01"}}"#,
    );
}

/// What lies between -32768 and -32000 belongs to JSON-RPC and to MCP, and nothing there is our own.
#[test]
fn our_own_codes_are_outside_of_what_is_reserved() {
    let of_others = [-32700, -32600, -32601, -32602, -32603, -32002, -32042, -32020, -32021, -32022, -32800];
    for code in (-33_000..=-31_000).map(ErrorCode) {
        let ours = code.kind().is_some();
        let reserved = (-32_768..=-32_000).contains(&code.get());
        assert!(!(ours && reserved), "{code} is ours and reserved");
    }
    let source = include_str!("../error.rs");
    let codes = source.lines().filter_map(|line| line.trim().split_once("ErrorCode(-")?.1.strip_suffix(");")?.parse::<i32>().ok());
    let reserved: Vec<_> = codes.map(|code| -code).filter(|code| (-32_768..=-32_000).contains(code)).collect();
    assert!(reserved.len() >= 10 && reserved.iter().all(|code| of_others.contains(code)), "{reserved:?}");
}
