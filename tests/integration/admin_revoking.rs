//! Revocations and the ledger over the admin listener: the orders of the commands, by request.

use super::admin::{Administered, fits, problem};
use crate::harness::{Answer, Modern, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// What the command can be told, this listener can be told too; both see what the other did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_are_ordered_by_request() {
    let settings = "[limits]\ncall_wall_time_ms = 300000\n[tenants.default]\n[tenants.acme]\n";
    let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], settings).await;
    let described = admin.json("/v1/openapi.json").await;
    let schema = |name: &str| &described["components"]["schemas"][name];
    assert_eq!(admin.json("/v1/revocations").await, json!({ "revocations": [] }));
    let calls: Vec<_> =
        (0..3).map(|_| tokio::spawn(Answer::of(Modern::call("sleep", json!({ "ms": 250_000 })).build(&admin.gateway)))).collect();
    let in_flight = async || {
        let tenant = admin.json("/v1/usage?tenant=default").await["usage"][0].clone();
        assert_eq!((&tenant["of"], &tenant["name"]), (&json!("tenant"), &json!("default")));
        (tenant["in_flight"] == 3).then_some(())
    };
    eventually("three calls", SOON, in_flight).await;

    let target = json!({ "kind": "plugin", "plugin": "misbehave", "tenant": "default" });
    let effect = admin.revoke(json!({ "target": target, "reason": "it sleeps", "for_s": 3_600 }).to_string()).await;
    let told = effect.message().clone();
    fits(&described, schema("Effect"), &told, "an effect");
    assert_eq!((effect.status, &told["there"], &told["calls"], &told["calls_left"]), (200, &json!(true), &json!(3), &json!(0)), "{told}");
    for call in calls {
        let answer = call.await.expect("no panic");
        assert_eq!((answer.status, answer.code()), (403, -31014), "{answer:?}");
    }
    assert_eq!(admin.gateway.call("sleep", json!({ "ms": 1 })).await.code(), -32602);
    let all = admin.json("/v1/revocations").await;
    let one = &all["revocations"][0];
    fits(&described, schema("Revocation"), one, "a revocation");
    assert_eq!((&one["id"], &one["target"], &one["reason"]), (&told["id"], &target, &json!("it sleeps")));
    assert_eq!(one["until_ms"].as_u64().zip(one["at_ms"].as_u64()).map(|(until, at)| until - at), Some(3_600_000));
    // The same again replaces it; the command sees it, and what the command does is seen here.
    let again = admin.revoke(json!({ "target": target }).to_string()).await;
    assert_eq!((&again.message()["id"], &again.message()["calls"]), (&told["id"], &json!(0)));
    let (code, list) = admin.gateway.command(&["revoke", "list", "--json"]).await;
    assert!(code == 0 && list.lines().count() == 1 && list.contains("misbehave"), "{list}");
    let (code, said) = admin.gateway.command(&["revoke", "principal", "https://idp.example/ü", "a b&c/d", "--for", "1h"]).await;
    assert_eq!(code, 0, "{said}");
    let both = admin.json("/v1/revocations").await;
    fits(
        &described,
        &described["paths"]["/v1/revocations"]["get"]["responses"]["200"]["content"]["application/json"]["schema"],
        &both,
        "all",
    );
    let [plugin, principal] = both["revocations"].as_array().expect("a list").as_slice() else { panic!("{both}") };
    assert_eq!((&plugin["until_ms"], &principal["target"]["subject"]), (&Value::Null, &json!("a b&c/d")));

    for one in [principal, plugin] {
        let id = one["id"].as_str().expect("an id");
        let restored = admin.restore(id).await;
        assert_eq!((restored.status, restored.message()), (200, one));
        assert_eq!(problem(&admin.restore(id).await).0, 404, "it was taken back");
    }
    assert_eq!(admin.json("/v1/revocations").await["revocations"], json!([]));
    assert_eq!(admin.gateway.call("sleep", json!({ "ms": 1 })).await.status, 200);
    let log = admin.gateway.log();
    assert_eq!((log.matches("event=\"revoke\"").count(), log.matches("event=\"restore\"").count()), (3, 2), "{log}");
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused() {
    let admin = Administered::start("").await;
    let tenant = |name: &str| json!({ "kind": "tenant", "tenant": name });
    let of = |target: Value| json!({ "target": target }).to_string();
    let long = "x".repeat(8_193);
    for (body, reason) in [
        (String::new(), "no JSON"),
        ("{}".to_owned(), "missing field `target`"),
        (of(json!({ "kind": "gateway" })), "unknown variant"),
        (of(json!({ "tenant": "acme" })), "missing field `kind`"),
        (of(json!({ "kind": "tool", "tool": "echo", "server": "A" })), "target.server"),
        (of(json!({ "kind": "plugin", "plugin": "crm", "tenant": "Acme Ltd" })), "target.tenant"),
        (of(json!({ "kind": "plugin", "plugin": "crm", "servers": "a" })), "unknown field"),
        (of(json!({ "kind": "principal", "issuer": "https://idp.example" })), "missing field `subject`"),
        (of(json!({ "kind": "plugin", "plugin": "" })), "a name is empty"),
        (of(json!({ "kind": "plugin", "plugin": long })), "too long"),
        (json!({ "target": tenant("acme"), "reason": "x".repeat(1_025) }).to_string(), "too long"),
        (json!({ "target": tenant("acme"), "for_s": 0 }).to_string(), "not as described"),
        (json!({ "target": tenant("acme"), "for_s": -1 }).to_string(), "not as described"),
        (json!({ "target": tenant("acme"), "until_ms": 1 }).to_string(), "not as described"),
        (r#"{"target":{"kind":"tenant","tenant":"a","tenant":"b"}}"#.to_owned(), "no JSON"),
    ] {
        let (status, detail) = problem(&admin.revoke(body.clone()).await);
        assert!(status == 400 && detail.contains(reason), "{body}: {detail}");
    }
    let plain = admin.ask(Method::POST, "/v1/revocations").bearer_auth(&admin.token).header("content-type", "text/plain").body("{}");
    assert_eq!(problem(&Answer::of(plain).await).0, 415);
    for id in ["0", "..", "%2e", &"0".repeat(32), &"0".repeat(4_000)] {
        let (status, _) = problem(&admin.restore(id).await);
        assert_eq!(status, 404, "{id}");
    }
    let fat = admin.ask(Method::DELETE, "/v1/revocations/0f").bearer_auth(&admin.token).body("x");
    assert_eq!(problem(&Answer::of(fat).await).0, 400);
    let verb = Answer::of(admin.ask(Method::DELETE, "/v1/revocations").bearer_auth(&admin.token)).await;
    assert_eq!((problem(&verb).0, verb.header("allow")), (405, Some("GET, POST")));
    for query in ["tenant=A", "tenant=a&tenant=b", "of=tool", "a", "tenant=%61"] {
        assert_eq!(problem(&Answer::of(admin.get(&format!("/v1/usage?{query}"))).await).0, 400, "{query}");
    }
    assert_eq!(admin.json("/v1/usage?tenant=nobody").await, json!({ "usage": [] }));
    assert_eq!(admin.json("/v1/revocations").await["revocations"], json!([]), "nothing of it was done");
}
