use super::{Capability, ClientCapabilities, ListChanged, ServerCapabilities};
use crate::{JsonText, Revision};

const ALL: [Capability; 5] =
    [Capability::Roots, Capability::Sampling, Capability::SamplingTools, Capability::ElicitationForm, Capability::ElicitationUrl];

#[track_caller]
fn declares(text: &str, expected: &[Capability]) {
    let capabilities = ClientCapabilities::from_json(serde_json::from_str(text).unwrap()).unwrap();
    let declared: Vec<Capability> = ALL.into_iter().filter(|one| capabilities.has(one)).collect();
    assert_eq!(declared, expected, "{text}");
}

#[test]
fn clients() {
    declares("{}", &[]);
    declares(r#"{"roots":{"listChanged":true},"experimental":{"x":1}}"#, &[Capability::Roots]);
    declares(r#"{"roots":true,"sampling":null}"#, &[]);
    declares(r#"{"sampling":{}}"#, &[Capability::Sampling]);
    declares(r#"{"sampling":{"tools":{}}}"#, &[Capability::Sampling, Capability::SamplingTools]);
    declares(r#"{"elicitation":{}}"#, &[Capability::ElicitationForm]);
    declares(r#"{"elicitation":{"url":{}}}"#, &[Capability::ElicitationUrl]);
    declares(r#"{"elicitation":{"url":{},"form":{}}}"#, &[Capability::ElicitationForm, Capability::ElicitationUrl]);
    assert_eq!(ClientCapabilities::from_json(serde_json::from_str("[]").unwrap()), None);
}

/// What -32021 asks for is what declares it.
#[test]
fn required_objects_declare_themselves() {
    let extension = Capability::Extension("io.modelcontextprotocol/tasks".into());
    for capability in ALL.into_iter().chain([extension]) {
        let object = capability.as_object();
        let raw = serde_json::from_str(object.as_str()).unwrap();
        assert!(ClientCapabilities::from_json(raw).unwrap().has(&capability), "{object}");
    }
    assert_eq!(Capability::Sampling.as_object().as_str(), r#"{"sampling":{}}"#);
}

#[test]
fn servers() {
    let offer = ServerCapabilities {
        tools: Some(ListChanged::Announced),
        prompts: Some(ListChanged::Silent),
        resources: Some(ListChanged::Announced),
        resource_subscriptions: true,
        logging: true,
        completions: true,
        extensions: vec![("io.modelcontextprotocol/tasks".into(), JsonText::from(&serde_json::json!({})))],
    };
    let common = r#"{"tools":{"listChanged":true},"prompts":{},"resources":{"listChanged":true,"subscribe":true},"logging":{}"#;
    let check = |revision, rest: &str| assert_eq!(offer.write(revision).as_str(), format!("{common}{rest}"));
    check(Revision::V2024_11_05, "}");
    check(Revision::V2025_11_25, r#","completions":{}}"#);
    check(Revision::V2026_07_28, r#","completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
    assert_eq!(ServerCapabilities::default().write(Revision::V2025_11_25).as_str(), "{}");
}
