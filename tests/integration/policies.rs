//! Policies as components: what they hide is not there, what they forbid is refused, and whatever is no answer is a no.

use super::command::Place;
use super::tokens::Trusting;
use crate::harness::{Answer, Events, Gateway, Modern, Setup, call_params, eventually, fixture, policy, rpc, turn};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// A gateway whose policies are the fixture with these settings, by name, and attached where `attached` says.
async fn with(attached: &str, policies: &[(&str, &str)]) -> Gateway {
    let file = fixture("verdict");
    let sections = policies.iter().map(|(name, settings)| format!("[policies.{name}]\nfile = \"{}\"\n{settings}\n", file.display()));
    let settings = format!("{attached}\n{}", sections.collect::<String>());
    Gateway::with(Setup { plugins: vec!["text-toolbox", "handbook"], settings, ..Setup::default() }).await
}

async fn everywhere(settings: &str) -> Gateway {
    with("[gateway]\npolicies = [\"one\"]", &[("one", &format!("[policies.one.settings]\n{settings}"))]).await
}

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

async fn names(gateway: &Gateway, path: &str) -> Vec<String> {
    let answer = gateway.modern(Modern::new("tools/list", json!({})).path(path)).await;
    answer.result()["tools"].as_array().expect("a list").iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

/// P11. Byte by byte the answer for a tool that is not there.
#[tokio::test]
async fn what_a_policy_hides_is_not_there() {
    let gateway = everywhere("hide = [\"echo\", \"handbook:///welcome\", \"explain\"]\nabstain = [\"hash\"]").await;
    let shown = names(&gateway, "/mcp").await;
    assert!(
        !shown.contains(&"echo".to_owned()) && !shown.contains(&"hash".to_owned()) && shown.contains(&"base64".to_owned()),
        "{shown:?}"
    );
    let unknown = |answer: &Answer, from: &str| (answer.status, answer.text.replace(from, "NAME"));
    let nothing = unknown(&gateway.modern(Modern::call("nothing", json!({}))).await, "nothing");
    assert_eq!(nothing.0, 200);
    assert_eq!(unknown(&gateway.modern(echo()).await, "echo"), nothing);
    assert_eq!(unknown(&gateway.modern(Modern::call("hash", json!({}))).await, "hash"), nothing, "where all abstain the answer is no");

    let session = gateway.session("2025-11-25").await;
    let legacy = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("echo", json!({ "message": "x" })))).await;
    assert_eq!((legacy.status, legacy.code()), (200, -32602));
    let list = async |method: &str, member: &str| gateway.modern(Modern::new(method, json!({}))).await.result()[member].clone();
    assert_eq!(list("resources/list", "resources").await, json!([]));
    assert_eq!(list("prompts/list", "prompts").await, json!([]));
    let read = gateway.modern(Modern::new("resources/read", json!({ "uri": "handbook:///welcome" }))).await;
    assert_eq!((read.code(), &read.error()["data"]["uri"]), (-32602, &json!("handbook:///welcome")));
    assert_eq!(gateway.modern(Modern::new("prompts/get", json!({ "name": "explain" }))).await.code(), -32602);
    let watch = gateway.legacy(Some(&session), rpc(2, "resources/subscribe", json!({ "uri": "handbook:///welcome" }))).await;
    assert_eq!(watch.code(), -32002);
}

/// P08. It is shown, and not to be used.
#[tokio::test]
async fn what_a_policy_forbids_is_refused() {
    let gateway = everywhere("forbid = [\"echo\", \"handbook:///leave\", \"explain\"]\nforbid_argument = \"secret\"").await;
    assert!(names(&gateway, "/mcp").await.contains(&"echo".to_owned()));
    let forbidden = gateway.modern(echo()).await;
    assert_eq!((forbidden.status, forbidden.code(), &forbidden.error()["data"]["kind"]), (403, -31006, &json!("policy_denied")));
    assert_eq!(
        gateway.modern(Modern::new("prompts/get", json!({ "name": "explain", "arguments": { "page": "leave" } }))).await.code(),
        -31006
    );
    // Of a family one may be forbidden, by the address that the client names.
    let read = async |uri: &str| gateway.modern(Modern::new("resources/read", json!({ "uri": uri }))).await;
    assert_eq!((read("handbook:///leave").await.code(), read("handbook:///welcome").await.status), (-31006, 200));
    let stats = |text: &str| Modern::call("word_stats", json!({ "text": text }));
    assert_eq!((gateway.modern(stats("a secret")).await.code(), gateway.modern(stats("open")).await.status), (-31006, 200));

    let session = gateway.session("2025-11-25").await;
    let legacy = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("echo", json!({ "message": "x" })))).await;
    assert_eq!((legacy.status, legacy.code()), (403, -31006));
    let wanted = json!({ "resourceSubscriptions": ["handbook:///leave", "handbook:///welcome"] });
    let listen = Modern::new("subscriptions/listen", json!({ "notifications": wanted }));
    let mut events = Events::of(listen.build(&gateway)).await;
    let acknowledged = events.next().await.expect("an acknowledgement").message();
    assert_eq!(acknowledged["params"]["notifications"], json!({ "resourceSubscriptions": ["handbook:///welcome"] }));
}

/// Where an action is for more than one kind of thing, a policy can tell them apart; and it sees what is being completed.
#[tokio::test]
async fn kinds_of_things_are_told_apart() {
    let pairs = "[[\"list-resources\", \"resource-template\"], [\"complete\", \"prompt\"]]";
    let gateway = everywhere(&format!("deny = {pairs}\nforbid_argument = \"secr\"")).await;
    let list = async |method: &str, member: &str| gateway.modern(Modern::new(method, json!({}))).await.result()[member].clone();
    assert_eq!(list("resources/list", "resources").await.as_array().map(Vec::len), Some(1));
    assert_eq!(list("resources/templates/list", "resourceTemplates").await, json!([]));
    let read = async |uri: &str| gateway.modern(Modern::new("resources/read", json!({ "uri": uri }))).await;
    assert_eq!(read("handbook:///welcome").await.status, 200, "it is listed itself");
    assert_eq!(read("handbook:///leave").await.code(), -32602, "it is there by the template alone");
    let complete = async |gateway: &Gateway, of: Value, value: &str| {
        let argument = json!({ "name": "page", "value": value });
        gateway.modern(Modern::new("completion/complete", json!({ "ref": of, "argument": argument }))).await
    };
    let prompt = json!({ "type": "ref/prompt", "name": "explain" });
    assert_eq!(complete(&gateway, prompt.clone(), "we").await.code(), -31006);

    let gateway = everywhere("deny = [[\"complete\", \"prompt\"]]\nforbid_argument = \"secr\"").await;
    let template = json!({ "type": "ref/resource", "uri": "handbook:///{page}" });
    assert_eq!(complete(&gateway, prompt, "we").await.code(), -31006);
    assert_eq!(complete(&gateway, template.clone(), "we").await.result()["completion"]["values"], json!(["welcome"]));
    assert_eq!(complete(&gateway, template, "secret").await.code(), -31006);
}

/// P01: closed, whatever goes wrong with it, and soon.
#[tokio::test]
async fn a_policy_that_fails_has_said_no() {
    for how in ["trap", "loop", "short", "memory"] {
        let gateway = everywhere(&format!("fail = \"{how}\"")).await;
        for request in [echo(), Modern::new("tools/list", json!({})), Modern::new("prompts/get", json!({ "name": "explain" }))] {
            let answer = gateway.modern(request).await;
            assert_eq!((answer.status, answer.code()), (503, -31010), "{how}: {answer:?}");
            assert!(answer.header("retry-after").is_some(), "{how}");
        }
        assert_eq!(gateway.modern(Modern::new("server/discover", json!({}))).await.status, 200, "{how}");
    }
}

/// P05, and a policy on trial, and one of a single server.
#[tokio::test]
async fn policies_are_heard_together() {
    let denies = "[policies.denies.settings]\nforbid = [\"echo\"]";
    let allows = "[policies.allows.settings]\n";
    for order in ["\"denies\", \"allows\"", "\"allows\", \"denies\""] {
        let gateway = with(&format!("[gateway]\npolicies = [{order}]"), &[("denies", denies), ("allows", allows)]).await;
        assert_eq!(
            (gateway.modern(echo()).await.code(), gateway.modern(Modern::call("hash", json!({}))).await.status),
            (-31006, 200),
            "{order}"
        );
    }
    // One that is only on trial counts for nothing, not even where it fails.
    let trial = [
        ("trial", "mode = \"dry-run\"\n[policies.trial.settings]\nforbid = [\"echo\"]"),
        ("broken", "mode = \"dry-run\"\n[policies.broken.settings]\nfail = \"trap\""),
        ("allows", allows),
    ];
    let gateway = with("[gateway]\npolicies = [\"trial\", \"broken\", \"allows\"]", &trial).await;
    assert_eq!(gateway.modern(echo()).await.tool_text(), "hello");
    // Where there are only such, nobody says who may: that is as if there were none.
    for (required, status) in [("", 200), ("require_policy = true\n", 503)] {
        let gateway = with(&format!("[gateway]\n{required}policies = [\"trial\", \"broken\"]"), &trial).await;
        assert_eq!(gateway.modern(echo()).await.status, status, "{required}");
    }

    let servers = "[servers.strict]\ntools = [\"*\"]\npolicies = [\"denies\"]\n[servers.open]\ntools = [\"*\"]";
    let gateway = with(servers, &[("denies", denies)]).await;
    let status = async |path: &str| gateway.modern(echo().path(path)).await.status;
    assert_eq!((status("/mcp").await, status("/servers/open/mcp").await, status("/servers/strict/mcp").await), (200, 200, 403));
}

/// What asks in the middle is asked about again, with what it was begun with.
#[tokio::test]
async fn each_round_of_a_dialog_is_decided() {
    let file = fixture("verdict");
    let settings = format!(
        "[gateway]\npolicies = [\"one\"]\n[policies.one]\nfile = \"{}\"\n[policies.one.settings]\nforbid = [\"spin\"]\n",
        file.display()
    );
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], settings, ..Setup::default() }).await;
    let capable = |body: &mut Value| body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
    let asked = gateway.modern(Modern::call("ask", json!({})).body(capable)).await.result().clone();
    let answer = json!({ "user_name": { "action": "accept", "content": { "name": "Ada" } } });
    let again = Modern::call("ask", json!({})).body(capable).body(|body| {
        body["params"]["inputResponses"] = answer.clone();
        body["params"]["requestState"] = asked["requestState"].clone();
    });
    assert_eq!(gateway.modern(again).await.result()["structuredContent"]["answers"], answer);
    let session = gateway.session("2025-11-25").await;
    let refused = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("spin", json!({})))).await;
    assert_eq!((refused.status, refused.code()), (403, -31006));
}

/// A gateway that cannot ask must not serve. Each reason names the policy, and the exit code is that of wrong settings.
#[test]
fn a_policy_that_cannot_be_asked_keeps_the_gateway_from_starting() {
    let verdict = fixture("verdict").display().to_string();
    let tool = fixture("mirrored").display().to_string();
    let cases = [
        (format!("file = \"{verdict}\"\n[policies.p.settings]\nrefuse = \"no such list\""), "it refuses its settings: no such list"),
        ("file = \"/\"".to_owned(), "it cannot be read: Is a directory"),
        (format!("file = \"{tool}\""), "it exports no `authenticator`, `authorizer` or `call-filter`"),
        (format!("file = {:?}", fixture("outdated")), "its functions do not have the types of the contract"),
        ("mode = \"enforce\"".to_owned(), "policies.p.file: must name the policy's component"),
        (format!("file = \"{verdict}\"\nmode = \"maybe\""), "policies.p.mode: must be \"enforce\" or \"dry-run\""),
    ];
    for (section, reason) in cases {
        let place = Place::new();
        std::fs::write(place.path().join("gatehouse.toml"), format!("[gateway]\npolicies = [\"p\"]\n[policies.p]\n{section}\n"))
            .expect("written");
        let plugins = place.plugins();
        let ran = place.run(&["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text")]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{reason}: {ran:?}");
    }
    let place = Place::new();
    std::fs::write(place.path().join("gatehouse.toml"), "[gateway]\npolicies = [\"q\"]\n").expect("written");
    let ran = place.run(&["check"]);
    assert!(ran.code == 78 && ran.err.contains("gateway.policies: there is no section [policies.q]"), "{ran:?}");
}

async fn readiness(gateway: &Gateway) -> (u16, Value) {
    let answer = Answer::of(gateway.client.get(format!("{}/readyz", gateway.origin))).await;
    (answer.status, answer.messages[0].clone())
}

/// P02: a policy whose component is not there has nothing to say, and that is no. It is waited for.
#[tokio::test]
async fn a_policy_that_is_not_there_has_said_no() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("policy.wasm");
    let section = format!("[policies.p]\nfile = {file:?}\n[policies.p.settings]\nhide = [\"hash\"]\n");
    let settings = format!("[gateway]\nrequire_policy = true\npolicies = [\"p\"]\n{section}");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox", "handbook"], settings, ..Setup::default() }).await;
    let requests = [
        echo(),
        Modern::new("tools/list", json!({})),
        Modern::new("resources/list", json!({})),
        Modern::new("resources/read", json!({ "uri": "handbook:///welcome" })),
        Modern::new("prompts/get", json!({ "name": "explain", "arguments": { "page": "leave" } })),
    ];
    let refused = async || {
        let (status, told) = readiness(&gateway).await;
        assert_eq!((status, &told["ready"], &told["policies_missing"]), (503, &json!(false), &json!(1)));
        for request in requests.clone() {
            let answer = gateway.modern(request).await;
            assert_eq!((answer.status, answer.code()), (503, -31010), "{answer:?}");
        }
        let session = gateway.session("2025-11-25").await;
        assert_eq!(gateway.legacy(Some(&session), rpc(1, "tools/list", json!({}))).await.code(), -31010);
    };
    refused().await;
    let told = async || gateway.log().contains("a policy's component is not there").then_some(());
    eventually("the reason", SOON, told).await;
    let is_ready = async |wanted: u16| {
        eventually("readiness", SOON, async || (readiness(&gateway).await.0 == wanted).then_some(())).await;
    };
    fs::copy(fixture("verdict"), &file).expect("copied");
    is_ready(200).await;
    assert_eq!(gateway.modern(echo()).await.tool_text(), "hello");
    assert!(!names(&gateway, "/mcp").await.contains(&"hash".to_owned()));
    // P03: broken, the last good one goes on; removed, nothing does; and then it is there again.
    fs::write(&file, b"\0asm, or not").expect("written");
    let told = async || gateway.log().contains("the settings were not taken").then_some(());
    eventually("the reason", SOON, told).await;
    assert_eq!(readiness(&gateway).await.0, 200);
    assert!(gateway.modern(echo()).await.status == 200 && !names(&gateway, "/mcp").await.contains(&"hash".to_owned()));
    fs::remove_file(&file).expect("it was there");
    is_ready(503).await;
    refused().await;
    fs::copy(fixture("verdict"), &file).expect("copied");
    is_ready(200).await;
    assert_eq!(gateway.modern(echo()).await.tool_text(), "hello");
}

/// Only where it is attached, and only where it counts.
#[tokio::test]
async fn a_policy_that_is_not_there_closes_what_it_is_attached_to() {
    let missing = "[policies.p]\nfile = \"missing.wasm\"\n";
    let servers = "[servers.strict]\ntools = [\"*\"]\npolicies = [\"p\"]\n[servers.open]\ntools = [\"*\"]\n";
    let status = async |gateway: &Gateway, path: &str| gateway.modern(echo().path(path)).await.status;
    let gateway = with(&format!("{missing}{servers}"), &[]).await;
    assert_eq!((status(&gateway, "/servers/open/mcp").await, status(&gateway, "/servers/strict/mcp").await), (200, 503));
    assert_eq!(readiness(&gateway).await.0, 503);
    let gateway = with(&format!("{missing}mode = \"dry-run\"\n{servers}"), &[]).await;
    assert_eq!((status(&gateway, "/servers/strict/mcp").await, readiness(&gateway).await.0), (200, 200));
    // None is named at all, and one is wanted.
    let gateway = with("[gateway]\nrequire_policy = true", &[]).await;
    assert_eq!((status(&gateway, "/mcp").await, readiness(&gateway).await.0), (503, 503));

    let place = Place::new();
    fs::write(place.path().join("gatehouse.toml"), format!("[gateway]\npolicies = [\"p\"]\n{missing}")).expect("written");
    let plugins = place.plugins();
    let ran = place.run(&["check", "--plugins", plugins.to_str().expect("text")]);
    assert!(ran.code == 1 && ran.out.contains("policy     p: its component is not there"), "{ran:?}");
}

/// A gateway that is full of tools which compute for long still decides, and in time: what waits for a decision would otherwise be refused
/// without a fault of anybody's. Once by processors that are taken, once by places that are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_do_not_stand_behind_calls() {
    let _turn = turn().await;
    const BUSY: usize = 48;
    let file = fixture("verdict");
    for places in [BUSY + 16, BUSY] {
        let settings = format!(
            "[limits]\ncalls_in_flight_max = {places}\ncalls_per_tenant_max = {BUSY}\ncall_queue_timeout_ms = 0\n\
             call_cpu_time_ms = 300000\ncall_wall_time_ms = 300000\n[servers.judged]\ntools = [\"*\"]\npolicies = [\"p\"]\n\
             [policies.p]\nfile = \"{}\"\n[policies.p.settings]\nwork = 4_000_000\nhide = [\"hash\"]\n",
            file.display()
        );
        let setup = Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings };
        let gateway = Gateway::with(setup).await;
        // One that came while an echo had the last slot comes again.
        let spinning = || {
            let request = Modern::call("spin", json!({})).build(&gateway);
            tokio::spawn(async move {
                while let Some(again) = request.try_clone() {
                    let status = again.send().await.map_or(0, |answer| answer.status().as_u16());
                    if ![429, 503].contains(&status) {
                        break;
                    }
                }
            })
        };
        let _busy: Vec<_> = (0..BUSY).map(|_| spinning()).collect();
        let full = async || {
            let code = gateway.modern(echo()).await.message()["error"]["code"].as_i64();
            matches!(code, Some(-31_004 | -31_005)).then_some(())
        };
        eventually("every slot is taken", SOON, full).await;
        for round in 0..20 {
            let answer = gateway.modern(Modern::new("tools/list", json!({})).path("/servers/judged/mcp")).await;
            let tools = answer.message()["result"]["tools"].as_array().map(Vec::len);
            assert!(answer.status == 200 && tools.is_some_and(|count| count > 3), "{places} places, round {round}: {answer:?}");
            assert!(!answer.text.contains("\"hash\""), "it is the policy that answers");
        }
    }
}

/// How often a policy was asked and how often what it had said was taken, by the log, once it tells of so many decisions.
async fn decided(gateway: &Gateway, decisions: usize) -> (usize, usize) {
    eventually("the lines", SOON, async || {
        let log = gateway.log();
        let count = |kept: &str| log.lines().filter(|line| line.contains("a policy decided") && line.contains(kept)).count();
        let (asked, kept) = (count("kept=false"), count("kept=true"));
        (asked + kept >= decisions).then_some((asked, kept))
    })
    .await
}

/// P09: what a policy said is kept for the very same question, and a token with less in it asks another one.
#[tokio::test]
async fn decisions_are_kept_for_the_same_question_only() {
    let settings = |scope: &str, more: &str| {
        format!(
            "[log]\nfilter = \"gatehouse=debug\"\n[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {:?}\n[policies.p.settings]\n\
             rules = [{{ scopes = [\"{scope}\"], tools = [\"*\"] }}]\n{more}",
            policy("scopes").display().to_string()
        )
    };
    let trusting = Trusting::with_plugins(vec!["text-toolbox"], &settings("read", "")).await;
    let reader = trusting.token_with("ada", &json!({ "scope": "read" }));
    let echoes = async |token: &str, message: &str| trusting.asks(Modern::call("echo", json!({ "message": message })), token).await;
    assert_eq!(echoes(&reader, "a").await.tool_text(), "a");
    assert_eq!(decided(&trusting.gateway, 2).await, (2, 0), "whether it is there, and whether it may be called");
    for _ in 0..5 {
        assert_eq!(echoes(&reader, "a").await.tool_text(), "a");
    }
    let (asked, kept) = decided(&trusting.gateway, 12).await;
    assert!(kept > 0 && asked + kept == 12, "{asked} and {kept}");
    // Other arguments are another question, of which nobody knows whether the policy looks at them.
    assert_eq!(echoes(&reader, "b").await.tool_text(), "b");
    assert!(decided(&trusting.gateway, 14).await.0 > asked);
    // The same caller with less, and somebody else, at once.
    for token in [
        trusting.token_with("ada", &json!({ "scope": "other" })),
        trusting.token_with("ada", &json!({})),
        trusting.token_with("bob", &json!({ "scope": "other" })),
    ] {
        assert_eq!(echoes(&token, "a").await.code(), -32602);
        assert_eq!(echoes(&reader, "a").await.tool_text(), "a");
    }
}

/// P12: who is not known is not asked about, however often it comes.
#[tokio::test]
async fn a_policy_is_asked_of_known_callers_only() {
    let settings = format!(
        "[log]\nfilter = \"gatehouse=debug\"\n[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {:?}\n[policies.p.settings]\n",
        fixture("verdict").display().to_string()
    );
    let trusting = Trusting::with_plugins(vec!["text-toolbox"], &settings).await;
    for request in [echo(), Modern::new("tools/list", json!({}))].into_iter().cycle().take(50) {
        assert_eq!(trusting.gateway.modern(request.clone()).await.status, 401);
        assert_eq!(trusting.asks(request, "forged").await.status, 401);
    }
    assert_eq!(trusting.asks(echo(), &trusting.token_with("ada", &json!({}))).await.tool_text(), "hello");
    assert_eq!(decided(&trusting.gateway, 2).await, (2, 0));
}

/// Nothing is kept beyond a change of the rules, of what may hang on more than the question, of what was no answer, or where nothing is to be.
#[tokio::test]
async fn what_may_change_is_decided_anew() {
    let debug = "[log]\nfilter = \"gatehouse=debug\"\n[gateway]\npolicies = [\"p\"]\n";
    let scopes =
        |rules: &str| format!("{debug}[policies.p]\nfile = {:?}\n[policies.p.settings]\n{rules}\n", policy("scopes").display().to_string());
    let all = scopes("rules = [{ scopes = [], tools = [\"*\"] }]");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: all.clone(), ..Setup::default() }).await;
    for _ in 0..2 {
        assert_eq!(gateway.modern(echo()).await.status, 200);
    }
    gateway.set(&scopes("rules = [{ scopes = [\"more\"], tools = [\"*\"] }]"));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(gateway.modern(echo()).await.code(), -32602);
    let told = async || gateway.log().contains("policies are not asked any more").then_some(());
    eventually("the counts", SOON, told).await;

    let verdict = |settings: &str| {
        format!("{debug}[policies.p]\nfile = {:?}\n[policies.p.settings]\n{settings}\n", fixture("verdict").display().to_string())
    };
    let none = format!("{all}[limits]\npolicy_decisions_kept_max = 0\n");
    for (settings, status, decisions) in [(verdict("hide = [\"hash\"]"), 200, 6), (verdict("fail = \"trap\""), 503, 0), (none, 200, 6)] {
        let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
        for _ in 0..3 {
            assert_eq!(gateway.modern(echo()).await.status, status);
        }
        assert_eq!(decided(&gateway, decisions).await, (decisions, 0));
    }
}
