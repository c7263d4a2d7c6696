//! What changes while clients look on: who is told of it, on which stream, and what each server shows of it.

use super::resources::{TWIN, next, reworded};
use super::watched::{subscribe, touch};
use crate::harness::{Answer, Events, Gateway, MODERN, Modern, Setup, call_params, eventually, fixture, initialize_params, rpc};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Tools of the component that make one of its lists another one than it was.
const TRIGGERS: [(&str, &str); 3] =
    [("test_trigger_tool_change", "tools"), ("test_trigger_prompt_change", "prompts"), ("test_trigger_resource_change", "resources")];
const TOUCH: &str = "test_touch_resource";
const WATCHED: &str = "test://watched-resource";
const TEXT: &str = "test://static-text";
const OF_TEMPLATE: &str = "test://template/7/data";

/// Each list with its member of the result.
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

const SERVERS: &str = r#"
[servers.tools-only]
tools = ["test_*"]
[servers.prompts-only]
prompts = ["test_*"]
[servers.some]
tools = ["test_touch*"]
resources = ["test://static*"]
prompts = ["test_simple*"]
[servers.one]
tools = ["echo"]
"#;

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["conformance-server"], settings: settings.to_owned() }).await
}

async fn trigger(gateway: &Gateway, (tool, _): (&str, &str)) {
    assert_eq!(gateway.call(tool, json!({})).await.tool_text(), "The list is another one now");
}

/// Makes each list another one, and waits until one who listens to all of them has heard it: of each once, and of nothing else.
async fn trigger_each(gateway: &Gateway, all: &mut Events, id: &Value) {
    for (tool, list) in TRIGGERS {
        trigger(gateway, (tool, list)).await;
        assert_eq!(heard(all, id).await, list_changed(list), "{tool}");
    }
}

fn listen(id: &Value, wanted: Value) -> Modern {
    Modern::new("subscriptions/listen", json!({ "notifications": wanted })).body(|body| body["id"] = id.clone())
}

fn all_lists() -> Value {
    json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true })
}

/// The next message of a listen stream: its method and parameters. It names the subscription, and has no place to come back to.
async fn heard(events: &mut Events, id: &Value) -> (String, Value) {
    let event = events.next().await.expect("a message");
    assert_eq!((&event.id, event.retry_ms), (&None, None), "{event:?}");
    let mut message = event.message();
    assert_eq!((message.get("id"), &message["jsonrpc"]), (None, &json!("2.0")), "{message}");
    let meta = message["params"].as_object_mut().expect("parameters").remove("_meta");
    assert_eq!(meta, Some(json!({ SUBSCRIPTION: id })), "{message}");
    (message["method"].as_str().expect("a method").to_owned(), message["params"].clone())
}

/// Begins to listen; what is acknowledged.
async fn listening(gateway: &Gateway, path: &str, id: &Value, wanted: Value) -> (Events, Value) {
    let mut events = Events::of(listen(id, wanted).path(path).build(gateway)).await;
    let (method, params) = heard(&mut events, id).await;
    assert_eq!(method, "notifications/subscriptions/acknowledged");
    (events, params["notifications"].clone())
}

fn list_changed(list: &str) -> (String, Value) {
    (format!("notifications/{list}/list_changed"), json!({}))
}

fn updated(uri: &str) -> (String, Value) {
    ("notifications/resources/updated".to_owned(), json!({ "uri": uri }))
}

/// A legacy POST to a server.
fn legacy_at(gateway: &Gateway, path: &str, session: Option<&str>, body: &Value) -> RequestBuilder {
    let post = gateway.client.post(format!("{}{path}", gateway.origin)).header("content-type", "application/json").body(body.to_string());
    session.iter().fold(post, |post, session| post.header("mcp-session-id", *session))
}

/// A session's standalone stream at a server.
async fn stream_at(gateway: &Gateway, path: &str, session: &str) -> Events {
    let get = gateway.client.get(format!("{}{path}", gateway.origin)).header("accept", "text/event-stream");
    Events::of(get.header("mcp-session-id", session)).await
}

/// A list's items in order, those left out that are others each time.
fn steady(list: &Answer, member: &str) -> Vec<Value> {
    let items = list.result()[member].as_array().expect("a list").iter();
    items
        .filter(|item| !["test_dynamic_tool", "test_dynamic_prompt", "dynamic"].iter().any(|name| item["name"] == *name))
        .cloned()
        .collect()
}

#[tokio::test]
async fn a_plugin_that_says_so_is_asked_for_its_lists_again() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut standalone = Events::of(gateway.events_request(&session, None)).await;
    let (mut listened, _) = listening(&gateway, "/mcp", &json!(1), all_lists()).await;
    let lists = async || {
        let mut lists = Vec::new();
        for (method, _) in LISTS {
            let legacy = gateway.legacy(Some(&session), rpc(1, method, json!({}))).await;
            lists.push((gateway.modern(Modern::new(method, json!({}))).await, legacy));
        }
        lists
    };
    for (tool, list) in TRIGGERS {
        let before = lists().await;
        trigger(&gateway, (tool, list)).await;
        assert_eq!(heard(&mut listened, &json!(1)).await, list_changed(list), "{tool}");
        let told = json!({ "jsonrpc": "2.0", "method": format!("notifications/{list}/list_changed") });
        assert_eq!(next(&mut standalone).await, told, "{tool}");
        for ((before, now), (method, member)) in before.iter().zip(lists().await).zip(LISTS) {
            for (before, now) in [(&before.0, &now.0), (&before.1, &now.1)] {
                // The component looks at the clock whenever it is asked: only this list was.
                assert_eq!(before.text != now.text, member == list, "{tool}: {method}");
                assert_eq!(steady(before, member), steady(now, member), "{tool}: {method}");
                assert!(!steady(now, member).is_empty(), "{method}");
            }
        }
    }
}

#[tokio::test]
async fn a_listener_hears_what_it_asked_for() {
    let gateway = with("").await;
    let wanted = json!({
        "toolsListChanged": false,
        "promptsListChanged": true,
        "resourceSubscriptions": [TEXT, "test://nothing", "", "test://template/1/2/data", OF_TEMPLATE],
        "somethingNew": true,
    });
    let rows = [
        (json!("L"), json!({ "toolsListChanged": true }), json!({ "toolsListChanged": true }), vec![list_changed("tools")]),
        (
            json!(7),
            json!({ "promptsListChanged": true, "resourcesListChanged": false }),
            json!({ "promptsListChanged": true }),
            vec![list_changed("prompts")],
        ),
        (
            json!(0),
            wanted,
            json!({ "promptsListChanged": true, "resourceSubscriptions": [TEXT, OF_TEMPLATE] }),
            vec![list_changed("prompts"), updated(TEXT), updated(OF_TEMPLATE)],
        ),
        (
            json!(""),
            json!({ "resourceSubscriptions": [TEXT, WATCHED] }),
            json!({ "resourceSubscriptions": [TEXT, WATCHED] }),
            vec![updated(TEXT), updated(WATCHED)],
        ),
    ];
    let mut listeners = Vec::new();
    for (id, wanted, acknowledged, hears) in rows {
        let (events, said) = listening(&gateway, "/mcp", &id, wanted).await;
        assert_eq!(said, acknowledged, "{id}");
        listeners.push((id, events, hears));
    }
    let (mut all, said) = listening(&gateway, "/mcp", &json!("7"), all_lists()).await;
    assert_eq!(said, all_lists());
    // One that hears of nothing, because nothing of what it asks for is there, is a listener all the same.
    let (silent, said) = listening(&gateway, "/mcp", &json!("none"), json!({ "resourceSubscriptions": ["test://nothing"] })).await;
    assert_eq!(said, json!({}));
    for round in 0..2 {
        trigger_each(&gateway, &mut all, &json!("7")).await;
        for uri in [TEXT, WATCHED, OF_TEMPLATE, "test://static-binary", "test://nothing"] {
            touch(&gateway, TOUCH, uri).await;
        }
        for (id, events, hears) in &mut listeners {
            for expected in hears.iter() {
                assert_eq!(&heard(events, id).await, expected, "{id} in round {round}");
            }
        }
    }
    // Nothing else comes until the end, which says what it is the end of.
    gateway.terminate();
    let cancelled = async |events: &mut Events, id: &Value| {
        let last_words = events.next().await.expect("a word").message();
        assert_eq!((&last_words["method"], &last_words["params"]["requestId"]), (&json!("notifications/cancelled"), id));
    };
    for (id, mut events, _) in listeners {
        cancelled(&mut events, &id).await;
        let end = events.next().await.expect("an end").message();
        assert_eq!((&end["id"], &end["result"]["resultType"], &end["result"]["_meta"][SUBSCRIPTION]), (&id, &json!("complete"), &id));
        assert_eq!(events.next().await, None);
    }
    for (mut events, id) in [(all, "7"), (silent, "none")] {
        cancelled(&mut events, &json!(id)).await;
        assert_eq!(events.next().await.expect("an end").message()["id"], id);
    }
}

#[tokio::test]
async fn a_component_that_comes_or_goes_changes_all_its_lists() {
    let gateway = with(SERVERS).await;
    let session = gateway.session("2025-11-25").await;
    let mut standalone = Events::of(gateway.events_request(&session, None)).await;
    let (mut listened, _) = listening(&gateway, "/mcp", &json!(1), all_lists()).await;
    let wanted = json!({ "promptsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": [TEXT] });
    let (mut elsewhere, said) = listening(&gateway, "/servers/some/mcp", &json!(2), wanted.clone()).await;
    assert_eq!(said, wanted);
    subscribe(&gateway, &session, WATCHED).await;
    let mut told = async |what: &str| {
        for list in ["tools", "prompts", "resources"] {
            assert_eq!(heard(&mut listened, &json!(1)).await, list_changed(list), "{what}");
            assert_eq!(next(&mut standalone).await["method"], format!("notifications/{list}/list_changed"), "{what}");
        }
    };
    let read = async |uri: &str| gateway.modern(Modern::new("resources/read", json!({ "uri": uri }))).await;
    let get = async |name: &str| gateway.modern(Modern::new("prompts/get", json!({ "name": name }))).await;
    gateway.drop_in("twin", &reworded(&TWIN));
    told("it came").await;
    // Whoever was told finds it there.
    for (method, member, name, item) in [
        ("resources/list", "resources", "uri", "twin://static-text"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", "twin://template/{id}/data"),
        ("prompts/list", "prompts", "name", "twin_simple_prompt"),
    ] {
        let shown = gateway.modern(Modern::new(method, json!({}))).await;
        assert!(shown.result()[member].as_array().expect("a list").iter().any(|shown| shown[name] == item), "{item}: {shown:?}");
    }
    gateway.take_out("twin");
    told("it went").await;
    assert_eq!((read("twin://static-text").await.code(), get("twin_simple_prompt").await.code()), (-32602, -32602));
    gateway.take_out("conformance-server");
    told("all went").await;
    assert_eq!((read(TEXT).await.code(), get("test_simple_prompt").await.code()), (-32602, -32602));
    for (method, member) in &LISTS[1..] {
        assert_eq!(gateway.modern(Modern::new(method, json!({}))).await.result()[*member], json!([]), "{method}: empty, and there");
    }
    gateway.drop_in("conformance-server", &fs::read(fixture("conformance-server")).expect("read"));
    told("it is back").await;
    // A subscription is to an address, whoever has it.
    touch(&gateway, TOUCH, WATCHED).await;
    assert_eq!(next(&mut standalone).await["params"], json!({ "uri": WATCHED }));
    // The twin was never shown there; the other one went and came back.
    for expected in ["prompts", "resources", "prompts", "resources"].map(list_changed) {
        assert_eq!(heard(&mut elsewhere, &json!(2)).await, expected);
    }
    touch(&gateway, TOUCH, TEXT).await;
    assert_eq!(heard(&mut elsewhere, &json!(2)).await, updated(TEXT));
}

#[tokio::test]
async fn what_is_offered_is_announced() {
    let gateway = with(SERVERS).await;
    let (changes, watched) = (json!({ "listChanged": true }), json!({ "listChanged": true, "subscribe": true }));
    let everything = ["tools", "resources", "prompts"];
    for (path, offered) in [
        ("/mcp", &everything[..]),
        ("/servers/some/mcp", &everything),
        ("/servers/tools-only/mcp", &["tools"]),
        ("/servers/prompts-only/mcp", &["prompts"]),
    ] {
        let mut expected = json!({ "logging": {} });
        for kind in offered {
            expected[*kind] = if *kind == "resources" { watched.clone() } else { changes.clone() };
        }
        if offered != ["tools"] {
            expected["completions"] = json!({});
        }
        let initialize = rpc(1, "initialize", initialize_params("2025-11-25"));
        let answer = Answer::of(legacy_at(&gateway, path, None, &initialize)).await;
        assert_eq!(answer.result()["capabilities"], expected, "{path}");
        expected["extensions"] = json!({ "io.modelcontextprotocol/tasks": {} });
        let answer = gateway.modern(Modern::new("server/discover", json!({})).path(path)).await;
        assert_eq!(answer.result()["capabilities"], expected, "{path}");
    }
}

#[tokio::test]
async fn a_server_of_one_kind_has_no_other_methods_and_hears_of_nothing_else() {
    let gateway = with(SERVERS).await;
    let reference = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
    let rows = [
        ("tools/list", json!({}), &["tools"][..]),
        ("tools/call", call_params("test_simple_text", json!({})), &["tools"]),
        ("resources/list", json!({}), &["resources"]),
        ("resources/templates/list", json!({}), &["resources"]),
        ("resources/read", json!({ "uri": TEXT }), &["resources"]),
        ("resources/subscribe", json!({ "uri": TEXT }), &["resources"]),
        ("resources/unsubscribe", json!({ "uri": TEXT }), &["resources"]),
        ("prompts/list", json!({}), &["prompts"]),
        ("prompts/get", json!({ "name": "test_simple_prompt" }), &["prompts"]),
        ("completion/complete", json!({ "ref": reference, "argument": { "name": "arg1", "value": "" } }), &["resources", "prompts"]),
    ];
    let mut wanted = all_lists();
    wanted["resourceSubscriptions"] = json!([TEXT]);
    for kind in ["tools", "prompts"] {
        let path = &*format!("/servers/{kind}-only/mcp");
        let session = gateway.session_at(path, "2025-11-25").await;
        for (method, params, kinds) in &rows {
            let modern = gateway.modern(Modern::new(method, params.clone()).path(path)).await;
            let legacy = Answer::of(legacy_at(&gateway, path, Some(&session), &rpc(1, method, params.clone()))).await;
            let missing = !kinds.contains(&kind);
            for (answer, status) in [(modern, if missing { 404 } else { 200 }), (legacy, 200)] {
                let code = answer.message()["error"]["code"].as_i64();
                assert_eq!((answer.status, code), (status, missing.then_some(-32601)), "{kind}: {method}: {answer:?}");
                assert_eq!(answer.message()["id"], 1, "{method}");
            }
        }
        let mut standalone = stream_at(&gateway, path, &session).await;
        let (mut listened, said) = listening(&gateway, path, &json!(kind), wanted.clone()).await;
        assert_eq!(said, json!({ format!("{kind}ListChanged"): true }), "the rest can never come");
        let (mut all, _) = listening(&gateway, "/mcp", &json!(1), all_lists()).await;
        for round in 0..2 {
            touch(&gateway, TOUCH, TEXT).await;
            trigger_each(&gateway, &mut all, &json!(1)).await;
            assert_eq!(heard(&mut listened, &json!(kind)).await, list_changed(kind), "{round}");
            assert_eq!(next(&mut standalone).await["method"], format!("notifications/{kind}/list_changed"), "{round}");
        }
    }
}

/// It shows what its patterns cover; what they do not is answered like what is nowhere.
#[tokio::test]
async fn a_server_shows_its_selection_and_nothing_else() {
    let gateway = with(SERVERS).await;
    let path = "/servers/some/mcp";
    let session = gateway.session_at(path, "2025-11-25").await;
    let both = async |method: &str, params: Value| {
        let modern = gateway.modern(Modern::new(method, params.clone()).path(path)).await;
        [modern, Answer::of(legacy_at(&gateway, path, Some(&session), &rpc(1, method, params))).await]
    };
    let selection = [
        ("tools/list", "tools", "name", vec![TOUCH]),
        ("resources/list", "resources", "uri", vec![TEXT, "test://static-binary"]),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", vec![]),
        ("prompts/list", "prompts", "name", vec!["test_simple_prompt"]),
    ];
    for (method, member, name, expected) in selection {
        for answer in both(method, json!({})).await {
            let items = answer.result()[member].as_array().expect("a list").iter();
            assert_eq!(items.map(|item| item[name].as_str().expect("a name")).collect::<Vec<_>>(), expected, "{method}");
        }
    }
    for (method, params) in [
        ("resources/read", json!({ "uri": TEXT })),
        ("resources/read", json!({ "uri": "test://static-binary" })),
        ("prompts/get", json!({ "name": "test_simple_prompt" })),
    ] {
        for answer in both(method, params).await {
            answer.result();
        }
    }
    let hidden = [
        ("resources/read", "uri", WATCHED, "test://nothing"),
        ("resources/read", "uri", OF_TEMPLATE, "test://nothing"),
        ("resources/read", "uri", "ui://conformance/board", "test://nothing"),
        ("prompts/get", "name", "test_prompt_with_image", "nothing"),
        ("tools/call", "name", "test_simple_text", "nothing"),
        ("tools/call", "name", "echo", "nothing"),
    ];
    for (method, member, name, nowhere) in hidden {
        let (hidden, unknown) = (both(method, json!({ member: name })).await, both(method, json!({ member: nowhere })).await);
        for (hidden, unknown) in hidden.iter().zip(&unknown) {
            assert_eq!((hidden.status, hidden.text.replace(name, nowhere)), (unknown.status, unknown.text.clone()), "{method} {name}");
            assert!(hidden.message().get("error").is_some(), "{hidden:?}");
        }
    }
    // What changes elsewhere is nothing that it shows.
    let mut wanted = all_lists();
    wanted["resourceSubscriptions"] = json!([TEXT, WATCHED]);
    let (mut listened, said) = listening(&gateway, path, &json!("s"), wanted).await;
    assert_eq!(said["resourceSubscriptions"], json!([TEXT]));
    let mut standalone = stream_at(&gateway, path, &session).await;
    let subscribe = rpc(1, "resources/subscribe", json!({ "uri": TEXT }));
    assert_eq!(Answer::of(legacy_at(&gateway, path, Some(&session), &subscribe)).await.result(), &json!({}));
    let (mut here, _) = listening(&gateway, "/mcp", &json!("h"), all_lists()).await;
    trigger_each(&gateway, &mut here, &json!("h")).await;
    touch(&gateway, TOUCH, WATCHED).await;
    touch(&gateway, TOUCH, TEXT).await;
    assert_eq!(heard(&mut listened, &json!("s")).await, updated(TEXT));
    assert_eq!(next(&mut standalone).await["params"], json!({ "uri": TEXT }));
}

/// By the selection of a server, and by the scopes that a tool demands.
#[tokio::test]
async fn tools_are_for_those_who_may_call_them() {
    let gateway = with(SERVERS).await;
    let mut component = fs::read(fixture("described")).expect("the fixture");
    let at = component.windows(12).position(|window| window == b"[{\"DESCRIBED").expect("the marker");
    let tools = json!([{ "name": "for_all" }, { "name": "for_some", "scopes": ["files:read"] }]).to_string();
    component[at..at + 4096].fill(b' ');
    component[at..at + tools.len()].copy_from_slice(tools.as_bytes());
    gateway.drop_in("described", &component);
    let there = async || gateway.tools().await.contains(&"for_all".to_owned()).then_some(());
    eventually("it serves", Duration::from_secs(20), there).await;
    assert_eq!(gateway.call("for_all", json!({})).await.tool_text(), "for_all");
    for (path, hidden) in
        [("/mcp", "for_some"), ("/servers/one/mcp", "for_all"), ("/servers/one/mcp", "hash"), ("/servers/one/mcp", "for_some")]
    {
        let session = gateway.session_at(path, "2025-11-25").await;
        for (method, params, member) in [("tools/list", json!({}), "result"), ("tools/call", call_params(hidden, json!({})), "error")] {
            let modern = gateway.modern(Modern::new(method, params.clone()).path(path)).await;
            for answer in [modern, Answer::of(legacy_at(&gateway, path, Some(&session), &rpc(1, method, params))).await] {
                match &answer.message()[member] {
                    Value::Null => panic!("{answer:?}"),
                    list if member == "result" => assert!(!list.to_string().contains(hidden), "{path} {hidden}: {answer:?}"),
                    error => assert_eq!((&error["code"], &error["message"]), (&json!(-32602), &json!(format!("Unknown tool: {hidden}")))),
                }
            }
        }
    }
    let one = gateway.modern(Modern::new("tools/list", json!({})).path("/servers/one/mcp")).await;
    assert_eq!(one.result()["tools"].as_array().map(Vec::len), Some(1), "{one:?}");
}

/// Two plugins, and each says that a resource of the other changed.
#[tokio::test]
async fn no_plugin_speaks_for_a_resource_of_another_one() {
    let gateway = with("").await;
    gateway.drop_in("twin", &reworded(&TWIN));
    let there = async || gateway.tools().await.contains(&"twin_touch_resource".to_owned()).then_some(());
    eventually("both serve", Duration::from_secs(20), there).await;
    let session = gateway.session("2025-11-25").await;
    let mut events = Events::of(gateway.events_request(&session, None)).await;
    let uris = [WATCHED, TEXT, OF_TEMPLATE, "twin://watched-resource", "twin://template/7/data"];
    for uri in uris {
        subscribe(&gateway, &session, uri).await;
    }
    let (mut listened, said) = listening(&gateway, "/mcp", &json!(1), json!({ "resourceSubscriptions": uris })).await;
    assert_eq!(said, json!({ "resourceSubscriptions": uris }));
    for (foreign, tool, own) in [
        (WATCHED, "twin_touch_resource", "twin://watched-resource"),
        (OF_TEMPLATE, "twin_touch_resource", "twin://template/7/data"),
        ("twin://watched-resource", TOUCH, TEXT),
        ("twin://template/7/data", TOUCH, OF_TEMPLATE),
    ] {
        touch(&gateway, tool, foreign).await;
        touch(&gateway, tool, own).await;
        assert_eq!(next(&mut events).await["params"], json!({ "uri": own }), "{tool} says that {foreign} changed");
        assert_eq!(heard(&mut listened, &json!(1)).await, updated(own), "{tool} says that {foreign} changed");
    }
}

fn call(tool: &str, token: Option<&str>, level: Option<&str>) -> Modern {
    Modern::call(tool, json!({})).body(|body| {
        let meta = &mut body["params"]["_meta"];
        token.iter().for_each(|token| meta["progressToken"] = (*token).into());
        level.iter().for_each(|level| meta[LOG_LEVEL] = (*level).into());
    })
}

#[tokio::test]
async fn calls_at_once_have_their_own_notifications_only() {
    let gateway = with("").await;
    let (mut listened, _) = listening(&gateway, "/mcp", &json!("L"), all_lists()).await;
    let (progress, logging) = ("test_tool_with_progress", "test_tool_with_logging");
    let rows = [
        (call(progress, Some("a"), None), 3, "a"),
        (call(progress, Some("b"), Some("debug")), 3, "b"),
        (call(progress, None, Some("debug")), 0, ""),
        (call(logging, Some("c"), Some("info")), 3, "info"),
        (call(logging, None, Some("debug")), 3, "info"),
        (call(logging, Some("d"), Some("warning")), 0, ""),
        (call(logging, Some("e"), None), 0, ""),
    ];
    let answers = futures_util::future::join_all(rows.iter().map(|(request, ..)| gateway.modern(request.clone()))).await;
    for (answer, (request, count, of)) in answers.iter().zip(&rows) {
        assert_eq!(answer.notifications().len(), *count, "{}: {answer:?}", request.body);
        let own = |told: &Value| match told["method"].as_str() {
            Some("notifications/progress") => told["params"]["progressToken"] == *of,
            Some("notifications/message") => told["params"]["level"] == *of,
            _ => false,
        };
        assert!(answer.notifications().iter().all(own), "{}: {answer:?}", request.body);
        answer.result();
    }

    let session = gateway.session("2025-11-25").await;
    let mut standalone = Events::of(gateway.events_request(&session, None)).await;
    gateway.legacy(Some(&session), rpc(0, "logging/setLevel", json!({ "level": "info" }))).await.result();
    let calls = [("x", progress), ("y", progress), ("z", logging)].map(|(token, tool)| {
        let mut call = rpc(token, "tools/call", call_params(tool, json!({})));
        call["params"]["_meta"]["progressToken"] = token.into();
        gateway.legacy(Some(&session), call)
    });
    let answers = futures_util::future::join_all(calls).await;
    for (answer, token) in answers.iter().zip(["x", "y", "z"]) {
        assert_eq!(answer.message()["id"], token);
        let of: Vec<_> = answer.notifications().iter().map(|told| told["params"]["progressToken"].as_str().unwrap_or("z")).collect();
        assert_eq!(of, [token; 3], "{answer:?}");
    }
    trigger(&gateway, TRIGGERS[0]).await;
    assert_eq!(heard(&mut listened, &json!("L")).await, list_changed("tools"), "and nothing of a call before it");
    assert_eq!(next(&mut standalone).await["method"], "notifications/tools/list_changed", "nor there");
}

/// Byte for byte the same, on a connection that was used for much and on one that is new.
#[tokio::test]
async fn lists_are_the_same_on_each_connection() {
    let gateway = with("").await;
    let (mut listened, _) = listening(&gateway, "/mcp", &json!(1), all_lists()).await;
    gateway.call("test_simple_text", json!({})).await.result();
    gateway.modern(Modern::new("prompts/get", json!({ "name": "test_simple_prompt" }))).await.result();
    gateway.modern(Modern::new("resources/read", json!({ "uri": TEXT }))).await.result();
    assert_eq!(gateway.call("test_error_handling", json!({})).await.result()["isError"], true);
    let (used, new) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    subscribe(&gateway, &used, TEXT).await;
    touch(&gateway, TOUCH, TEXT).await;
    for (method, _) in LISTS {
        let other = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = Modern::new(method, json!({}));
        let fresh = RequestBuilder::from_parts(other, request.build(&gateway).build().expect("a request"));
        assert_eq!(gateway.modern(request).await.text, Answer::of(fresh).await.text, "{method} in {MODERN}");
        let list = rpc(1, method, json!({}));
        assert_eq!(gateway.legacy(Some(&used), list.clone()).await.text, gateway.legacy(Some(&new), list).await.text, "{method}");
    }
    trigger(&gateway, TRIGGERS[0]).await;
    assert_eq!(heard(&mut listened, &json!(1)).await, list_changed("tools"), "until they are others for all");
}
