//! The policies that are shipped: each does what its cases say, and those that authorize are asked by a gateway whose callers have tokens.

use super::command::{Place, Ran};
use super::definitions::described;
use super::tokens::{Trusting, now_s};
use crate::harness::{Answer, Gateway, Modern, Setup, eventually, policy, root};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Each by its folder, with how many cases it has at least: a file that lost its cases would pass.
const SHIPPED: [(&str, u64); 4] = [("cedar", 40), ("hours", 29), ("redact", 40), ("scopes", 34)];

fn run(place: &Place, policy_name: &str, cases: &Path, more: &[&str]) -> Ran {
    let component = policy(policy_name);
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let arguments = ["policy", "test", &text(&component), "--cases", &text(cases)];
    place.run(&[&arguments[..], more].concat())
}

#[test]
fn each_policy_does_what_its_cases_say() {
    let place = Place::new();
    // Compiled once for all tests, as the harness's gateways do.
    place.settings(&format!("[plugins]\ncode_cache = {:?}\n", root().join("target/test-code-cache")));
    let folders = fs::read_dir(root().join("policies")).expect("the policies").map(|folder| folder.expect("a folder").path());
    let with_cases = folders.filter(|folder| folder.join("cases.toml").exists());
    let names: BTreeSet<_> = with_cases.map(|folder| folder.file_name().expect("a name").to_str().expect("text").to_owned()).collect();
    assert_eq!(names, SHIPPED.map(|(name, _)| name.to_owned()).into(), "the table above has all of them");
    for (name, cases_min) in SHIPPED {
        let cases = root().join(format!("policies/{name}/cases.toml"));
        let ran = run(&place, name, &cases, &["--json"]);
        let told = ran.json();
        assert!(ran.code == 0 && told["ok"] == true && told["failed"] == json!([]), "{name}: {ran:?}");
        assert!(told["passed"].as_u64().is_some_and(|count| count >= cases_min), "{name}: {ran:?}");
    }
}

const CASES: &str = r#"[defaults]
settings = { rules = [{ scopes = ["crm:read"], tools = ["crm_*"] }] }
principal = { subject = "ada", scopes = ["crm:read"] }

[[check]]
name = "a mistake is told"
settings = { otherwise = "maybe" }
refused = true

[[case]]
name = "reading is open"
action = "call-tool"
targets = [{ name = "crm_get" }]
expect = ["allow"]
"#;

const FILTER: &str = "[[filter]]\nname = \"f\"\nsettings = {}\n";

#[test]
fn a_case_that_comes_out_otherwise_is_named() {
    let place = Place::new();
    let file = place.path().join("cases.toml");
    fs::write(&file, CASES.replace("[\"allow\"]", "[\"deny\"]")).expect("written");
    let ran = run(&place, "scopes", &file, &[]);
    let told = "reading is open: crm_get: allow (), not deny\n1 of 2 cases came out as expected\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, told, ""));
    let ran = run(&place, "scopes", &file, &["--json"]);
    let told = json!({ "ok": false, "passed": 1, "failed": [{ "name": "reading is open", "reason": "crm_get: allow (), not deny" }] });
    assert_eq!((ran.code, ran.json()), (1, told));
    // A scope that does not open it, and a text that nobody said.
    fs::write(&file, CASES.replace("scopes = [\"crm:read\"] }\n", "scopes = [] }\nserver = \"crm\"\n")).expect("written");
    let ran = run(&place, "scopes", &file, &[]);
    assert!(ran.code == 1 && ran.out.starts_with("reading is open: crm_get: deny (lacks the scope crm:read), not allow\n"), "{ran:?}");
    fs::write(&file, CASES.replace("refused = true", "refused = true\nsays = [\"no such text\"]")).expect("written");
    let ran = run(&place, "scopes", &file, &[]);
    assert!(ran.code == 1 && ran.out.starts_with("a mistake is told: `no such text` is not said in: "), "{ran:?}");
}

#[test]
fn a_file_of_cases_that_is_broken_says_where() {
    let place = Place::new();
    let file = place.path().join("cases.toml");
    let broken = [
        (CASES.replace("[[case]]", "[[case]"), "line 10, column"),
        (CASES.replace("refused", "refusd"), "line 8, column 1"),
        (CASES.replace("call-tool", "call-tools"), "line 12, column"),
        (CASES.replace("action = \"call-tool\"\n", ""), "missing field `action`"),
        (CASES.replace("[\"allow\"]", "[\"alow\"]"), "unknown variant `alow`"),
        (CASES.replace("name = \"crm_get\"", "name = \"crm_get\", kind = \"tol\""), "'tol' is no kind of target"),
        // They would pass whatever the policy does.
        (String::new(), "it holds no cases"),
        ("[defaults]\nserver = \"crm\"\n".to_owned(), "it holds no cases"),
        (format!("{FILTER}reply = {{}}\n"), "the filter case 'f' expects nothing"),
        (format!("{FILTER}expect_call = \"procede\"\n"), "'procede' is neither 'proceed' nor 'deny'"),
        (format!("{FILTER}expect_call = {{ argument = {{}} }}\n"), "unknown field `argument`"),
        (format!("{FILTER}expect_call = {{ arguments = {{}}, says = \"x\" }}\n"), "unknown field `says`"),
        (format!("{FILTER}expect_result = \"deny\"\n"), "'deny' is neither 'pass' nor 'withhold'"),
        (format!("{FILTER}expect_result = {{ replaced = {{}} }}\n"), "unknown field `replaced`"),
        (format!("{FILTER}expect_result = {{}}\n"), "one of `replace` and `replace_json`"),
        (format!("{FILTER}expect_result = {{ replace = {{}}, replace_json = \"{{}}\" }}\n"), "one of `replace` and `replace_json`"),
    ];
    for (cases, place_in_it) in broken {
        fs::write(&file, cases).expect("written");
        let ran = run(&place, "scopes", &file, &[]);
        assert!(ran.code == 1 && ran.out.is_empty(), "{ran:?}");
        assert!(ran.err.contains("cases.toml: ") && ran.err.contains(place_in_it), "{place_in_it}: {ran:?}");
    }
    let ran = run(&place, "scopes", &place.path().join("nothing.toml"), &[]);
    assert!(ran.code == 1 && ran.err.contains("nothing.toml: No such file"), "{ran:?}");
}

/// What becomes of a tool for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Neither shown nor there.
    Hidden,
    /// Shown, and refused with the scope that it misses.
    Forbidden,
    /// Shown, and run.
    Served,
}

/// A tool, arguments that suit it, and the scopes that it takes; where one more is needed to call it than to see it, that one stands last.
struct Row(&'static str, &'static str, &'static [&'static str], Option<&'static str>);

/// The two policies below both say this, each in its own way. `ledger` is a scope that the plugin itself demands.
const TOOLS: [Row; 12] = [
    Row("echo", r#"{"message":"a"}"#, &[], None),
    Row("hash", r#"{"text":"a","algorithm":"sha256"}"#, &["read"], None),
    Row("word_stats", r#"{"text":"a"}"#, &["read"], None),
    Row("base64", r#"{"text":"a","direction":"encode"}"#, &["read"], None),
    Row("slow_count", r#"{"message":"a","n":1}"#, &["read", "write"], None),
    Row("json_query", r#"{"json":"{}","query":"$"}"#, &["read", "write"], None),
    Row("regex_extract", r#"{"pattern":"a","text":"a"}"#, &["read", "write"], None),
    Row("unified_diff", r#"{"before":"a","after":"b"}"#, &["audit"], Some("write")),
    Row("parse_csv", r#"{"csv":"a,b"}"#, &["write"], None),
    Row("render_template", r#"{"template":"a","data":{}}"#, &["write"], None),
    Row("ledger_read", "{}", &["ledger"], None),
    Row("ledger_write", "{}", &["ledger", "write"], None),
];

const SCOPES: &str = r#"
rules = [
  { scopes = [], tools = ["echo", "ledger_read"] },
  { scopes = ["read"], tools = ["hash", "word_*", "base64"] },
  { scopes = ["read", "write"], tools = ["slow_count", "json_query", "regex_*"], plugins = ["text-toolbox"] },
  { scopes = ["audit"], tools = ["unified_diff"], actions = ["list-tools"] },
  { scopes = ["audit", "write"], tools = ["unified_diff"], actions = ["call-tool"] },
  { scopes = ["write"], tools = ["*"], plugins = ["text-template", "ledger"] },
]
"#;

const CEDAR: &str = r#"
policies = '''
permit(principal, action in Action::"tools", resource == Tool::"echo");
permit(principal, action in Action::"tools", resource == Tool::"ledger_read");
permit(principal, action in Action::"tools", resource)
when { principal.scopes.contains("read") && ["hash", "word_stats", "base64"].contains(resource.name) };
permit(principal, action in Action::"tools", resource in Plugin::"text-toolbox")
when { principal.scopes.containsAll(["read", "write"]) && ["slow_count", "json_query", "regex_extract"].contains(resource.name) };
permit(principal, action in Action::"tools", resource == Tool::"unified_diff") when { principal.scopes.contains("audit") };
permit(principal, action in Action::"tools", resource)
when { principal.scopes.contains("write") && ["text-template", "ledger"].contains(resource.plugin) };
@missing_scopes("write")
forbid(principal, action == Action::"call-tool", resource == Tool::"unified_diff") unless { principal.scopes.contains("write") };
'''
"#;

impl Row {
    fn for_holder_of(&self, scopes: &[&str]) -> Outcome {
        let Self(_, _, to_see, to_call) = self;
        if !to_see.iter().all(|scope| scopes.contains(scope)) {
            return Outcome::Hidden;
        }
        if to_call.is_none_or(|scope| scopes.contains(&scope)) { Outcome::Served } else { Outcome::Forbidden }
    }
}

/// A gateway that asks this policy, with the tools of the table.
async fn asking(policy_name: &str, settings: &str) -> Trusting {
    let more = format!(
        "[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {:?}\n[policies.p.settings]\n{settings}",
        policy(policy_name).display().to_string()
    );
    Trusting::with_plugins(vec!["text-toolbox", "text-template"], &more).await
}

/// The names in the caller's list.
async fn listed(trusting: &Trusting, token: &str) -> BTreeSet<String> {
    let answer = trusting.asks(Modern::new("tools/list", json!({})), token).await;
    let tools = answer.result()["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

async fn call(trusting: &Trusting, token: &str, tool: &str, arguments: &Value) -> Answer {
    trusting.asks(Modern::call(tool, arguments.clone()), token).await
}

/// All of an answer that could tell a tool that is hidden from one that is not there. The date may differ, and lengths do with the name.
fn seen(answer: &Answer, name: &str) -> (u16, Vec<(String, Vec<u8>)>, String) {
    let headers = answer.headers.iter().filter(|(header, _)| !["date", "content-length"].contains(&header.as_str()));
    let headers = headers.map(|(header, value)| (header.to_string(), value.as_bytes().to_vec())).collect();
    (answer.status, headers, answer.text.replace(name, "NAME"))
}

/// P11. Every caller with every tool: what the list shows is answered as a tool, and all else like one that nobody has.
async fn lists_and_calls_agree(policy_name: &str, settings: &str) {
    let trusting = asking(policy_name, settings).await;
    let ledger = json!([{ "name": "ledger_read", "scopes": ["ledger"] }, { "name": "ledger_write", "scopes": ["ledger"] }]);
    trusting.gateway.drop_in("ledger", &described(&ledger));
    let scopes = ["read", "write", "audit", "ledger"];
    let everything = trusting.token_with("ada", &json!({ "scope": scopes.join(" ") }));
    let there = async || (listed(&trusting, &everything).await.len() == TOOLS.len()).then_some(());
    eventually("all tools are there", Duration::from_secs(20), there).await;
    for holds in 0..1_usize << scopes.len() {
        let held: Vec<_> = scopes.iter().enumerate().filter(|(bit, _)| holds >> bit & 1 == 1).map(|(_, scope)| *scope).collect();
        let token = trusting.token_with("ada", &json!({ "scope": held.join(" ") }));
        let list = listed(&trusting, &token).await;
        let nothing = seen(&call(&trusting, &token, "nothing", &json!({})).await, "nothing");
        assert!(nothing.0 == 200 && nothing.2.contains("-32602"), "{nothing:?}");
        for row in &TOOLS {
            let (name, pair) = (row.0, format!("{policy_name}: {} for {held:?}", row.0));
            let arguments = serde_json::from_str(row.1).expect("JSON");
            let answer = call(&trusting, &token, name, &arguments).await;
            let outcome = match seen(&answer, name) {
                answered if answered == nothing => Outcome::Hidden,
                (403, _, _) if answer.code() == -31006 => Outcome::Forbidden,
                (200, _, _) if answer.message().get("result").is_some() => Outcome::Served,
                other => panic!("{pair}: {other:?}"),
            };
            assert_eq!(list.contains(name), outcome != Outcome::Hidden, "{pair}: {answer:?}");
            assert_eq!(outcome, row.for_holder_of(&held), "{pair}: {answer:?}");
            let challenge = answer.header("www-authenticate");
            let asks_for_more = challenge
                .is_some_and(|challenge| challenge.contains("error=\"insufficient_scope\", scope=\"") && challenge.ends_with("write\""));
            assert_eq!(asks_for_more, outcome == Outcome::Forbidden, "{pair}: {challenge:?}");
        }
    }
}

#[tokio::test]
async fn lists_and_calls_agree_by_scopes() {
    lists_and_calls_agree("scopes", SCOPES).await;
}

#[tokio::test]
async fn lists_and_calls_agree_by_cedar() {
    lists_and_calls_agree("cedar", CEDAR).await;
}

/// A policy has no clock but the verified token: who logged in before noon may, and who did after it may not.
#[tokio::test]
async fn hours_knows_the_time_from_the_token() {
    const HALF_A_DAY_S: u64 = 43_200;
    let days = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    let settings = format!("claim = \"auth_time\"\ntoken_minutes_max = 1440\nrules = [{{ days = {days}, hours = [\"00:00-12:00\"] }}]\n");
    let trusting = asking("hours", &settings).await;
    let half = now_s() / HALF_A_DAY_S;
    let (this_half, half_before) = (half * HALF_A_DAY_S, half * HALF_A_DAY_S - 1);
    let (morning, evening) = if half.is_multiple_of(2) { (this_half, half_before) } else { (half_before, this_half) };
    for (auth_time, served) in [(json!(morning), true), (json!(evening), false), (json!("08:00"), false), (Value::Null, false)] {
        let token = trusting.token_with("ada", &json!({ "auth_time": auth_time }));
        let answer = call(&trusting, &token, "echo", &json!({ "message": "hello" })).await;
        assert_eq!(
            (answer.message().get("result").is_some(), !listed(&trusting, &token).await.is_empty()),
            (served, served),
            "{auth_time}"
        );
    }
}

/// Attached to one server, it looks into everything that goes through there, and into nothing else.
#[tokio::test]
async fn redact_is_a_filter() {
    let file = policy("redact").display().to_string();
    let settings = format!(
        "[servers.clean]\ntools = [\"*\"]\nresources = [\"*\"]\nprompts = [\"*\"]\npolicies = [\"redact\"]\n[policies.redact]\nfile = {file:?}\n\
         [policies.redact.settings]\narguments = \"replace\"\nprompts = []\n\
         patterns = [{{ name = \"time\", regex = \"at nine\" }}, {{ name = \"page\", regex = \"leave\" }}]\n"
    );
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox", "handbook"], settings, ..Setup::default() }).await;
    let clean = "/servers/clean/mcp";
    let echo = || Modern::call("echo", json!({ "message": "ada@example.com pays with 4111 1111 1111 1111" }));
    assert_eq!(gateway.modern(echo()).await.tool_text(), "ada@example.com pays with 4111 1111 1111 1111");
    assert_eq!(gateway.modern(echo().path(clean)).await.tool_text(), "[redacted:email] pays with [redacted:payment-card]");
    // It went in without it already: a digest of what the tool saw, not of what came out.
    let hash = || Modern::call("hash", json!({ "text": "ada@example.com", "algorithm": "sha256" }));
    let redacted = Modern::call("hash", json!({ "text": "[redacted:email]", "algorithm": "sha256" }));
    let hashed = async |request: Modern| gateway.modern(request).await.tool_text().to_owned();
    assert_eq!(hashed(hash().path(clean)).await, hashed(redacted).await);
    let read = |uri: &str| Modern::new("resources/read", json!({ "uri": uri })).path(clean);
    assert_eq!(gateway.modern(read("handbook:///welcome")).await.result()["contents"][0]["text"], "We begin [redacted:time].");
    // `leave` stands in the URI of what is read, which is no argument; in the answer it is not to be seen.
    let contents = gateway.modern(read("handbook:///leave")).await.result()["contents"][0].clone();
    assert_eq!((&contents["uri"], &contents["text"]), (&json!("handbook:///%5Bredacted%3Apage%5D"), &json!("Ask a week before.")));
    let prompt = Modern::new("prompts/get", json!({ "name": "explain", "arguments": { "page": "leave" } })).path(clean);
    assert_eq!(gateway.modern(prompt).await.status, 200, "prompts are not looked at");
    let log = gateway.log();
    assert!(!log.contains("ada@") && !log.contains("4111 1111"), "{log}");
}
