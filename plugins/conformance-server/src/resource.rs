//! Resources: text, bytes, a family, one that is watched, one that asks, and a page for clients that show apps.

use crate::bindings::resources::{Descriptor, Failure, Guest, Read, ReadOutcome, Reading, Template};
use crate::{Conformance, ask, now};
use kit::types::{Body, Contents, Icon};
use serde_json::json;

const HTML: &str = "text/html;profile=mcp-app";

fn descriptor(uri: &str, name: &str, mime_type: &str) -> Descriptor {
    Descriptor {
        uri: uri.to_owned(),
        name: name.to_owned(),
        title: None,
        description: Some("For the conformance suite.".to_owned()),
        mime_type: Some(mime_type.to_owned()),
        size_bytes: None,
        icons: Vec::new(),
        annotations: None,
        meta: None,
    }
}

fn text(uri: &str, mime_type: &str, text: impl Into<String>) -> Result<ReadOutcome, Failure> {
    body(uri, mime_type, Body::Text(text.into()), None)
}

fn body(uri: &str, mime_type: &str, body: Body, meta: Option<String>) -> Result<ReadOutcome, Failure> {
    let contents = Contents { uri: uri.to_owned(), mime_type: Some(mime_type.to_owned()), body, meta };
    Ok(ReadOutcome::Complete(Reading { contents: vec![contents], keep_ms: Some(2_000), meta: None }))
}

impl Guest for Conformance {
    fn list_resources() -> Result<Vec<Descriptor>, String> {
        let app = Descriptor {
            title: Some("A board".to_owned()),
            size_bytes: Some(13),
            icons: vec![Icon {
                src: "data:image/svg+xml,%3Csvg/%3E".to_owned(),
                mime_type: Some("image/svg+xml".to_owned()),
                sizes: vec!["any".to_owned()],
                theme: None,
            }],
            annotations: Some(json!({"audience": ["user"], "priority": 0.5}).to_string()),
            meta: Some(json!({"ui": {"prefersBorder": true}}).to_string()),
            ..descriptor("ui://conformance/board", "board", HTML)
        };
        Ok(vec![
            descriptor("test://static-text", "static-text", "text/plain"),
            descriptor("test://static-binary", "static-binary", "image/png"),
            descriptor("test://watched-resource", "watched-resource", "text/plain"),
            descriptor("test://asks", "asks", "text/plain"),
            Descriptor { description: Some(now()), ..descriptor("test://dynamic", "dynamic", "text/plain") },
            app,
        ])
    }

    fn list_templates() -> Result<Vec<Template>, String> {
        Ok(vec![Template {
            uri_template: "test://template/{id}/data".to_owned(),
            name: "template".to_owned(),
            title: None,
            description: Some("For the conformance suite.".to_owned()),
            mime_type: Some("application/json".to_owned()),
            icons: Vec::new(),
            annotations: None,
            meta: None,
        }])
    }

    fn read_resource(read: Read) -> Result<ReadOutcome, Failure> {
        let uri = read.uri.as_str();
        match uri {
            "test://static-text" => text(uri, "text/plain", "This is the content of the static text resource."),
            "test://static-binary" => body(uri, "image/png", Body::Bytes(crate::content::PNG.to_vec()), None),
            "test://watched-resource" => text(uri, "text/plain", "Somebody watches this."),
            "test://dynamic" => text(uri, "text/plain", now()),
            "test://asks" => match ask::answer(read.resume.as_ref(), "user_name") {
                Some(answer) => text(uri, "text/plain", format!("Read for {answer}")),
                None => Ok(ReadOutcome::InputRequired(ask::one("user_name", ask::name_form()))),
            },
            "ui://conformance/board" => {
                let meta = json!({"ui": {"csp": {"connectDomains": ["https://example.com"]}}}).to_string();
                body(uri, HTML, Body::Text("<p>board</p>\n".to_owned()), Some(meta))
            }
            _ => match uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data")) {
                // Three are there; the template can make the address of any.
                Some(id) if id.len() <= 3 => {
                    text(uri, "application/json", json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string())
                }
                _ => Err(Failure::UnknownName),
            },
        }
    }
}
