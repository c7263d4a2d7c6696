//! Policies that look into calls: what they change is changed for everybody behind them, what they withhold is not told in any other way, and
//! whatever is no answer is a no.

use super::tenants::{ADA, House, OTHER_ADA};
use crate::harness::{Answer, Events, Gateway, Modern, Setup, binary, call_params, eventually, fixture, messages, rpc};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A gateway with filters in this order, each with its mode and settings.
async fn filtering(filters: &[(&str, &str)], more: &str) -> Gateway {
    let file = fixture("sieve");
    let names: Vec<_> = (0..filters.len()).map(|at| format!("\"sieve{at}\"")).collect();
    let sections: String = filters
        .iter()
        .enumerate()
        .map(|(at, (mode, settings))| {
            format!("[policies.sieve{at}]\nfile = \"{}\"\nmode = \"{mode}\"\n[policies.sieve{at}.settings]\n{settings}\n", file.display())
        })
        .collect();
    let settings =
        format!("[gateway]\npolicies = [{}]\n[log]\nfilter = \"gatehouse=debug,guest=info\"\n{sections}\n{more}", names.join(", "));
    let fixtures = vec!["misbehave", "conformance-tasks"];
    Gateway::with(Setup { plugins: vec!["text-toolbox", "handbook"], fixtures, settings }).await
}

async fn one(settings: &str) -> Gateway {
    filtering(&[("enforce", settings)], "").await
}

fn echo(message: impl Into<Value>) -> Modern {
    Modern::call("echo", json!({ "message": message.into() }))
}

fn read(uri: &str) -> Modern {
    Modern::new("resources/read", json!({ "uri": uri }))
}

fn explain(page: &str) -> Modern {
    Modern::new("prompts/get", json!({ "name": "explain", "arguments": { "page": page } }))
}

fn complete(value: &str) -> Modern {
    let reference = json!({ "type": "ref/prompt", "name": "explain" });
    Modern::new("completion/complete", json!({ "ref": reference, "argument": { "name": "page", "value": value } }))
}

/// Status, code and kind.
fn refusal(answer: &Answer) -> (u16, i64, &str) {
    (answer.status, answer.code(), answer.kind())
}

const DENIED: (u16, i64, &str) = (403, -31006, "policy_denied");
const UNAVAILABLE: (u16, i64, &str) = (503, -31010, "policy_unavailable");
const WITHHELD: (u16, i64, &str) = (200, -31006, "result_withheld");

/// Of a file.
fn sha256(file: &Path) -> String {
    let sum = Command::new("sha256sum").arg(file).output().expect("it runs").stdout;
    String::from_utf8_lossy(&sum).split(' ').next().expect("a sum").to_owned()
}

/// The operator's log comes to hold all of these.
async fn logged(gateway: &Gateway, texts: &[&str]) {
    let log = async || texts.iter().all(|text| gateway.log().contains(text)).then_some(());
    eventually("the lines", Duration::from_secs(20), log).await;
}

/// Outcome, reason and policy of each call in the journal, once there are so many.
async fn recorded(gateway: &Gateway, count: usize) -> Vec<(Value, Value, Value)> {
    let record = |record: &Value| (record["outcome"].clone(), record["reason"].clone(), record["policy"]["name"].clone());
    records(gateway, count).await.iter().map(record).collect()
}

async fn records(gateway: &Gateway, count: usize) -> Vec<Value> {
    eventually("the records", Duration::from_secs(5), async || {
        let show =
            Command::new(binary()).args(["journal", "show", "--json", "--calls", "--data"]).arg(gateway.data()).output().expect("it runs");
        let text = String::from_utf8(show.stdout).expect("text");
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
        let all: Vec<_> = records.collect();
        (all.len() >= count).then_some(all)
    })
    .await
}

/// Filters alone open and close nothing.
#[tokio::test]
async fn arguments_are_changed_for_everybody_behind() {
    let gateway = one("rewrite = [\"hello\", \"goodbye\"]").await;
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
    assert_eq!(gateway.modern(echo("hello")).await.tool_text(), "goodbye");
    assert_eq!(gateway.modern(echo("other")).await.tool_text(), "other");
    for revision in ["2025-03-26", "2025-11-25"] {
        let session = gateway.session(revision).await;
        let answer = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("echo", json!({ "message": "hello" })))).await;
        assert_eq!(answer.tool_text(), "goodbye");
    }
    // Before they are checked: what would not fit is made to.
    let gateway = one("rewrite = [\"5\", '\"five\"']").await;
    assert_eq!(gateway.modern(echo(5)).await.tool_text(), "five");
    let gateway = one("rewrite = [\"leave\", \"welcome\"]").await;
    let prompt = gateway.modern(explain("leave")).await.result()["messages"][1]["content"]["resource"]["text"].clone();
    assert_eq!(prompt, "We begin at nine.");
    assert_eq!(gateway.modern(complete("leave")).await.result()["completion"]["values"], json!(["welcome"]));
    let read = gateway.modern(read("handbook:///leave")).await;
    assert_eq!(read.result()["contents"][0]["text"], "Ask a week before.", "what a resource is called is no argument");
}

/// What a filter gives is checked like what a client sends, and its client is not told of it.
#[tokio::test]
async fn arguments_that_cannot_be_taken_are_a_no() {
    let hostile = ["", "[]", "null", "{", "{\"message\":\"a\",\"message\":\"b\"}", "{\"message\":5}", "{\"other\":\"secret\"}", "{} {}"];
    for arguments in hostile {
        let gateway = one(&format!("arguments = '{arguments}'")).await;
        let answer = gateway.modern(echo("hello")).await;
        assert!(refusal(&answer) == UNAVAILABLE && !answer.text.contains("secret"), "{arguments}: {answer:?}");
        assert_eq!(recorded(&gateway, 1).await[0].0, "refused", "{arguments}");
    }
    let gateway = one("arguments = '{\"uri\":\"handbook:///leave\"}'").await;
    for request in [read("handbook:///welcome"), explain("leave"), complete("we")] {
        assert_eq!(refusal(&gateway.modern(request).await), UNAVAILABLE);
    }
    // What is wrong with the client's own is told it, as always, in words about its own.
    let gateway = one("rewrite = [\"mine\", \"secret\"]").await;
    let own = gateway.modern(echo(json!(["mine"]))).await;
    assert!(own.result()["isError"] == true && own.tool_text().contains("mine") && !own.text.contains("secret"), "{own:?}");
}

/// What is denied did not run, and who denied it is on record.
#[tokio::test]
async fn a_filter_denies() {
    let gateway = one("deny = \"secret\"").await;
    assert_eq!(refusal(&gateway.modern(echo("a secret")).await), DENIED);
    assert_eq!(refusal(&gateway.modern(explain("secret")).await), DENIED);
    assert_eq!(refusal(&gateway.modern(complete("secret")).await), DENIED);
    assert_eq!(gateway.modern(echo("open")).await.tool_text(), "open");
    let session = gateway.session("2025-11-25").await;
    let legacy = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("echo", json!({ "message": "secret" })))).await;
    assert_eq!(refusal(&legacy), DENIED);
    let denied = (json!("refused"), json!("policy_denied"), json!("sieve0"));
    let told = recorded(&gateway, 5).await;
    assert_eq!(told.iter().filter(|record| **record == denied).count(), 4, "{told:?}");
    // P08: which one, and in its words.
    let policy = records(&gateway, 5).await[0]["policy"].clone();
    let component = sha256(&fixture("sieve"));
    assert_eq!(policy, json!({ "name": "sieve0", "component": component, "reason": "an argument" }));

    // Who decides is asked about what the client sent, and before.
    let verdict = format!("[policies.verdict]\nfile = \"{}\"\n", fixture("verdict").display());
    let strict = format!(
        "{verdict}[policies.verdict.settings]\nforbid_argument = \"hello\"\n[servers.strict]\ntools = [\"*\"]\npolicies = [\"verdict\"]"
    );
    let gateway = filtering(&[("enforce", "rewrite = [\"hello\", \"goodbye\"]")], &strict).await;
    assert_eq!(refusal(&gateway.modern(echo("hello").path("/servers/strict/mcp")).await), DENIED);
    assert_eq!(recorded(&gateway, 1).await, [(json!("refused"), json!("policy_denied"), json!("verdict"))]);
    assert_eq!(gateway.modern(echo("hello")).await.tool_text(), "goodbye");
}

#[tokio::test]
async fn every_kind_of_result_is_looked_at() {
    let gateway = one("replace = [\"We begin at nine.\", \"[redacted]\"]").await;
    let contents = async |request: Modern| gateway.modern(request).await.result().clone();
    assert_eq!(contents(read("handbook:///welcome")).await["contents"][0]["text"], "[redacted]");
    assert_eq!(contents(read("handbook:///welcome")).await["ttlMs"], 60_000, "what the guest said of keeping it stays");
    let prompt = contents(explain("welcome")).await;
    assert_eq!(prompt["messages"][1]["content"]["resource"]["text"], "[redacted]");
    assert_eq!(gateway.modern(echo("We begin at nine.")).await.tool_text(), "[redacted]");
    let gateway = one("replace = [\"welcome\", \"redacted\"]").await;
    assert_eq!(gateway.modern(complete("we")).await.result()["completion"]["values"], json!(["redacted"]));

    // Withheld is withheld, whatever it was and in whatever words; the tool ran.
    let gateway = one("withhold = \"\"").await;
    for request in [echo("x"), read("handbook:///welcome"), explain("welcome"), complete("we")] {
        assert_eq!(refusal(&gateway.modern(request).await), WITHHELD);
    }
    let failing = gateway.modern(Modern::call("regex_extract", json!({ "pattern": "(", "text": "x" }))).await;
    assert_eq!(refusal(&failing), WITHHELD, "a tool's own failure is a result");
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = gateway.session(revision).await;
        let answer = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("echo", json!({ "message": "x" })))).await;
        assert_eq!(refusal(&answer), WITHHELD, "{revision}");
        assert!(!answer.text.contains("must not"), "the filter's words are for the log");
    }
    logged(&gateway, &["the result holds what it must not"]).await;
    let withheld = (json!("refused"), json!("result_withheld"), json!("sieve0"));
    assert!(recorded(&gateway, 8).await.iter().all(|record| *record == withheld));
}

/// In its own words as in its results, a guest must not go around a filter.
#[tokio::test]
async fn what_a_guest_says_along_the_way_stays_inside() {
    let count = || Modern::call_with_progress("slow_count", json!({ "message": "done", "n": 3, "interval_ms": 10 }));
    let forge =
        || Modern::call("log_forge", json!({})).body(|body| body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "debug".into());
    let gateway = one("replace = [\"done\", \"redacted\"]").await;
    let counted = gateway.modern(count()).await;
    assert!(counted.is_stream() && counted.tool_text() == "redacted", "{counted:?}");
    let params: Vec<_> = counted.notifications().iter().map(|message| &message["params"]).collect();
    assert!(params.len() == 3 && params.iter().all(|params| params["total"] == 3 && params.get("message").is_none()), "{params:?}");
    assert_eq!(gateway.modern(forge()).await.notifications(), &[] as &[Value]);
    logged(&gateway, &["forged"]).await;
    let withheld = one("withhold = \"done\"").await.modern(count()).await;
    assert!(withheld.is_stream() && withheld.notifications().len() == 3 && refusal(&withheld) == WITHHELD, "{withheld:?}");
    // Who is on trial changes nothing.
    let gateway = filtering(&[("dry-run", "withhold = \"\"")], "").await;
    assert!(gateway.modern(count()).await.notifications().iter().all(|message| message["params"]["message"].is_string()));
    assert_eq!(gateway.modern(forge()).await.notifications().len(), 1);

    // A guest refuses its arguments in words of its own, which are a result for a model and otherwise an error.
    let gateway = one("replace = [\"told to refuse\", \"[redacted]\"]").await;
    let refused = gateway.modern(Modern::call("fail_arguments", json!({}))).await;
    assert_eq!((&refused.result()["isError"], refused.tool_text()), (&json!(true), "[redacted] the arguments"));
    let session = gateway.session("2025-06-18").await;
    let early = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("fail_arguments", json!({})))).await;
    assert_eq!((early.code(), &early.error()["message"]), (-32602, &json!("The plugin refuses the arguments")));
    let prompt = gateway.modern(explain("nothing")).await;
    assert_eq!((prompt.code(), &prompt.error()["message"]), (-32602, &json!("The plugin refuses the arguments")));
    assert_eq!(refusal(&one("withhold = \"told\"").await.modern(Modern::call("fail_arguments", json!({}))).await), WITHHELD);
}

/// The gateway's before the server's, and back in the reverse order.
#[tokio::test]
async fn filters_stand_in_a_row() {
    let file = fixture("sieve").display().to_string();
    let inner = format!(
        "[policies.inner]\nfile = \"{file}\"\n[policies.inner.settings]\nrewrite = [\"two\", \"three\"]\nreplace = [\"three\", \"four\"]\n\
         [servers.inner]\ntools = [\"*\"]\npolicies = [\"inner\"]\n"
    );
    let outer = [
        ("enforce", "rewrite = [\"zero\", \"one\"]\nreplace = [\"five\", \"six\"]"),
        ("enforce", "rewrite = [\"one\", \"two\"]\nreplace = [\"four\", \"five\"]"),
    ];
    let gateway = filtering(&outer, &inner).await;
    assert_eq!(gateway.modern(echo("zero").path("/servers/inner/mcp")).await.tool_text(), "six");
    assert_eq!(gateway.modern(echo("zero")).await.tool_text(), "two");
}

/// Of a tenant, it looks into the calls of that tenant's callers, behind the gateway's.
#[tokio::test]
async fn a_tenants_filters_look_into_its_own_calls() {
    let file = fixture("sieve").display().to_string();
    let more = format!(
        "[policies.outer]\nfile = {file:?}\n[policies.outer.settings]\nrewrite = [\"zero\", \"one\"]\nreplace = [\"two\", \"three\"]\n\
         [policies.theirs]\nfile = {file:?}\n[policies.theirs.settings]\nrewrite = [\"one\", \"two\"]\n"
    );
    let house = House::with(&[], ("policies = [\"theirs\"]", "", &format!("[gateway]\npolicies = [\"outer\"]\n{more}"))).await;
    assert_eq!(house.asks(ADA, echo("zero")).await.tool_text(), "three");
    assert_eq!(house.asks(OTHER_ADA, echo("zero")).await.tool_text(), "one");
}

/// Looking into calls is not allowing them: who has to be allowed is not by a filter.
#[tokio::test]
async fn filters_allow_nothing() {
    let file = fixture("sieve").display().to_string();
    let settings = format!("[gateway]\nrequire_policy = true\npolicies = [\"sieve\"]\n[policies.sieve]\nfile = {file:?}\n");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    assert_eq!(refusal(&gateway.modern(echo("x")).await), UNAVAILABLE);
    assert_eq!(gateway.modern(Modern::new("tools/list", json!({}))).await.code(), -31010);
}

/// A result in place of another keeps the promises of that one.
#[tokio::test]
async fn results_that_cannot_be_taken_are_withheld() {
    let text = |text: &str| format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}");
    let structured = "{\"content\":[],\"structuredContent\":{\"words\":\"many\"}}";
    let gateway = one(&format!("only = [\"CallTool\"]\nreply = '{}'", text("instead"))).await;
    assert_eq!(gateway.modern(echo("x")).await.tool_text(), "instead");
    assert_eq!(gateway.modern(read("handbook:///welcome")).await.status, 200);
    let stats = Modern::call("word_stats", json!({ "text": "a b" }));
    assert_eq!(refusal(&gateway.modern(stats.clone()).await), WITHHELD, "its schema promises a structure");
    assert_eq!(refusal(&one(&format!("reply = '{structured}'")).await.modern(stats).await), WITHHELD, "of another form");
    let hostile = [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        text("a").replace("text\"", "Text\""),
        format!("{} ", text("a")).replace("}]}", "}],\"more\":1}"),
        text("a").replace("{\"content\"", "{\"content\":[],\"content\""),
        "{\"contents\":[{\"uri\":\"a:b\",\"text\":\"t\"}]}".to_owned(),
        "{\"resultType\":\"input_required\",\"inputRequests\":{}}".to_owned(),
    ];
    for reply in hostile {
        let answer = one(&format!("reply = '{reply}'")).await.modern(echo("x")).await;
        assert_eq!(refusal(&answer), WITHHELD, "{reply}");
    }
}

/// P01, of filters: closed, and soon.
#[tokio::test]
async fn a_filter_that_fails_has_said_no() {
    for how in ["trap", "loop", "memory"] {
        let gateway = one(&format!("fail_call = \"{how}\"")).await;
        for request in [echo("x"), read("handbook:///welcome"), explain("welcome"), complete("we")] {
            let (began, answer) = (Instant::now(), gateway.modern(request).await);
            assert!(refusal(&answer) == UNAVAILABLE && answer.header("retry-after").is_some(), "{how}: {answer:?}");
            assert!(began.elapsed() < Duration::from_secs(2), "{how}: {:?}", began.elapsed());
        }
        let gateway = one(&format!("fail_result = \"{how}\"")).await;
        for request in [echo("x"), read("handbook:///welcome"), explain("welcome"), complete("we")] {
            let answer = gateway.modern(request).await;
            assert!(refusal(&answer) == WITHHELD && answer.header("retry-after").is_none(), "{how}: {answer:?}");
        }
        assert_eq!(recorded(&gateway, 4).await[0].2, "sieve0");
    }
    let trial = [("dry-run", "fail_call = \"trap\""), ("dry-run", "fail_result = \"loop\""), ("dry-run", "deny = \"x\"\nwithhold = \"\"")];
    let gateway = filtering(&trial, "").await;
    assert_eq!(gateway.modern(echo("x")).await.tool_text(), "x");
    logged(&gateway, &["a policy on trial did not come to an answer", "verdict=\"deny\"", "verdict=\"withhold\""]).await;
}

/// A call's time is that of its filters too, whatever they would say.
#[tokio::test]
async fn filters_have_the_time_of_the_call() {
    let slow = ("dry-run", "fail_result = \"loop\"");
    let gateway = filtering(&[slow, slow, slow], "[limits]\ncall_wall_time_ms = 100").await;
    let answer = gateway.modern(echo("x")).await;
    assert_eq!((answer.code(), answer.kind()), (-31001, "wall_time"), "{answer:?}");
}

/// Questions are results too: what a client is asked goes by the same way, in both eras.
#[tokio::test]
async fn questions_are_looked_at() {
    let capable = |body: &mut Value| body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
    let ask = || Modern::call("ask", json!({})).body(capable);
    let gateway = one("replace = [\"What is your name?\", \"Who?\"]").await;
    let asked = gateway.modern(ask()).await.result().clone();
    assert_eq!(asked["inputRequests"]["user_name"]["params"]["message"], "Who?");
    let answer = json!({ "user_name": { "action": "accept", "content": { "name": "Ada" } } });
    let again = ask().body(|body| {
        body["params"]["inputResponses"] = answer.clone();
        body["params"]["requestState"] = asked["requestState"].clone();
    });
    assert_eq!(gateway.modern(again).await.result()["structuredContent"], json!({ "answers": answer, "state": "asked once" }));

    let mut params = crate::harness::initialize_params("2025-11-25");
    params["capabilities"] = json!({ "elicitation": {} });
    let session = gateway.legacy(None, rpc(0, "initialize", params.clone())).await.header("mcp-session-id").expect("a session").to_owned();
    let mut events = Events::of(gateway.legacy_request(Some(&session), &rpc(1, "tools/call", call_params("ask", json!({}))))).await;
    let question = loop {
        let event = events.next().await.expect("a question");
        if !event.is_priming() {
            break event.message();
        }
    };
    assert_eq!(question["params"]["message"], "Who?");
    let told = json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer["user_name"] });
    assert_eq!(gateway.legacy(Some(&session), told).await.status, 202);
    let end = messages(events).await.last().expect("an end").message();
    assert_eq!(end["result"]["structuredContent"]["answers"], answer);

    let gateway = one("withhold = \"your name\"").await;
    assert_eq!(refusal(&gateway.modern(ask()).await), WITHHELD);
    let session = gateway.legacy(None, rpc(0, "initialize", params)).await.header("mcp-session-id").expect("a session").to_owned();
    let answer = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("ask", json!({})))).await;
    assert_eq!(refusal(&answer), WITHHELD);
    // A question cannot become another kind of question, nor an answer.
    for reply in [
        "{\"content\":[]}",
        "{\"resultType\":\"input_required\",\"inputRequests\":{\"user_name\":{\"method\":\"roots/list\",\"params\":{}}}}",
    ] {
        assert_eq!(refusal(&one(&format!("reply = '{reply}'")).await.modern(ask()).await), WITHHELD, "{reply}");
    }
}

/// What a task keeps went by the filters, and each round of it does.
#[tokio::test]
async fn what_a_task_keeps_was_looked_at() {
    let declaring = |method: &str, params: Value| {
        let request = Modern::new(method, params).body(|body| {
            body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                json!({ "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } });
        });
        let id = request.body["params"].get("taskId").and_then(Value::as_str).map(ToOwned::to_owned);
        id.iter().fold(request, |request, id| request.header("mcp-name", id))
    };
    let begun = async |gateway: &Gateway, tool: &str, arguments: Value| {
        let answer = gateway.modern(declaring("tools/call", json!({ "name": tool, "arguments": arguments }))).await;
        answer.result()["taskId"].as_str().unwrap_or_else(|| panic!("no task: {answer:?}")).to_owned()
    };
    let reached = async |gateway: &Gateway, id: &str, status: &str| {
        let there = async || {
            let task = gateway.modern(declaring("tasks/get", json!({ "taskId": id }))).await.result().clone();
            Some(task).filter(|task| task["status"] == status)
        };
        eventually(status, Duration::from_secs(20), there).await
    };
    let update = |id: &str| {
        let answers = json!({ "confirm": { "action": "accept", "content": { "confirm": true } } });
        declaring("tasks/update", json!({ "taskId": id, "inputResponses": answers }))
    };

    let gateway = one("rewrite = [\"x.txt\", \"y.txt\"]\nreplace = [\"y.txt\", \"[redacted]\"]").await;
    let id = begun(&gateway, "confirm_delete", json!({ "filename": "x.txt" })).await;
    let asked = reached(&gateway, &id, "input_required").await.to_string();
    assert!(!asked.contains("x.txt") && !asked.contains("y.txt"), "{asked}");
    assert_eq!(gateway.modern(update(&id)).await.status, 200);
    assert_eq!(reached(&gateway, &id, "completed").await["result"]["content"][0]["text"], "deleted [redacted]");

    let gateway = one("withhold = \"deleted\"").await;
    let id = begun(&gateway, "confirm_delete", json!({ "filename": "x.txt" })).await;
    reached(&gateway, &id, "input_required").await;
    assert_eq!(gateway.modern(update(&id)).await.status, 200);
    let failed = reached(&gateway, &id, "failed").await;
    assert_eq!((&failed["error"]["code"], &failed["error"]["data"]["kind"]), (&json!(-31006), &json!("result_withheld")));
    let gateway = one("withhold = \"input_required\"").await;
    let id = begun(&gateway, "confirm_delete", json!({ "filename": "x.txt" })).await;
    assert_eq!(reached(&gateway, &id, "failed").await["error"]["code"], -31006);
}

/// P07, P13: a policy sees claims and no credential, and nothing of it outlives a question.
#[tokio::test]
async fn a_filter_sees_what_it_is_to_see() {
    let gateway = one("dump = true").await;
    let request = echo("hello").header("authorization", "Bearer canary").header("x-canary", "canary");
    let dumped = gateway.modern(request).await.tool_text().to_owned();
    let expected = json!([
        "Action::CallTool",
        ["default", null, null, [], null],
        ["", "TargetKind::Tool", "echo", "text-toolbox"],
        "{\"message\":\"hello\"}",
        "{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}",
    ]);
    assert_eq!(serde_json::from_str::<Value>(&dumped).expect("JSON"), expected);
    let gateway = one("count = true").await;
    for _ in 0..3 {
        assert_eq!(gateway.modern(echo("x")).await.tool_text(), "0");
    }
}
