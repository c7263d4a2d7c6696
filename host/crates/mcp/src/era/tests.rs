use super::{EraDecision, era, of_header};
use crate::header::HeaderValues::{self, Absent, Many, Once};
use crate::jsonrpc::{Body, parse};
use crate::{ErrorCode, JsonLimits, Revision};

const CLAIM: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;
const BARE: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
const OLD: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}}"#;
const MODERN: HeaderValues<'static> = Once(b"2026-07-28");
const LEGACY: HeaderValues<'static> = Once(b"2025-06-18");
const UNKNOWN: HeaderValues<'static> = Once(b"2099-01-01");

fn decide(members: &str, version: HeaderValues<'_>) -> EraDecision {
    let text = format!(r#"{{"jsonrpc":"2.0",{members}}}"#);
    match parse(text.as_bytes(), &JsonLimits::default()) {
        Ok(Body::One(message)) => era(&message, &message.params(), version),
        other => panic!("{text}: {other:?}"),
    }
}

fn request(method: &str, params: &str, version: HeaderValues<'_>) -> EraDecision {
    decide(&format!(r#""id":1,"method":"{method}","params":{params}"#), version)
}

fn notification(params: &str, version: HeaderValues<'_>) -> EraDecision {
    decide(&format!(r#""method":"notifications/cancelled","params":{params}"#), version)
}

fn legacy(header: Option<Revision>) -> EraDecision {
    EraDecision::Legacy { header }
}

#[track_caller]
fn refused(decision: EraDecision, code: ErrorCode) {
    match decision {
        EraDecision::Refused(refusal) => assert_eq!(refusal.error().code, code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn e1_a_claim_is_modern() {
    for version in [Absent, MODERN, LEGACY, UNKNOWN, Many] {
        for params in [CLAIM, BARE, OLD] {
            assert_eq!(request("tools/list", params, version), EraDecision::Modern);
        }
        assert_eq!(request("initialize", CLAIM, version), EraDecision::Modern);
    }
}

#[test]
fn e2_initialize_is_a_handshake() {
    for params in ["{}", BARE, OLD, r#"{"protocolVersion":"2026-07-28"}"#, r#"{"_meta":3}"#] {
        assert_eq!(request("initialize", params, Absent), legacy(None));
        assert_eq!(request("initialize", params, LEGACY), legacy(Some(Revision::V2025_06_18)));
        refused(request("initialize", params, MODERN), ErrorCode::HEADER_MISMATCH);
        refused(request("initialize", params, UNKNOWN), ErrorCode::UNSUPPORTED_VERSION);
    }
}

#[test]
fn e3_a_modern_header_is_modern_and_an_unknown_one_refused() {
    assert_eq!(request("tools/list", "{}", MODERN), EraDecision::Modern);
    refused(request("tools/list", "{}", UNKNOWN), ErrorCode::UNSUPPORTED_VERSION);
    refused(request("tools/list", "{}", Once(b"\xff")), ErrorCode::HEADER_MISMATCH);
    refused(request("tools/list", "{}", Many), ErrorCode::HEADER_MISMATCH);
}

#[test]
fn e4_the_rest_is_legacy() {
    assert_eq!(request("tools/list", "{}", Absent), legacy(None));
    assert_eq!(request("tools/list", "{}", LEGACY), legacy(Some(Revision::V2025_06_18)));
    assert_eq!(request("tools/list", "{}", Once(b" 2025-03-26 ")), legacy(Some(Revision::V2025_03_26)));
}

/// J26.
#[test]
fn m3_responses() {
    let response = |version| decide(r#""id":1,"result":{}"#, version);
    assert_eq!(response(Absent), legacy(None));
    assert_eq!(response(LEGACY), legacy(Some(Revision::V2025_06_18)));
    refused(response(MODERN), ErrorCode::INVALID_REQUEST);
    refused(response(UNKNOWN), ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn m4_notifications() {
    assert_eq!(notification("{}", Absent), legacy(None));
    assert_eq!(notification("{}", LEGACY), legacy(Some(Revision::V2025_06_18)));
    assert_eq!(notification("{}", MODERN), EraDecision::Modern);
    refused(notification("{}", UNKNOWN), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(notification(BARE, Absent), EraDecision::Modern);
    assert_eq!(notification(CLAIM, MODERN), EraDecision::Modern);
    refused(notification(CLAIM, LEGACY), ErrorCode::UNSUPPORTED_VERSION);
    refused(notification(CLAIM, UNKNOWN), ErrorCode::UNSUPPORTED_VERSION);
    refused(notification(CLAIM, Many), ErrorCode::HEADER_MISMATCH);
}

#[test]
fn without_a_message_the_header_decides() {
    assert_eq!(of_header(Absent), legacy(None));
    assert_eq!(of_header(LEGACY), legacy(Some(Revision::V2025_06_18)));
    assert_eq!(of_header(MODERN), EraDecision::Modern);
    refused(of_header(UNKNOWN), ErrorCode::UNSUPPORTED_VERSION);
    refused(of_header(Many), ErrorCode::HEADER_MISMATCH);
}
