use super::{Envelope, HeaderFault, ModernHeaders, Refusal};
use crate::header::HeaderValues::{self, Absent, Many, Once};
use crate::jsonrpc::{Body, Message, Request, parse};
use crate::params::Params;
use crate::{ErrorCode, JsonLimits, Revision};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn request(method: &str, params: &str) -> Request {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
    match parse(text.as_bytes(), &JsonLimits::default()) {
        Ok(Body::One(Message::Request(request))) => request,
        other => panic!("{text}: {other:?}"),
    }
}

fn envelope(request: &Request, headers: &ModernHeaders<'_>) -> Result<Envelope, Refusal> {
    Envelope::read(request, &Params::of(request.params.as_deref()), headers)
}

fn claim(version: &str, capabilities: &str) -> String {
    format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":{version},"io.modelcontextprotocol/clientCapabilities":{capabilities}}}"#
    )
}

const GOOD: ModernHeaders<'static> = ModernHeaders { version: Once(b"2026-07-28"), method: Once(b"tools/call"), name: Once(b"echo") };

#[track_caller]
fn refuses(params: &str, headers: ModernHeaders<'_>, code: ErrorCode, message: &str) {
    let refusal = envelope(&request("tools/call", params), &headers).unwrap_err();
    let error = refusal.error();
    assert_eq!((error.code, &*error.message), (code, message));
}

#[test]
fn the_ladder_in_order() {
    use ErrorCode as E;
    let call = |meta: &str| format!(r#""name":"echo",{meta}"#);
    let good = call(META);
    let v999 = call(&claim("\"v999\"", "{}"));

    // Rung 1.
    let both = "params._meta must hold io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities";
    refuses(r#""name":"echo""#, GOOD, E::INVALID_PARAMS, both);
    refuses(&call(r#""_meta":{}"#), GOOD, E::INVALID_PARAMS, both);
    refuses(
        &call(r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#),
        GOOD,
        E::INVALID_PARAMS,
        "params._meta must hold io.modelcontextprotocol/clientCapabilities",
    );
    refuses(
        &call(r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#),
        GOOD,
        E::INVALID_PARAMS,
        "params._meta must hold io.modelcontextprotocol/protocolVersion",
    );
    refuses(&call(r#""_meta":[]"#), GOOD, E::INVALID_PARAMS, "params._meta must be an object");
    let wrong = claim("\"2026-07-28\"", "[]");
    refuses(&call(&wrong), GOOD, E::INVALID_PARAMS, "params._meta.clientCapabilities must be an object");
    // Rung 1 precedes rung 2.
    let none = ModernHeaders { version: Absent, method: Absent, name: Absent };
    refuses(r#""name":"echo""#, none, E::INVALID_PARAMS, both);

    // Rung 2.
    let version = |version| ModernHeaders { version, ..GOOD };
    let differs = "The header MCP-Protocol-Version says \"2026-07-28\", the body \"v999\"";
    refuses(&v999, GOOD, E::HEADER_MISMATCH, differs); // Rung 2 precedes rung 5.
    refuses(&good, version(Absent), E::HEADER_MISMATCH, "The header MCP-Protocol-Version is missing");
    refuses(
        &good,
        version(Once(b"2025-11-25")),
        E::HEADER_MISMATCH,
        "The header MCP-Protocol-Version says \"2025-11-25\", the body \"2026-07-28\"",
    );
    refuses(&call(&claim("20260728", "{}")), GOOD, E::HEADER_MISMATCH, "The body has no value for the header MCP-Protocol-Version");

    // Rung 3.
    let method = |method| ModernHeaders { method, ..GOOD };
    refuses(&good, method(Absent), E::HEADER_MISMATCH, "The header Mcp-Method is missing");
    refuses(&good, method(Once(b"Tools/call")), E::HEADER_MISMATCH, "The header Mcp-Method says \"Tools/call\", the body \"tools/call\"");
    // It is not encoded.
    refuses(
        &good,
        method(Once(b"=?base64?dG9vbHMvY2FsbA==?=")),
        E::HEADER_MISMATCH,
        "The header Mcp-Method says \"=?base64?dG9vbHMvY2FsbA==?=\", the body \"tools/call\"",
    );

    // Rung 4.
    let name = |name| ModernHeaders { name, ..GOOD };
    let danger = format!(r#""name":"danger",{META}"#);
    refuses(&good, name(Absent), E::HEADER_MISMATCH, "The header Mcp-Name is missing");
    refuses(&danger, GOOD, E::HEADER_MISMATCH, "The header Mcp-Name says \"echo\", the body \"danger\"");
    refuses(
        &danger,
        name(Once(b"=?BASE64?ZGFuZ2Vy?=")),
        E::HEADER_MISMATCH,
        "The header Mcp-Name says \"=?BASE64?ZGFuZ2Vy?=\", the body \"danger\"",
    );
    let malformed = "The header Mcp-Name is not canonical base64";
    refuses(&danger, name(Once(b"=?base64?%%%?=")), E::HEADER_MISMATCH, malformed);
    refuses(META, GOOD, E::HEADER_MISMATCH, "The body has no value for the header Mcp-Name");

    // Rung 4b.
    for (headers, which) in [(version(Many), "MCP-Protocol-Version"), (method(Many), "Mcp-Method"), (name(Many), "Mcp-Name")] {
        let message = format!("The header {which} is there more than once");
        refuses(&good, headers, E::HEADER_MISMATCH, &message);
    }

    // Rung 5.
    let message = "Unsupported protocol version: v999";
    refuses(&v999, version(Once(b"v999")), E::UNSUPPORTED_VERSION, message);
    let legacy = call(&claim("\"2025-11-25\"", "{}"));
    let message = "Unsupported protocol version: 2025-11-25";
    refuses(&legacy, version(Once(b"2025-11-25")), E::UNSUPPORTED_VERSION, message);
    // Rungs 3 and 4 precede rung 5.
    let both = ModernHeaders { version: Once(b"v999"), method: Absent, ..GOOD };
    refuses(&v999, both, E::HEADER_MISMATCH, "The header Mcp-Method is missing");
}

#[test]
fn unsupported_versions_are_told_what_is_served() {
    let error = Refusal::UnsupportedVersion { requested: "v999".into() }.error();
    let data = error.data.unwrap();
    assert_eq!(data.as_str(), r#"{"supported":["2026-07-28"],"requested":"v999"}"#);
}

#[track_caller]
fn passes(method: &str, params: &str, name: HeaderValues<'_>) -> Envelope {
    let headers = ModernHeaders { method: Once(method.as_bytes()), name, ..GOOD };
    envelope(&request(method, params), &headers).unwrap()
}

#[test]
fn names_by_method() {
    passes("tools/call", &format!(r#""name":"danger",{META}"#), Once(b"=?base64?ZGFuZ2Vy?="));
    passes("prompts/get", &format!(r#""name":"p",{META}"#), Once(b" p "));
    passes("resources/read", &format!(r#""uri":"file:///a",{META}"#), Once(b"file:///a"));
    passes("tasks/get", &format!(r#""taskId":"t",{META}"#), Once(b"t"));
    passes("tools/list", META, Absent);
    passes("tools/list", META, Once(b"whatever"));
    passes("initialize", META, Absent);
    let headers = ModernHeaders { method: Once(b"tools/list"), name: Many, ..GOOD };
    let refusal = envelope(&request("tools/list", META), &headers).unwrap_err();
    assert_eq!(refusal, Refusal::Header { header: "Mcp-Name".into(), fault: HeaderFault::Repeated });
}

#[test]
fn the_envelope() {
    let params = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{"sampling":{}},
        "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1","x":0},
        "io.modelcontextprotocol/logLevel":"warning",
        "io.modelcontextprotocol/subscriptionId":"forged",
        "progressToken":7,"com.example/k":[1]}"#;
    let envelope = passes("tools/list", params, Absent);
    assert_eq!(envelope.revision, Revision::V2026_07_28);
    assert!(envelope.client_capabilities.has(&crate::capability::Capability::Sampling));
    assert_eq!(&*envelope.client_info.as_ref().unwrap().name, "c");
    assert_eq!(envelope.log_level(), Ok(Some(crate::params::LogLevel::Warning)));
    assert_eq!(envelope.meta.extra.as_ref().unwrap().as_str(), r#"{"com.example/k":[1]}"#);
    assert_eq!(passes("tools/list", META, Absent).log_level(), Ok(None));
}

/// Rung 9, so that an unknown method still ends at rung 7.
#[test]
fn a_wrong_log_level_passes_the_first_rungs() {
    for level in ["\"loud\"", "3", "null"] {
        let member = format!("{{}},\"io.modelcontextprotocol/logLevel\":{level}}}");
        let params = META.replace("{}}", &member);
        let envelope = passes("tools/list", &params, Absent);
        let error = envelope.log_level().unwrap_err();
        assert_eq!(error.to_string(), "params._meta.logLevel must be a log level");
    }
}

#[test]
fn client_info_is_optional_but_not_any_shape() {
    let params = META.replace("{}}", r#"{},"io.modelcontextprotocol/clientInfo":{"name":"c"}}"#);
    let params = format!(r#""name":"echo",{params}"#);
    let message = "params._meta.clientInfo must be an object with the strings name and version";
    refuses(&params, GOOD, ErrorCode::INVALID_PARAMS, message);
}
