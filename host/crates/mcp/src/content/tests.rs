use super::{Blob, Content, ResourceBody, ResourceContents, ResourceLink};
use crate::{JsonLimits, JsonText, Revision};
use Revision::{V2024_11_05, V2025_03_26, V2025_06_18, V2026_07_28};

fn json(text: &str) -> Option<JsonText> {
    Some(JsonText::parse(text, &JsonLimits::default()).unwrap())
}

#[track_caller]
fn check(content: &Content, revision: Revision, expected: &str) {
    assert_eq!(content.write(revision).as_str(), expected);
}

fn blob(mime_type: &str) -> Blob {
    Blob { data: vec![0xFB, 0xFF].into(), mime_type: mime_type.into(), annotations: json(r#"{"priority":1}"#) }
}

#[test]
fn text() {
    check(&Content::text("a\n\"é\""), V2024_11_05, r#"{"type":"text","text":"a\n\"é\""}"#);
    let content = Content::Text { text: "a".into(), annotations: json(r#"{"audience":["user"]}"#) };
    check(&content, V2026_07_28, r#"{"type":"text","text":"a","annotations":{"audience":["user"]}}"#);
}

#[test]
fn blobs() {
    let rest = r#""data":"+/8=","mimeType":"image/png","annotations":{"priority":1}}"#;
    check(&Content::Image(blob("image/png")), V2024_11_05, &format!(r#"{{"type":"image",{rest}"#));
    let audio = Content::Audio(blob("audio/wav"));
    let note = r#"{"type":"text","text":"[audio: audio/wav, 2 bytes]","annotations":{"priority":1}}"#;
    check(&audio, V2024_11_05, note);
    let rest = rest.replace("image/png", "audio/wav");
    check(&audio, V2025_03_26, &format!(r#"{{"type":"audio",{rest}"#));
}

#[test]
fn links() {
    let link = Content::ResourceLink(ResourceLink {
        uri: "file:///a".into(),
        name: "a".into(),
        title: Some("A".into()),
        description: Some("d".into()),
        mime_type: Some("text/plain".into()),
        annotations: None,
    });
    check(&link, V2025_03_26, r#"{"type":"text","text":"[A](file:///a)"}"#);
    check(
        &link,
        V2025_06_18,
        r#"{"type":"resource_link","uri":"file:///a","name":"a","title":"A","description":"d","mimeType":"text/plain"}"#,
    );
}

#[test]
fn resources() {
    let resource = |body| Content::Resource {
        contents: ResourceContents { uri: "x:y".into(), mime_type: Some("text/plain".into()), body, meta: json(r#"{"k":1}"#) },
        annotations: None,
    };
    let text = resource(ResourceBody::Text("t".into()));
    let known = r#"{"type":"resource","resource":{"uri":"x:y","mimeType":"text/plain","text":"t""#;
    check(&text, V2025_03_26, &format!("{known}}}}}"));
    check(&text, V2025_06_18, &format!(r#"{known},"_meta":{{"k":1}}}}}}"#));
    let bytes = resource(ResourceBody::Bytes(vec![1, 2, 3].into()));
    assert!(bytes.write(V2026_07_28).as_str().contains(r#""blob":"AQID""#));
}
