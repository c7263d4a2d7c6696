//! The cases of group N, "tenants and virtual servers", by the shipped binary. N01's answers are in `tenants`, its times here; N06 waits for
//! a store of keys and values, N08 and N09 for rates.

use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::{Answer, Modern, Setup, call_params, eventually, fixture, rpc, turn};
use futures_util::StreamExt as _;
use gatehouse_forge::with;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn echo(path: &str) -> Modern {
    Modern::call("echo", json!({ "message": "hello" })).path(path)
}

/// A house whose tenants share a plugin that misbehaves.
async fn sharing(settings: (&str, &str, &str)) -> House {
    House::of(Setup { plugins: vec!["text-toolbox", "handbook"], fixtures: vec!["misbehave"], ..Setup::default() }, &[], settings).await
}

/// N01: somebody else's server takes as long as nobody's. Times say more of the machine than of the gateway, so that what is asserted is
/// only what no machine explains.
#[tokio::test]
async fn a_foreign_server_takes_as_long_as_none() {
    const ROUNDS: usize = 500;
    let servers = "[servers.umbrella-one]\ntenant = \"umbrella\"\ntools = [\"echo\"]\n";
    let house = House::with(&[], ("", "", servers)).await;
    let paths = ["/servers/umbrella-one/mcp", "/servers/nothing-here/mcp"];
    let tokens = paths.map(|path| house.token(ADA, path));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // In turns, and each as often first as second.
        for which in [round % 2, 1 - round % 2] {
            let request = echo(paths[which]).header("authorization", format!("Bearer {}", tokens[which])).build(&house.gateway);
            let began = Instant::now();
            let answer = request.send().await.expect("an answer");
            times[which].push(began.elapsed());
            assert_eq!(answer.status(), 404);
            answer.bytes().await.expect("whole");
        }
    }
    let [theirs, none] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!("N01: the median of {ROUNDS} is {theirs:?} for another tenant's server and {none:?} for nobody's");
    let apart = theirs.abs_diff(none);
    assert!(apart < theirs.min(none) + Duration::from_millis(5), "{theirs:?} and {none:?}");
}

/// N02: a thousand calls at once, all with one id and one progress token; each hears its own words, and nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_of_one_id_are_a_thousand_answers() {
    let _turn = turn().await;
    const CALLS: usize = 1_000;
    let limits = "[limits]\nconnections_per_address_max = 4000\ncalls_per_tenant_max = 1000\ncall_queue_timeout_ms = 60000\ncall_queue_max = 1000\n\
         calls_computing_per_core_max = 1000\n";
    let house = House::with(&[], ("", "", &format!("{limits}{NO_RATES}"))).await;
    let tokens = [house.token(ADA, "/mcp"), house.token(OTHER_ADA, "/mcp")];
    let calls = (0..CALLS).map(async |at| {
        let who = at % 2;
        let word = format!("WORD-{who}-{at}-END");
        let mut request = Modern::call_with_progress("slow_count", json!({ "message": word, "n": 3, "interval_ms": 1 }));
        request.body["params"]["_meta"]["progressToken"] = "same".into();
        request.body["id"] = "same".into();
        let answer = house.gateway.modern(request.header("authorization", format!("Bearer {}", tokens[who]))).await;
        assert_eq!((answer.status, answer.tool_text(), &answer.message()["id"]), (200, word.as_str(), &json!("same")), "{answer:?}");
        let others = answer.text.match_indices("WORD-").filter(|(place, _)| !answer.text[*place..].starts_with(&word)).count();
        assert_eq!(others, 0, "{answer:?}");
        let progress: Vec<_> =
            answer.notifications().iter().map(|said| (&said["params"]["progressToken"], &said["params"]["progress"])).collect();
        assert!(progress.iter().all(|(token, _)| **token == json!("same")), "{progress:?}");
        let steps: Vec<_> = progress.iter().filter_map(|(_, step)| step.as_f64()).collect();
        assert!(steps.len() <= 3 && steps.is_sorted_by(|one, next| one < next), "nobody else's are among them: {steps:?}");
        steps.len()
    });
    let heard: usize = futures_util::stream::iter(calls).buffer_unordered(CALLS).fold(0, async |sum, steps| sum + steps).await;
    println!("N02: {CALLS} calls at once, {heard} reports of progress, none crossed");
    assert!(heard > CALLS, "{heard} reports");
}

/// N04: what a tool keeps is gone with its call, for the next tenant and for the same one.
#[tokio::test]
async fn a_tool_remembers_nothing() {
    let house = sharing(("", "", "")).await;
    let remember = |text: &str| Modern::call("remember", json!({ "text": text }));
    for round in 0..20 {
        for who in [ADA, OTHER_ADA, ADA] {
            let said = house.asks(who, remember(&format!("{}'s word", who.0))).await;
            assert_eq!(said.tool_text(), "", "{who:?} in round {round}");
        }
    }
    let session = house.session(OTHER_ADA, "/mcp").await;
    let call = rpc(1, "tools/call", call_params("remember", json!({ "text": "x" })));
    assert_eq!(Answer::of(house.legacy(OTHER_ADA, "POST", "/mcp", Some(&session), Some(&call))).await.tool_text(), "");
}

/// N07: what a policy leaves of a list is for one caller, and whoever keeps it on the way must know.
#[tokio::test]
async fn what_depends_on_the_caller_is_private() {
    let policy = |name: &str, hidden: &str| {
        format!("[policies.{name}]\nfile = \"{}\"\n[policies.{name}.settings]\nhide = [\"{hidden}\"]\n", fixture("verdict").display())
    };
    let servers = "[servers.one]\ntools = [\"*\"]\nresources = [\"*\"]\nprompts = [\"*\"]\n";
    let more = policy("a", "echo") + &policy("u", "hash") + servers;
    let house = sharing(("policies = [\"a\"]", "policies = [\"u\"]", &more)).await;
    let methods = [
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("server/discover", json!({})),
        ("resources/read", json!({ "uri": "handbook:///welcome" })),
    ];
    for path in ["/mcp", "/servers/one/mcp"] {
        for (method, params) in &methods {
            for who in [ADA, OTHER_ADA] {
                let answer = decided(&house, who, Modern::new(method, params.clone()).path(path)).await;
                let result = answer.result();
                assert_eq!(result["cacheScope"], "private", "{method} at {path}: {result}");
                assert!(result["ttlMs"].as_u64().is_some(), "{method} at {path}: a whole number that is not negative: {result}");
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} at {path}");
            }
        }
        // And it does depend on the caller.
        let list = async |who: Who| decided(&house, who, Modern::new("tools/list", json!({})).path(path)).await.result()["tools"].clone();
        let (acme, umbrella) = (list(ADA).await, list(OTHER_ADA).await);
        let has = |tools: &Value, name: &str| tools.as_array().expect("a list").iter().any(|tool| tool["name"] == name);
        assert!(!has(&acme, "echo") && has(&acme, "hash") && has(&umbrella, "echo") && !has(&umbrella, "hash"), "{acme:?} {umbrella:?}");
    }
}

/// Asks as a client does: a policy that got no answer ready, because the machine is busy with other tests, is asked again.
async fn decided(house: &House, who: Who, request: Modern) -> Answer {
    let answered = async || Some(house.asks(who, request.clone()).await).filter(|answer| answer.status != 503);
    eventually("the policy answers", Duration::from_secs(20), answered).await
}

/// Headers by which other gateways were told who calls, or where to go on.
const TELLING: [&str; 15] = [
    "x-upstream-authorization",
    "x-tenant",
    "x-tenant-id",
    "x-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-remote-user",
    "proxy-authorization",
    "mcp-init-host",
    "router-key",
    "x-api-key",
    "x-original-url",
    "cookie",
];

/// N10: who calls is said by the token, and a component sees no header.
#[tokio::test]
async fn headers_that_tell_who_calls_tell_nothing() {
    let house = sharing(("", "", "[servers.umbrella-one]\ntenant = \"umbrella\"\ntools = [\"echo\"]\n")).await;
    let told = |request: Modern, value: &str| TELLING.iter().fold(request, |request, name| request.header(name, value));
    let calls = [Modern::call("caller", json!({})), Modern::call("env", json!({})), Modern::new("tools/list", json!({}))];
    // One token for both, as every token is another one.
    let token = house.token(ADA, "/mcp");
    let asks = async |request: Modern| house.gateway.modern(request.header("authorization", format!("Bearer {token}"))).await;
    for call in calls {
        let without = asks(call.clone()).await;
        for value in ["umbrella", "CANARY-HEADER", "/servers/umbrella-one/mcp"] {
            let with = asks(told(call.clone(), value)).await;
            assert_eq!((with.status, &with.text), (200, &without.text), "{value}");
            assert!(!with.text.contains("CANARY"), "{with:?}");
        }
    }
    let known = asks(told(Modern::call("caller", json!({})), "umbrella")).await;
    assert_eq!(known.result()["structuredContent"]["tenant"], "acme", "{known:?}");
    // They are no token, and open nobody else's server.
    let bare = house.gateway.modern(told(echo("/mcp"), &format!("Bearer {token}"))).await;
    assert_eq!(bare.status, 401, "{bare:?}");
    let path = "/servers/umbrella-one/mcp";
    assert_eq!(house.asks(ADA, told(echo(path), "umbrella")).await.status, 404);
    // In the handshake era neither, where a session is.
    let session = house.session(ADA, "/mcp").await;
    let call = rpc(1, "tools/call", call_params("caller", json!({})));
    let legacy = TELLING
        .iter()
        .fold(house.legacy(ADA, "POST", "/mcp", Some(&session), Some(&call)), |request, name| request.header(*name, "CANARY-HEADER"));
    let answer = Answer::of(legacy).await;
    assert_eq!((&answer.result()["structuredContent"]["tenant"], answer.text.contains("CANARY")), (&json!("acme"), false), "{answer:?}");
    assert!(!house.gateway.log().contains("CANARY"), "{}", house.gateway.log());
}

/// N12: a token for one server of a tenant is none for another of the same tenant, in both eras and with every verb.
#[tokio::test]
async fn a_token_for_one_server_is_none_for_the_next() {
    let house =
        House::with(&[], ("", "", "[servers.s1]\ntenant = \"acme\"\ntools = [\"*\"]\n[servers.s2]\ntenant = \"acme\"\ntools = [\"*\"]\n"))
            .await;
    let paths = ["/mcp", "/servers/s1/mcp", "/servers/s2/mcp"];
    let challenge = |path: &str| {
        format!("Bearer resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource{path}\", error=\"invalid_token\"")
    };
    for made_for in paths {
        let token = house.token(ADA, made_for);
        for path in paths {
            let session = house.session(ADA, path).await;
            let url = format!("{}{path}", house.gateway.origin);
            let mut answers = vec![house.gateway.modern(echo(path).header("authorization", format!("Bearer {token}"))).await];
            for verb in ["POST", "GET", "DELETE"] {
                if made_for == path && verb != "POST" {
                    continue;
                }
                let request = house.gateway.client.request(verb.parse().expect("a method"), &url).header("mcp-session-id", &session);
                let request = request.header("accept", "application/json, text/event-stream").header("content-type", "application/json");
                answers.push(Answer::of(request.bearer_auth(&token).body(rpc(1, "ping", json!({})).to_string())).await);
            }
            for answer in answers {
                if made_for == path {
                    assert_eq!(answer.status, 200, "{path}: {answer:?}");
                } else {
                    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(&*challenge(path))), "{made_for} at {path}");
                }
            }
        }
    }
}

/// A tenant is what the issuer says it is: no member of the token of another name, and nothing that a request says of itself.
#[tokio::test]
async fn only_the_claim_of_the_settings_says_whose_a_token_is() {
    let house = sharing(("", "", "")).await;
    let claims =
        with(&House::claims(Who("acme", "ada"), "/mcp"), &json!({ "tenant": "umbrella", "Org": "umbrella", "orgs": ["umbrella"] }));
    let token = house.signer.token(&claims);
    let request = Modern::call("caller", json!({})).body(|body| {
        body["params"]["_meta"]["tenant"] = "umbrella".into();
        body["params"]["_meta"]["org"] = "umbrella".into();
    });
    let known = house.gateway.modern(request.header("authorization", format!("Bearer {token}"))).await;
    assert_eq!(known.result()["structuredContent"]["tenant"], Value::from("acme"), "{known:?}");
}
