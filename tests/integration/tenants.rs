//! Tenants: what each has, and that nothing of one is there for another, not even the fact that it is there.

use crate::harness::{Answer, Events, Gateway, Modern, Setup, call_params, count, fixture, initialize_params, plugin, rpc};
use gatehouse_forge::{Signer, claims, jwks, with};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const ISSUER: &str = "https://login.example";
const PUBLIC: &str = "https://gate.example";

/// A gateway of two tenants whose callers come from one issuer, which says whose they are in the claim `org`.
pub(super) struct House {
    pub(super) gateway: Gateway,
    pub(super) signer: Signer,
    pub(super) place: TempDir,
}

/// For tests that do more than a caller may by default.
pub(super) const NO_RATES: &str = "[quotas.tenant]\ncalls_per_second_max = 0\n[quotas.principal]\ncalls_per_second_max = 0\n";

/// A caller: a tenant, and a name that others of other tenants may have too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who(pub(super) &'static str, pub(super) &'static str);

impl House {
    /// With these components of the tenants' own, and more settings for `[tenants.acme]`, `[tenants.umbrella]` and at the end.
    pub(super) async fn with(own: &[(&str, PathBuf)], settings: (&str, &str, &str)) -> Self {
        Self::of(Setup { plugins: vec!["text-toolbox"], ..Setup::default() }, own, settings).await
    }

    /// The same with what is shared.
    pub(super) async fn of(shared: Setup, own: &[(&str, PathBuf)], settings: (&str, &str, &str)) -> Self {
        Self::in_environment(shared, own, settings, &[]).await
    }

    /// The same in an environment of its own.
    pub(super) async fn in_environment(
        shared: Setup,
        own: &[(&str, PathBuf)],
        settings: (&str, &str, &str),
        environment: &'static [(&'static str, &'static str)],
    ) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let signer = Signer::ed25519("k1", 7);
        for tenant in ["acme", "umbrella"] {
            fs::create_dir(place.path().join(tenant)).expect("made");
        }
        fs::write(place.path().join("jwks.json"), jwks(&[signer.jwk()])).expect("written");
        for (tenant, component) in own {
            let name = component.file_name().expect("a name");
            fs::copy(component, place.path().join(tenant).join(name)).expect("copied");
        }
        let setup = Setup { settings: Self::settings(&place, settings), ..shared };
        let gateway = Gateway::in_environment(setup, environment).await;
        Self { gateway, signer, place }
    }

    pub(super) fn settings(place: &TempDir, (acme, umbrella, more): (&str, &str, &str)) -> String {
        let at = |name: &str| place.path().join(name).display().to_string();
        format!(
            "[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n\
             [auth.issuers.one]\nissuer = \"{ISSUER}\"\njwks_file = \"{}\"\ntenant_claim = \"org\"\n\
             [tenants.acme]\nplugin_directory = \"{}\"\n{acme}\n[tenants.umbrella]\nplugin_directory = \"{}\"\n{umbrella}\n{more}\n",
            at("jwks.json"),
            at("acme"),
            at("umbrella"),
        )
    }

    pub(super) fn claims(who: Who, path: &str) -> Value {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        with(&claims(ISSUER, &format!("{PUBLIC}{path}"), now_s), &json!({ "org": who.0, "sub": who.1 }))
    }

    pub(super) fn token(&self, who: Who, path: &str) -> String {
        self.signer.token(&Self::claims(who, path))
    }

    pub(super) async fn asks(&self, who: Who, request: Modern) -> Answer {
        let token = self.token(who, request.path.trim_end_matches('/'));
        self.gateway.modern(request.header("authorization", format!("Bearer {token}"))).await
    }

    pub(super) async fn tools(&self, who: Who, path: &str) -> Vec<String> {
        let answer = self.asks(who, Modern::new("tools/list", json!({})).path(path)).await;
        answer.result()["tools"].as_array().expect("a list").iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }

    pub(super) fn legacy(&self, who: Who, verb: &str, path: &str, session: Option<&str>, body: Option<&Value>) -> reqwest::RequestBuilder {
        let request = self.gateway.client.request(verb.parse().expect("a method"), format!("{}{path}", self.gateway.origin));
        let request = request.header("accept", "application/json, text/event-stream").bearer_auth(self.token(who, path));
        let request = session.iter().fold(request, |request, session| request.header("mcp-session-id", *session));
        match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    pub(super) async fn session(&self, who: Who, path: &str) -> String {
        let body = rpc(0, "initialize", initialize_params("2025-11-25"));
        let answer = Answer::of(self.legacy(who, "POST", path, None, Some(&body))).await;
        answer.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {answer:?}")).to_owned()
    }
}

pub(super) const ADA: Who = Who("acme", "ada");
/// The same name at the same issuer, and somebody else.
pub(super) const OTHER_ADA: Who = Who("umbrella", "ada");

fn echo(path: &str) -> Modern {
    Modern::call("echo", json!({ "message": "hello" })).path(path)
}

#[tokio::test]
async fn each_has_its_own_tools_beside_those_that_are_shared() {
    let own = [("acme", fixture("versioned")), ("umbrella", fixture("described"))];
    let house = House::with(&own, ("", "shared_plugins = []", "")).await;
    let (acme, umbrella) = (house.tools(ADA, "/mcp").await, house.tools(OTHER_ADA, "/mcp").await);
    assert!(acme.contains(&"echo".to_owned()) && acme.contains(&"version".to_owned()), "{acme:?}");
    assert!(!umbrella.is_empty() && umbrella.iter().all(|tool| !acme.contains(tool)), "{umbrella:?}");
    assert_eq!(house.asks(ADA, Modern::call("version", json!({}))).await.tool_text(), "VERSION-0001");
    // What is another's is answered byte by byte like what is nobody's.
    let nobody = house.asks(OTHER_ADA, Modern::call("nothing", json!({}))).await;
    for theirs in ["version", "echo"] {
        let answer = house.asks(OTHER_ADA, Modern::call(theirs, json!({}))).await;
        assert_eq!((answer.status, answer.text.replace(theirs, "nothing")), (nobody.status, nobody.text.clone()), "{theirs}");
    }
    // Dropped in while it runs: its owner has it, and nobody else.
    fs::copy(fixture("mirrored"), house.place.path().join("umbrella/.new")).expect("copied");
    fs::rename(house.place.path().join("umbrella/.new"), house.place.path().join("umbrella/mirrored.wasm")).expect("renamed");
    let grown = crate::harness::eventually("the new tool", std::time::Duration::from_secs(20), async || {
        Some(house.tools(OTHER_ADA, "/mcp").await).filter(|tools| tools.len() > umbrella.len())
    });
    assert!(grown.await.len() > umbrella.len());
    assert_eq!(house.tools(ADA, "/mcp").await, acme);
}

/// One's own plugin goes before a shared one of the same name, or of which it has a tool's name, and that for oneself alone.
#[tokio::test]
async fn ones_own_goes_before_what_is_shared() {
    let house = House::with(&[("acme", plugin("text-toolbox"))], ("", "", "")).await;
    let (acme, umbrella) = (house.tools(ADA, "/mcp").await, house.tools(OTHER_ADA, "/mcp").await);
    assert_eq!(acme, umbrella, "the same tools, once each");
    let another = house.place.path().join("acme/toolbox.wasm");
    fs::rename(house.place.path().join("acme/text-toolbox.wasm"), another).expect("renamed");
    let same = async || house.tools(ADA, "/mcp").await == acme;
    assert!(same().await);
    crate::harness::eventually("the renamed plugin", std::time::Duration::from_secs(20), async || {
        let log = house.gateway.log();
        (log.contains("plugin=toolbox") && same().await).then_some(())
    })
    .await;
    assert_eq!(house.asks(ADA, echo("/mcp")).await.tool_text(), "hello");
}

/// N01: a server of somebody else, and one of nobody, over every verb and in both eras.
#[tokio::test]
async fn a_foreign_server_is_answered_like_none() {
    let servers = "[servers.acme-one]\ntenant = \"acme\"\ntools = [\"echo\"]\n[servers.umbrella-one]\ntenant = \"umbrella\"\ntools = [\"echo\"]\n\
                   [servers.everybody]\ntools = [\"echo\"]\n";
    let house = House::with(&[], ("", "", servers)).await;
    for path in ["/servers/acme-one/mcp", "/servers/everybody/mcp"] {
        assert_eq!(house.asks(ADA, echo(path)).await.tool_text(), "hello");
    }
    let (theirs, none) = ("/servers/umbrella-one/mcp", "/servers/nothing-one/mcp");
    let seen = |answer: &Answer| {
        let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
        headers.sort_by_key(|(name, _)| name.as_str().to_owned());
        format!("{} {headers:?} {}", answer.status, answer.text)
    };
    let modern = async |path: &str| seen(&house.asks(ADA, echo(path)).await);
    assert_eq!(modern(theirs).await, modern(none).await);
    assert!(modern(theirs).await.starts_with("404 "));
    let session = house.session(OTHER_ADA, theirs).await;
    let ping = rpc(1, "ping", json!({}));
    for (verb, body) in [("POST", Some(&ping)), ("GET", None), ("DELETE", None)] {
        let legacy = async |path: &str| seen(&Answer::of(house.legacy(ADA, verb, path, Some(&session), body)).await);
        assert_eq!(legacy(theirs).await, legacy(none).await, "{verb}");
        assert!(legacy(theirs).await.starts_with("404 "), "{verb}");
    }
    let alive = Answer::of(house.legacy(OTHER_ADA, "POST", theirs, Some(&session), Some(&ping))).await;
    assert_eq!(alive.status, 200, "its owner still has it");
}

/// T18: who is of no tenant is nobody.
#[tokio::test]
async fn who_is_of_no_tenant_is_nobody() {
    let house = House::with(&[], ("", "", "")).await;
    for org in [Value::Null, json!("nobody"), json!(["acme"]), json!({ "acme": true }), json!(""), json!("ACME"), json!("acme "), json!(7)]
    {
        let token = house.signer.token(&with(&House::claims(ADA, "/mcp"), &json!({ "org": org })));
        let answer = house.gateway.modern(echo("/mcp").header("authorization", format!("Bearer {token}"))).await;
        assert_eq!(answer.status, 401, "{org}: {answer:?}");
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.contains("invalid_token")), "{answer:?}");
    }
    let token = house.signer.token(&with(&House::claims(ADA, "/mcp"), &json!({ "org": null, "tenant": "acme" })));
    // N10: what a client says beside its token says nothing.
    let request = ["x-tenant", "x-user", "x-forwarded-user", "x-upstream-authorization"]
        .iter()
        .fold(echo("/mcp"), |request, name| request.header(name, "acme"));
    assert_eq!(house.gateway.modern(request.header("authorization", format!("Bearer {token}"))).await.status, 401);
}

/// Sessions, streams, event ids, tasks, dialogs: of a tenant's caller, and not of the one of the same name at the same issuer.
#[tokio::test]
async fn nothing_of_one_can_be_used_by_another() {
    let house = House::with(&[("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))], ("", "", "")).await;
    let (mine, theirs) = (house.session(ADA, "/mcp").await, house.session(OTHER_ADA, "/mcp").await);
    let ping = rpc(1, "ping", json!({}));
    for verb in ["POST", "GET", "DELETE"] {
        let answer = Answer::of(house.legacy(OTHER_ADA, verb, "/mcp", Some(&mine), (verb == "POST").then_some(&ping))).await;
        assert_eq!(answer.status, 404, "{verb}");
    }
    let mut whole = Events::of(house.legacy(ADA, "POST", "/mcp", Some(&mine), Some(&count("c", 3, 1)))).await;
    let event = whole.next().await.expect("an event").id().to_owned();
    let resume = |who: Who, session: &str| house.legacy(who, "GET", "/mcp", Some(session), None).header("last-event-id", &event);
    assert_eq!(Answer::of(resume(OTHER_ADA, &theirs)).await.code(), -31012, "an event id is of one session");
    assert_eq!(Answer::of(resume(ADA, &mine)).await.status, 200);

    let ask = Modern::call("ask", json!({})).body(|body| {
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": { "form": {} } });
    });
    let asked = house.asks(ADA, ask.clone()).await;
    let state = asked.result()["requestState"].clone();
    assert!(state.is_string(), "{asked:?}");
    let key = asked.result()["inputRequests"].as_object().expect("questions").keys().next().expect("one").clone();
    let answer = ask.body(|body| {
        body["params"]["requestState"] = state;
        body["params"]["inputResponses"] = json!({ key: { "action": "accept", "content": { "name": "ada" } } });
    });
    assert_eq!(house.asks(OTHER_ADA, answer.clone()).await.code(), -32602, "a dialog is of one caller");
    assert!(house.asks(ADA, answer).await.message().get("result").is_some());

    let page = Modern::new("tools/list", json!({ "cursor": "AAAA" }));
    assert_eq!(house.asks(ADA, page).await.code(), -32602);
}

/// Names, globs and other names; policies know tools by their own.
#[tokio::test]
async fn a_server_shows_what_it_selects_under_the_names_that_it_gives() {
    let policy = format!(
        "[policies.p]\nfile = \"{}\"\n[policies.p.settings]\nforbid = [\"hash\"]\nhide = [\"say\"]\n\
         [servers.one]\ntenant = \"acme\"\ntools = [\"echo\", \"hash\", \"word_*\"]\npolicies = [\"p\"]\n\
         [servers.one.rename]\necho = \"say\"\nhash = \"echo\"\n",
        fixture("verdict").display()
    );
    let house = House::with(&[], ("", "", &policy)).await;
    let path = "/servers/one/mcp";
    let mut tools = house.tools(ADA, path).await;
    tools.sort();
    let all = house.tools(ADA, "/mcp").await;
    let words = all.iter().filter(|tool| tool.starts_with("word_")).cloned();
    let mut expected: Vec<_> = ["echo".to_owned(), "say".to_owned()].into_iter().chain(words).collect();
    expected.sort();
    assert_eq!(tools, expected);
    assert_eq!(house.asks(ADA, Modern::call("say", json!({ "message": "hello" })).path(path)).await.tool_text(), "hello");
    let hashed = house.asks(ADA, Modern::call("echo", json!({ "text": "x" })).path(path)).await;
    assert_eq!((hashed.status, hashed.code()), (403, -31006), "it is `hash` to its policy: {hashed:?}");
    assert_eq!(house.asks(ADA, Modern::call("hash", json!({ "text": "x" })).path(path)).await.code(), -32602);
    let session = house.session(ADA, path).await;
    let call = rpc(1, "tools/call", call_params("say", json!({ "message": "x" })));
    assert_eq!(Answer::of(house.legacy(ADA, "POST", path, Some(&session), Some(&call))).await.tool_text(), "x");
}

/// A tenant's policies are asked of its own callers, wherever they call.
#[tokio::test]
async fn a_tenants_policies_are_asked_of_its_callers_alone() {
    let more = format!(
        "[policies.p]\nfile = \"{}\"\n[policies.p.settings]\nhide = [\"echo\"]\n[servers.everybody]\ntools = [\"echo\"]\n",
        fixture("verdict").display()
    );
    let house = House::with(&[], ("policies = [\"p\"]", "", &more)).await;
    for path in ["/mcp", "/servers/everybody/mcp"] {
        assert!(!house.tools(ADA, path).await.contains(&"echo".to_owned()), "{path}");
        assert_eq!(house.asks(ADA, echo(path)).await.code(), -32602, "{path}");
        assert_eq!(house.asks(OTHER_ADA, echo(path)).await.tool_text(), "hello", "{path}");
    }
}
