//! Instances that answer several calls, where the operator lets them: those of one caller, one after the other, and nobody else's; and nothing of
//! one call is taken for another's.

use super::admin::random_token;
use super::metrics::Page;
use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::{Answer, Modern, Setup, eventually, fixture};
use gatehouse_forge::with;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);
const BOB: Who = Who("acme", "bob");
const CAROL: Who = Who("acme", "carol");

/// A gateway whose tenants share the misbehaving fixture, and where its operator looks on.
struct Reusing {
    house: House,
    settings: String,
    token: String,
    _place: TempDir,
}

impl Reusing {
    /// With this grant, and more settings for the tenant `acme` and at the end.
    async fn with(grant: &str, acme: &str, more: &str) -> Self {
        Self::of(vec![], grant, acme, more).await
    }

    async fn of(plugins: Vec<&'static str>, grant: &str, acme: &str, more: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let (file, token) = (place.path().join("admin-token"), random_token());
        fs::write(&file, format!("{token}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
        let grant = format!("[grants.x]\nplugin = \"misbehave\"\n{grant}\n");
        let settings = format!("{NO_RATES}{more}\n{grant}[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = {file:?}\n");
        let shared = Setup { plugins, fixtures: vec!["misbehave"], ..Setup::default() };
        let house = House::of(shared, &[], (acme, "", &settings)).await;
        Self { house, settings, token, _place: place }
    }

    async fn metrics(&self) -> Page {
        let address = eventually("the admin listener", SOON, async || {
            let log = self.house.gateway.log();
            let (_, rest) = log.split_once("the admin listener answers address=")?;
            Some(rest.split_whitespace().next()?.to_owned())
        });
        let request = self.house.gateway.client.get(format!("http://{}/metrics", address.await)).bearer_auth(&self.token);
        Page::read(&Answer::of(request).await.text)
    }

    /// Instances that wait, and calls that such ones answered.
    async fn counts(&self) -> (u64, u64) {
        let page = self.metrics().await;
        (page.value("gatehouse_instances_kept", &[]) as u64, page.value("gatehouse_instances_reused_total", &[]) as u64)
    }

    async fn calls(&self, who: Who, tool: &str, arguments: Value) -> Answer {
        self.house.asks(who, Modern::call(tool, arguments)).await
    }

    /// Leaves a text in the guest's memory; what was there.
    async fn leaves(&self, who: Who, text: &str) -> String {
        self.calls(who, "remember", json!({ "text": text })).await.tool_text().to_owned()
    }

    /// What so many calls find that leave their numbers.
    async fn finds(&self, who: Who, calls: usize) -> Vec<String> {
        let mut found = Vec::new();
        for call in 1..=calls {
            found.push(self.leaves(who, &call.to_string()).await);
        }
        found
    }

    /// Until so many calls of the tenant run.
    async fn running(&self, count: u64) {
        let running = async || (self.house.gateway.used("acme").await["in_flight"] == count).then_some(());
        eventually("so many calls run", SOON, running).await;
    }
}

#[tokio::test]
async fn without_the_setting_nothing_is_left_behind() {
    let gateway = Reusing::with("", "", "").await;
    assert_eq!(gateway.finds(ADA, 5).await, [""; 5]);
    assert_eq!(gateway.counts().await, (0, 0));
}

#[tokio::test]
async fn an_instance_answers_as_many_calls_as_it_may() {
    let gateway = Reusing::of(vec!["data-helper"], "reuse = 3\n[grants.y]\nplugin = \"data-helper\"\nreuse = 100", "", "").await;
    assert_eq!(gateway.finds(ADA, 7).await, ["", "1", "2", "", "4", "5", ""]);
    assert_eq!(gateway.counts().await, (1, 4));
    // A language runtime too. It has no state to show, but gives one answer to one question.
    let asked = json!({ "from": "2026-02-28", "to": "2026-03-01" });
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(gateway.calls(ADA, "date_difference", asked.clone()).await.result()["content"].clone());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer[0]["text"].is_string()), "{answers:?}");
    assert_eq!(gateway.counts().await, (2, 7));
    let file = fixture("misbehave").display().to_string();
    let (code, shown) = gateway.house.gateway.command(&["inspect", &file]).await;
    assert!(code == 0 && shown.contains("reuse 3 calls"), "{shown}");
}

#[tokio::test]
async fn nobody_finds_what_another_caller_left() {
    let more = "[servers.other]\ntools = [\"*\"]\n";
    let gateway = Reusing::with("reuse = 100", "", more).await;
    assert_eq!(gateway.finds(ADA, 2).await, ["", "1"]);
    for other in [BOB, OTHER_ADA, CAROL] {
        assert_eq!(gateway.leaves(other, "theirs").await, "", "{other:?}");
    }
    // The same caller elsewhere, or with other rights, is another one.
    let elsewhere = gateway.house.asks(ADA, Modern::call("remember", json!({ "text": "elsewhere" })).path("/servers/other/mcp")).await;
    assert_eq!((elsewhere.status, elsewhere.tool_text()), (200, ""), "{elsewhere:?}");
    let scoped = gateway.house.signer.token(&with(&House::claims(ADA, "/mcp"), &json!({ "scope": "more" })));
    let request = Modern::call("remember", json!({ "text": "scoped" })).header("authorization", format!("Bearer {scoped}"));
    let scoped = gateway.house.gateway.modern(request).await;
    assert_eq!((scoped.status, scoped.tool_text()), (200, ""), "{scoped:?}");
    assert_eq!(gateway.leaves(ADA, "3").await, "2", "hers is still there");
    assert_eq!(gateway.leaves(OTHER_ADA, "more").await, "theirs");
}

#[tokio::test]
async fn a_call_that_ends_in_doubt_takes_its_instance_along() {
    let limits = "[limits]\ncall_wall_time_ms = 2000\ncall_cpu_time_ms = 500\nbreaker_calls_min = 0\n";
    let gateway = Reusing::with("reuse = 1000", "", limits).await;
    let ends = [
        ("trap", json!({})),
        ("panic", json!({})),
        ("exit", json!({ "code": 3 })),
        ("spin", json!({})),
        ("sleep", json!({ "ms": 60_000 })),
        ("alloc", json!({})),
        ("recurse", json!({})),
        ("big_result", json!({ "bytes": 3 << 20 })),
        ("bad_structured", json!({})),
        ("bad_json", json!({})),
        ("bad_utf8", json!({})),
        ("fail_internal", json!({})),
        ("fail_unavailable", json!({})),
        ("read_file", json!({ "path": "/nothing" })),
    ];
    for (tool, arguments) in ends {
        gateway.leaves(ADA, "mine").await;
        let sound = gateway.calls(ADA, "caller", json!({})).await;
        assert_eq!(sound.status, 200, "{sound:?}");
        assert_eq!(gateway.leaves(ADA, "mine").await, "mine", "before {tool}");
        let ended = gateway.calls(ADA, tool, arguments).await;
        assert!(ended.message()["error"].is_object() || ended.result()["isError"] == true, "{tool}: {ended:?}");
        assert_eq!(gateway.leaves(ADA, "").await, "", "after {tool}");
    }

    // Nor does one come back that its client gave up.
    gateway.leaves(ADA, "mine").await;
    let given_up = gateway.calls(ADA, "sleep", json!({ "ms": 60_000 }));
    tokio::select! {
        answer = given_up => panic!("it sleeps: {answer:?}"),
        () = gateway.running(1) => {}
    }
    gateway.running(0).await;
    assert_eq!(gateway.leaves(ADA, "").await, "");
}

#[tokio::test]
async fn calls_at_once_have_an_instance_each() {
    let gateway = Reusing::with("reuse = 100", "", "[limits]\ncall_wall_time_ms = 300000\n").await;
    assert_eq!(gateway.leaves(ADA, "first").await, "");
    let sleeping = gateway.calls(ADA, "sleep", json!({ "ms": 250_000 }));
    let meanwhile = async {
        gateway.running(1).await;
        assert_eq!(gateway.leaves(ADA, "second").await, "", "the first one is taken");
        assert_eq!(gateway.leaves(ADA, "second").await, "second");
    };
    tokio::select! {
        answer = sleeping => panic!("it sleeps: {answer:?}"),
        () = meanwhile => {}
    }
    gateway.running(0).await;
    assert_eq!(gateway.leaves(ADA, "third").await, "second", "what was cancelled did not come back");
    assert_eq!(gateway.counts().await.0, 1);
}

/// Whatever was there before a generation, or before something is revoked, is gone when that counts.
#[tokio::test]
async fn another_generation_and_a_revocation_drop_them() {
    let gateway = Reusing::with("reuse = 1000", "", "").await;
    let command = async |arguments: &[&str]| {
        let (code, said) = gateway.house.gateway.command(arguments).await;
        assert_eq!(code, 0, "{said}");
    };
    assert_eq!(gateway.finds(ADA, 2).await, ["", "1"]);
    command(&["revoke", "plugin", "misbehave"]).await;
    assert_eq!(gateway.counts().await.0, 0);
    command(&["restore", "plugin", "misbehave"]).await;
    assert_eq!(gateway.finds(ADA, 2).await, ["", "1"]);
    // Whoever it is of.
    command(&["revoke", "tenant", "umbrella"]).await;
    assert_eq!(gateway.finds(ADA, 2).await, ["", "1"]);

    gateway.house.gateway.set(&House::settings(&gateway.house.place, ("", "", &gateway.settings)));
    let (code, said) = gateway.house.gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(gateway.finds(ADA, 2).await, ["", "1"]);

    let mut version = fs::read(fixture("misbehave")).expect("a fixture");
    // A section of no meaning: its id, its size, and a name of one byte.
    version.extend([0, 2, 1, b'x']);
    gateway.house.gateway.drop_in("misbehave", &version);
    let anew = async || (gateway.leaves(ADA, "2").await.is_empty()).then_some(());
    eventually("the new version", SOON, anew).await;
    // What the first calls of it left may still go with what was there before.
    let meets = async || (gateway.leaves(ADA, "3").await == "3").then_some(());
    eventually("its calls meet", SOON, meets).await;
}

#[tokio::test]
async fn nothing_waits_for_long() {
    let gateway = Reusing::with("reuse = 100", "", "").await;
    assert_eq!(gateway.finds(ADA, 2).await, ["", "1"]);
    assert_eq!(gateway.counts().await, (1, 1));
    eventually("it is gone", SOON, async || (gateway.counts().await.0 == 0).then_some(())).await;
    assert_eq!(gateway.leaves(ADA, "1").await, "");
    // And never many of one plugin.
    for caller in ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"] {
        gateway.leaves(Who("acme", caller), caller).await;
    }
    assert_eq!(gateway.counts().await.0, 8);
    assert_eq!(gateway.leaves(Who("acme", "c9"), "").await, "c9");
    assert_eq!(gateway.leaves(Who("acme", "c0"), "").await, "", "the oldest went first");
}

/// In a pool of two places nobody is refused because two instances wait there.
#[tokio::test]
async fn one_that_waits_makes_place_for_whoever_needs_it() {
    let limits = "[limits]\ncall_wall_time_ms = 300000\n";
    let gateway = Reusing::with("reuse = 100", "isolation = \"strict\"\ncalls_in_flight_max = 2\n", limits).await;
    for who in [ADA, BOB] {
        assert_eq!(gateway.leaves(who, "mine").await, "");
    }
    assert_eq!(gateway.counts().await.0, 2);
    assert_eq!(gateway.leaves(CAROL, "mine").await, "");
    assert_eq!(gateway.counts().await.0, 2);
    assert_eq!(gateway.leaves(BOB, "mine").await, "mine");
    assert_eq!(gateway.leaves(ADA, "mine").await, "", "the oldest made place");
    // Both places at once.
    let sleeping = [BOB, CAROL].map(|who| gateway.calls(who, "sleep", json!({ "ms": 250_000 })));
    let [one, other] = sleeping;
    let full = async {
        gateway.running(2).await;
        assert_eq!(gateway.counts().await.0, 0);
    };
    tokio::select! {
        answer = one => panic!("it sleeps: {answer:?}"),
        answer = other => panic!("it sleeps: {answer:?}"),
        () = full => {}
    }
}

/// Their memory is their tenant's, until somebody of it needs some.
#[tokio::test]
async fn memory_that_waits_counts_and_gives_way() {
    let limits = "[limits]\ncall_memory_bytes_max = 67108864\nmemory_per_tenant_bytes_max = 100663296\n";
    let gateway = Reusing::with("reuse = 100", "", limits).await;
    let takes = async |who, mib: u64| {
        let answer = gateway.calls(who, "alloc", json!({ "mib": mib })).await;
        assert_eq!(answer.tool_text(), format!("took {mib} MiB"), "{answer:?}");
    };
    assert_eq!(gateway.leaves(ADA, "mine").await, "");
    takes(ADA, 50).await;
    takes(BOB, 10).await;
    assert_eq!(gateway.leaves(ADA, "mine").await, "mine", "there is room for both");
    takes(CAROL, 50).await;
    assert_eq!(gateway.leaves(ADA, "mine").await, "", "hers gave way");
    assert_eq!(gateway.leaves(CAROL, "mine").await, "");
}

/// What one call may use, each may that one instance answers; and no more.
#[tokio::test]
async fn limits_are_of_each_call() {
    let limits = "[limits]\ncall_wall_time_ms = 6000\ncall_cpu_time_ms = 1000\ncall_log_lines_max = 15\ncall_host_calls_max = 1000\n\
                  call_memory_bytes_max = 33554432\nbreaker_calls_min = 0\n";
    let gateway = Reusing::with("reuse = 10000", "", limits).await;
    assert_eq!(gateway.leaves(ADA, "mine").await, "");
    let stays = async |what: &str| assert_eq!(gateway.leaves(ADA, "mine").await, "mine", "{what}");
    let used_ms = async || gateway.house.gateway.used("acme").await["cpu_ms"].as_u64().expect("a number");
    let before = used_ms().await;
    let computed = async || {
        let answer = gateway.calls(ADA, "compute", json!({ "rounds": 20_000_000 })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (used_ms().await - before > 1_500).then_some(())
    };
    eventually("more than one call may compute", Duration::from_secs(240), computed).await;
    stays("processor time").await;
    for _ in 0..3 {
        let slept = gateway.calls(ADA, "sleep", json!({ "ms": 2_500 })).await;
        assert_eq!(slept.tool_text(), "slept 2500 ms", "{slept:?}");
    }
    stays("wall time").await;
    for _ in 0..3 {
        gateway.calls(ADA, "log_flood", json!({ "lines": 10, "bytes": 10 })).await.tool_text();
        gateway.calls(ADA, "progress_flood", json!({ "n": 600 })).await.tool_text();
    }
    stays("host calls").await;
    let log = gateway.house.gateway.log();
    assert!(!log.contains("more than its log limits"), "{log}");
    // Each of these finds the instance of before, and is held to its limit there.
    let flooded = gateway.calls(ADA, "log_flood", json!({ "lines": 20, "bytes": 10 })).await;
    assert_eq!(flooded.status, 200, "{flooded:?}");
    eventually("its lines are cut", SOON, async || gateway.house.gateway.log().contains("more than its log limits").then_some(())).await;
    for (tool, arguments, kind) in
        [("spin", json!({}), "cpu_time"), ("sleep", json!({ "ms": 60_000 }), "wall_time"), ("alloc", json!({}), "resource_limit")]
    {
        gateway.leaves(ADA, "mine").await;
        let reused = gateway.counts().await.1;
        let ended = gateway.calls(ADA, tool, arguments).await;
        assert_eq!(ended.kind(), kind, "{tool}: {ended:?}");
        assert_eq!(gateway.counts().await.1, reused + 1, "{tool} had the instance of before");
    }
}
