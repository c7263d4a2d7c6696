//! Resources: listed, read, asked about, watched and not found, in the words of each revision.

use super::command::Place;
use super::watched::watch;
use crate::harness::{Answer, Events, Gateway, Modern, Setup, binary, call_params, eventually, fixture, initialize_params, messages, rpc};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::Duration;

pub const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const CC: &str = "io.modelcontextprotocol/clientCapabilities";

/// What a user says.
pub fn accepted() -> Value {
    json!({ "action": "accept", "content": { "name": "Alice" } })
}

/// Of one red pixel, as base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

/// The component of the official suite with other words in the place of some of the same length, which it lists and says from then on.
pub fn reworded(changes: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = fs::read(fixture("conformance-server")).expect("the component");
    for (from, to) in changes {
        assert_eq!(from.len(), to.len(), "`{from}` and `{to}` must be of one length");
        let found: Vec<_> =
            bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes()).map(|(at, _)| at).collect();
        assert!(!found.is_empty(), "`{from}` is not in the component");
        found.iter().for_each(|at| bytes[*at..at + to.len()].copy_from_slice(to.as_bytes()));
    }
    bytes
}

/// Its twin: every name and address is another one.
pub const TWIN: [(&str, &str); 4] = [
    ("test_", "twin_"),
    ("test://", "twin://"),
    ("json_schema_2020_12_tool", "json_schema_2020_12_twin"),
    ("ui://conformance/board", "ui://conformance/twin_"),
];

pub async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { fixtures: vec!["conformance-server"], settings: settings.to_owned(), ..Setup::default() }).await
}

fn read(uri: &str) -> Modern {
    Modern::new("resources/read", json!({ "uri": uri }))
}

async fn legacy_read(gateway: &Gateway, session: &str, uri: &str) -> Answer {
    gateway.legacy(Some(session), rpc("r", "resources/read", json!({ "uri": uri }))).await
}

/// A session whose client can show forms to its user.
pub async fn session_with_forms(gateway: &Gateway, revision: &str) -> String {
    let mut params = initialize_params(revision);
    params["capabilities"] = json!({ "elicitation": {} });
    let answer = gateway.legacy(None, rpc(0, "initialize", params)).await;
    answer.header("mcp-session-id").expect("a session").to_owned()
}

/// The same in a modern request.
pub fn with_forms(request: Modern) -> Modern {
    request.body(|body| body["params"]["_meta"][CC] = json!({ "elicitation": {} }))
}

/// What guests were asked so far: the method, what it was of, the outcome and its reason. To know when the journal has all of it, this
/// calls a tool: one that the test does not call otherwise.
pub async fn ran(gateway: &Gateway, last: &str) -> Vec<(String, String, String, Option<String>)> {
    gateway.call(last, json!({})).await.result();
    let text = |record: &Value, member: &str| record[member].as_str().map(ToOwned::to_owned);
    let mut records = eventually("the last record", Duration::from_secs(5), async || {
        let shown =
            Command::new(binary()).args(["journal", "show", "--json", "--calls", "--data"]).arg(gateway.data()).output().expect("it runs");
        let lines = String::from_utf8(shown.stdout).expect("text");
        let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        records.last().is_some_and(|record| record["tool"] == last).then_some(records)
    })
    .await;
    records.pop();
    let word = |record: &Value, member: &str| text(record, member).unwrap_or_default();
    records.iter().map(|record| (word(record, "method"), word(record, "tool"), word(record, "outcome"), text(record, "reason"))).collect()
}

/// What is read of each resource, as the newest revisions have it.
fn contents() -> [Value; 5] {
    let of_template = |id: &str| {
        let text = format!(r#"{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}"#);
        json!({ "uri": format!("test://template/{id}/data"), "mimeType": "application/json", "text": text })
    };
    let text = "This is the content of the static text resource.";
    [
        json!({ "uri": "test://static-text", "mimeType": "text/plain", "text": text }),
        json!({ "uri": "test://static-binary", "mimeType": "image/png", "blob": PNG }),
        of_template("7"),
        // What the parts of a URI mean is for the guest.
        of_template("%41"),
        json!({
            "uri": "ui://conformance/board",
            "mimeType": "text/html;profile=mcp-app",
            "text": "<p>board</p>\n",
            "_meta": { "ui": { "csp": { "connectDomains": ["https://example.com"] } } },
        }),
    ]
}

#[tokio::test]
async fn contents_come_in_the_words_of_each_revision() {
    let gateway = with("").await;
    for mut expected in contents() {
        let uri = expected["uri"].as_str().expect("a text").to_owned();
        let answer = gateway.modern(read(&uri)).await;
        let result = answer.result();
        assert_eq!((answer.status, &result["contents"]), (200, &json!([expected])), "{uri}");
        assert_eq!(
            (&result["ttlMs"], &result["cacheScope"], &result["resultType"]),
            (&json!(2_000), &json!("private"), &json!("complete"))
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "hints are for the client, not for what lies on the way");
        for revision in REVISIONS.iter().rev() {
            if !matches!(*revision, "2025-06-18" | "2025-11-25") {
                expected.as_object_mut().expect("an object").remove("_meta");
            }
            let session = gateway.session(revision).await;
            let answer = legacy_read(&gateway, &session, &uri).await;
            assert_eq!(
                (answer.status, answer.result()),
                (200, &json!({ "contents": [expected] })),
                "{uri} at {revision}: and nothing else"
            );
        }
    }
}

/// The resource that says everything, and the template, as lists show them.
#[tokio::test]
async fn a_list_says_what_its_revision_knows() {
    let gateway = with("").await;
    let board = json!({
        "uri": "ui://conformance/board",
        "name": "board",
        "title": "A board",
        "description": "For the conformance suite.",
        "mimeType": "text/html;profile=mcp-app",
        "size": 13,
        "icons": [{ "src": "data:image/svg+xml,%3Csvg/%3E", "mimeType": "image/svg+xml", "sizes": ["any"] }],
        "annotations": { "audience": ["user"], "priority": 0.5 },
        "_meta": { "ui": { "prefersBorder": true } },
    });
    let template = json!({
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "For the conformance suite.",
        "mimeType": "application/json",
    });
    let uris = [
        "test://static-text",
        "test://static-binary",
        "test://watched-resource",
        "test://asks",
        "test://dynamic",
        "ui://conformance/board",
    ];
    let check = |revision: &str, list: &Answer, templates: &Answer, unknown: &[&str]| {
        let resources = list.result()["resources"].as_array().expect("a list");
        assert_eq!(resources.iter().map(|resource| resource["uri"].as_str().expect("a URI")).collect::<Vec<_>>(), uris, "{revision}");
        let mut expected = board.clone();
        unknown.iter().for_each(|member| drop(expected.as_object_mut().expect("an object").remove(*member)));
        assert_eq!(resources.last(), Some(&expected), "{revision}");
        assert_eq!(templates.result()["resourceTemplates"], json!([template]), "{revision}");
        let modern = revision == crate::harness::MODERN;
        for list in [list, templates] {
            assert_eq!((list.result().get("ttlMs").is_some(), list.result().get("cacheScope").is_some()), (modern, modern), "{revision}");
        }
    };
    let (list, templates) = ("resources/list", "resources/templates/list");
    let modern = async |method: &str| gateway.modern(Modern::new(method, json!({}))).await;
    check(crate::harness::MODERN, &modern(list).await, &modern(templates).await, &[]);
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        let legacy = async |method: &str| gateway.legacy(Some(&session), rpc(1, method, json!({}))).await;
        let unknown: &[&str] = match revision {
            "2025-11-25" => &[],
            "2025-06-18" => &["icons"],
            _ => &["icons", "title", "_meta"],
        };
        check(revision, &legacy(list).await, &legacy(templates).await, unknown);
    }
}

/// Each URI with `Mcp-Name` where it cannot stand there as it is.
fn missing() -> Vec<(String, Option<&'static str>)> {
    let plain = [
        "test://nothing",
        "TEST://static-text",
        "test://static-text/",
        "test://static-text#part",
        "test://static%2Dtext",
        "test://static",
        "test://template//data",
        "test://template/1/2/data",
        "xtest://template/1/data",
        "file:///etc/passwd",
        "http://127.0.0.1:9/",
        "ui://conformance/",
        "no scheme at all",
        "../../etc/passwd",
        "%",
        ":",
        "",
    ];
    let encoded = [
        ("test://static-text ", "=?base64?dGVzdDovL3N0YXRpYy10ZXh0IA==?="),
        (" test://static-text", "=?base64?IHRlc3Q6Ly9zdGF0aWMtdGV4dA==?="),
        ("tést://static-text", "=?base64?dMOpc3Q6Ly9zdGF0aWMtdGV4dA==?="),
        ("test://static-text\0", "=?base64?dGVzdDovL3N0YXRpYy10ZXh0AA==?="),
        ("test://static-text\n", "=?base64?dGVzdDovL3N0YXRpYy10ZXh0Cg==?="),
        ("test://static text\u{202e}", "=?base64?dGVzdDovL3N0YXRpYyB0ZXh04oCu?="),
    ];
    let long = [format!("test://{}", "x".repeat(10_000)), format!("test://template/{}/data", "1".repeat(8_200))];
    let plain = plain.into_iter().map(ToOwned::to_owned).chain(long).map(|uri| (uri, None));
    plain.chain(encoded.into_iter().map(|(uri, header)| (uri.to_owned(), Some(header)))).collect()
}

/// What an error says of a URI: the URI itself, cut and escaped where it has to be.
fn names(answer: &Answer, uri: &str) -> bool {
    let told = answer.error()["data"]["uri"].as_str().unwrap_or_else(|| panic!("no URI in {answer:?}"));
    let plain = uri.len() <= 1_024 && uri.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    told.chars().count() <= 1_025 && !told.chars().any(char::is_control) && (!plain || told == uri)
}

#[tokio::test]
async fn what_is_not_there_is_told_as_the_era_wants_and_no_guest_runs() {
    let gateway = with("").await;
    let mut sessions = Vec::new();
    for revision in REVISIONS {
        sessions.push(gateway.session(revision).await);
    }
    for (uri, header) in missing() {
        let request = header.map_or_else(|| read(&uri), |header| read(&uri).instead("mcp-name", header));
        let answer = gateway.modern(request).await;
        assert_eq!((answer.status, answer.code(), names(&answer, &uri)), (200, -32602, true), "{uri:?}: {answer:?}");
        assert!(!answer.text.contains("-32002"), "{answer:?}");
        for session in &sessions {
            let answer = legacy_read(&gateway, session, &uri).await;
            assert_eq!((answer.status, answer.code(), names(&answer, &uri)), (200, -32002, true), "{uri:?}: {answer:?}");
        }
    }
    for wrong in [json!({}), json!({ "uri": null }), json!({ "uri": 7 }), json!({ "uri": ["test://static-text"] })] {
        let answer = gateway.legacy(Some(&sessions[3]), rpc(1, "resources/read", wrong.clone())).await;
        let message = answer.error()["message"].as_str().expect("a message");
        assert_eq!((answer.status, answer.code(), message.starts_with("params.uri ")), (200, -32602, true), "{wrong}: {answer:?}");
    }
    assert_eq!(ran(&gateway, "test_simple_text").await, [], "nothing of this is a guest's affair");

    // A template says what its URIs look like; which there are, only the guest knows.
    let uri = "test://template/1234/data";
    let answer = gateway.modern(read(uri)).await;
    assert_eq!((answer.status, answer.code(), &answer.error()["data"]), (200, -32602, &json!({ "uri": uri })));
    let answer = legacy_read(&gateway, &sessions[3], uri).await;
    assert_eq!((answer.status, answer.code(), &answer.error()["data"]), (200, -32002, &json!({ "uri": uri })));
    let template = "test://template/{id}/data".to_owned();
    let refused = ("resources/read".to_owned(), template, "refused".to_owned(), Some("unknown_resource".to_owned()));
    assert_eq!(ran(&gateway, "test_image_content").await[1..], [refused.clone(), refused]);
}

/// Rung 4 for the two other methods that are about something.
#[rustfmt::skip]
#[tokio::test]
async fn what_a_request_is_about_stands_in_its_header() {
    let gateway = with("").await;
    let get = || Modern::new("prompts/get", json!({ "name": "test_simple_prompt" }));
    let read = || read("test://static-text");
    let named = |request: Modern, name: &str| request.instead("mcp-name", name);
    let other = json!({ "uri": "test_simple_prompt", "_meta": get().body["params"]["_meta"] });
    let rows = [
        ("absent",            read().without("mcp-name"),                                  "Mcp-Name is missing"),
        ("absent",            get().without("mcp-name"),                                   "Mcp-Name is missing"),
        ("another resource",  named(read(), "test://static-binary"),                       "Mcp-Name says \"test://static-binary\""),
        ("another case",      named(read(), "test://Static-text"),                         "Mcp-Name says \"test://Static-text\""),
        ("its name",          named(read(), "static-text"),                                "Mcp-Name says \"static-text\""),
        ("another prompt",    named(get(), "test_prompt_with_image"),                      "Mcp-Name says \"test_prompt_with_image\""),
        ("nothing",           named(get(), ""),                                            "Mcp-Name says \"\""),
        ("twice",             read().header("mcp-name", "test://static-text"),             "Mcp-Name is there more than once"),
        ("twice",             get().header("mcp-name", "test_simple_prompt"),              "Mcp-Name is there more than once"),
        ("no base64",         named(read(), "=?base64?test?"),                             "Mcp-Name says"),
        ("broken base64",     named(read(), "=?base64?dGVzdDovL3N0YXRpYy10ZXh0=?="),       "Mcp-Name is not canonical base64"),
        ("another in base64", named(get(), "=?base64?dGVzdA==?="),                         "Mcp-Name says \"test\""),
        ("nothing to name",   read().body(|body| body["params"]["uri"] = 7.into()),        "no value for the header Mcp-Name"),
        ("nothing to name",   get().body(|body| body["params"]["name"] = Value::Null),     "no value for the header Mcp-Name"),
        ("the other member",  get().body(|body| body["params"] = other),                   "no value for the header Mcp-Name"),
    ];
    for (name, request, says) in rows {
        let answer = gateway.modern(request).await;
        assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (400, -32020, &json!(1)), "{name}: {answer:?}");
        let message = answer.error()["message"].as_str().expect("a message");
        assert!(message.contains(says), "{name}: `{message}` does not say `{says}`");
    }
    assert_eq!(ran(&gateway, "test_simple_text").await, []);
    let encoded = gateway.modern(named(read(), "=?base64?dGVzdDovL3N0YXRpYy10ZXh0?=")).await;
    assert_eq!(encoded.result()["contents"][0]["uri"], "test://static-text");
    assert_eq!(gateway.modern(named(get(), " \ttest_simple_prompt ")).await.status, 200, "blanks around it are HTTP's");
}

/// A request once more, with answers and the state that it was given.
pub fn again(request: Modern, answers: Value, state: &Value) -> Modern {
    request.body(|body| {
        body["id"] = 2.into();
        body["params"]["inputResponses"] = answers;
        body["params"]["requestState"] = state.clone();
    })
}

#[tokio::test]
async fn a_reading_can_ask_first() {
    let mut gateway = with("[servers.same]\nresources = [\"*\"]\nprompts = [\"*\"]\ntools = [\"*\"]\n").await;
    let asks = || with_forms(read("test://asks"));
    let asked = gateway.modern(asks()).await;
    let result = asked.result();
    assert_eq!((asked.status, &result["resultType"]), (200, &json!("input_required")));
    let question = &result["inputRequests"]["user_name"];
    assert_eq!((&question["method"], &question["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
    assert_eq!((result.get("contents"), result.get("ttlMs"), result.get("cacheScope")), (None, None, None), "there is nothing to keep yet");
    let state = result["requestState"].clone();
    assert!(!state.to_string().contains("asked"), "what the guest left is for nobody to read");

    let text = |answer: &Answer| answer.result()["contents"][0]["text"].as_str().expect("a text").to_owned();
    let answers = json!({ "user_name": accepted(), "of nobody's": accepted() });
    let told = gateway.modern(again(asks(), answers.clone(), &state)).await;
    assert_eq!((&told.result()["resultType"], &told.result()["ttlMs"]), (&json!("complete"), &json!(2_000)));
    assert_eq!(text(&told), format!("Read for {}", accepted()));
    // No answer to what was asked: it asks again.
    for nothing in [json!({}), json!({ "other": accepted() })] {
        let asked = gateway.modern(again(asks(), nothing, &state)).await;
        assert_eq!(asked.result()["resultType"], "input_required");
    }
    // An answer that is none.
    for wrong in [json!(5), json!("x"), Value::Null, json!([])] {
        let answer = gateway.modern(again(asks(), json!({ "user_name": wrong }), &state)).await;
        assert_eq!((answer.status, answer.code()), (200, -32602), "{wrong}: {answer:?}");
    }
    let mute = gateway.modern(read("test://asks")).await;
    assert_eq!((mute.status, mute.code()), (400, -32021));
    assert_eq!(mute.error()["data"], json!({ "requiredCapabilities": { "elicitation": { "form": {} } } }));

    // The state opens for what it was given out for, and for nothing else.
    let refused = async |what: &str, request: Modern| {
        let answer = gateway.modern(request).await;
        let message = answer.error()["message"].as_str().expect("a message");
        assert_eq!((answer.status, answer.code(), message.contains("requestState")), (200, -32602, true), "{what}: {answer:?}");
    };
    let whole = state.as_str().expect("a text");
    for at in [0, 20, 40, whole.len() - 1] {
        let mut changed = whole.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        refused("changed", again(asks(), answers.clone(), &json!(changed))).await;
    }
    for bad in ["", "AAAA", &whole[..whole.len() - 4], &format!("{whole}AAAA"), &format!("{whole}=")] {
        refused(bad, again(asks(), answers.clone(), &json!(bad))).await;
    }
    refused("another resource", again(with_forms(read("test://static-text")), answers.clone(), &state)).await;
    refused("another one of a template", again(with_forms(read("test://template/1/data")), answers.clone(), &state)).await;
    let prompt = Modern::new("prompts/get", json!({ "name": "test_input_required_result_prompt" }));
    refused("a prompt", again(with_forms(prompt), answers.clone(), &state)).await;
    let tool = Modern::call("test_input_required_result_elicitation", json!({}));
    refused("a tool", again(with_forms(tool), answers.clone(), &state)).await;
    refused("another server", again(asks(), answers.clone(), &state).path("/servers/same/mcp")).await;

    // A crash changes nothing of a dialog that lives with its client.
    gateway.restart().await;
    assert_eq!(text(&gateway.modern(again(asks(), answers, &state)).await), format!("Read for {}", accepted()));
}

/// The message that comes next on a stream.
pub async fn next(events: &mut Events) -> Value {
    loop {
        let event = events.next().await.expect("a message");
        if !event.is_priming() {
            return event.message();
        }
    }
}

#[tokio::test]
async fn a_reading_asks_clients_of_the_handshake_era_on_its_stream() {
    let gateway = with("").await;
    let read = |id: &str| rpc(id, "resources/read", json!({ "uri": "test://asks" }));
    for revision in ["2025-06-18", "2025-11-25"] {
        let session = session_with_forms(&gateway, revision).await;
        let mut ids = Vec::new();
        for (round, said) in [accepted(), json!({ "action": "decline" })].into_iter().enumerate() {
            let mut events = Events::of(gateway.legacy_request(Some(&session), &read(&format!("r{round}")))).await;
            let asked = next(&mut events).await;
            assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!("What is your name?")));
            let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": said });
            assert_eq!(gateway.legacy(Some(&session), answer).await.status, 202);
            let end = messages(events).await.last().expect("an end").message();
            assert_eq!((&end["id"], &end["result"].get("ttlMs")), (&json!(format!("r{round}")), &None));
            assert_eq!(end["result"]["contents"][0]["text"], format!("Read for {said}"), "{revision}");
            ids.push(asked["id"].clone());
        }
        // And a tool that asks, in the same session.
        let call = rpc("t", "tools/call", call_params("test_input_required_result_elicitation", json!({})));
        let mut events = Events::of(gateway.legacy_request(Some(&session), &call)).await;
        ids.push(next(&mut events).await["id"].clone());
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "no id is used twice in a session: {ids:?}");
        drop(events);

        let mute = gateway.session(revision).await;
        let refused = gateway.legacy(Some(&mute), read("m")).await;
        assert_eq!((refused.status, refused.code(), &refused.message()["id"]), (200, -32602, &json!("m")), "{revision}");
    }
}

/// Addresses that are none: their plugin is refused, and says which.
#[test]
fn addresses_that_break_the_rules_are_refused_when_a_plugin_is_loaded() {
    let (text, template) = ("test://static-text", "test://template/{id}/data");
    let rows = [
        ("blank", text, "test://static text", "resource `test://static text`: ' ' cannot stand in a URI"),
        ("control", text, "test://static\ttext", "'\\t' cannot stand in a URI"),
        ("quote", text, "test://static\"text", "'\"' cannot stand in a URI"),
        ("digit", text, "1est://static-text", "resource `1est://static-text`: it does not begin with a scheme"),
        ("under", text, "t_st://static-text", "it does not begin with a scheme"),
        ("none", text, "test_//static-text", "it does not begin with a scheme"),
        ("t-blank", template, "test://template/{id}/d ta", "resource template `test://template/{id}/d ta`: ' ' cannot stand in a URI"),
        ("t-none", template, "test_//template/{id}/data", "it does not begin with a scheme"),
        ("t-open", template, "test://template/{id/data}", "`{id/data}` is no expression of RFC 6570"),
        ("t-close", template, "test://template/id}/data{", "a `{` has no `}`"),
        ("t-plain", template, "test://template/(id)/data", "it has 0 expressions"),
    ];
    let place = Place::new();
    for (name, from, to, _) in &rows {
        fs::write(place.plugins().join(format!("{name}.wasm")), reworded(&[(from, to)])).expect("written");
    }
    let ran = place.run(&["check", "--json"]);
    let report = ran.json();
    let problems = report["problems"].as_array().expect("a list");
    for (name, _, _, reason) in &rows {
        let told = problems.iter().find(|problem| problem["plugin"] == *name).map(|problem| problem["reason"].as_str().expect("a text"));
        assert!(told.is_some_and(|told| told.contains(reason)), "{name}: {told:?}");
    }
}

/// What no template can make (RFC 6570, 3.2.1) is no URI, and no guest hears of it.
#[tokio::test]
async fn what_is_no_uri_is_of_no_template() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut wrong = Vec::new();
    for (id, header) in [
        ("{id}", None),
        ("a b", None),
        ("\"", None),
        ("%", None),
        ("%zz", None),
        ("\0", Some("=?base64?dGVzdDovL3RlbXBsYXRlLwAvZGF0YQ==?=")),
        ("\n", Some("=?base64?dGVzdDovL3RlbXBsYXRlLwovZGF0YQ==?=")),
        ("é", Some("=?base64?dGVzdDovL3RlbXBsYXRlL8OpL2RhdGE=?=")),
    ] {
        let uri = format!("test://template/{id}/data");
        let request = header.map_or_else(|| read(&uri), |header| read(&uri).instead("mcp-name", header));
        let modern = gateway.modern(request).await.message()["error"]["code"].clone();
        let legacy = legacy_read(&gateway, &session, &uri).await.message()["error"]["code"].clone();
        let watched = watch(&gateway, &session, "subscribe", &uri).await.message()["error"]["code"].clone();
        if (&modern, &legacy, &watched) != (&json!(-32602), &json!(-32002), &json!(-32002)) {
            wrong.push(format!("{uri:?}: read {modern} and {legacy}, subscribe {watched}"));
        }
    }
    let ran = ran(&gateway, "test_simple_text").await;
    assert!(wrong.is_empty() && ran.is_empty(), "{}\nguests ran: {}", wrong.join("\n"), ran.len());
}
