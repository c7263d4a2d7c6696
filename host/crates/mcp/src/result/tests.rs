use super::{
    CacheHints, CacheScope, CallToolResult, DiscoverResult, Implementation, InitializeResult, InputRequest, InputRequiredResult, List,
    ListResult, empty, listen_ended,
};
use crate::capability::{Capability, ServerCapabilities};
use crate::content::Content;
use crate::{Id, JsonLimits, JsonText, Revision};
use Revision::{V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

const SI: &str = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"g","title":"G","version":"1","websiteUrl":"https://g"}}"#;

fn server() -> Implementation {
    Implementation {
        name: "g".into(),
        title: Some("G".into()),
        version: "1".into(),
        website_url: Some("https://g".into()),
        icons: Vec::new(),
    }
}

fn json(text: &str) -> JsonText {
    JsonText::parse(text, &JsonLimits::default()).unwrap()
}

const CACHE: CacheHints = CacheHints { ttl_ms: 5000, scope: CacheScope::Private };

#[track_caller]
fn calls(result: &CallToolResult, revision: Revision, expected: &str) {
    assert_eq!(result.write(revision, &server()).as_str(), expected);
}

#[test]
fn structured_content_by_revision() {
    let object = CallToolResult { structured: Some(json(r#"{"a":1}"#)), ..CallToolResult::default() };
    let content = r#""content":[{"type":"text","text":"{\"a\":1}"}]"#;
    calls(&object, V2025_03_26, &format!("{{{content}}}"));
    calls(&object, V2025_06_18, &format!(r#"{{{content},"structuredContent":{{"a":1}}}}"#));
    calls(&object, V2026_07_28, &format!(r#"{{"resultType":"complete",{content},"structuredContent":{{"a":1}},{SI}}}"#));
    let array = CallToolResult { structured: Some(json("[1]")), ..CallToolResult::default() };
    let content = r#""content":[{"type":"text","text":"[1]"}]"#;
    calls(&array, V2025_11_25, &format!("{{{content}}}"));
    calls(&array, V2026_07_28, &format!(r#"{{"resultType":"complete",{content},"structuredContent":[1],{SI}}}"#));
    // What the tool says itself is not added to.
    let both = CallToolResult { content: vec![Content::text("one")], ..array };
    calls(&both, V2025_06_18, r#"{"content":[{"type":"text","text":"one"}]}"#);
}

#[test]
fn failures_and_meta() {
    calls(&CallToolResult::default(), V2025_11_25, r#"{"content":[]}"#);
    let failure =
        CallToolResult { meta: Some(json(r#"{"k":1,"io.modelcontextprotocol/serverInfo":"forged"}"#)), ..CallToolResult::failure("no") };
    let content = r#""content":[{"type":"text","text":"no"}],"isError":true"#;
    calls(&failure, V2025_11_25, &format!(r#"{{{content},"_meta":{{"k":1}}}}"#));
    let meta = SI.replace("{\"io", "{\"k\":1,\"io");
    calls(&failure, V2026_07_28, &format!(r#"{{"resultType":"complete",{content},{meta}}}"#));
}

#[test]
fn lists() {
    let (a, b) = (json(r#"{"name":"a"}"#), json(r#"{"name":"b"}"#));
    let list = ListResult { list: List::Tools, items: &[&a, &b], next_cursor: Some("c\""), cache: CACHE };
    let tools = r#""tools":[{"name":"a"},{"name":"b"}],"nextCursor":"c\"""#;
    assert_eq!(list.write(V2025_11_25, &server()).as_str(), format!("{{{tools}}}"));
    assert_eq!(
        list.write(V2026_07_28, &server()).as_str(),
        format!(r#"{{"resultType":"complete",{tools},"ttlMs":5000,"cacheScope":"private",{SI}}}"#)
    );
    let none = ListResult { list: List::Tools, items: &[], next_cursor: None, cache: CACHE };
    assert_eq!(none.write(V2025_11_25, &server()).as_str(), r#"{"tools":[]}"#);
}

#[test]
fn greetings() {
    let capabilities = ServerCapabilities { logging: true, ..ServerCapabilities::default() };
    let hello = |revision| {
        let server = server();
        let result = InitializeResult { revision, capabilities: &capabilities, server: &server, instructions: None };
        result.write().into_string()
    };
    assert_eq!(
        hello(V2025_03_26),
        r#"{"protocolVersion":"2025-03-26","capabilities":{"logging":{}},"serverInfo":{"name":"g","version":"1"}}"#
    );
    assert!(hello(V2025_06_18).ends_with(r#""serverInfo":{"name":"g","title":"G","version":"1"}}"#));
    let discover = DiscoverResult {
        revision: V2026_07_28,
        capabilities: &capabilities,
        server: &server(),
        instructions: Some("i"),
        cache: CacheHints { ttl_ms: u64::MAX, scope: CacheScope::Public },
    };
    assert_eq!(
        discover.write().as_str(),
        format!(
            r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"logging":{{}}}},"instructions":"i","ttlMs":9223372036854775807,"cacheScope":"public",{SI}}}"#
        )
    );
}

#[test]
fn small_results() {
    assert_eq!(empty(V2025_11_25, &server()).as_str(), "{}");
    assert_eq!(empty(V2026_07_28, &server()).as_str(), format!(r#"{{"resultType":"complete",{SI}}}"#));
    let ended = listen_ended(V2026_07_28, &server(), &Id::Number(7));
    let expected = SI.replace("{\"io", "{\"io.modelcontextprotocol/subscriptionId\":7,\"io");
    assert_eq!(ended.as_str(), format!(r#"{{"resultType":"complete",{expected}}}"#));
}

#[test]
fn questions() {
    let ask = InputRequiredResult {
        requests: vec![
            InputRequest { key: "k".into(), needs: Capability::ElicitationForm, params: json(r#"{"message":"m"}"#) },
            InputRequest { key: "r".into(), needs: Capability::Roots, params: json("{}") },
        ],
        state: Some("sealed".into()),
    };
    assert_eq!(
        ask.write(V2026_07_28, &server()).as_str(),
        format!(
            r#"{{"resultType":"input_required","inputRequests":{{"k":{{"method":"elicitation/create","params":{{"message":"m"}}}},"r":{{"method":"roots/list","params":{{}}}}}},"requestState":"sealed",{SI}}}"#
        )
    );
}
