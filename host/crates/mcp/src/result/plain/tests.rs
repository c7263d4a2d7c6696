use super::{CallToolResult, CompleteResult, GetPromptResult, InputRequest, Misfit, ReadResourceResult};
use crate::capability::Capability;
use crate::content::{Blob, Content, ResourceBody, ResourceContents, ResourceLink};
use crate::prompt::{Message, Role};
use crate::result::{CacheHints, CacheScope};
use crate::{JsonLimits, JsonText};

fn json(text: &str) -> JsonText {
    JsonText::parse(text, &JsonLimits::default()).unwrap()
}

fn tool(text: &str) -> Result<CallToolResult, Misfit> {
    CallToolResult::read_plain(text, &JsonLimits::default())
}

fn contents() -> ResourceContents {
    let body = ResourceBody::Bytes([0, 255].into());
    ResourceContents { uri: "a:b".into(), mime_type: None, body, meta: Some(json(r#"{"own":1}"#)) }
}

fn all_contents() -> Vec<Content> {
    let annotations = Some(json(r#"{"priority":1}"#));
    let blob = Blob { data: b"\x89PNG".as_slice().into(), mime_type: "image/png".into(), annotations: annotations.clone() };
    let link = ResourceLink {
        uri: "a:c".into(),
        name: "c".into(),
        title: Some("C".into()),
        description: None,
        mime_type: Some("text/plain".into()),
        annotations: annotations.clone(),
    };
    vec![
        Content::Text { text: "a \u{2028}\n\"b\"".into(), annotations },
        Content::Image(blob.clone()),
        Content::Audio(blob),
        Content::ResourceLink(link),
        Content::Resource { contents: contents(), annotations: None },
    ]
}

#[test]
fn what_is_written_is_read_back() {
    let limits = JsonLimits::default();
    for structured in [None, Some(json("null")), Some(json("[1]")), Some(json(r#"{"a":{"b":[]}}"#))] {
        for is_error in [false, true] {
            let result =
                CallToolResult { content: all_contents(), structured: structured.clone(), is_error, meta: Some(json(r#"{"x":1}"#)) };
            assert_eq!(tool(result.plain().as_str()).unwrap(), result);
        }
    }
    assert_eq!(CallToolResult::default().plain().as_str(), r#"{"content":[]}"#, "nothing of the host's own");
    let cache = CacheHints { ttl_ms: 0, scope: CacheScope::Private };
    let read = ReadResourceResult { contents: vec![contents()], cache, meta: None };
    assert_eq!(ReadResourceResult::read_plain(read.plain().as_str(), &limits).unwrap(), read);
    let messages = all_contents().into_iter().map(|content| Message { role: Role::Assistant, content }).collect();
    let prompt = GetPromptResult { description: Some("d".into()), messages, meta: None };
    assert_eq!(GetPromptResult::read_plain(prompt.plain().as_str(), &limits).unwrap(), prompt);
    let completion = CompleteResult { values: vec!["a".into()], total: Some(3), has_more: true };
    assert_eq!(CompleteResult::read_plain(completion.plain().as_str(), &limits).unwrap(), completion);
}

/// What only the host may say is not shown, so it is not there to be put back.
#[test]
fn forged_metadata_is_gone() {
    let meta = Some(json(r#"{"io.modelcontextprotocol/serverInfo":{"name":"forged"},"own":1}"#));
    let result = CallToolResult { meta, ..CallToolResult::default() };
    assert_eq!(result.plain().as_str(), r#"{"content":[],"_meta":{"own":1}}"#);
}

#[test]
fn what_could_not_be_carried_is_refused() {
    use Misfit::{Member, Unknown};
    let text = |members: &str| format!(r#"{{"content":[{{"type":"text",{members}}}]}}"#);
    let of = |content: &str| format!(r#"{{"content":[{content}]}}"#);
    let table = [
        ("[]".to_owned(), Member("the result")),
        ("{}".to_owned(), Member("content")),
        (r#"{"content":{}}"#.to_owned(), Member("content")),
        (r#"{"content":null}"#.to_owned(), Member("content")),
        (r#"{"content":[],"isError":1}"#.to_owned(), Member("isError")),
        (r#"{"content":[],"isError":null}"#.to_owned(), Member("isError")),
        (r#"{"content":[],"_meta":[]}"#.to_owned(), Member("_meta")),
        (r#"{"content":[],"resultType":"task"}"#.to_owned(), Unknown("the result")),
        (r#"{"content":[],"Content":[]}"#.to_owned(), Unknown("the result")),
        (of("1"), Member("type")),
        (of("{}"), Member("type")),
        (of(r#"{"type":"text"}"#), Member("text")),
        (of(r#"{"type":"video"}"#), Member("type")),
        (text(r#""text":7"#), Member("text")),
        (text(r#""text":"a","annotations":"x""#), Member("annotations")),
        (text(r#""text":"a","_meta":{}"#), Unknown("a content")),
        (of(r#"{"type":"image","data":"a b","mimeType":"image/png"}"#), Member("data")),
        (of(r#"{"type":"image","data":"AAA","mimeType":"image/png"}"#), Member("data")),
        (of(r#"{"type":"resource_link","uri":"no uri","name":"n"}"#), Member("uri")),
        (of(r#"{"type":"resource","resource":{"uri":"a:b"}}"#), Member("text")),
        (of(r#"{"type":"resource","resource":{"uri":"a:b","text":"t","blob":""}}"#), Member("text")),
    ];
    for (text, misfit) in table {
        assert_eq!(tool(&text).unwrap_err(), misfit, "{text}");
    }
    for text in
        [r#"{"content":[],"content":[]}"#, "{", r#"{"content":[]} x"#, "", r#"{"content":[],"structuredContent":{"a":1,"\u0061":2}}"#]
    {
        assert!(matches!(tool(text), Err(Misfit::Json(_))), "{text}");
    }
    let shallow = JsonLimits { depth_max: 3, ..JsonLimits::default() };
    assert!(matches!(CallToolResult::read_plain(r#"{"content":[],"structuredContent":[[[1]]]}"#, &shallow), Err(Misfit::Json(_))));
    let limits = JsonLimits::default();
    assert_eq!(ReadResourceResult::read_plain(r#"{"contents":[]}"#, &limits).unwrap_err(), Member("contents"));
    let many = format!(r#"{{"completion":{{"values":[{}""]}}}}"#, "\"\",".repeat(100));
    assert_eq!(CompleteResult::read_plain(&many, &limits).unwrap_err(), Member("values"));
    let role = r#"{"messages":[{"role":"system","content":{"type":"text","text":""}}]}"#;
    assert_eq!(GetPromptResult::read_plain(role, &limits).unwrap_err(), Member("role"));
}

#[test]
fn questions_stay_what_they_are() {
    let form = |message: &str| json(&format!(r#"{{"mode":"form","message":"{message}","requestedSchema":{{}}}}"#));
    let request = |key: &str, message: &str| InputRequest { key: key.into(), needs: Capability::ElicitationForm, params: form(message) };
    let asked = [request("a", "x"), InputRequest { key: "b".into(), needs: Capability::Roots, params: json("{}") }];
    let read = |text: &str| InputRequest::read_plain(&asked, text, &JsonLimits::default());
    let plain = InputRequest::plain(&asked);
    assert_eq!(read(plain.as_str()).unwrap(), asked);
    let changed = plain.as_str().replace("\"x\"", "\"y\"");
    assert_eq!(read(&changed).unwrap()[0], request("a", "y"));
    let refused = [
        ("\"a\"", "\"c\""),
        ("\"roots/list\"", "\"sampling/createMessage\""),
        ("\"form\"", "\"url\""),
        ("\"mode\":\"form\",", ""),
        ("\"input_required\"", "\"complete\""),
        ("\"resultType\":\"input_required\",", ""),
        (",\"b\":{\"method\":\"roots/list\",\"params\":{}}", ""),
        ("\"params\":{}", "\"params\":[]"),
        ("\"params\":{}", "\"params\":{},\"more\":1"),
    ];
    for (from, to) in refused {
        let text = plain.as_str().replace(from, to);
        assert!(text != plain.as_str() && read(&text).is_err(), "{text}");
    }
}
