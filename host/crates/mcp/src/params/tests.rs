use super::{
    CallToolParams, CancelledParams, CompleteParams, GetPromptParams, InitializeParams, ListParams, LogLevel, Params, ReadResourceParams,
    Reference, SetLevelParams, SubscribeParams,
};
use crate::Id;
use serde_json::value::RawValue;

fn of(text: &str) -> Params<'_> {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    Params::of(Some(raw))
}

#[track_caller]
fn refuses<T: std::fmt::Debug>(outcome: Result<T, super::ParamsError>, message: &str) {
    let error = outcome.unwrap_err().error();
    assert_eq!((error.code.get(), &*error.message), (-32602, message));
}

#[test]
fn calls() {
    let text = r#"{"name":"t","arguments":{"a": 1},"task":{"ttl":1},"inputResponses":{"k":{}},"requestState":"s"}"#;
    let call = CallToolParams::read(&of(text)).unwrap();
    assert_eq!(&*call.name, "t");
    assert_eq!(call.arguments.unwrap().get(), r#"{"a": 1}"#);
    assert_eq!(call.input.responses.unwrap().get(), r#"{"k":{}}"#);
    assert_eq!(call.input.state.as_deref(), Some("s"));
    let call = CallToolParams::read(&of(r#"{"name":"t","arguments":null}"#)).unwrap();
    assert!(call.arguments.is_none());
    for (text, message) in [
        ("{}", "params.name is missing"),
        (r#"{"name":null}"#, "params.name is missing"),
        (r#"{"name":1}"#, "params.name must be a string"),
        (r#"{"name":"t","arguments":[]}"#, "params.arguments must be an object"),
        (r#"{"name":"t","inputResponses":5}"#, "params.inputResponses must be an object"),
        (r#"{"name":"t","requestState":{}}"#, "params.requestState must be a string"),
        (r#"{"name":"t","_meta":1}"#, "params._meta must be an object"),
    ] {
        refuses(CallToolParams::read(&of(text)), message);
    }
    refuses(CallToolParams::read(&Params::default()), "params.name is missing");
}

#[test]
fn lists() {
    assert_eq!(ListParams::read(&Params::default()).unwrap().cursor, None);
    assert_eq!(ListParams::read(&of(r#"{"cursor":""}"#)).unwrap().cursor.as_deref(), Some(""));
    refuses(ListParams::read(&of(r#"{"cursor":1}"#)), "params.cursor must be a string");
}

#[test]
fn initialize() {
    let good = r#"{"protocolVersion":"x","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1","title":"C"}}"#;
    let params = InitializeParams::read(&of(good)).unwrap();
    assert_eq!(&*params.protocol_version, "x");
    assert_eq!(params.client_info.title.as_deref(), Some("C"));
    assert_eq!(params.capabilities.text().as_str(), r#"{"roots":{}}"#);
    let info = "params.clientInfo must be an object with the strings name and version";
    for (from, to, message) in [
        (r#""x""#, "1", "params.protocolVersion must be a string"),
        (r#""protocolVersion":"x","#, "", "params.protocolVersion is missing"),
        (r#"{"roots":{}}"#, "[]", "params.capabilities must be an object"),
        (r#""capabilities":{"roots":{}},"#, "", "params.capabilities is missing"),
        (r#""version":"1","#, "", info),
        (r#""name":"c""#, r#""name":7"#, info),
    ] {
        refuses(InitializeParams::read(&of(&good.replace(from, to))), message);
    }
}

#[test]
fn cancelled() {
    let params = CancelledParams::read(&of(r#"{"requestId":"7","reason":"r"}"#)).unwrap();
    assert_eq!(params, CancelledParams { request_id: Id::String("7".into()), reason: Some("r".into()) });
    refuses(CancelledParams::read(&of("{}")), "params.requestId is missing");
    refuses(CancelledParams::read(&of(r#"{"requestId":1.5}"#)), "params.requestId must be an integer or a string");
}

#[test]
fn levels() {
    for level in LogLevel::ALL {
        let text = format!(r#"{{"level":"{}"}}"#, level.as_str());
        assert_eq!(SetLevelParams::read(&of(&text)), Ok(SetLevelParams { level }));
    }
    assert!(LogLevel::Debug < LogLevel::Emergency);
    refuses(SetLevelParams::read(&of(r#"{"level":"Debug"}"#)), "params.level must be a log level");
    refuses(SetLevelParams::read(&of("{}")), "params.level is missing");
}

#[test]
fn faults_of_meta_are_told_apart() {
    let in_meta = |text| CallToolParams::read(&of(text)).unwrap_err().in_meta();
    assert!(in_meta(r#"{"name":"t","_meta":1}"#));
    assert!(in_meta(r#"{"name":"t","_meta":{"progressToken":{}}}"#));
    assert!(!in_meta(r#"{"name":1,"_meta":1}"#));
}

#[test]
fn prompts_resources_and_completions_are_read() {
    let get = GetPromptParams::read(&of(r#"{"name":"p","arguments":{"a":"1","b":""},"inputResponses":{},"requestState":"s"}"#));
    let get = get.expect("read");
    assert_eq!((&*get.name, get.arguments.len(), &*get.arguments[0].1, get.input.state.as_deref()), ("p", 2, "1", Some("s")));
    for wrong in [r#"{"name":"p","arguments":{"a":1}}"#, r#"{"name":"p","arguments":[]}"#, r#"{"arguments":{}}"#] {
        assert!(GetPromptParams::read(&of(wrong)).is_err(), "{wrong}");
    }
    assert_eq!(&*ReadResourceParams::read(&of(r#"{"uri":"a:b"}"#)).expect("read").uri, "a:b");
    assert!(ReadResourceParams::read(&of(r#"{"uri":7}"#)).is_err() && SubscribeParams::read(&Params::default()).is_err());

    let complete = |text: &str| CompleteParams::read(&of(text));
    let prompt =
        complete(r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":"2"}}}"#);
    let prompt = prompt.expect("read");
    assert_eq!((prompt.reference, &*prompt.argument, &*prompt.value), (Reference::Prompt("p".into()), "a", ""));
    assert_eq!(prompt.context, [("b".into(), "2".into())]);
    let template = complete(r#"{"ref":{"type":"ref/resource","uri":"a:{b}"},"argument":{"name":"b","value":"x"}}"#).expect("read");
    assert_eq!(template.reference, Reference::ResourceTemplate("a:{b}".into()));
    for wrong in [
        r#"{"argument":{"name":"a","value":""}}"#,
        r#"{"ref":{"type":"ref/prompt"},"argument":{"name":"a","value":""}}"#,
        r#"{"ref":{"type":"ref/tool","name":"t"},"argument":{"name":"a","value":""}}"#,
        r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a"}}"#,
        r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":2}}}"#,
    ] {
        assert!(complete(wrong).is_err(), "{wrong}");
    }
}
