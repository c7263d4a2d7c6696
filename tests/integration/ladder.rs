//! The ladder (protocol 1.4), rung by rung and in its order. Each row breaks one thing of a correct request and says what is answered.

use crate::harness::{Gateway, Modern, Setup, initialize_params, root, rpc};
use serde_json::{Value, json};

const PV: &str = "io.modelcontextprotocol/protocolVersion";
const CC: &str = "io.modelcontextprotocol/clientCapabilities";
const CI: &str = "io.modelcontextprotocol/clientInfo";

/// Answers of HTTP's own, without JSON-RPC.
const TEXT: i64 = 0;

/// One rung: its name in protocol 1.4, what is sent, and the status, the code and a decisive part of the message that are answered.
type Rung = (&'static str, Modern, u16, i64, &'static str);

/// Whose id an error must carry.
#[derive(Clone, Copy)]
enum Id {
    Echoed,
    Null,
}

async fn climb(gateway: &Gateway, id: Id, rungs: impl IntoIterator<Item = Rung>) {
    for (name, request, status, code, says) in rungs {
        let sent = request.body["id"].clone();
        let answer = gateway.modern(request).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        if code == TEXT {
            assert!(answer.messages.is_empty() && answer.text.contains(says), "{name}: {answer:?}");
            continue;
        }
        assert_eq!(answer.code(), code, "{name}: {answer:?}");
        let message = answer.error()["message"].as_str().expect("a message");
        assert!(message.contains(says), "{name}: `{message}` does not say `{says}`");
        let expected = match id {
            Id::Echoed => sent,
            Id::Null => Value::Null,
        };
        assert_eq!((&answer.message()["id"], &answer.message()["jsonrpc"]), (&expected, &json!("2.0")), "{name}: {answer:?}");
    }
}

async fn gateway() -> Gateway {
    let settings = "[servers.one]\ntools = [\"echo\"]\n[limits]\nbody_bytes_max = 65536\n".to_owned();
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave", "mirrored"], settings }).await
}

/// The correct request that rows change.
fn call() -> Modern {
    let mut request = Modern::call("echo", json!({ "message": "hello" }));
    request.body["id"] = "the id".into();
    request
}

fn list() -> Modern {
    Modern::new("tools/list", json!({}))
}

/// As JSON-RPC that is not of this era: neither the claim nor the headers.
fn plain(body: Value) -> Modern {
    let bare = list().without("mcp-protocol-version").without("mcp-method");
    bare.body(|old| *old = body)
}

fn meta(key: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |body| body["params"]["_meta"][key] = value.clone()
}

fn without_meta(key: &'static str) -> impl Fn(&mut Value) {
    move |body| drop(body["params"]["_meta"].as_object_mut().expect("an object").remove(key))
}

/// The claim and the header name another version.
fn version(request: Modern, version: &str) -> Modern {
    request.instead("mcp-protocol-version", version).body(meta_version(version))
}

fn meta_version(version: &str) -> impl Fn(&mut Value) {
    let version = version.to_owned();
    move |body| body["params"]["_meta"][PV] = version.clone().into()
}

#[tokio::test]
async fn what_the_rows_change_is_correct() {
    let gateway = gateway().await;
    let answer = gateway.modern(call()).await;
    assert_eq!((answer.status, answer.tool_text(), &answer.message()["id"]), (200, "hello", &json!("the id")));
    assert_eq!(gateway.modern(list()).await.status, 200);
    assert_eq!(gateway.modern(call().path("/servers/one/mcp")).await.tool_text(), "hello");
    assert_eq!(gateway.modern(call().path("/mcp/")).await.tool_text(), "hello");
}

#[rustfmt::skip]
#[tokio::test]
async fn http() {
    let gateway = gateway().await;
    let large = call().body(|body| body["params"]["arguments"]["message"] = "x".repeat(65_536).into());
    climb(&gateway, Id::Null, [
        ("H1 elsewhere",              call().path("/"),                                             404, TEXT, ""),
        ("H1 below",                  call().path("/mcp/x"),                                        404, TEXT, ""),
        ("H1 metrics",                list().path("/metrics").verb("GET"),                          404, TEXT, ""),
        ("H1 unknown server",         call().path("/servers/two/mcp"),                              404, TEXT, "not found"),
        ("H1 no server's name",       call().path("/servers/ONE/mcp"),                              404, TEXT, "not found"),
        ("H1 not decoded",            call().path("/servers/%6fne/mcp"),                            404, TEXT, "not found"),
        ("H1 not normalised",         call().path("/servers/one//mcp"),                             404, TEXT, ""),
        ("H2 foreign host",           call().header("host", "evil.example"),                        403, TEXT, "host"),
        ("H2 rebound host",           call().header("host", "localhost.evil.example"),              403, TEXT, "host"),
        ("H3 foreign origin",         call().header("origin", "https://evil.example"),              403, TEXT, "origin"),
        ("H3 null origin",            call().header("origin", "null"),                              403, TEXT, "origin"),
        ("H3 two origins",            call().header("origin", "null").header("origin", "null"),     400, TEXT, "one origin"),
        ("H6 PUT",                    list().verb("PUT"),                                           405, TEXT, "method"),
        ("H6 PATCH",                  list().verb("PATCH"),                                         405, TEXT, "method"),
        ("H6 OPTIONS",                list().verb("OPTIONS"),                                       405, TEXT, "method"),
        ("H7 GET",                    list().verb("GET"),                                           405, TEXT, "method"),
        ("H7 DELETE",                 list().verb("DELETE"),                                        405, TEXT, "method"),
        ("H7 DELETE, unknown",        list().verb("DELETE").instead("mcp-protocol-version", "x"),   405, TEXT, "method"),
        ("H8 too large",              large,                                                        413, TEXT, "too large"),
        ("H9 text",                   call().instead("content-type", "text/plain"),                 415, TEXT, "application/json"),
        ("H9 nothing",                call().without("content-type"),                               415, TEXT, "application/json"),
        ("H9 charset",                call().instead("content-type", "application/json; charset=utf-16"), 415, TEXT, "application/json"),
        ("H9 compressed",             call().header("content-encoding", "gzip"),                    415, TEXT, "not compressed"),
        ("H10 neither form",          call().instead("accept", "text/html"),                        406, TEXT, "accept"),
        ("H10 both refused",          call().instead("accept", "*/*;q=0"),                          406, TEXT, "accept"),
        ("H11 not JSON",              call().bytes("{"),                                            400, -32700, "not valid JSON"),
        ("H11 nothing",               call().bytes(""),                                             400, -32700, "not valid JSON"),
    ]).await;
}

#[rustfmt::skip]
#[tokio::test]
async fn messages() {
    let gateway = gateway().await;
    let modern_in_batch = list().body(|body| *body = json!([body.clone()]));
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let response = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    let error = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -1, "message": "no" } });
    climb(&gateway, Id::Null, [
        ("M1 empty",                  list().body(|body| *body = json!([])),                        400, -32600, "empty"),
        ("M1 modern element",         modern_in_batch.clone(),                                      400, -32600, "Batches do not exist"),
        ("M1 invalid element",        plain(json!([{ "jsonrpc": "2.0" }])),                         400, -32600, "not a JSON-RPC message"),
        ("M1 initialize",             plain(json!([rpc(1, "initialize", initialize_params("2025-03-26"))])), 400, -32600, "initialize"),
        ("M1 no session",             plain(json!([rpc(1, "tools/list", json!({}))])),              400, -32600, "Mcp-Session-Id"),
        ("M2 no object",              list().bytes("7"),                                            400, -32600, "not a JSON-RPC message"),
        ("M2 id null",                list().body(|body| body["id"] = Value::Null),                 400, -32600, "id must be"),
        ("M2 id a fraction",          list().body(|body| body["id"] = json!(1.5)),                  400, -32600, "id must be"),
        ("M3 result, modern header",  list().body(|body| *body = response),                         400, -32600, "No request is waiting"),
        ("M3 error, modern header",   list().body(|body| *body = error),                            400, -32600, "No request is waiting"),
        ("M4 version of neither",     version(plain(cancelled.clone()), "v999"),                    400, -32022, "v999"),
        ("M4 claim under old header", version(plain(cancelled.clone()), "2026-07-28").instead("mcp-protocol-version", "2025-11-25"), 400, -32022, "2025-11-25"),
        ("M4 a request without id",   list().body(|body| drop(body.as_object_mut().expect("an object").remove("id"))), 400, -32600, "needs an id"),
        ("M4 legacy, no session",     plain(cancelled.clone()),                                     400, -32600, "Mcp-Session-Id"),
    ]).await;
    // M2, with an id that can be read: errors carry it.
    climb(&gateway, Id::Echoed, [
        ("M2 not 2.0",                list().body(|body| body["jsonrpc"] = "1.0".into()),           400, -32600, "jsonrpc"),
        ("M2 method no string",       list().body(|body| body["method"] = 7.into()),                400, -32600, "method"),
        ("M2 params no object",       list().body(|body| body["params"] = json!([])),               400, -32600, "params must be an object"),
        ("M2 method and result",      list().body(|body| body["result"] = json!({})),               400, -32600, "one of"),
    ]).await;
    for notification in [version(plain(cancelled.clone()), "2026-07-28"), list().body(|body| *body = cancelled)] {
        let answer = gateway.modern(notification).await;
        assert_eq!((answer.status, &*answer.text), (202, ""), "M4: taken and dropped");
    }
}

#[rustfmt::skip]
#[tokio::test]
async fn eras() {
    let gateway = gateway().await;
    let initialize = || plain(rpc(1, "initialize", initialize_params("2025-11-25")));
    let claimed = Modern::new("initialize", initialize_params("2025-11-25"));
    climb(&gateway, Id::Echoed, [
        ("E1 no headers at all",      list().without("mcp-protocol-version").without("mcp-method"), 400, -32020, "MCP-Protocol-Version is missing"),
        ("E1 initialize",             claimed.clone(),                                              404, -32601, "initialize"),
        ("E2 modern header",          initialize().header("mcp-protocol-version", "2026-07-28"),    400, -32020, "MCP-Protocol-Version"),
        ("E3 modern header",          plain(rpc(1, "tools/list", json!({}))).header("mcp-protocol-version", "2026-07-28"), 400, -32602, PV),
        ("E3 header of neither",      plain(rpc(1, "tools/list", json!({}))).header("mcp-protocol-version", "2099-01-01"), 400, -32022, "2099-01-01"),
        ("E4 no claim",               plain(rpc(1, "tools/list", json!({}))),                       400, -32600, "Mcp-Session-Id"),
    ]).await;
    // E2: whatever the parameters name, and also with a claim that does not hold.
    let half_claimed = initialize().body(|body| body["params"]["_meta"][PV] = "2025-11-25".into());
    for handshake in [initialize(), half_claimed, initialize().header("mcp-protocol-version", "2025-06-18")] {
        let answer = gateway.modern(handshake).await;
        assert_eq!((answer.status, &answer.result()["protocolVersion"]), (200, &json!("2025-11-25")));
        assert!(answer.header("mcp-session-id").is_some());
    }
}

#[rustfmt::skip]
#[tokio::test]
async fn modern_rungs() {
    let gateway = gateway().await;
    let mirrored = |header: &'static str, value: &'static str| Modern::call("mirrored", json!({ "region": "north", "count": 42, "flag": true }))
        .header("mcp-param-region", "north").header("mcp-param-count", "42").header("mcp-param-flag", "true").instead(header, value);
    climb(&gateway, Id::Echoed, [
        ("1 no _meta",                call().body(|body| drop(body["params"].as_object_mut().expect("an object").remove("_meta"))), 400, -32602, PV),
        ("1 no params",               list().body(|body| drop(body.as_object_mut().expect("an object").remove("params"))), 400, -32602, CC),
        ("1 no version",              call().body(without_meta(PV)),                                400, -32602, PV),
        ("1 no capabilities",         call().body(without_meta(CC)),                                400, -32602, CC),
        ("1 capabilities no object",  call().body(meta(CC, json!([]))),                             400, -32602, "clientCapabilities must be an object"),
        ("1 _meta no object",         call().body(|body| body["params"]["_meta"] = json!("x")),     400, -32602, "_meta must be an object"),
        ("1 client info wrong",       call().body(meta(CI, json!({ "name": 1 }))),                  400, -32602, "clientInfo"),
        ("2 absent",                  call().without("mcp-protocol-version"),                       400, -32020, "MCP-Protocol-Version is missing"),
        ("2 differs",                 call().instead("mcp-protocol-version", "2025-11-25"),         400, -32020, "MCP-Protocol-Version says \"2025-11-25\""),
        ("2 claim no string",         call().body(meta(PV, json!(7))),                              400, -32020, "MCP-Protocol-Version"),
        ("3 absent",                  call().without("mcp-method"),                                 400, -32020, "Mcp-Method is missing"),
        ("3 differs",                 call().instead("mcp-method", "tools/list"),                   400, -32020, "Mcp-Method says \"tools/list\""),
        ("3 differs in case",         call().instead("mcp-method", "Tools/Call"),                   400, -32020, "Mcp-Method says"),
        ("4 absent",                  call().without("mcp-name"),                                   400, -32020, "Mcp-Name is missing"),
        ("4 differs",                 call().instead("mcp-name", "spin"),                           400, -32020, "Mcp-Name says \"spin\""),
        ("4 not base64",              call().instead("mcp-name", "=?base64?%%%?="),                 400, -32020, "Mcp-Name is not canonical base64"),
        ("4 nothing to name",         call().body(|body| body["params"]["name"] = 7.into()),        400, -32020, "no value for the header Mcp-Name"),
        ("4b version twice",          call().header("mcp-protocol-version", "2026-07-28"),          400, -32020, "MCP-Protocol-Version is there more than once"),
        ("4b method twice",           call().header("mcp-method", "tools/call"),                    400, -32020, "Mcp-Method is there more than once"),
        ("4b name twice",             call().header("mcp-name", "echo"),                            400, -32020, "Mcp-Name is there more than once"),
        ("4b name twice, no need",    list().header("mcp-name", "a").header("mcp-name", "a"),       400, -32020, "Mcp-Name is there more than once"),
        ("5 unknown",                 version(call(), "v999"),                                      400, -32022, "v999"),
        ("5 of the other era",        version(call(), "2025-11-25"),                                400, -32022, "2025-11-25"),
        ("6 absent",                  mirrored("x", "y").without("mcp-param-region"),               400, -32020, "Mcp-Param-Region is missing"),
        ("6 differs",                 mirrored("mcp-param-region", "south"),                        400, -32020, "Mcp-Param-Region says \"south\""),
        ("6 another number",          mirrored("mcp-param-count", "43"),                            400, -32020, "Mcp-Param-Count says \"43\""),
        ("6 an unsafe integer",       mirrored("mcp-param-count", "9007199254740992").body(|body| body["params"]["arguments"]["count"] = json!(9_007_199_254_740_992_i64)), 400, -32020, "beyond 2^53 - 1"),
        ("6 no boolean",              mirrored("mcp-param-flag", "True"),                           400, -32020, "Mcp-Param-Flag"),
        ("6 twice",                   mirrored("x", "y").header("mcp-param-flag", "true"),          400, -32020, "Mcp-Param-Flag is there more than once"),
        ("6 no argument",             mirrored("x", "y").body(|body| body["params"]["arguments"]["region"] = Value::Null), 400, -32020, "no value for the header Mcp-Param-Region"),
        ("7 unknown method",          Modern::new("tools/fetch", json!({})),                        404, -32601, "tools/fetch"),
        ("7 not offered",             Modern::new("resources/list", json!({})).path("/servers/one/mcp"), 404, -32601, "resources/list"),
        ("7 not offered",             Modern::new("prompts/list", json!({})).path("/servers/one/mcp"),   404, -32601, "prompts/list"),
        ("7 initialize",              Modern::new("initialize", initialize_params("2025-11-25")),   404, -32601, "initialize"),
        ("7 ping",                    Modern::new("ping", json!({})),                               404, -32601, "ping"),
        ("7 logging/setLevel",        Modern::new("logging/setLevel", json!({ "level": "info" })),  404, -32601, "logging/setLevel"),
        ("7 resources/subscribe",     Modern::new("resources/subscribe", json!({ "uri": "a:b" })),  404, -32601, "resources/subscribe"),
        ("7 resources/unsubscribe",   Modern::new("resources/unsubscribe", json!({ "uri": "a:b" })), 404, -32601, "resources/unsubscribe"),
        ("8 capability",              Modern::call("fail_feature", json!({})),                      400, -32021, "elicitation"),
        ("9 unknown tool",            Modern::call("nothing", json!({})),                           200, -32602, "Unknown tool: nothing"),
        ("9 arguments no object",     call().body(|body| body["params"]["arguments"] = json!([])),  200, -32602, "params.arguments must be an object"),
        ("9 cursor",                  Modern::new("tools/list", json!({ "cursor": "" })),           200, -32602, "cursor"),
        ("10 internal",               Modern::call("fail_internal", json!({})),                     200, -32603, "failed"),
    ]).await;
    assert_eq!(gateway.modern(mirrored("mcp-param-count", "42.0").header("mcp-param-other", "1")).await.status, 200, "6: equal numbers, and a stranger");
    assert_eq!(gateway.modern(call().instead("mcp-name", "=?base64?ZWNobw==?=")).await.tool_text(), "hello", "4: base64 of `echo`");
    assert_eq!(gateway.modern(call().body(meta(CI, json!({ "name": "a", "version": "1" })))).await.status, 200, "1: with client info");
}

#[tokio::test]
async fn data_that_a_client_can_act_on() {
    let gateway = gateway().await;
    let versions = gateway.modern(version(list(), "v999")).await;
    assert_eq!(versions.error()["data"], json!({ "supported": ["2026-07-28"], "requested": "v999" }));
    let capability = gateway.modern(Modern::call("fail_feature", json!({}))).await;
    assert_eq!(capability.error()["data"], json!({ "requiredCapabilities": { "elicitation": { "form": {} } } }));
}

/// The table in the sources and the rows here are about the same rungs.
#[test]
fn every_rung_has_a_row() {
    let table = std::fs::read_to_string(root().join("host/src/http/error/ladder.rs")).expect("the table");
    let rungs = |mark: &'static str| table.split(mark).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let rows = concat!(include_str!("ladder.rs"), include_str!("front.rs"));
    let mut count = 0;
    for rung in rungs(" http(").chain(rungs(" rpc(")) {
        // Limits of heads are cases of reliability.md: H09 and H10.
        let row = if rung == "limits" { "\"H09\"".to_owned() } else { format!("(\"{rung} ") };
        assert!(rows.contains(&row), "rung {rung} has no row");
        count += 1;
    }
    assert!(count >= 30, "{count} rungs");
}

/// Two things are wrong; the earlier rung answers.
#[rustfmt::skip]
#[tokio::test]
async fn the_first_failure_answers() {
    let gateway = gateway().await;
    let foreign = || call().header("host", "evil.example");
    climb(&gateway, Id::Null, [
        ("host before server",        foreign().path("/servers/two/mcp"),                           403, TEXT, "host"),
        ("host before origin",        foreign().header("origin", "null"),                           403, TEXT, "host"),
        ("origin before method",      list().verb("PUT").header("origin", "null"),                  403, TEXT, "origin"),
        ("server before method",      list().path("/servers/two/mcp").verb("PUT"),                  404, TEXT, "not found"),
        ("method before media type",  list().verb("PUT").without("content-type"),                   405, TEXT, "method"),
        ("media type before accept",  call().without("content-type").instead("accept", "text/html"), 415, TEXT, "application/json"),
        ("media type before size",    call().without("content-type").bytes(vec![b' '; 70_000]),     415, TEXT, "application/json"),
        ("accept before body",        call().instead("accept", "text/html").bytes("{"),             406, TEXT, "accept"),
        ("size before JSON",          call().bytes(vec![b'{'; 70_000]),                             413, TEXT, "too large"),
    ]).await;
    climb(&gateway, Id::Echoed, [
        ("1 before 2",                call().body(without_meta(CC)).without("mcp-protocol-version"), 400, -32602, CC),
        ("2 before 3",                call().without("mcp-protocol-version").without("mcp-method"), 400, -32020, "MCP-Protocol-Version"),
        ("2 before 5",                call().body(meta(PV, json!("v999"))),                         400, -32020, "MCP-Protocol-Version"),
        ("3 before 4",                call().without("mcp-method").without("mcp-name"),             400, -32020, "Mcp-Method"),
        ("4 before 5",                version(call(), "v999").without("mcp-name"),                  400, -32020, "Mcp-Name"),
        ("5 before 7",                version(Modern::new("ping", json!({})), "v999"),              400, -32022, "v999"),
        ("4 before 9",                Modern::call("nothing", json!({})).without("mcp-name"),       400, -32020, "Mcp-Name"),
        ("6 before the arguments",    Modern::call("mirrored", json!({ "region": "north", "count": "x" })), 400, -32020, "Mcp-Param-"),
    ]).await;
}

#[tokio::test]
async fn a_refused_method_names_those_that_are_allowed() {
    let gateway = gateway().await;
    let allowed = async |request: Modern| gateway.modern(request).await.header("allow").expect("Allow").to_owned();
    let legacy = |verb| list().verb(verb).without("mcp-protocol-version").without("mcp-method");
    assert_eq!(allowed(legacy("PUT")).await, "GET, POST, DELETE");
    assert_eq!(allowed(legacy("OPTIONS")).await, "GET, POST, DELETE");
    // H7: a modern client, or one of the future, is told that sessions are none of its business.
    for verb in ["GET", "DELETE"] {
        assert_eq!(allowed(list().verb(verb)).await, "POST", "{verb}");
        assert_eq!(allowed(list().verb(verb).instead("mcp-protocol-version", "2099-01-01")).await, "POST", "{verb}");
    }
}

/// H4.
#[tokio::test]
async fn browsers_may_call_from_configured_origins() {
    let settings = "[http]\nallowed_origins = [\"https://app.example\"]".to_owned();
    let configured = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let preflight = |origin| {
        let asked = "content-type, mcp-method, mcp-param-region";
        let request = Modern::new("tools/list", json!({})).verb("OPTIONS").bytes("").header("origin", origin);
        request.header("access-control-request-method", "POST").header("access-control-request-headers", asked)
    };
    let answer = configured.modern(preflight("https://app.example")).await;
    assert_eq!((answer.status, &*answer.text), (204, ""));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.header("access-control-allow-methods").expect("methods").contains("POST"));
    let allowed: Vec<_> = answer.header("access-control-allow-headers").expect("headers").split(", ").collect();
    for name in
        ["content-type", "accept", "authorization", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "last-event-id"]
    {
        assert!(allowed.contains(&name), "{name}");
    }
    assert!(allowed.contains(&"mcp-param-region"), "the headers of arguments that are asked for: {allowed:?}");
    assert_eq!(configured.modern(preflight("https://app.example").path("/servers/two/mcp")).await.status, 404, "the route comes first");

    let call = |origin| call().header("origin", origin);
    let answer = configured.modern(call("https://app.example")).await;
    assert_eq!(answer.tool_text(), "hello");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("mcp-session-id, mcp-protocol-version, www-authenticate"));
    assert_eq!(answer.header("vary"), Some("origin"));
    assert_eq!(configured.modern(call("https://evil.example")).await.status, 403);

    // A page of this machine may call, but is not told what came back, unless it is configured.
    for gateway in [&configured, &gateway().await] {
        let cors = |answer: &crate::harness::Answer| answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
        let answer = gateway.modern(call("http://localhost:6274")).await;
        assert_eq!((answer.tool_text(), cors(&answer)), ("hello", false));
        let answer = gateway.modern(preflight("http://localhost:6274")).await;
        assert_eq!((answer.status, cors(&answer)), (405, false));
    }
}
