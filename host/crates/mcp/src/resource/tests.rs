use super::*;
use crate::JsonLimits;

fn about() -> About {
    let json = |text: &str| JsonText::parse(text, &JsonLimits::default()).expect("JSON");
    About {
        name: "board".into(),
        title: Some("The board".into()),
        description: None,
        mime_type: Some(APP_MIME_TYPE.into()),
        icons: vec![Icon { src: "data:image/png;base64,AA==".into(), mime_type: None, sizes: Vec::new(), theme: None }],
        annotations: Some(json(r#"{"priority":1}"#)),
        meta: Some(json(r#"{"ui":{"prefersBorder":true},"io.modelcontextprotocol/serverInfo":{"name":"forged"}}"#)),
    }
}

#[test]
fn each_revision_is_told_what_it_knows() {
    let resource = Resource { uri: "ui://board".into(), about: about(), size_bytes: Some(7) };
    let oldest = r#"{"uri":"ui://board","name":"board","mimeType":"text/html;profile=mcp-app","annotations":{"priority":1},"size":7}"#;
    assert_eq!(resource.write(Revision::V2025_03_26).as_str(), oldest);
    let newest = resource.write(Revision::V2026_07_28).into_string();
    for member in [r#""title":"The board""#, r#""icons":[{"src":"data:"#, r#""_meta":{"ui":{"prefersBorder":true}}"#] {
        assert!(newest.contains(member), "{member} in {newest}");
    }
    let template = ResourceTemplate { uri_template: "ui://{name}".into(), about: about() };
    assert!(template.write(Revision::V2025_11_25).as_str().starts_with(r#"{"uriTemplate":"ui://{name}","name":"board","title""#));
}

#[test]
fn an_update_names_its_subscription_where_there_are_any() {
    let plain = String::from_utf8(updated("a:b", None)).expect("text");
    assert_eq!(plain, r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}"#);
    let listened = String::from_utf8(updated("a:b", Some(&crate::Id::Number(4)))).expect("text");
    assert!(listened.contains(r#""_meta":{"io.modelcontextprotocol/subscriptionId":4}"#), "{listened}");
}

#[test]
fn a_uri_has_a_scheme_and_no_blanks() {
    for uri in ["test://static-text", "ui://board", "urn:a:b", "file:///a%20b", "data:image/png;base64,AA=="] {
        assert!(is_uri(uri), "{uri}");
    }
    for uri in ["", "x", "/a", ":a", "1a:b", "a:b c", "a:ä", "a:{b}", "data:image/svg+xml,<svg/>", "a:\n", "a:%", "a:%2", "a:%zz"] {
        assert!(!is_uri(uri), "{uri}");
    }
}
