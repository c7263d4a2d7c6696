//! The example plugins: each does what its page says, through a gateway.

use super::author::{Desk, ran};
use super::dialogs::{answer, question_of, session};
use super::egress::{LOOPBACK, SOON};
use super::grants::beside;
use super::resources::{again, with_forms};
use crate::harness::{Events, Gateway, Modern, Setup, Upstream, call_params, eventually, messages, plugin, root, rpc};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Whether an example is there. Those in C and Go are left out where their compilers cannot be had, but not in CI.
fn is_built(name: &str) -> bool {
    let built = root().join(format!("target/plugins/{name}.wasm")).exists();
    assert!(built || std::env::var_os("CI").is_none(), "{name} is missing; `make plugins` makes it");
    if !built {
        eprintln!("not run: {name} was not built");
    }
    built
}

/// With the page reader, which is granted one site and asks for that too.
async fn reading(site: &str) -> Gateway {
    let settings = format!("[grants.pages]\nplugin = \"web-page\"\n[grants.pages.http]\nallow = [\"GET {site}\"]\n{LOOPBACK}");
    let gateway = Gateway::with(Setup { plugins: vec!["web-page"], settings, ..Setup::default() }).await;
    beside(&gateway.plugins, "web-page", &format!("[asks]\nhttp = [\"GET {site}\"]\n"));
    served(&gateway).await;
    gateway
}

async fn served(gateway: &Gateway) {
    let there = || async { gateway.tools().await.contains(&"read_web_page".to_owned()).then_some(()) };
    eventually("the page reader is served", SOON, there).await;
}

/// What it says of a page, and whether that is a failure.
async fn read(gateway: &Gateway, arguments: Value) -> (String, bool) {
    let answer = gateway.call("read_web_page", arguments).await;
    (answer.tool_text().to_owned(), answer.result().get("isError").is_some_and(|is| is == true))
}

#[tokio::test]
async fn a_page_that_is_granted_comes_as_markdown() {
    let upstream = Upstream::plain().await;
    let site = format!("http://127.0.0.1:{}", upstream.port());
    let gateway = reading(&site).await;
    let (text, is_error) = read(&gateway, json!({ "url": format!("{site}/moved#part") })).await;
    let expected = r"# Tide & time

The *gate* opens **twice a day**, see [the table](SITE/tides?at=2#now), `a_b` and \*this\*.
It closes on its own.

1. First
   - under it
   - and **so**
2. Second

> No gate

> without a house.

```sh
open --gate  <now>
```

| Day | High |
| --- | --- |
| Monday | 06:12 \| 18:40 |

![A gate](SITE/img/gate%20one.png)

\# not a heading"
        .replace("SITE", &site);
    assert_eq!((text.as_str(), is_error), (expected.as_str(), false), "{text}");
    assert_eq!(upstream.request(2).await.field("accept").as_deref(), Some("text/html, application/xhtml+xml, text/*;q=0.8"));

    // Another text comes as it is; what has no text, or is not there, is told.
    assert_eq!(read(&gateway, json!({ "url": format!("{site}/plain") })).await, ("<b>as it is</b>".to_owned(), false));
    for (path, told) in [
        ("/status", "/status answered with the status 404."),
        ("/picture", "/picture is no page but image/png."),
        ("/script", "/script has no text: it may make it with a script."),
        ("/redirect", "http://169.254.169.254/latest/meta-data/ is not granted to this tool (host)."),
        ("/packed", "/packed came packed (gzip), although nobody asked for that."),
        ("/circle", "It was sent on more than 5 times, in the end to "),
    ] {
        let (text, is_error) = read(&gateway, json!({ "url": format!("{site}{path}") })).await;
        assert!(is_error && text.contains(told), "{path}: {text}");
    }
    // A long one comes in parts.
    let part = |from: u64| json!({ "url": format!("{site}/long"), "from": from, "characters_max": 1000 });
    let (first, _) = read(&gateway, part(0)).await;
    assert!(
        first.starts_with("# Long\n\nword word") && first.ends_with("\n\n… 1007 more characters: call again with `from` = 1000"),
        "{first}"
    );
    let (last, _) = read(&gateway, part(2000)).await;
    assert_eq!(last, "rd word");
    let (beyond, is_error) = read(&gateway, part(2007)).await;
    assert!(is_error && beyond.contains("The page has 2007 characters"), "{beyond}");
}

#[tokio::test]
async fn a_page_that_is_not_granted_is_not_asked_for() {
    let upstream = Upstream::plain().await;
    let site = format!("http://127.0.0.1:{}", upstream.port());
    // As it is shipped: its side file asks, and nothing is granted.
    let gateway = Gateway::with(Setup { plugins: vec!["web-page"], ..Setup::default() }).await;
    let shipped = fs::read_to_string(plugin("web-page").with_extension("toml")).expect("it comes with its side file");
    beside(&gateway.plugins, "web-page", &shipped);
    served(&gateway).await;
    for url in [format!("{site}/article"), "https://en.wikipedia.org/wiki/Gatehouse".to_owned()] {
        let (text, is_error) = read(&gateway, json!({ "url": url })).await;
        assert!(is_error && text.contains("is not granted to this tool (not_granted)"), "{text}");
    }
    assert_eq!(upstream.came(), 0);
    // One site that is granted grants no other.
    let other = Upstream::plain().await;
    let gateway = reading(&site).await;
    let (text, is_error) = read(&gateway, json!({ "url": format!("http://127.0.0.1:{}/article", other.port()) })).await;
    assert!(is_error && text.contains("is not granted to this tool (port)"), "{text}");
    assert_eq!(other.came(), 0);
}

#[tokio::test]
async fn a_chart_is_a_picture_and_a_line_of_text() {
    if !is_built("chart") {
        return;
    }
    let gateway = Gateway::with(Setup { plugins: vec!["chart", "text-toolbox"], ..Setup::default() }).await;
    for (kind, drawn) in [("bar", "<rect x="), ("line", "<polyline ")] {
        let labels = ["spring", "</text><script>alert(1)</script>", "\"autumn\" & \u{1}é"];
        let arguments = json!({ "kind": kind, "title": "Rain", "unit": "mm", "labels": labels, "values": [12.5, -3, 40] });
        let drawing = gateway.call("draw_chart", arguments).await;
        let told = drawing.tool_text();
        assert!(told.starts_with(&format!("A {kind} chart of 3 values: least -3 mm (</text>")) && told.ends_with("mean 16.5."), "{told}");
        let image = &drawing.result()["content"][1];
        assert_eq!((&image["type"], &image["mimeType"]), (&json!("image"), &json!("image/svg+xml")));
        let decoded = gateway.call("base64", json!({ "text": image["data"], "direction": "decode" })).await;
        let svg = decoded.tool_text();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>") && svg.contains(drawn), "{svg}");
        // What others wrote is text in it.
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;alert(1)") && svg.contains("&quot;autumn&quot; &amp; é"), "{svg}");
    }
    let uneven = gateway.call("draw_chart", json!({ "labels": ["a"], "values": [1, 2] })).await;
    assert_eq!((&uneven.result()["isError"], uneven.tool_text().contains("1 labels and 2 values")), (&json!(true), true));
}

const SALES: &str = "\u{feff}day,town,item,pieces,note\n\
    2026-11-02,Ulm,\"lamp, small\",3,\n\
    2026-11-02,Bonn,lamp,12,\"first\nof two\"\n\
    2026-11-03,Ulm,chair,1.5,<b>late</b>\n\
    2026-11-04,Ulm,lamp\n";

/// With a directory of tables granted.
async fn with_tables(tables: &Path, limits: &str) -> Gateway {
    let settings = format!("[grants.tables]\nplugin = \"table-query\"\n[grants.tables.files]\n\"/tables\" = {:?}\n{limits}", tables);
    let gateway = Gateway::with(Setup { plugins: vec!["table-query"], settings, ..Setup::default() }).await;
    let shipped = fs::read_to_string(plugin("table-query").with_extension("toml")).expect("it comes with its side file");
    beside(&gateway.plugins, "table-query", &shipped);
    gateway
}

/// R15: what a guest does with files are calls to the host like all others.
#[tokio::test]
async fn r15_a_flood_of_reading_ends() {
    let tables = tempfile::tempdir().expect("a directory");
    fs::write(tables.path().join("long.csv"), "a,b\n".repeat(2_000_000)).expect("a table");
    let gateway = with_tables(tables.path(), "[limits]\ncall_host_calls_max = 100\n").await;
    let fallen = || async {
        let answer = gateway.call("query_table", json!({ "table": "long" })).await;
        // Until the side file counts, nothing is granted, and that takes no calls.
        answer.message().get("error").is_some().then_some(answer)
    };
    let answer = eventually("it reads", SOON, fallen).await;
    assert_eq!((answer.code(), &answer.error()["message"]), (-31003, &json!("The plugin ran out of calls to the host")));
}

#[tokio::test]
async fn tables_of_a_granted_directory_answer_questions() {
    let tables = tempfile::tempdir().expect("a directory");
    fs::write(tables.path().join("sales.csv"), SALES).expect("a table");
    fs::write(tables.path().join("notes.txt"), "none").expect("no table");
    let gateway = with_tables(tables.path(), "").await;
    let ask = async |question: Value| {
        let answer = gateway.call("query_table", question).await;
        let result = answer.result().clone();
        if result["isError"] == true { json!(answer.tool_text()) } else { result["structuredContent"].clone() }
    };
    // Granted is what both say, and the side file has just come.
    let there = || async { ask(json!({ "table": "sales" })).await.is_object().then_some(()) };
    eventually("the directory is granted", SOON, there).await;

    let listed = gateway.call("list_tables", json!({})).await;
    let columns = json!(["day", "town", "item", "pieces", "note"]);
    let expected = json!({ "tables": [{ "table": "sales", "columns": columns, "bytes": SALES.len() }] });
    assert_eq!(listed.result()["structuredContent"], expected);

    let all = ask(json!({ "table": "sales", "rows_max": 2 })).await;
    assert_eq!((&all["columns"], &all["rows_found"], &all["is_cut"]), (&columns, &json!(4), &json!(true)));
    let first = json!([["2026-11-02", "Ulm", "lamp, small", 3, null], ["2026-11-02", "Bonn", "lamp", 12, "first\nof two"]]);
    assert_eq!(all["rows"], first);

    for (conditions, found) in [
        (json!([{ "column": "pieces", "is": ">", "value": 2 }]), 2),
        (json!([{ "column": "pieces", "is": "<=", "value": "3" }, { "column": "town", "is": "=", "value": "Ulm" }]), 2),
        (json!([{ "column": "pieces", "is": "empty" }]), 1),
        (json!([{ "column": "item", "is": "contains", "value": "LAMP" }, { "column": "note", "is": "not_empty" }]), 1),
        (json!([{ "column": "day", "is": ">=", "value": "2026-11-03" }, { "column": "town", "is": "!=", "value": "Bonn" }]), 2),
        (json!([{ "column": "town", "is": ">", "value": 5 }]), 0),
    ] {
        assert_eq!(ask(json!({ "table": "sales", "where": conditions })).await["rows_found"], found, "{conditions}");
    }

    let summed = json!({
        "table": "sales", "columns": ["town"], "order_by": [{ "column": "sum(pieces)", "descending": true }],
        "compute": [{ "function": "count" }, { "function": "sum", "column": "pieces" }, { "function": "mean", "column": "pieces" },
            { "function": "max", "column": "day" }],
    });
    let summed = ask(summed).await;
    assert_eq!(summed["columns"], json!(["town", "count", "sum(pieces)", "mean(pieces)", "max(day)"]));
    assert_eq!(summed["rows"], json!([["Bonn", 1, 12, 12, "2026-11-02"], ["Ulm", 3, 4.5, 2.25, "2026-11-04"]]));
    let none =
        json!({ "table": "sales", "where": [{ "column": "town", "is": "=", "value": "Rome" }], "compute": [{ "function": "count" }] });
    assert_eq!(ask(none).await["rows"], json!([[0]]));

    for (question, told) in [
        (json!({ "table": "notes" }), "There is no table notes"),
        (json!({ "table": "sales", "columns": ["price"] }), "no column price. It has: day, town, item, pieces, note."),
        (json!({ "table": "sales", "order_by": [{ "column": "when" }] }), "The result has no column when."),
        (json!({ "table": "sales", "compute": [{ "function": "sum" }] }), "sum needs a column."),
    ] {
        let answer = ask(question).await;
        assert!(answer.as_str().is_some_and(|text| text.contains(told)), "{answer}");
    }
}

fn said(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

/// What both eras fill in.
fn steps() -> [(&'static str, &'static str, Value); 2] {
    [
        ("problem", "What is wrong with the lift?", said(json!({ "summary": "It stands still", "urgency": "high" }))),
        ("contact", "Somebody will call you at once. Where?", said(json!({ "phone": "555 0100" }))),
    ]
}

fn filled_in() -> Value {
    json!({ "service": "the lift", "summary": "It stands still", "urgency": "high", "phone": "555 0100" })
}

#[tokio::test]
async fn a_form_is_filled_in_step_by_step_in_both_eras() {
    if !is_built("form") {
        return;
    }
    let gateway = Gateway::with(Setup { plugins: vec!["form"], ..Setup::default() }).await;
    let arguments = json!({ "service": "the lift" });

    let call = || with_forms(Modern::call("report_problem", arguments.clone()));
    let mut answered = gateway.modern(call()).await;
    for (key, message, answer) in steps() {
        let result = answered.result();
        assert_eq!(
            (&result["resultType"], result["inputRequests"].as_object().map(serde_json::Map::len)),
            (&json!("input_required"), Some(1))
        );
        assert_eq!(result["inputRequests"][key]["params"]["message"], message);
        // Of the round before, answers are in the state: the client sends only those of this one.
        answered = gateway.modern(again(call(), json!({ key: answer }), &result["requestState"])).await;
    }
    assert_eq!(answered.result()["structuredContent"], filled_in());
    let mute = gateway.modern(Modern::call("report_problem", arguments.clone())).await;
    assert_eq!((mute.status, mute.code()), (400, -32021));

    for revision in ["2025-06-18", "2025-11-25"] {
        let session = session(&gateway, revision).await;
        let call = rpc("f", "tools/call", call_params("report_problem", arguments.clone()));
        let mut events = Events::of(gateway.legacy_request(Some(&session), &call)).await;
        for (_, message, content) in steps() {
            let asked = question_of(&mut events).await;
            assert_eq!((&asked["method"], &asked["params"]["message"]), (&json!("elicitation/create"), &json!(message)));
            assert_eq!(answer(&gateway, &session, &asked["id"], content).await.status, 202);
        }
        let end = messages(events).await.last().expect("an end").message();
        assert_eq!(end["result"]["structuredContent"], filled_in(), "{revision}");
    }
}

#[tokio::test]
async fn the_others_work_as_well() {
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox", "text-template", "data-helper", "units"], ..Setup::default() }).await;
    let letter = json!({ "template": "Dear {{name}}", "data": { "name": "Ada" } });
    assert_eq!(gateway.call("render_template", letter).await.tool_text(), "Dear Ada");
    let dates = gateway.call("date_difference", json!({ "from": "2026-11-23", "to": "2026-12-24" })).await;
    assert_eq!(dates.result()["structuredContent"]["days"], 31);
    assert_eq!(gateway.call("echo", json!({ "message": "well" })).await.tool_text(), "well");
    assert!(gateway.call("units_known", json!({})).await.result()["content"].is_array());
}

/// The cases that lie beside sources, as their authors run them.
#[test]
fn cases_of_examples_come_out_as_expected() {
    let desk = Desk::new();
    for name in ["web-page", "table-query", "chart", "form"] {
        if !matches!(name, "web-page" | "table-query") && !is_built(name) {
            continue;
        }
        let cases = root().join("plugins").join(name).join("cases.toml");
        let component = plugin(name);
        let mut test = desk.command(crate::harness::binary());
        let ran = ran(test.arg("test").arg(&component).arg("--cases").arg(&cases));
        assert!(ran.code == 0 && ran.out.contains("cases came out as expected") && !ran.out.contains('✗'), "{ran:?}");
    }
}
