//! Tools that ask clients of the handshake era: the question comes on the call's stream, the answer in a request of its own.

use crate::harness::{Answer, Events, Gateway, Modern, Setup, call_params, eventually, initialize_params, messages, rpc};
use serde_json::{Value, json};
use std::time::Duration;

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave", "conformance-tasks"], settings: settings.to_owned() })
        .await
}

/// A session whose client can show forms to its user.
pub async fn session(gateway: &Gateway, revision: &str) -> String {
    let mut params = initialize_params(revision);
    params["capabilities"] = json!({ "elicitation": {} });
    let answer = gateway.legacy(None, rpc(0, "initialize", params)).await;
    answer.header("mcp-session-id").expect("a session").to_owned()
}

fn call(id: &str, tool: &str) -> Value {
    rpc(id, "tools/call", call_params(tool, json!({})))
}

/// The question that comes next.
pub async fn question_of(events: &mut Events) -> Value {
    loop {
        let event = events.next().await.expect("a question");
        if !event.is_priming() {
            assert!(event.id.is_some(), "it can be resumed before and after");
            return event.message();
        }
    }
}

pub async fn answer(gateway: &Gateway, session: &str, id: &Value, result: Value) -> Answer {
    gateway.legacy(Some(session), json!({ "jsonrpc": "2.0", "id": id, "result": result })).await
}

fn accepted() -> Value {
    json!({ "action": "accept", "content": { "name": "Alice" } })
}

#[tokio::test]
async fn a_question_is_answered_and_the_tool_goes_on() {
    let gateway = with("").await;
    for revision in ["2025-06-18", "2025-11-25"] {
        let session = session(&gateway, revision).await;
        let mut events = Events::of(gateway.legacy_request(Some(&session), &call("c", "ask"))).await;
        let asked = question_of(&mut events).await;
        assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!("What is your name?")));
        assert_eq!(asked["params"]["requestedSchema"]["required"], json!(["name"]));
        assert_eq!(asked["params"].get("mode").is_some(), revision == "2025-11-25", "modes came with 2025-11-25");
        let told = answer(&gateway, &session, &asked["id"], accepted()).await;
        assert_eq!((told.status, &*told.text), (202, ""), "{revision}");
        let end = messages(events).await.last().expect("an end").message();
        assert_eq!(end["result"]["structuredContent"], json!({ "answers": { "user_name": accepted() }, "state": "asked once" }));
        let late = answer(&gateway, &session, &asked["id"], accepted()).await;
        assert_eq!((late.status, late.code()), (400, -32600), "nobody waits any more");
    }
}

#[tokio::test]
async fn a_refusal_is_the_absence_of_an_answer() {
    let gateway = with("").await;
    let session = session(&gateway, "2025-11-25").await;
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call("c", "ask"))).await;
    let asked = question_of(&mut events).await;
    let error = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -1, "message": "no" } });
    assert_eq!(gateway.legacy(Some(&session), error).await.status, 202);
    assert_eq!(messages(events).await.last().expect("an end").message()["result"]["structuredContent"]["answers"], json!({}));
    // A tool that asks again and again comes to an end.
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call("m", "multi_input"))).await;
    let mut rounds = 0;
    let end = loop {
        let message = question_of(&mut events).await;
        if message.get("method").is_none() {
            break message;
        }
        rounds += 1;
        let error = json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": -1, "message": "no" } });
        assert_eq!(gateway.legacy(Some(&session), error).await.status, 202);
    };
    assert_eq!((rounds, &end["error"]["code"]), (16, &json!(-32603)), "two questions in each of eight rounds");
}

/// Two at once, answered in any order, and by nobody else.
#[tokio::test]
async fn answers_are_of_their_session() {
    let gateway = with("").await;
    let (mine, theirs) = (session(&gateway, "2025-11-25").await, session(&gateway, "2025-11-25").await);
    let mut events = Events::of(gateway.legacy_request(Some(&mine), &call("c", "multi_input"))).await;
    let asked = [question_of(&mut events).await, question_of(&mut events).await];
    for question in &asked {
        assert_eq!(answer(&gateway, &theirs, &question["id"], accepted()).await.status, 400, "a stranger's answer is none");
    }
    for (question, name) in asked.iter().zip(["one", "two"]) {
        let said = json!({ "action": "accept", "content": { "name": name } });
        assert_eq!(answer(&gateway, &mine, &question["id"], said).await.status, 202);
    }
    let end = messages(events).await.last().expect("an end").message();
    let text = end["result"]["content"][0]["text"].as_str().expect("a text").to_owned();
    assert!(text.find("one").expect("there") < text.find("two").expect("there"), "{text}");
}

#[tokio::test]
async fn a_call_that_waits_for_an_answer_can_end() {
    let mut gateway = with("[limits]\nanswer_timeout_s = 1\ncalls_in_flight_max = 1\n").await;
    let session = session(&gateway, "2025-11-25").await;
    // It holds no slot while its user thinks.
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call("slow", "ask"))).await;
    question_of(&mut events).await;
    assert_eq!(gateway.call("echo", json!({ "message": "meanwhile" })).await.tool_text(), "meanwhile");
    let end = messages(events).await.last().expect("an end").message();
    assert_eq!(
        (&end["error"]["code"], end["error"]["message"].as_str().is_some_and(|text| text.contains("no answer"))),
        (&json!(-32603), true)
    );

    let mut events = Events::of(gateway.legacy_request(Some(&session), &call("gone", "ask"))).await;
    question_of(&mut events).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "gone" } });
    assert_eq!(gateway.legacy(Some(&session), cancel).await.status, 202);
    assert_eq!(messages(events).await.last().expect("an end").message()["error"]["code"], -32800);

    // In one JSON body there is no place for a question; a client that cannot be asked is told so.
    // Twice: its id is free again at once.
    for _ in 0..2 {
        let json_only = gateway.client.post(gateway.url()).header("content-type", "application/json").header("accept", "application/json");
        let refused = Answer::of(json_only.header("mcp-session-id", &session).body(call("j", "ask").to_string())).await;
        assert_eq!((refused.status, refused.code()), (200, -32603));
    }
    let mute = gateway.session("2025-11-25").await;
    assert_eq!(gateway.legacy(Some(&mute), call("m", "ask")).await.code(), -32602);

    // A question that was open at a crash: its call is answered as one that ran, and its answer comes to nobody.
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call("lost", "ask"))).await;
    let first = events.next().await.expect("a first event");
    let asked = question_of(&mut events).await;
    gateway.restart().await;
    let end = messages(gateway.resume(&session, &first).await).await.last().expect("an end").message();
    assert_eq!((&end["id"], &end["error"]["code"]), (&json!("lost"), &json!(-31011)));
    let late = async || (answer(&gateway, &session, &asked["id"], accepted()).await.status == 400).then_some(());
    eventually("the answer is not expected", Duration::from_secs(5), late).await;
}

/// A page is asked for in each era's own way, and of those alone who can open one. Codes of the handshake era stay there.
#[tokio::test]
async fn a_page_is_asked_for() {
    let gateway = with("").await;
    let params = |capabilities: Value| {
        Modern::call("ask_page", json!({})).body(move |body| {
            body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
        })
    };
    let asked = gateway.modern(params(json!({ "elicitation": { "url": {} } }))).await;
    let question = &asked.result()["inputRequests"]["page"];
    let page = json!({ "mode": "url", "message": "Sign in.", "url": "https://example.com/sign-in" });
    assert_eq!((&question["method"], &question["params"]), (&json!("elicitation/create"), &page));
    for cannot in [json!({}), json!({ "elicitation": {} }), json!({ "elicitation": { "form": {} } })] {
        let refused = gateway.modern(params(cannot)).await;
        assert_eq!((refused.status, refused.code()), (400, -32021));
        assert_eq!(refused.error()["data"]["requiredCapabilities"], json!({ "elicitation": { "url": {} } }));
    }

    let mut params = initialize_params("2025-11-25");
    params["capabilities"] = json!({ "elicitation": { "url": {} } });
    let session = gateway.legacy(None, rpc(0, "initialize", params)).await.header("mcp-session-id").expect("a session").to_owned();
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call("p", "ask_page"))).await;
    let asked = question_of(&mut events).await;
    assert_eq!((&asked["params"]["mode"], &asked["params"]["url"]), (&page["mode"], &page["url"]));
    assert!(asked["params"]["elicitationId"].as_str().is_some_and(|id| id.len() == 32), "{asked}");
    assert_eq!(answer(&gateway, &session, &asked["id"], json!({ "action": "accept" })).await.status, 202);
    assert_eq!(messages(events).await.last().expect("an end").message()["result"]["content"][0]["text"], "The page was opened");
}

/// A client could not say which of them it answers.
#[tokio::test]
async fn questions_that_cannot_be_told_apart_are_not_asked() {
    let gateway = with("").await;
    let request = Modern::call("ask_twice", json!({}))
        .body(|body| body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "roots": {} }));
    assert_eq!(gateway.modern(request).await.code(), -31009);
}
