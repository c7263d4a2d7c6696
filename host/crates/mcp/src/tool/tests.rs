use super::{Annotations, Icon, Tool, is_tool_name};
use crate::{JsonLimits, JsonText, Revision};

fn json(text: &str) -> JsonText {
    JsonText::parse(text, &JsonLimits::default()).unwrap()
}

fn full(output_schema: &str) -> Tool {
    Tool {
        name: "t".into(),
        title: Some("T".into()),
        description: Some("says \"t\"".into()),
        input_schema: json(r#"{ "type" : "object" }"#),
        output_schema: Some(json(output_schema)),
        annotations: Annotations { read_only: Some(true), open_world: Some(false), ..Annotations::default() },
        icons: vec![Icon {
            src: "data:,".into(),
            mime_type: Some("image/png".into()),
            sizes: vec!["any".into()],
            theme: Some("dark".into()),
        }],
        meta: Some(json(r#"{"ui":1}"#)),
    }
}

#[track_caller]
fn check(tool: &Tool, revision: Revision, expected: &str) {
    assert_eq!(tool.write(revision).as_str(), expected);
}

#[test]
fn each_revision_sees_what_it_knows() {
    let tool = full(r#"{"type":"object"}"#);
    let hints = r#""annotations":{"readOnlyHint":true,"openWorldHint":false}"#;
    let icons = r#""icons":[{"src":"data:,","mimeType":"image/png","sizes":["any"],"theme":"dark"}]"#;
    let name = r#"{"name":"t","#;
    let rest = r#""description":"says \"t\"","inputSchema":{ "type" : "object" }"#;
    let output = r#""outputSchema":{"type":"object"}"#;
    check(&tool, Revision::V2024_11_05, &format!("{name}{rest}}}"));
    check(&tool, Revision::V2025_03_26, &format!("{name}{rest},{hints}}}"));
    let title = r#""title":"T","#;
    let meta = r#""_meta":{"ui":1}}"#;
    check(&tool, Revision::V2025_06_18, &format!("{name}{title}{rest},{output},{hints},{meta}"));
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        check(&tool, revision, &format!("{name}{title}{rest},{output},{hints},{icons},{meta}"));
    }
}

#[test]
fn output_schemas_of_no_objects_are_modern() {
    for schema in ["true", r#"{"type":"array"}"#, r#"{"anyOf":[{"type":"object"}]}"#, r#"{"type":["object"]}"#] {
        let tool = full(schema);
        for (revision, there) in
            [(Revision::V2025_03_26, false), (Revision::V2025_06_18, false), (Revision::V2025_11_25, false), (Revision::V2026_07_28, true)]
        {
            assert_eq!(tool.write(revision).as_str().contains("outputSchema"), there, "{schema} {revision}");
        }
    }
}

#[test]
fn little_is_needed() {
    let tool = Tool {
        name: "t".into(),
        title: None,
        description: None,
        input_schema: json("{}"),
        output_schema: None,
        annotations: Annotations::default(),
        icons: Vec::new(),
        meta: None,
    };
    check(&tool, Revision::V2026_07_28, r#"{"name":"t","inputSchema":{}}"#);
}

#[test]
fn names() {
    for good in ["a", "A-z_0.9", &"x".repeat(128)] {
        assert!(is_tool_name(good));
    }
    for bad in ["", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
        assert!(!is_tool_name(bad));
    }
}
