//! JSON and JSON-RPC: group J of the catalogue (reliability 3.J). J09 is in `batch`, J22 in `legacy` for each revision.

use crate::harness::{Answer, Gateway, Modern, Setup, call_params, eventually, initialize_params, process, rpc};
use serde_json::{Value, json};
use std::time::Duration;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const INVALID_PARAMS: i64 = -32602;
const MIB: usize = 1 << 20;

async fn gateway() -> Gateway {
    let settings = "[log]\nfilter = \"gatehouse=debug\"\n".to_owned();
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await
}

fn list() -> Modern {
    Modern::new("tools/list", json!({}))
}

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

/// A correct call whose message is this JSON text.
fn echo_of(json: &str) -> Modern {
    let text = echo().body.to_string().replace("\"hello\"", json);
    echo().bytes(text)
}

fn meta(key: &str, value: Value) -> Modern {
    echo().body(|body| body["params"]["_meta"][key] = value)
}

/// Status, code, `data.kind` and id of the refusals of a list of requests.
async fn refuse(gateway: &Gateway, expected: (u16, i64, &str, &Value), rows: impl IntoIterator<Item = (&str, Modern)>) {
    for (name, request) in rows {
        let answer = gateway.modern(request).await;
        assert!(answer.message().get("error").is_some(), "{name}: {answer:?}");
        assert_eq!((answer.status, answer.code(), answer.kind(), &answer.message()["id"]), expected, "{name}: {answer:?}");
    }
}

/// Nothing ran: a call that runs is logged.
async fn nothing_ran(gateway: &Gateway) {
    assert!(!gateway.log().contains("tools/call"), "{}", gateway.log());
    assert_eq!(gateway.modern(echo()).await.tool_text(), "hello");
    let logged = async || gateway.log().contains("tools/call").then_some(());
    eventually("what ran is logged", Duration::from_secs(5), logged).await;
}

/// `"id": null` where the catalogue wants no `id` at all: protocol H11 and JSON-RPC 2.0 (5) want it so, and clients read both.
#[tokio::test]
async fn j01_j02_j13_what_is_not_json() {
    let gateway = gateway().await;
    let body = list().body.to_string();
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes_ff = echo().body.to_string().replace("hello", "\u{1}").into_bytes();
    let bytes_ff: Vec<u8> = bytes_ff.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    refuse(
        &gateway,
        (400, PARSE_ERROR, "", &Value::Null),
        [
            ("J01 an open brace", list().bytes("{")),
            ("J01 nothing", list().bytes("")),
            ("J01 two values", list().bytes(format!("{body}{body}"))),
            ("J02 0xFF", echo().bytes(bytes_ff)),
            ("J02 byte order mark", list().bytes(format!("\u{feff}{body}"))),
            ("J02 UTF-16", list().bytes(utf16)),
            ("J13 1e400", echo_of("1e400")),
            ("J13 NaN", echo_of("NaN")),
            ("J13 -Infinity", echo_of("-Infinity")),
            ("J13 01", echo_of("01")),
            ("J13 lone surrogate", echo_of(r#""\ud800""#)),
            ("J13 lone low surrogate", echo_of(r#""\udc00\ud800""#)),
            ("J13 control character", echo_of("\"\t\"")),
            ("J13 comment", echo_of("/**/\"\"")),
            ("J13 trailing comma", echo_of("\"\",")),
        ],
    )
    .await;
    nothing_ran(&gateway).await;
    assert_eq!(gateway.modern(echo_of(r#""\ud83d\ude00""#)).await.tool_text(), "\u{1f600}", "J13, a whole pair");
}

#[tokio::test]
async fn j03_j05_j06_j07_what_is_too_much() {
    let gateway = gateway().await;
    let nested =
        |levels: usize| echo().body(|body| body["params"]["arguments"] = (1..levels).fold(json!({}), |inner, _| json!({ "a": inner })));
    let accepted = gateway.modern(nested(64)).await;
    assert_eq!((accepted.status, &accepted.result()["isError"]), (200, &json!(true)), "J03: JSON, and nothing that echo takes");
    let too_deep = (400, INVALID_REQUEST, "json_too_deep", &Value::Null);
    refuse(&gateway, too_deep, [("J03 65 levels", nested(65)), ("J03 10,000 brackets", list().bytes("[".repeat(10_000)))]).await;

    let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    let keys: Vec<_> = (0..150_000).map(|n| format!("\"{n:x}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let too_many = (400, INVALID_REQUEST, "json_too_many_nodes", &Value::Null);
    let before = resident_peak_kib(&gateway);
    refuse(&gateway, too_many, [("J05 2 million values", list().bytes(zeros(2_000_000)))]).await;
    let grown = resident_peak_kib(&gateway) - before;
    assert!(grown <= 32 << 10, "J05: {grown} KiB");
    refuse(
        &gateway,
        too_many,
        [
            ("J05 inside of a call", echo_of(&zeros(100_000))),
            ("J06 150,000 keys", list().bytes(&keys)),
            ("J06 inside of a call", echo_of(&keys)),
        ],
    )
    .await;

    let twice = |text: &str| list().bytes(list().body.to_string().replacen('{', text, 1));
    let duplicate = (400, INVALID_REQUEST, "duplicate_key", &Value::Null);
    refuse(
        &gateway,
        duplicate,
        [
            ("J07 method", twice(r#"{"method":"tools/call","#)),
            ("J07 escaped", twice(r#"{"m\u0065thod":"tools/call","#)),
            ("J07 jsonrpc, equal", twice(r#"{"jsonrpc":"2.0","#)),
            ("J07 deep", echo_of(r#"{"a":{"b":1,"b":1}}"#)),
        ],
    )
    .await;
    nothing_ran(&gateway).await;
}

fn resident_peak_kib(gateway: &Gateway) -> u64 {
    process::status(gateway.pid(), "VmHWM")
}

#[tokio::test]
async fn j10_j11_what_is_no_request() {
    let gateway = gateway().await;
    let version = |value: Option<Value>| {
        list().body(|body| match value {
            Some(value) => body["jsonrpc"] = value,
            None => drop(body.as_object_mut().expect("an object").remove("jsonrpc")),
        })
    };
    refuse(
        &gateway,
        (400, INVALID_REQUEST, "", &json!(1)),
        [
            ("J10 missing", version(None)),
            ("J10 1.0", version(Some("1.0".into()))),
            ("J10 a number", version(Some(json!(2.0)))),
            ("J10 null", version(Some(Value::Null))),
        ],
    )
    .await;
    let ids = ["null", "1.5", "1.0", "1e2", "-0", "true", "{}", "[]", "9223372036854775808"].map(ToOwned::to_owned);
    for id in ids.into_iter().chain([format!("\"{}\"", "i".repeat(257))]) {
        let request = list().bytes(list().body.to_string().replace("\"id\":1", &format!("\"id\":{id}")));
        refuse(&gateway, (400, INVALID_REQUEST, "", &Value::Null), [(&*format!("J11 {id}"), request)]).await;
    }
}

#[tokio::test]
async fn j12_ids_come_back_as_they_were() {
    let gateway = gateway().await;
    let longest = format!("\"{}\"", "i".repeat(256));
    for id in ["9007199254740993", "-9223372036854775808", "9223372036854775807", "0", "\"\"", r#""é\n""#, r#""\"\\""#, "\"1\"", &longest]
    {
        let request = list().bytes(list().body.to_string().replace("\"id\":1", &format!("\"id\":{id}")));
        let answer = gateway.modern(request).await;
        assert_eq!(answer.status, 200, "{id}");
        assert!(answer.text.starts_with(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},")), "{id}: {}", answer.text);
    }
}

/// The ladder's own test has these rungs too, and their order.
#[tokio::test]
async fn j14_to_j20_the_modern_envelope() {
    let gateway = gateway().await;
    let without = |key: &'static str| echo().body(|body| drop(body["params"]["_meta"].as_object_mut().expect("an object").remove(key)));
    let no_meta = echo().body(|body| drop(body["params"].as_object_mut().expect("an object").remove("_meta")));
    let named = |name: &str, header: &str| Modern::call(name, json!({ "message": "hello" })).instead("mcp-name", header);
    let version = |request: Modern, version: &str| request.instead("mcp-protocol-version", version);
    let rows = [
        ("J14", Modern::new("no/such", json!({})), 404, -32601),
        ("J15", Modern::new("initialize", initialize_params("2025-11-25")), 404, -32601),
        ("J15", Modern::new("ping", json!({})), 404, -32601),
        ("J15", Modern::new("logging/setLevel", json!({ "level": "info" })), 404, -32601),
        ("J15", Modern::new("resources/subscribe", json!({ "uri": "a:b" })), 404, -32601),
        ("J16 no _meta", no_meta.clone(), 400, INVALID_PARAMS),
        ("J16 no capabilities", without("io.modelcontextprotocol/clientCapabilities"), 400, INVALID_PARAMS),
        ("J17 another name", named("spin", "echo"), 400, -32020),
        ("J17 no method", echo().without("mcp-method"), 400, -32020),
        ("J17 another version", version(echo(), "2025-11-25"), 400, -32020),
        ("J19 equal, and no such tool", named("danger", "=?base64?ZGFuZ2Vy?="), 200, INVALID_PARAMS),
        ("J19 no base64", named("danger", "=?base64?%%%?="), 400, -32020),
        ("J19 upper case is no base64", named("danger", "=?BASE64?ZGFuZ2Vy?="), 400, -32020),
        ("J19 no padding", named("echo", "=?base64?ZWNobw?="), 400, -32020),
        ("J19 last bits", named("echo", "=?base64?ZWNobx==?="), 400, -32020),
        ("J19 not UTF-8", named("echo", "=?base64?/w==?="), 400, -32020),
        ("J20", version(no_meta, "2099-01-01"), 400, -32022),
    ];
    for (name, request, status, code) in rows {
        refuse(&gateway, (status, code, "", &json!(1)), [(name, request)]).await;
    }
    nothing_ran(&gateway).await;
    assert_eq!(gateway.modern(named("echo", "=?base64?ZWNobw==?=")).await.tool_text(), "hello", "J19");

    let session = gateway.session("2025-11-25").await;
    let legacy = gateway.legacy(Some(&session), rpc(1, "no/such", json!({}))).await;
    assert_eq!((legacy.status, legacy.code()), (200, -32601), "J14");
}

/// In a session, because the header that repeats the name has no room for it.
#[tokio::test]
async fn j21_names_that_are_long_and_hostile() {
    let gateway = gateway().await;
    let session = gateway.session("2025-11-25").await;
    let name = format!("a\nERROR forged\u{1b}[31m\u{2028}{}", "x".repeat(100_000));
    for request in [rpc(1, "tools/call", call_params(&name, json!({}))), rpc(1, &name, json!({}))] {
        let answer = gateway.legacy(Some(&session), request).await;
        assert_eq!(answer.status, 200);
        assert!(matches!(answer.code(), INVALID_PARAMS | -32601), "{answer:?}");
        let message = answer.error()["message"].as_str().expect("a message");
        // 128 characters, of which three are escaped, and our own words around them.
        assert!(message.chars().count() <= 170 && message.contains("xxx"), "{message}");
        assert!(message.chars().all(|char| !char.is_control() && char != '\u{2028}'), "{message:?}");
    }
    let log = gateway.log();
    assert!(!log.contains('\u{1b}') && !log.lines().any(|line| line.starts_with("ERROR forged")), "{log}");
}

#[tokio::test]
async fn j22_j23_arguments() {
    let gateway = gateway().await;
    let broken = gateway.call("echo", json!({ "message": 7, "more": true })).await;
    assert_eq!((broken.status, &broken.result()["isError"]), (200, &json!(true)), "J22");
    assert!(broken.tool_text().contains("7 is not of type \"string\""), "{broken:?}");

    // Two strings, because one that long is refused before.
    let sized = |bytes: usize| {
        let arguments = |rest: usize| json!({ "a": "x".repeat(MIB / 2), "b": "x".repeat(rest) });
        let around = arguments(0).to_string().len();
        Modern::call("echo", arguments(bytes - around))
    };
    let accepted = gateway.modern(sized(MIB)).await;
    assert_eq!((accepted.status, &accepted.result()["isError"]), (200, &json!(true)), "J23: not too large, and not what echo takes");
    let too_large = (400, INVALID_REQUEST, "args_too_large", &json!(1));
    refuse(&gateway, too_large, [("J23 1 MiB + 1", sized(MIB + 1))]).await;
    let long = json!("x".repeat(MIB + 1));
    let in_arguments = echo().body(|body| body["params"]["arguments"]["message"] = long.clone());
    refuse(&gateway, (400, INVALID_REQUEST, "args_too_large", &Value::Null), [("J23 one string", in_arguments)]).await;
    let elsewhere = echo().body(|body| body["params"]["other"] = long);
    refuse(&gateway, (400, INVALID_REQUEST, "json_string_too_long", &Value::Null), [("J23 elsewhere", elsewhere)]).await;
    nothing_ran(&gateway).await;
}

#[tokio::test]
async fn j24_j25_meta() {
    let gateway = gateway().await;
    let wrong = [json!({}), json!([]), json!(true), json!(1.5), Value::Null, json!("t".repeat(257))];
    let keys = |count: usize| {
        // Two are there already.
        echo().body(|body| (2..count).for_each(|n| body["params"]["_meta"][format!("k{n}")] = n.into()))
    };
    let session = gateway.session("2025-11-25").await;
    for token in wrong {
        let modern = meta("progressToken", token);
        let legacy = gateway.legacy(Some(&session), modern.body.clone()).await;
        assert_eq!((legacy.status, legacy.code()), (400, INVALID_PARAMS), "J24: {legacy:?}");
        refuse(&gateway, (400, INVALID_PARAMS, "", &json!(1)), [("J24", modern)]).await;
    }
    let rows = [("J25 10,000 keys", keys(10_000)), ("J25 65 keys", keys(65)), ("J25 16 KiB", meta("k", json!("x".repeat(16 << 10))))];
    refuse(&gateway, (400, INVALID_PARAMS, "", &json!(1)), rows).await;
    nothing_ran(&gateway).await;
    assert_eq!(gateway.modern(keys(64)).await.tool_text(), "hello", "J25");

    // The tool tells what it was shown of `_meta`.
    let mut caller = Modern::call("caller", json!({}));
    let sent = &mut caller.body["params"]["_meta"];
    sent["io.modelcontextprotocol/subscriptionId"] = "forged".into();
    sent["io.modelcontextprotocol/serverInfo"] = "forged".into();
    sent["traceparent"] = format!("00-{}", "0".repeat(4_096)).into();
    sent["example.com/own"] = 7.into();
    let answer = gateway.modern(caller).await;
    assert_eq!(answer.result()["structuredContent"]["meta"], json!({ "example.com/own": 7 }), "J25");
    assert!(!answer.text.contains("forged"), "J25: {answer:?}");
}

#[tokio::test]
async fn j26_responses_that_nobody_waits_for() {
    let gateway = gateway().await;
    let session = gateway.session("2025-11-25").await;
    let mut call = rpc(1, "tools/call", call_params("slow_count", json!({ "message": "done", "n": 3, "interval_ms": 100 })));
    call["params"]["_meta"]["progressToken"] = 1.into();
    let mut running = gateway.legacy_request(Some(&session), &call).send().await.expect("an answer");
    assert!(running.chunk().await.expect("a first event").is_some());
    for response in [
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } }),
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -1, "message": "no" } }),
        json!({ "jsonrpc": "2.0", "id": "never sent", "result": {} }),
    ] {
        let rows = [("J26 modern", list().body(|body| *body = response.clone()))];
        refuse(&gateway, (400, INVALID_REQUEST, "", &Value::Null), rows).await;
        let legacy: Answer = gateway.legacy(Some(&session), response).await;
        assert_eq!((legacy.status, legacy.code()), (400, INVALID_REQUEST), "J26 legacy");
    }
    assert!(running.text().await.expect("the rest").contains("\"done\""), "the call goes on to its own end");
}
