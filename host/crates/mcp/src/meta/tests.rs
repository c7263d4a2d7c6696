use super::{ProgressToken, RequestMeta, compose, is_reserved};
use crate::JsonText;
use crate::params::Params;
use serde_json::value::RawValue;

fn read(meta: &str) -> Result<RequestMeta, String> {
    let params = format!(r#"{{"_meta":{meta}}}"#);
    let raw: &RawValue = serde_json::from_str(&params).unwrap();
    RequestMeta::read(&Params::of(Some(raw))).map_err(|error| error.to_string())
}

/// J24.
#[test]
fn progress_tokens() {
    let token = |raw: &str| read(&format!(r#"{{"progressToken":{raw}}}"#)).map(|meta| meta.progress_token);
    for good in ["1", "\"1\"", "-5", "\"\""] {
        let written = token(good).unwrap().as_ref().map(ProgressToken::write);
        assert_eq!(written.unwrap().as_str(), good);
    }
    let long = format!("\"{}\"", "x".repeat(257));
    for bad in ["{}", "true", "1.5", "null", "[]", &long] {
        let message = "params._meta.progressToken must be an integer or a string of at most 256 bytes";
        assert_eq!(token(bad), Err(message.to_owned()));
    }
}

/// J25.
#[test]
fn limits() {
    let keys = |count: usize| {
        let members: Vec<String> = (0..count).map(|key| format!("\"k{key}\":0")).collect();
        read(&format!("{{{}}}", members.join(",")))
    };
    assert!(keys(64).is_ok());
    assert_eq!(keys(65).unwrap_err(), "params._meta must be an object of at most 64 members");
    let long = |bytes: usize| read(&format!(r#"{{"k":"{}"}}"#, "x".repeat(bytes - 8)));
    assert!(long(16 * 1024).is_ok());
    assert_eq!(long(16 * 1024 + 1).unwrap_err(), "params._meta must be at most 16 KiB long");
}

#[test]
fn guests_see_what_is_not_the_protocols() {
    let meta = read(
        r#"{"io.modelcontextprotocol/subscriptionId":"forged","a":1,"dev.mcp/x":2,"com.example.mcp/y":3,
           "progressToken":1,"\u0062":[1, 2],"mcp/z":4}"#,
    );
    let extra = meta.unwrap().extra.unwrap();
    assert_eq!(extra.as_str(), r#"{"a":1,"com.example.mcp/y":3,"b":[1, 2],"mcp/z":4}"#);
    assert_eq!(read("{}").unwrap().extra, None);
    assert_eq!(read("null").unwrap(), RequestMeta::default());
    assert!(is_reserved("tools.mcp.com/"));
    assert!(!is_reserved("io.modelcontextprotocol"));
}

#[track_caller]
fn parent(text: &str, good: bool) {
    let meta = read(&format!(r#"{{"traceparent":"{text}","tracestate":"a=1","baggage":"b=2"}}"#)).unwrap();
    assert_eq!(meta.trace.traceparent.as_deref(), good.then_some(text));
    assert_eq!(meta.trace.tracestate.as_deref(), good.then_some("a=1"));
    assert_eq!(meta.trace.baggage.as_deref(), Some("b=2"));
}

#[test]
fn trace_context_is_kept_or_ignored() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    parent(&format!("00-{trace}-01"), true);
    parent(&format!("cc-{trace}-01-more"), true);
    parent(&format!("00-{trace}-01-more"), false);
    parent(&format!("ff-{trace}-01"), false);
    parent(&format!("00-{trace}"), false);
    parent(&format!("00-{}-01", trace.to_uppercase()), false);
    parent("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
    parent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
    parent(&"0".repeat(4096), false);
    assert_eq!(read(r#"{"traceparent":7,"baggage":"a\nb"}"#).unwrap().trace, super::TraceContext::default());
}

#[test]
fn a_trace_is_read_before_its_request_and_put_in_place_of_it() {
    use super::TraceContext;
    let (parent, other) =
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01");
    let params = format!(r#"{{"name":7,"_meta":{{"own":[1],"traceparent":"{parent}","tracestate":"a=1","baggage":"b=2","x/y":"z"}}}}"#);
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(&params).unwrap();
    let read = TraceContext::of_params(&Params::of(Some(&raw)));
    assert_eq!(
        (read.traceparent.as_deref(), read.tracestate.as_deref(), read.baggage.as_deref()),
        (Some(parent), Some("a=1"), Some("b=2"))
    );
    assert_eq!(TraceContext::of_params(&Params::default()), TraceContext::default());
    assert_eq!(TraceContext::of_headers("nothing", Some("a=1")), TraceContext::default());
    assert_eq!(TraceContext::of_headers(parent, Some("a\nb")).tracestate, None);

    let own = TraceContext::of_headers(other, None);
    let meta = super::RequestMeta::read(&Params::of(Some(&raw))).unwrap().for_guest();
    let put = own.put_into(meta.as_ref()).unwrap();
    assert_eq!(put.as_str(), format!(r#"{{"own":[1],"x/y":"z","baggage":"b=2","traceparent":"{other}"}}"#));
    assert_eq!(own.put_into(None).unwrap().as_str(), format!(r#"{{"traceparent":"{other}"}}"#));
}

#[test]
fn the_server_speaks_for_itself() {
    let guest = JsonText::parse(
        r#"{"ui":{"resourceUri":"ui://a"},"io.modelcontextprotocol/serverInfo":{"name":"forged"}}"#,
        &crate::JsonLimits::default(),
    );
    let own = [(super::SERVER_INFO, JsonText::string("me"))];
    let composed = compose(Some(&guest.unwrap()), &own).unwrap();
    assert_eq!(composed.as_str(), r#"{"ui":{"resourceUri":"ui://a"},"io.modelcontextprotocol/serverInfo":"me"}"#);
    assert_eq!(compose(None, &[]), None);
}

#[test]
fn keys_have_labels_and_a_name() {
    for key in ["ui", "gatehouse/task", "com.example.mcp-x/a", "a/", "a.b/c_d.e-f", "7", "progressToken", "a-1.b2/3"] {
        assert!(super::is_key(key), "{key}");
    }
    for key in ["", "/", "/a", "a b", "a b/c", "1a/b", "a/-b", "a/b-", "a./b", ".a/b", "a-/b", "a/b/c", "a_b/c", "ä", "a/b "] {
        assert!(!super::is_key(key), "{key}");
    }
}
