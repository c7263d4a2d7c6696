//! What plugins keep by `wasi:keyvalue`: it is there for their next call, after a crash as well, and for nobody else.

use super::admin::Administered;
use super::audit::{by_reason, events};
use super::command::Place;
use super::grants::beside;
use super::tenants::{ADA, House, NO_RATES, OTHER_ADA};
use crate::harness::{Collector, Gateway, Modern, Setup, Takes, eventually, fixture};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// A grant to the keeper on these terms.
fn granting(terms: &str) -> String {
    format!("[grants.x]\nplugin = \"keeper\"\n[grants.x.keyvalue]\nbuckets = [\"notes\", \"other\", \"unasked\"]\n{terms}\n")
}

const ASKS: &str = "[asks]\nkeyvalue = [\"notes\", \"other\", \"ungranted\"]\n";

async fn asking(gateway: &Gateway) {
    beside(&gateway.plugins, "keeper", ASKS);
    eventually("it is served", SOON, async || gateway.tools().await.contains(&"keep".to_owned()).then_some(())).await;
}

async fn serving(settings: &str) -> Gateway {
    let gateway = Gateway::with(Setup { fixtures: vec!["keeper"], settings: settings.to_owned(), ..Setup::default() }).await;
    asking(&gateway).await;
    gateway
}

fn request(bucket: &str, all: &Value) -> Modern {
    Modern::call("keep", json!({ "bucket": bucket, "do": all }))
}

fn answers(answer: &crate::harness::Answer) -> Vec<Value> {
    answer.result()["structuredContent"]["all"].as_array().unwrap_or_else(|| panic!("no answers: {answer:?}")).clone()
}

/// What came of operations in one call.
async fn keep(gateway: &Gateway, bucket: &str, all: Value) -> Vec<Value> {
    answers(&gateway.modern(request(bucket, &all)).await)
}

/// What came of one.
async fn one(gateway: &Gateway, operation: Value) -> Value {
    keep(gateway, "notes", json!([operation])).await.into_iter().next().expect("one")
}

fn set(key: &str, value: &str) -> Value {
    json!({ "op": "set", "key": key, "value": value })
}

fn get(key: &str) -> Value {
    json!({ "op": "get", "key": key })
}

fn found(text: &str) -> Value {
    json!({ "bytes": text.len(), "text": text })
}

fn done() -> Value {
    json!({ "done": null })
}

fn error(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[tokio::test]
async fn what_is_kept_is_there_for_the_next_call() {
    let gateway = Gateway::with(Setup { fixtures: vec!["keeper"], settings: granting(""), ..Setup::default() }).await;
    let refused = "it imports what only a component may that asks for it in its side file: wasi:keyvalue/";
    eventually(refused, SOON, async || gateway.log().contains(refused).then_some(())).await;
    asking(&gateway).await;
    let listed = gateway.modern(Modern::new("tools/list", json!({}))).await;
    assert!(listed.text.contains("While it was listed: access denied."), "{listed:?}");

    assert_eq!(one(&gateway, get("a")).await, Value::Null);
    let long = "l".repeat(256);
    // Keys are text, whatever text: none of these is another one, or the beginning of another one.
    let keys = ["a", "", "a\0", "a\0\0", "\0", "ä→🦀", "a/b", "ab", long.as_str()];
    for key in keys {
        assert_eq!(one(&gateway, set(key, &format!("of {key}"))).await, done(), "{key:?}");
    }
    assert_eq!(one(&gateway, json!({ "op": "set", "key": "empty", "bytes": 0 })).await, done());
    assert_eq!(one(&gateway, json!({ "op": "set", "key": "large", "bytes": 65_536 })).await, done());
    for key in keys {
        let text = format!("of {key}");
        let told = one(&gateway, get(key)).await;
        assert_eq!((&told["bytes"], told["text"].as_str()), (&json!(text.len()), text.get(..text.floor_char_boundary(64))), "{key:?}");
    }
    let all = json!([get("empty"), { "op": "exists", "key": "empty" }, { "op": "exists", "key": "absent" }, get("large")]);
    let all = keep(&gateway, "notes", all).await;
    assert_eq!(all[..3], [found(""), json!(true), json!(false)]);
    assert_eq!(all[3]["bytes"], 65_536, "it lies there in several parts");
    // Written again it is what was written last, and shorter leaves nothing of what was longer.
    let all =
        json!([set("large", "small"), get("large"), { "op": "delete", "key": "large" }, get("large"), { "op": "delete", "key": "large" }]);
    assert_eq!(keep(&gateway, "notes", all).await, [done(), found("small"), done(), Value::Null, done()]);

    let listed = one(&gateway, json!({ "op": "list" })).await;
    let expected: Vec<_> = keys.into_iter().chain(["empty"]).collect();
    assert_eq!((&listed["keys"], &listed["cursor"]), (&json!(expected), &Value::Null));
    // Another bucket is another one.
    assert_eq!(keep(&gateway, "other", json!([get("a"), { "op": "list" }])).await, [Value::Null, json!({ "keys": [], "cursor": null })]);

    let file = gateway.plugins.join("keeper.wasm").display().to_string();
    let report: Value = serde_json::from_str(&gateway.command(&["inspect", &file, "--json"]).await.1).expect("JSON");
    assert!(report["grants"].as_array().is_some_and(|reach| reach.contains(&json!("keyvalue"))), "{report:#}");
    assert_eq!(report["asks"]["keyvalue"], json!(["notes", "other", "ungranted"]));
    assert_eq!(report["granted"][0]["in_force"]["keyvalue"], json!(["notes", "other"]));
}

#[tokio::test]
async fn what_is_not_asked_for_and_granted_is_denied_and_told() {
    let gateway = serving(&granting("")).await;
    for bucket in ["unasked", "ungranted", "absent", "", "notes\0", "../notes", "Notes"] {
        assert_eq!(error(&keep(&gateway, bucket, json!([])).await[0]), "access denied", "{bucket:?}");
    }
    let lines = events(&gateway, "keyvalue.denied", 7).await;
    assert_eq!(by_reason(&lines), [("not_granted".to_owned(), 7)].into(), "{lines:#?}");
    assert!(lines.iter().any(|line| line["target"] == "keeper unasked" && line["tenant"] == "default"), "{lines:#?}");
    assert!(lines.iter().all(|line| line["component"].is_string()), "{lines:#?}");
    // Without a grant there is nothing, and a grant that is taken back ends it.
    assert_eq!(one(&gateway, set("a", "kept")).await, done());
    gateway.set("");
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(error(&one(&gateway, get("a")).await), "access denied");
    gateway.set(&granting(""));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(one(&gateway, get("a")).await, found("kept"), "granted again, it is still there");
}

#[tokio::test]
async fn each_tenant_and_each_plugin_has_values_of_its_own() {
    let grants = "[grants.shared]\nplugin = \"keeper\"\n[grants.shared.keyvalue]\nbuckets = [\"notes\"]\n\
                  [grants.own]\nplugin = \"acme/second\"\n[grants.own.keyvalue]\nbuckets = [\"notes\"]\n";
    let house = House::of(Setup { fixtures: vec!["keeper"], ..Setup::default() }, &[], ("", "", &format!("{NO_RATES}{grants}"))).await;
    beside(&house.gateway.plugins, "keeper", ASKS);
    eventually("it is served", SOON, async || house.tools(ADA, "/mcp").await.contains(&"keep".to_owned()).then_some(())).await;
    let keep = async |who, all: Value| answers(&house.asks(who, request("notes", &all)).await);
    assert_eq!(keep(ADA, json!([set("a", "acme's"), { "op": "increment", "key": "n" }])).await, [done(), json!(1)]);
    assert_eq!(keep(OTHER_ADA, json!([get("a"), { "op": "list" }])).await, [Value::Null, json!({ "keys": [], "cursor": null })]);
    assert_eq!(keep(OTHER_ADA, json!([set("a", "umbrella's"), { "op": "increment", "key": "n", "by": 5 }])).await, [done(), json!(5)]);
    assert_eq!(keep(ADA, json!([get("a"), { "op": "increment", "key": "n" }])).await, [found("acme's"), json!(2)]);

    // The same component under another name is another plugin: its tool goes by its own name where two have one.
    let at = house.place.path().join("acme");
    beside(&at, "second", ASKS);
    house.gateway.take_out("keeper");
    fs::copy(fixture("keeper"), at.join(".new")).expect("copied");
    eventually("it is gone", SOON, async || (!house.tools(ADA, "/mcp").await.contains(&"keep".to_owned())).then_some(())).await;
    fs::rename(at.join(".new"), at.join("second.wasm")).expect("renamed");
    eventually("the other is served", SOON, async || house.tools(ADA, "/mcp").await.contains(&"keep".to_owned()).then_some(())).await;
    assert_eq!(keep(ADA, json!([get("a"), { "op": "list" }])).await, [Value::Null, json!({ "keys": [], "cursor": null })]);
}

#[tokio::test]
async fn beyond_a_limit_the_plugin_is_told_and_the_journal_too() {
    let terms = "key_bytes_max = 8\nvalue_bytes_max = 100\noperations_per_call_max = 30\nkeys_max = 5\nbytes_max = 1024\n";
    let store = "[store]\nkeyvalue_per_tenant_keys_max = 8\n";
    let gateway = serving(&format!("{store}{}", granting(terms))).await;
    let refusals = [
        (json!({ "op": "set", "key": "k", "times": 9 }), "a key has 9 bytes; it may have 8", "key_size"),
        (json!({ "op": "get", "key": "k", "times": 9 }), "a key has 9 bytes; it may have 8", "key_size"),
        (json!({ "op": "set", "key": "k", "bytes": 101 }), "a value has 101 bytes; it may have 100", "value_size"),
        (json!({ "op": "set many", "count": 6 }), "the bucket would have more than 5 keys", "bucket_keys"),
        (json!({ "op": "set many", "count": 5, "bytes": 100 }), "the bucket would have more than 1024 bytes", "bucket_bytes"),
        (json!({ "op": "get many", "count": 31 }), "a call may ask for 30 keys at most, all operations together", "operations"),
    ];
    for (operation, text, _) in &refusals {
        assert_eq!(error(&one(&gateway, operation.clone()).await), *text, "{operation}");
    }
    assert_eq!(one(&gateway, json!({ "op": "list" })).await["keys"], json!([]), "all of it or nothing");
    assert_eq!(one(&gateway, json!({ "op": "set many", "count": 5 })).await, done());
    assert_eq!(keep(&gateway, "other", json!([{ "op": "set many", "count": 3 }])).await, [done()]);
    let more = keep(&gateway, "other", json!([{ "op": "set", "key": "more" }])).await;
    assert_eq!(error(&more[0]), "the tenant's buckets would have more keys than they may");
    // What makes no more of it goes on, and what is taken away makes room.
    let all = json!([{ "op": "set", "key": "0", "bytes": 50 }, { "op": "delete", "key": "1" }]);
    assert_eq!(keep(&gateway, "notes", all).await, [done(), done()]);
    assert_eq!(keep(&gateway, "other", json!([{ "op": "set", "key": "more" }])).await, [done()]);
    // Every operation of a call counts, those that are refused as well.
    let many = keep(&gateway, "notes", Value::Array(vec![get("0"); 40])).await;
    assert!(
        many[..30].iter().all(|answer| answer["bytes"] == 50) && many[30..].iter().all(|answer| !answer["error"].is_null()),
        "{many:?}"
    );

    let words = by_reason(&events(&gateway, "keyvalue.denied", 17).await);
    let expected = [("key_size", 2), ("value_size", 1), ("bucket_keys", 1), ("bucket_bytes", 1), ("operations", 11), ("tenant_keys", 1)];
    assert_eq!(words, expected.into_iter().map(|(word, count)| (word.to_owned(), count)).collect());
}

#[tokio::test]
async fn counters_count_every_one_of_many_calls() {
    let gateway = serving(&format!("{NO_RATES}{}", granting(""))).await;
    const CALLS: usize = 40;
    let calls = (0..CALLS).map(|_| one(&gateway, json!({ "op": "increment", "key": "n", "by": 2 })));
    let seen: BTreeSet<u64> = futures_util::future::join_all(calls).await.iter().map(|sum| sum.as_u64().expect("a number")).collect();
    assert_eq!(seen, (1..=CALLS as u64).map(|n| n * 2).collect(), "each saw a sum of its own");
    assert_eq!(one(&gateway, get("n")).await, found(&(CALLS * 2).to_string()));
    for (value, wrong) in
        [("x", "the value is no number: a counter is decimal digits"), ("18446744073709551615", "the sum has more than 64 bits")]
    {
        assert_eq!(one(&gateway, set("n", value)).await, done());
        assert_eq!(error(&one(&gateway, json!({ "op": "increment", "key": "n" })).await), wrong);
        assert_eq!(one(&gateway, get("n")).await, found(value), "nothing happened");
    }
}

#[tokio::test]
async fn keys_are_listed_page_by_page_whatever_happens_meanwhile() {
    let gateway = serving(&granting("operations_per_call_max = 10000\n")).await;
    assert_eq!(one(&gateway, json!({ "op": "set many", "prefix": "k", "count": 1_200 })).await, done());
    let (mut all, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let page = one(&gateway, json!({ "op": "list", "cursor": cursor })).await;
        all.extend(page["keys"].as_array().expect("keys").clone());
        (cursor, pages) = (page["cursor"].clone(), pages + 1);
        if cursor.is_null() {
            break;
        }
        // Keys come and go between two pages; those that stay are told once.
        let more = json!([{ "op": "set", "key": format!("new{pages}") }, { "op": "delete", "key": format!("k{}", pages - 1) }]);
        assert_eq!(keep(&gateway, "notes", more).await, [done(), done()]);
    }
    let names: BTreeSet<_> = all.iter().map(|key| key.as_str().expect("text").to_owned()).collect();
    assert!(pages >= 3 && names.len() == all.len(), "{pages} pages");
    assert!((0..1_200).all(|number| names.contains(&format!("k{number}"))) && names.contains("new1"), "{}", names.len());
    // A place that is none is only the end.
    assert_eq!(one(&gateway, json!({ "op": "list", "cursor": u64::MAX })).await, json!({ "keys": [], "cursor": null }));
    let got = one(&gateway, json!({ "op": "get many", "prefix": "k", "from": 1, "count": 3 })).await;
    assert_eq!(got, json!([null, ["k2", found("")], ["k3", found("")]]));
    assert_eq!(one(&gateway, json!({ "op": "delete many", "prefix": "k", "count": 1_200 })).await, done());
    assert_eq!(one(&gateway, json!({ "op": "list" })).await["keys"], json!(["new1", "new2"]));
}

#[tokio::test]
async fn operations_are_seen_in_traces_and_refusals_are_counted() {
    let collector = Collector::start(Takes::Everything).await;
    let more = format!("{}{}", granting(""), collector.settings(""));
    let admin = Administered::with(Vec::new(), vec!["keeper"], &more).await;
    asking(&admin.gateway).await;
    let all = json!([set("hush-key", "hush-value"), { "op": "get", "key": "hush", "times": 100 }]);
    assert_eq!(keep(&admin.gateway, "notes", all).await[0], done());
    let trace = collector.trace("the request", |span| span.name == "tools/call keep").await;
    let (guest, spans) = (trace.part("guest"), trace.all("keyvalue"));
    assert!(spans.iter().all(|span| span.parent == guest.id && span.of("gatehouse.grant") == "x"), "{spans:?}");
    let of = |operation: &str| *spans.iter().find(|span| span.of("db.operation.name") == operation).expect("it has a span");
    assert!(!of("set").failed && of("get").failed && of("get").of("error.type") == "key_size", "{spans:?}");
    assert_eq!(admin.metrics().await.value("gatehouse_keyvalue_denied_total", &[("reason", "key_size")]), 1.0);
    let told = format!("{}{}", String::from_utf8_lossy(&collector.bytes()), super::audit::whole(&admin.gateway));
    assert!(!told.contains("hush") && !admin.gateway.log().contains("hush"), "neither keys nor values");
}

/// Killed after an answer, not stopped: what was answered is there.
#[tokio::test]
async fn d01_what_was_answered_is_there_after_a_crash() {
    let mut gateway = serving(&granting("")).await;
    for round in 0..3_u64 {
        let all = json!([
            set("a", &format!("round {round}")),
            { "op": "set", "key": "large", "bytes": 50_000 + round },
            { "op": "increment", "key": "n" },
            { "op": "set many", "prefix": format!("r{round}-"), "count": 20 },
        ]);
        assert_eq!(keep(&gateway, "notes", all).await, [done(), done(), json!(round + 1), done()]);
        // `restart` kills.
        gateway.restart().await;
        let all = keep(&gateway, "notes", json!([get("a"), get("large"), get("n"), { "op": "list" }])).await;
        assert_eq!(all[0], found(&format!("round {round}")));
        assert_eq!((&all[1]["bytes"], &all[2]), (&json!(50_000 + round), &found(&(round + 1).to_string())));
        assert_eq!(all[3]["keys"].as_array().map(Vec::len), Some(3 + 20 * (usize::try_from(round).expect("small") + 1)));
    }
}

#[tokio::test]
async fn an_operator_sees_how_full_buckets_are_and_clears_them() {
    let mut gateway = serving(&granting("operations_per_call_max = 10000\n")).await;
    assert_eq!(one(&gateway, json!({ "op": "set many", "prefix": "k", "count": 2_500, "bytes": 10 })).await, done());
    assert_eq!(keep(&gateway, "other", json!([set("a", "stays")])).await, [done()]);
    let (_, told) = gateway.command(&["store", "stats", "--json"]).await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let buckets = told["buckets"].as_array().expect("a list");
    let notes = buckets.iter().find(|bucket| bucket["bucket"] == "notes").expect("it is there");
    assert_eq!((&notes["tenant"], &notes["plugin"], &notes["keys"]), (&json!("default"), &json!("keeper"), &json!(2_500)), "{notes}");
    let clear = ["store", "clear", "default", "keeper", "notes", "--json"];
    let (code, told) = gateway.command(&clear).await;
    assert!(code == 75 && told.contains("stop the gateway first"), "{code} {told}");
    gateway.kill().await;
    let (code, told) = gateway.command(&clear).await;
    assert!(code == 0 && told.contains("\"keys\":2500"), "{code} {told}");
    assert!(gateway.command(&clear).await.1.contains("\"keys\":0"));
    let (code, told) = gateway.command(&["store", "verify"]).await;
    assert!(code == 0 && told.contains("1 entries of buckets: all whole"), "{code} {told}");
    gateway.start_again().await;
    assert_eq!(one(&gateway, json!({ "op": "list" })).await["keys"], json!([]));
    assert_eq!(keep(&gateway, "other", json!([get("a")])).await, [found("stays")]);
}

#[test]
fn a_bucket_needs_a_store() {
    let place = Place::new();
    let check = |text: &str| {
        place.settings(text);
        let checked = place.run(&["check"]);
        format!("{checked:?}")
    };
    let said = check(&format!("[store]\nbackend = \"none\"\n{}", granting("")));
    assert!(said.contains("grants.x.keyvalue: nothing is kept anywhere"), "{said}");
    let twice = format!("{}{}", granting(""), granting("").replace("grants.x", "grants.y"));
    let said = check(&twice);
    assert!(said.contains("grants.y.keyvalue.buckets.notes: [grants.x] gives the same to the same plugin"), "{said}");
    let said = check(
        "[grants.x]\nplugin = \"p\"\n[grants.x.keyvalue]\nbuckets = [\"a b\", \"c\", \"c\"]\n[grants.y]\nplugin = \"q\"\n[grants.y.keyvalue]\n",
    );
    for expected in [
        "grants.x.keyvalue.buckets: a bucket's name has 1 to 128 of",
        "grants.x.keyvalue.buckets: `c` stands there twice",
        "grants.y.keyvalue.buckets: must name the buckets",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
