//! Prompts, and suggestions for their arguments and for those of resource templates.

use super::resources::{REVISIONS, accepted, again, next, ran, reworded, session_with_forms, with_forms};
use crate::harness::{Answer, Events, Gateway, MODERN, Modern, Setup, messages, rpc};
use serde_json::{Value, json};

/// Of one red pixel, as base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

const WITH_ARGUMENTS: &str = "test_prompt_with_arguments";
const TEMPLATE: &str = "test://template/{id}/data";

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { fixtures: vec!["conformance-server"], settings: settings.to_owned(), ..Setup::default() }).await
}

fn get(name: &str, arguments: Value) -> Modern {
    Modern::new("prompts/get", json!({ "name": name, "arguments": arguments }))
}

async fn legacy_get(gateway: &Gateway, session: &str, name: &str, arguments: Value) -> Answer {
    gateway.legacy(Some(session), rpc("p", "prompts/get", json!({ "name": name, "arguments": arguments }))).await
}

fn message_of(answer: &Answer) -> &str {
    answer.error()["message"].as_str().expect("a message")
}

#[tokio::test]
async fn a_list_says_which_arguments_there_are() {
    let gateway = with("").await;
    let argument = |name: &str| json!({ "name": name, "description": "A text.", "required": true });
    let expected = [
        json!({ "name": "test_simple_prompt", "description": "For the conformance suite." }),
        json!({ "name": WITH_ARGUMENTS, "description": "For the conformance suite.", "arguments": [argument("arg1"), argument("arg2")] }),
        json!({
            "name": "test_prompt_with_embedded_resource",
            "description": "For the conformance suite.",
            "arguments": [argument("resourceUri")],
        }),
        json!({ "name": "test_prompt_with_image", "description": "For the conformance suite." }),
        json!({ "name": "test_input_required_result_prompt", "description": "For the conformance suite." }),
    ];
    let check = |revision: &str, list: &Answer| {
        let prompts = list.result()["prompts"].as_array().expect("a list");
        let (dynamic, rest) = prompts.split_last().expect("some");
        assert_eq!((rest, &dynamic["name"]), (&expected[..], &json!("test_dynamic_prompt")), "{revision}");
        assert_eq!(list.result().get("cacheScope").is_some(), revision == MODERN, "{revision}");
    };
    check(MODERN, &gateway.modern(Modern::new("prompts/list", json!({}))).await);
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        check(revision, &gateway.legacy(Some(&session), rpc(1, "prompts/list", json!({}))).await);
    }
}

fn says(content: Value) -> Value {
    json!({ "role": "user", "content": content })
}

fn text(text: &str) -> Value {
    says(json!({ "type": "text", "text": text }))
}

#[tokio::test]
async fn prompts_become_messages() {
    let gateway = with("").await;
    let embedded = json!({ "uri": "test://embedded", "mimeType": "text/plain", "text": "Embedded resource content for testing." });
    let rows = [
        ("test_simple_prompt", json!({}), json!([text("This is a simple prompt for testing.")])),
        ("test_simple_prompt", Value::Null, json!([text("This is a simple prompt for testing.")])),
        (WITH_ARGUMENTS, json!({ "arg1": "one", "arg2": "" }), json!([text("Prompt with arguments: arg1='one', arg2=''")])),
        (
            "test_prompt_with_embedded_resource",
            json!({ "resourceUri": "test://embedded" }),
            json!([says(json!({ "type": "resource", "resource": embedded })), text("Please process the embedded resource above.")]),
        ),
        (
            "test_prompt_with_image",
            json!({}),
            json!([says(json!({ "type": "image", "data": PNG, "mimeType": "image/png" })), text("Please analyze the image above."),]),
        ),
    ];
    for (name, arguments, expected) in rows {
        let modern = gateway.modern(get(name, arguments.clone())).await;
        let result = modern.result();
        assert_eq!((modern.status, &result["messages"], &result["resultType"]), (200, &expected, &json!("complete")), "{name}");
        assert_eq!((result.get("ttlMs"), result.get("cacheScope")), (None, None), "what became of a prompt is for nobody to keep");
        for revision in REVISIONS {
            let session = gateway.session(revision).await;
            let legacy = legacy_get(&gateway, &session, name, arguments.clone()).await;
            assert_eq!((legacy.status, legacy.result()), (200, &json!({ "messages": expected })), "{name} at {revision}");
        }
    }
}

#[tokio::test]
async fn a_get_that_does_not_fit_is_refused_and_no_guest_runs() {
    let gateway = with("").await;
    let session = gateway.session("2025-06-18").await;
    let refused = async |name: &str, arguments: Value, says: &str| {
        let modern = gateway.modern(get(name, arguments.clone())).await;
        let legacy = legacy_get(&gateway, &session, name, arguments.clone()).await;
        for answer in [modern, legacy] {
            assert_eq!((answer.status, answer.code(), message_of(&answer)), (200, -32602, says), "{name} {arguments}");
        }
    };
    for (arguments, says) in [
        (json!({}), "The prompt needs the argument arg1"),
        (Value::Null, "The prompt needs the argument arg1"),
        (json!({ "arg2": "b" }), "The prompt needs the argument arg1"),
        (json!({ "arg1": "a" }), "The prompt needs the argument arg2"),
        (json!({ "arg1": "a", "Arg2": "b" }), "The prompt needs the argument arg2"),
        (json!({ "arg1": "a", "arg2": "b", "arg3": "c" }), "The prompt has no argument arg3"),
        (json!({ "arg1": "a", "arg2": "b", "": "c" }), "The prompt has no argument "),
        (json!({ "arg1": "a", "arg2": "b", "\u{1b}[31m": "c" }), "The prompt has no argument \\u{1b}[31m"),
    ] {
        refused(WITH_ARGUMENTS, arguments, says).await;
    }
    refused("test_simple_prompt", json!({ "arg1": "a" }), "The prompt has no argument arg1").await;
    let refusals = ran(&gateway, "test_simple_text").await;
    assert!(refusals.iter().all(|(.., outcome, reason)| outcome == "refused" && reason.as_deref() == Some("arguments")), "{refusals:?}");
    assert_eq!(refusals.len(), 18);

    for wrong in [json!({ "arg1": 1, "arg2": "b" }), json!({ "arg1": "a", "arg2": null }), json!({ "arg1": ["a"] }), json!({ "arg1": {} })]
    {
        refused(WITH_ARGUMENTS, wrong, "params.arguments must be an object of strings").await;
    }
    for wrong in [json!([]), json!("arg1"), json!(7)] {
        refused(WITH_ARGUMENTS, wrong, "params.arguments must be an object").await;
    }
    for (name, shown) in [("nothing", "nothing"), ("Test_simple_prompt", "Test_simple_prompt"), ("test_*", "test_*"), ("", "")] {
        refused(name, json!({}), &format!("Unknown prompt: {shown}")).await;
    }
    let long = gateway.modern(get(WITH_ARGUMENTS, json!({ "arg1": "a".repeat(1 << 20), "arg2": "b" }))).await;
    assert_eq!((long.status, long.code(), long.kind()), (400, -32600, "args_too_large"));
    let nameless = gateway.legacy(Some(&session), rpc(1, "prompts/get", json!({}))).await;
    assert_eq!((nameless.code(), message_of(&nameless)), (-32602, "params.name is missing"));
    assert_eq!(ran(&gateway, "test_image_content").await[19..], [], "nothing of this is even a refused call");
}

/// What comes out is what went in, and no more than that; a resource that has no address is no resource.
#[tokio::test]
async fn what_a_prompt_says_is_looked_at() {
    let gateway = with("").await;
    let hostile = "\u{0}\u{1b}[31m\r\n\r\ndata: {}\n\nevent: x\u{2028}\u{85}\u{7f}\\u0000 \"}]}} 😀 \u{fffd}";
    let arguments = json!({ "arg1": hostile, "arg2": "'" });
    // Without what nobody sees (R35).
    let shown = "\r\n\r\ndata: {}\n\nevent: x\u{2028}\\u0000 \"}]}} 😀 \u{fffd}";
    let expected = json!([text(&format!("Prompt with arguments: arg1='{shown}', arg2='''"))]);
    let modern = gateway.modern(get(WITH_ARGUMENTS, arguments.clone())).await;
    assert_eq!(modern.result()["messages"], expected);
    let streamed = gateway.modern(get(WITH_ARGUMENTS, arguments.clone()).instead("accept", "text/event-stream")).await;
    assert_eq!((streamed.is_stream(), streamed.messages.len(), &streamed.result()["messages"]), (true, 1, &expected));
    let session = gateway.session("2025-11-25").await;
    assert_eq!(legacy_get(&gateway, &session, WITH_ARGUMENTS, arguments).await.result()["messages"], expected);

    let embedding = "test_prompt_with_embedded_resource";
    for uri in ["", "no uri", "1x:y", "x:a b", "x:\u{e4}", "x:\n", "/a/b", ":x"] {
        let arguments = json!({ "resourceUri": uri });
        let legacy = legacy_get(&gateway, &session, embedding, arguments.clone()).await;
        for answer in [gateway.modern(get(embedding, arguments)).await, legacy] {
            assert_eq!((answer.status, answer.code(), answer.kind()), (200, -31009, "result_invalid"), "{uri}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_prompt_can_ask_first() {
    let gateway = with("").await;
    let asks = || with_forms(get("test_input_required_result_prompt", json!({})));
    let asked = gateway.modern(asks()).await;
    let (result, answers) = (asked.result(), json!({ "user_context": accepted() }));
    assert_eq!((&result["resultType"], result.get("messages")), (&json!("input_required"), None));
    assert_eq!(result["inputRequests"]["user_context"]["params"]["message"], "What is it about?");
    let expected = json!([text(&format!("With the context {}", accepted()))]);
    let told = gateway.modern(again(asks(), answers.clone(), &result["requestState"])).await;
    assert_eq!((&told.result()["resultType"], &told.result()["messages"]), (&json!("complete"), &expected));
    let another = with_forms(get("test_simple_prompt", json!({})));
    assert_eq!(gateway.modern(again(another, answers, &result["requestState"])).await.code(), -32602, "the state is another prompt's");
    let mute = gateway.modern(get("test_input_required_result_prompt", json!({}))).await;
    assert_eq!((mute.status, mute.code()), (400, -32021));

    for revision in ["2025-06-18", "2025-11-25"] {
        let session = session_with_forms(&gateway, revision).await;
        let request = rpc("p", "prompts/get", json!({ "name": "test_input_required_result_prompt" }));
        let mut events = Events::of(gateway.legacy_request(Some(&session), &request)).await;
        let asked = next(&mut events).await;
        assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!("What is it about?")));
        let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": accepted() });
        assert_eq!(gateway.legacy(Some(&session), answer).await.status, 202);
        let end = messages(events).await.last().expect("an end").message();
        assert_eq!((&end["id"], &end["result"]), (&json!("p"), &json!({ "messages": expected })), "{revision}");
    }
}

fn of_prompt(name: &str) -> Value {
    json!({ "type": "ref/prompt", "name": name })
}

fn of_template(uri: &str) -> Value {
    json!({ "type": "ref/resource", "uri": uri })
}

fn complete(reference: Value, argument: &str, value: &str) -> Value {
    json!({ "ref": reference, "argument": { "name": argument, "value": value } })
}

#[tokio::test]
async fn arguments_are_completed() {
    let gateway = with("").await;
    let numbers = |numbers: &mut dyn Iterator<Item = u32>| -> Vec<String> { numbers.map(|number| number.to_string()).collect() };
    let fourteen = numbers(&mut [14].into_iter().chain(140..150));
    let mut in_context = complete(of_prompt(WITH_ARGUMENTS), "arg2", "part");
    in_context["context"] = json!({ "arguments": { "arg1": "paris" } });
    let mut with_nothing = complete(of_template(TEMPLATE), "id", "149");
    with_nothing["context"] = json!({});
    let rows = [
        (complete(of_prompt(WITH_ARGUMENTS), "arg1", "par"), json!({ "values": ["paris", "park", "party"], "total": 3, "hasMore": false })),
        (complete(of_prompt(WITH_ARGUMENTS), "arg1", "Par"), json!({ "values": [], "total": 0, "hasMore": false })),
        (in_context, json!({ "values": ["party"], "total": 1, "hasMore": false })),
        (complete(of_template(TEMPLATE), "id", ""), json!({ "values": numbers(&mut (0..100)), "total": 150, "hasMore": true })),
        (complete(of_template(TEMPLATE), "id", "14"), json!({ "values": fourteen, "total": 11, "hasMore": false })),
        (with_nothing, json!({ "values": ["149"], "total": 1, "hasMore": false })),
    ];
    for (params, expected) in rows {
        let modern = gateway.modern(Modern::new("completion/complete", params.clone())).await;
        let result = modern.result();
        assert_eq!((modern.status, &result["completion"], &result["resultType"]), (200, &expected, &json!("complete")), "{params}");
        for revision in REVISIONS {
            let session = gateway.session(revision).await;
            let legacy = gateway.legacy(Some(&session), rpc(1, "completion/complete", params.clone())).await;
            assert_eq!((legacy.status, legacy.result()), (200, &json!({ "completion": expected })), "{params} at {revision}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_completed_is_refused_and_no_guest_runs() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let with = |member: &str, value: Value| {
        let mut params = complete(of_prompt(WITH_ARGUMENTS), "arg1", "p");
        params[member] = value;
        params
    };
    let (no_reference, no_argument) = ("params.ref must be", "params.argument must be");
    let rows = [
        (complete(of_prompt("nothing"), "arg1", "p"), "Unknown prompt: nothing"),
        (complete(of_prompt(WITH_ARGUMENTS), "arg3", "p"), "There is no argument arg3 to complete"),
        (complete(of_prompt(WITH_ARGUMENTS), "", "p"), "There is no argument  to complete"),
        (complete(of_prompt("test_simple_prompt"), "arg1", "p"), "There is no argument arg1 to complete"),
        (complete(of_template(TEMPLATE), "data", "1"), "There is no argument data to complete"),
        (json!({}), "params.ref is missing"),
        (with("ref", Value::Null), "params.ref is missing"),
        (with("ref", json!("ref/prompt")), "params.ref must be an object"),
        (with("ref", json!({ "type": "ref/prompt" })), no_reference),
        (with("ref", json!({ "type": "ref/tool", "name": WITH_ARGUMENTS })), no_reference),
        (with("ref", json!({ "type": "ref/prompt", "name": 7 })), no_reference),
        (with("ref", json!({ "type": "ref/resource", "name": TEMPLATE })), no_reference),
        (with("argument", Value::Null), "params.argument is missing"),
        (with("argument", json!([])), "params.argument must be an object"),
        (with("argument", json!({ "name": "arg1" })), no_argument),
        (with("argument", json!({ "name": "arg1", "value": 7 })), no_argument),
        (with("argument", json!({ "value": "p" })), no_argument),
        (with("context", json!("arg2")), "params.context must be an object"),
        (with("context", json!({ "arguments": [] })), "params.context.arguments must be an object of strings"),
        (with("context", json!({ "arguments": { "arg2": 7 } })), "params.context.arguments must be an object of strings"),
    ];
    for (params, says) in rows {
        let modern = gateway.modern(Modern::new("completion/complete", params.clone())).await;
        let legacy = gateway.legacy(Some(&session), rpc(1, "completion/complete", params.clone())).await;
        for answer in [modern, legacy] {
            assert_eq!((answer.status, answer.code()), (200, -32602), "{params}: {answer:?}");
            assert!(message_of(&answer).starts_with(says), "{params}: `{}` does not say `{says}`", message_of(&answer));
        }
    }
    for uri in ["test://nothing/{id}", "test://template/7/data", "test://static-text", ""] {
        let params = complete(of_template(uri), "id", "1");
        let answer = gateway.modern(Modern::new("completion/complete", params)).await;
        assert_eq!((answer.status, answer.code()), (200, -32602), "{uri}: {answer:?}");
    }
    let refusals = ran(&gateway, "test_simple_text").await;
    assert!(refusals.iter().all(|(.., outcome, reason)| outcome == "refused" && reason.as_deref() == Some("arguments")), "{refusals:?}");
    assert_eq!(refusals.len(), 8, "only arguments that are not there are looked for");
}

/// Suggestions are shown to those who see what they are for.
#[tokio::test]
async fn a_completion_tells_nothing_of_what_a_server_does_not_show() {
    let settings = "[servers.some]\nprompts = [\"test_simple*\", \"test_prompt_with_e*\"]\nresources = [\"test://static*\"]\n";
    let gateway = with(settings).await;
    let path = "/servers/some/mcp";
    let session = gateway.session_at(path, "2025-11-25").await;
    let here = async |params: &Value| gateway.modern(Modern::new("completion/complete", params.clone())).await;
    let there = async |params: &Value| {
        let body = rpc(1, "completion/complete", params.clone()).to_string();
        let post = gateway.client.post(format!("{}{path}", gateway.origin)).header("content-type", "application/json").body(body);
        let modern = gateway.modern(Modern::new("completion/complete", params.clone()).path(path)).await;
        [modern, Answer::of(post.header("mcp-session-id", &session)).await]
    };
    let shown = complete(of_prompt("test_prompt_with_embedded_resource"), "resourceUri", "pa");
    for answer in there(&shown).await {
        assert_eq!(answer.result()["completion"], here(&shown).await.result()["completion"]);
    }
    for (hidden, unknown) in [
        (complete(of_prompt(WITH_ARGUMENTS), "arg1", "pa"), complete(of_prompt("nothing"), "arg1", "pa")),
        (complete(of_template(TEMPLATE), "id", "1"), complete(of_template("test://nothing/{id}"), "id", "1")),
    ] {
        assert_ne!(here(&hidden).await.result()["completion"]["values"], json!([]));
        let words = |answer: &Answer| answer.text.replace(WITH_ARGUMENTS, "nothing").replace(TEMPLATE, "test://nothing/{id}");
        for (hidden, unknown) in there(&hidden).await.iter().zip(there(&unknown).await) {
            assert!(hidden.message().get("error").is_some(), "{hidden:?}");
            assert_eq!((hidden.status, words(hidden)), (200, words(&unknown)), "as if it were not there");
        }
    }
}

/// A component that has prompts and templates, and completes none of their arguments: its interface has another name.
#[tokio::test]
async fn a_plugin_need_not_suggest_anything() {
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], ..Setup::default() }).await;
    gateway.drop_in("mute", &reworded(&[("gatehouse:tool/completion@0.1.0", "gatehouse:tool/completing@0.1.0")]));
    let there = async || gateway.tools().await.contains(&"test_simple_text".to_owned()).then_some(());
    crate::harness::eventually("it serves", std::time::Duration::from_secs(20), there).await;
    let session = gateway.session("2025-11-25").await;
    let nothing = json!({ "values": [], "hasMore": false });
    for params in [complete(of_prompt(WITH_ARGUMENTS), "arg1", "pa"), complete(of_template(TEMPLATE), "id", "")] {
        assert_eq!(gateway.modern(Modern::new("completion/complete", params.clone())).await.result()["completion"], nothing);
        let legacy = gateway.legacy(Some(&session), rpc(1, "completion/complete", params)).await;
        assert_eq!(legacy.result(), &json!({ "completion": nothing }));
    }
    assert_eq!(ran(&gateway, "test_simple_text").await, [], "it has nothing to be asked");
    let unknown = gateway.modern(Modern::new("completion/complete", complete(of_prompt("nothing"), "arg1", "pa"))).await;
    assert_eq!(unknown.code(), -32602);
}

/// A template that is not there is a wrong parameter of a completion, in both eras.
#[tokio::test]
async fn a_template_that_is_not_there_is_a_wrong_parameter() {
    let gateway = with("").await;
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        for uri in ["test://nothing/{id}", "test://template/7/data", "test://static-text", ""] {
            let answer = gateway.legacy(Some(&session), rpc(1, "completion/complete", complete(of_template(uri), "id", "1"))).await;
            assert_eq!((answer.status, answer.code()), (200, -32602), "{revision} {uri}: {}", answer.text);
        }
    }
}

/// The plugin of the author's guide, as a client finds it: without a tool.
#[tokio::test]
async fn the_example_of_the_guide_can_be_read_and_used() {
    let gateway = Gateway::with(Setup { plugins: vec!["handbook"], ..Setup::default() }).await;
    let get = async |method: &str, params: Value| gateway.modern(Modern::new(method, params)).await.result().clone();
    assert_eq!(get("tools/list", json!({})).await["tools"], json!([]));
    assert_eq!(get("resources/list", json!({})).await["resources"][0]["title"], "The first day");
    assert_eq!(get("resources/templates/list", json!({})).await["resourceTemplates"][0]["uriTemplate"], "handbook:///{page}");
    for uri in ["handbook:///welcome", "handbook:///leave"] {
        let read = get("resources/read", json!({ "uri": uri })).await;
        assert_eq!((&read["contents"][0]["uri"], &read["ttlMs"]), (&json!(uri), &json!(60_000)));
    }
    let params = json!({ "name": "explain", "arguments": { "page": "leave" } });
    let messages = get("prompts/get", params).await["messages"].clone();
    assert_eq!(messages[1]["content"]["resource"]["text"], "Ask a week before.");
    let suggested = get("completion/complete", complete(of_prompt("explain"), "page", "l")).await;
    assert_eq!(suggested["completion"]["values"], json!(["leave"]));
}
