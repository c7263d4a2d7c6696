use super::*;

#[test]
fn each_revision_is_told_what_it_knows() {
    let argument = Argument { name: "a".into(), title: Some("An a".into()), description: None, required: true };
    let title = Some("A prompt".into());
    let prompt =
        Prompt { name: "p".into(), title, description: Some("d".into()), arguments: vec![argument], icons: Vec::new(), meta: None };
    let oldest = r#"{"name":"p","description":"d","arguments":[{"name":"a","required":true}]}"#;
    assert_eq!(prompt.write(Revision::V2025_03_26).as_str(), oldest);
    let newest = r#"{"name":"p","title":"A prompt","description":"d","arguments":[{"name":"a","title":"An a","required":true}]}"#;
    assert_eq!(prompt.write(Revision::V2026_07_28).as_str(), newest);
    let bare = Prompt { title: None, arguments: Vec::new(), ..prompt };
    assert_eq!(bare.write(Revision::V2026_07_28).as_str(), r#"{"name":"p","description":"d"}"#);
    let message = Message { role: Role::Assistant, content: Content::text("hello") };
    assert_eq!(message.write(Revision::V2025_11_25).as_str(), r#"{"role":"assistant","content":{"type":"text","text":"hello"}}"#);
}
