//! The audit log: each thing that somebody may have to answer for stands in the journal, once, with the true reason, and with nothing secret.

use super::admin::Administered;
use super::definitions::described;
use super::tenants::{ADA, House, OTHER_ADA, Who};
use super::tokens::Trusting;
use crate::harness::{Answer, Gateway, Modern, Setup, binary, eventually, fixture, rpc};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// What `gatehouse journal show` finds of a gateway, running or not.
pub(super) fn shown(gateway: &Gateway, filters: &[&str]) -> Vec<Value> {
    let mut command = Command::new(binary());
    command.args(["journal", "show", "--json"]).args(filters).arg("--data").arg(gateway.data());
    let text = String::from_utf8(command.output().expect("it runs").stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Events of a kind, once there are so many.
pub(super) async fn events(gateway: &Gateway, kind: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} of {kind}"), SOON, async || {
        let found = shown(gateway, &["--event", kind]);
        (found.len() >= count).then_some(found)
    })
    .await
}

/// The chain is whole; what the files hold, as text.
pub(super) fn whole(gateway: &Gateway) -> String {
    let output = Command::new(binary()).args(["journal", "verify"]).arg("--data").arg(gateway.data()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = fs::read_dir(gateway.data().join("journal")).expect("a journal");
    files.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text")).collect()
}

/// How many of each reason, lines that stand for many counted so.
pub(super) fn by_reason(events: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(event["reason"].as_str().unwrap_or_default().to_owned()).or_default() += event["count"].as_u64().unwrap_or(1);
    }
    counts
}

fn members<'e>(event: &'e Value, names: &[&str]) -> Vec<&'e Value> {
    names.iter().map(|name| &event[*name]).collect()
}

fn tag(session: &str) -> String {
    Sha256::digest(session).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[tokio::test]
async fn who_is_not_let_in_is_named_by_address_and_true_reason() {
    let more = "[limits]\nauth_failures_per_minute_max = 5\n[servers.one]\ntools = [\"echo\"]\n";
    let trusting = Trusting::with(more).await;
    let forged = trusting.token_with("ada", &json!({ "exp": 1 }));
    let mut statuses = Vec::new();
    for (path, token) in [
        ("/servers/one/mcp", Some(&*forged)),
        ("/servers/a-name-that-a-client-made-up/mcp", Some("CANARY-TOKEN-x1")),
        ("/mcp", None),
        ("/mcp", Some("gh_nothing")),
        ("/mcp", Some("CANARY-TOKEN-x2")),
        ("/mcp", Some("CANARY-TOKEN-x3")),
        ("/mcp", Some("CANARY-TOKEN-x4")),
        ("/mcp", Some("CANARY-TOKEN-x5")),
    ] {
        let request =
            token.into_iter().fold(echo().path(path), |request, token| request.header("authorization", format!("Bearer {token}")));
        statuses.push(trusting.gateway.modern(request).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
    let (code, said) = trusting.gateway.command(&["revoke", "tenant", "default"]).await;
    assert_eq!(code, 0, "{said}");
    let good = trusting.token_with("ada", &json!({}));
    assert_eq!(trusting.asks(echo(), &good).await.status, 403);

    let denied = events(&trusting.gateway, "auth.denied", 9).await;
    let expected = [("expired", 1), ("key_shape", 1), ("no_token", 1), ("parts", 5), ("revoked", 1)];
    assert_eq!(by_reason(&denied), counts(&expected), "{denied:?}");
    assert!(denied.iter().all(|event| event["address"] == "127.0.0.1" && event["principal"] == Value::Null), "{denied:?}");
    let servers: Vec<_> = denied.iter().filter_map(|event| event["server"].as_str()).collect();
    assert_eq!(servers, ["one"], "a server that there is, and no words of a client's");
    let locked = events(&trusting.gateway, "auth.locked_out", 1).await;
    assert_eq!((locked.len(), members(&locked[0], &["address", "reason"])), (1, vec![&json!("127.0.0.1"), &json!("too_many")]));
    assert_eq!(shown(&trusting.gateway, &["--event", "auth", "--address", "127.0.0.1"]).len(), 10);
    assert!(shown(&trusting.gateway, &["--event", "auth", "--address", "127.0.0.2"]).is_empty());
    assert_eq!(shown(&trusting.gateway, &["--calls"]), [] as [Value; 0], "none of them reached a call");
    let text = whole(&trusting.gateway);
    let parts = forged.split('.').chain(good.split('.')).chain(["CANARY", "made-up"]);
    parts.for_each(|secret| assert!(!text.contains(secret), "{secret} in {text}"));
}

/// S03: what the stranger sees is what everybody sees who names no session, and the journal says who it was.
#[tokio::test]
async fn somebody_elses_session_is_told_and_never_named() {
    let house = House::with(&[], ("", "", "[servers.one]\ntenant = \"acme\"\ntools = [\"echo\"]\n")).await;
    let eve = Who("acme", "eve");
    let session = house.session(ADA, "/mcp").await;
    let mut strangers = Vec::new();
    for (who, path, verb) in [
        (eve, "/mcp", "POST"),
        (eve, "/mcp", "GET"),
        (eve, "/mcp", "DELETE"),
        (OTHER_ADA, "/mcp", "POST"),
        (ADA, "/servers/one/mcp", "POST"),
    ] {
        let body = rpc(1, "ping", json!({}));
        let body = (verb == "POST").then_some(&body);
        let (theirs, none) = (Some(&*session), Some("0123456789abcdef0123456789abcdef"));
        let [answer, unknown] = [theirs, none].map(|session| house.legacy(who, verb, path, session, body));
        let (answer, unknown) = (Answer::of(answer).await, Answer::of(unknown).await);
        assert_eq!((answer.status, &answer.text), (404, &unknown.text), "{who:?} {verb}");
        strangers.push((who.0, format!("https://login.example {}", who.1)));
    }
    assert_eq!(Answer::of(house.legacy(ADA, "POST", "/mcp", Some(&session), Some(&rpc(1, "ping", json!({}))))).await.status, 200);
    let found = events(&house.gateway, "session.owner_mismatch", 5).await;
    let told: Vec<_> =
        found.iter().map(|event| (event["tenant"].as_str().expect("one"), event["principal"].as_str().expect("one"))).collect();
    assert_eq!(told, strangers.iter().map(|(tenant, principal)| (*tenant, principal.as_str())).collect::<Vec<_>>());
    assert_eq!(by_reason(&found), counts(&[("owner", 4), ("server", 1)]));
    assert!(found.iter().all(|event| event["target"] == tag(&session)), "{found:?}");

    // Its life: begun once, ended once, and of another one that a revocation ends.
    let delete = house.legacy(ADA, "DELETE", "/mcp", Some(&session), None);
    assert_eq!(Answer::of(delete).await.status, 204);
    let other = house.session(eve, "/mcp").await;
    let (code, said) = house.gateway.command(&["revoke", "principal", "https://login.example", "eve"]).await;
    assert_eq!(code, 0, "{said}");
    let ended = events(&house.gateway, "session.ended", 2).await;
    let told: Vec<_> = ended.iter().map(|event| (event["target"].clone(), event["reason"].clone())).collect();
    assert_eq!(told, [(json!(tag(&session)), json!("deleted")), (json!(tag(&other)), json!("barred"))]);
    let created = events(&house.gateway, "session.created", 2).await;
    assert_eq!(created.iter().map(|event| event["target"].clone()).collect::<Vec<_>>(), [tag(&session), tag(&other)]);
    assert_eq!(shown(&house.gateway, &["--event", "session", "--tenant", "umbrella"]).len(), 1);
    assert_eq!(shown(&house.gateway, &["--principal", "https://login.example eve"]).len(), 5);
    let text = whole(&house.gateway);
    assert!(!text.contains(&session) && !text.contains(&other), "no session's name is written: {text}");
}

/// E02: an id of another session's event.
#[tokio::test]
async fn an_event_id_that_is_not_ones_own_is_told() {
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-11-25").await;
    let answer = Answer::of(gateway.events_request(&session, Some("AAAA-not-of-this-session"))).await;
    assert_eq!((answer.status, answer.code()), (400, -31012));
    let found = events(&gateway, "stream", 1).await;
    assert_eq!((found.len(), members(&found[0], &["event", "tenant"])), (1, vec![&json!("stream.bad_event_id"), &json!("default")]));
    assert!(!whole(&gateway).contains("AAAA"));
}

#[tokio::test]
async fn quotas_and_policies_are_told_and_denials_of_calls_are_not_told_twice() {
    let more = format!(
        "[quotas.principal]\ncalls_per_second_max = 1\ncalls_burst_max = 4\n[gateway]\npolicies = [\"p\"]\n\
         [policies.p]\nfile = \"{}\"\n[policies.p.settings]\nhide = [\"hash\"]\nforbid = [\"base64\"]\n",
        fixture("verdict").display()
    );
    let house = House::with(&[], ("", "", &more)).await;
    assert_eq!(house.asks(ADA, Modern::call("hash", json!({ "text": "x" }))).await.code(), -32602);
    assert_eq!(house.asks(ADA, Modern::call("base64", json!({ "text": "x" }))).await.status, 403);
    let mut refused = 0;
    for _ in 0..40 {
        refused += u64::from(house.asks(OTHER_ADA, echo()).await.status == 429);
    }
    assert!(refused >= 20, "{refused}");
    let hidden = events(&house.gateway, "policy", 1).await;
    assert_eq!(hidden.len(), 1, "the other one has a line of a call: {hidden:?}");
    let names = ["event", "tenant", "principal", "target", "reason"];
    let wanted = ["policy.denied", "acme", "https://login.example ada", "hash", "hidden"];
    assert_eq!(members(&hidden[0], &names), wanted.map(|text| json!(text)).iter().collect::<Vec<_>>());
    let calls = shown(&house.gateway, &["--tool", "base64"]);
    assert_eq!((calls.len(), members(&calls[0], &["outcome", "reason"])), (1, vec![&json!("refused"), &json!("policy_denied")]));
    let hits = eventually("all refusals", SOON, async || {
        let hits = shown(&house.gateway, &["--event", "quota.hit", "--tenant", "umbrella"]);
        (by_reason(&hits).values().sum::<u64>() >= refused).then_some(hits)
    })
    .await;
    assert_eq!(by_reason(&hits), counts(&[("principal.calls", refused)]));
    assert!(hits.iter().all(|event| event["principal"] == "https://login.example ada"), "{hits:?}");
    whole(&house.gateway);
}

/// P01: a policy that gives no answer, and a gateway that is full.
#[tokio::test]
async fn failing_policies_and_a_full_house_are_told() {
    let settings = format!(
        "[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = \"{}\"\n[policies.p.settings]\nfail = \"trap\"\n",
        fixture("verdict").display()
    );
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    assert_eq!(gateway.modern(echo()).await.status, 503);
    assert_eq!(gateway.modern(Modern::new("tools/list", json!({}))).await.status, 503);
    assert_eq!(by_reason(&events(&gateway, "policy.failed", 2).await), counts(&[("call", 1), ("list", 1)]));

    let settings = "[limits]\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 10\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    let running = tokio::spawn(Modern::call("sleep", json!({ "ms": 200_000 })).build(&gateway).send());
    eventually("a full gateway", SOON, async || (gateway.modern(echo()).await.status == 429).then_some(())).await;
    let shed = events(&gateway, "overload.shed", 1).await;
    assert_eq!(by_reason(&shed), counts(&[("tenant_full", shed.len() as u64)]));
    assert_eq!(shown(&gateway, &["--outcome", "refused"]).len(), shed.len(), "each call that was shed has its line as well");
    running.abort();
}

#[tokio::test]
async fn plugins_and_definitions_are_told_as_they_change() {
    let gateway = Gateway::start().await;
    let one = described(&json!([{ "name": "look", "description": "Looks at something." }]));
    let two = described(&json!([{ "name": "look", "description": "Looks at something, and tells everybody." }]));
    let has = async |tool: &str, there: bool| {
        eventually(tool, SOON, async || (gateway.tools().await.contains(&tool.to_owned()) == there).then_some(())).await;
    };
    gateway.drop_in("looker", &one);
    has("look", true).await;
    gateway.drop_in("broken", b"\0asm, and then nothing of the kind");
    events(&gateway, "plugin.rejected", 1).await;
    gateway.drop_in("looker", &two);
    events(&gateway, "tool.definition_changed", 1).await;
    gateway.take_out("looker");
    has("look", false).await;
    events(&gateway, "plugin.removed", 1).await;

    let of_looker = |event: &&Value| event["target"].as_str().is_some_and(|target| target.starts_with("looker"));
    let all: Vec<_> = shown(&gateway, &["--event", ""]);
    let told: Vec<_> = all.iter().filter(of_looker).map(|event| members(event, &["event", "target", "reason"])).collect();
    let told: Vec<_> = told.iter().map(|told| told.iter().map(|part| part.as_str().unwrap_or("-")).collect::<Vec<_>>().join(" ")).collect();
    let wanted = [
        "plugin.loaded looker new",
        "plugin.loaded looker replaced",
        "tool.definition_changed looker/look served",
        "plugin.removed looker -",
    ];
    assert_eq!(told, wanted);
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let components: Vec<_> = all.iter().filter(of_looker).filter_map(|event| event["component"].as_str()).collect();
    assert_eq!(components, [digest(&one), digest(&two), digest(&two)]);
    let rejected = events(&gateway, "plugin.rejected", 1).await;
    assert_eq!((rejected.len(), members(&rejected[0], &["target", "reason"])), (1, vec![&json!("broken"), &json!("component")]));
    let (_, tail) = gateway.command(&["journal", "tail"]).await;
    assert!(tail.contains("plugin.loaded  looker  (replaced)  sha256 ") && tail.contains("plugin.rejected  broken  (component)"), "{tail}");
    whole(&gateway);
}

#[tokio::test]
async fn what_an_operator_does_is_told() {
    let admin = Administered::start("[gateway]\nwatch_settings = false\n").await;
    let gateway = &admin.gateway;
    for _ in 0..3 {
        assert_eq!(Answer::of(admin.ask(Method::GET, "/v1/status").bearer_auth("CANARY-ADMIN-x1")).await.status, 401);
    }
    assert_eq!(Answer::of(admin.ask(Method::GET, "/v1/status")).await.status, 401);
    let denied = events(gateway, "admin.denied", 4).await;
    assert_eq!(by_reason(&denied), counts(&[("no_token", 1), ("refused", 3)]));
    assert!(denied.iter().all(|event| event["address"] == "127.0.0.1"), "{denied:?}");

    let log = admin.ask(Method::PUT, "/v1/log").bearer_auth(&admin.token).header("content-type", "application/json");
    assert_eq!(Answer::of(log.body("{\"filter\":\"gatehouse=debug\"}")).await.status, 200);
    assert_eq!(events(gateway, "admin.log_filter", 1).await[0]["target"], "gatehouse=debug");
    let reload = async || Answer::of(admin.ask(Method::POST, "/v1/reload").bearer_auth(&admin.token)).await.status;
    assert_eq!(reload().await, 200);
    admin.set("[gateway]\nwatch_settings = \"CANARY-SETTING-x1\"\n");
    assert_eq!(reload().await, 422);
    admin.set("[gateway]\nwatch_settings = false\n[log]\nformat = \"json\"\n");
    assert_eq!(gateway.reload().await.0, 0);
    let reloads = events(gateway, "config", 3).await;
    let told: Vec<_> = reloads.iter().map(|event| members(event, &["event", "reason", "target"])).collect();
    assert_eq!(
        told,
        [
            vec![&json!("config.reloaded"), &Value::Null, &Value::Null],
            vec![&json!("config.rejected"), &json!("settings"), &Value::Null],
            vec![&json!("config.reloaded"), &Value::Null, &json!("log")],
        ]
    );
    assert_eq!(by_reason(&events(gateway, "admin.reload", 3).await), counts(&[("listener", 2), ("socket", 1)]));
    assert_eq!(gateway.command(&["store", "export"]).await.0, 0);
    assert_eq!(events(gateway, "admin.export", 1).await.len(), 1);
    let text = whole(gateway);
    assert!(!text.contains("CANARY") && !text.contains(&admin.token) && !text.contains("admin-token"), "{text}");
}

#[tokio::test]
async fn a_life_has_a_beginning_and_an_end_unless_it_is_killed() {
    let mut gateway = Gateway::start().await;
    // The last line of a start. What a killed process had not written yet is lost.
    events(&gateway, "plugin.loaded", 1).await;
    gateway.kill().await;
    // What an older version wrote of an operator's orders is read like what this one writes.
    let tail = shown(&gateway, &[]);
    let last = fs::read_dir(gateway.data().join("journal")).expect("a journal").next().expect("a file").expect("readable").path();
    let text = fs::read_to_string(&last).expect("text");
    let prev: String = Sha256::digest(text.lines().last().expect("a line")).iter().map(|byte| format!("{byte:02x}")).collect();
    let seq = tail.last().and_then(|line| line["seq"].as_u64()).expect("a number") + 1;
    let old = format!(
        "{{\"seq\":{seq},\"prev\":\"{prev}\",\"at_ms\":1764000000000,\"event\":\"revoke\",\"target\":\"tool sleep\",\"reason\":\"wild\",\"calls\":2}}\n"
    );
    fs::write(&last, text + &old).expect("written");
    gateway.start_again().await;
    gateway.terminate();
    let data = gateway.data();
    let stopped = eventually("its end", SOON, async || {
        let found = shown(&gateway, &["--event", "lifecycle.stopped"]);
        (!found.is_empty()).then_some(found)
    });
    assert_eq!(members(&stopped.await[0], &["reason"]), [&json!("drained")]);
    let words: Vec<_> =
        shown(&gateway, &["--event", "lifecycle"]).iter().map(|event| event["event"].as_str().expect("a word").to_owned()).collect();
    assert_eq!(words, ["lifecycle.started", "lifecycle.started", "lifecycle.stopping", "lifecycle.stopped"]);
    assert_eq!(shown(&gateway, &["--event", "lifecycle.started"])[0]["target"], env!("CARGO_PKG_VERSION"));
    whole(&gateway);
    let output = Command::new(binary()).args(["journal", "show", "--event", "revo", "--data"]).arg(data).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("revoke  tool sleep  (wild)  2 calls stopped") && text.lines().count() == 1, "{text}");
}
