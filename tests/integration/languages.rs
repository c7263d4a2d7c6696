//! The table of languages: the same three tools in each, from `gatehouse new` to a call with a grant. The sources are in `tests/languages`.

use super::author::{Desk, Language};
use super::command::Place;
use super::dialogs::{answer, question_of, session};
use super::grants::beside;
use super::resources::{again, with_forms};
use crate::harness::{Answer, Events, Gateway, Modern, Setup, call_params, eventually, messages, root, rpc};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// CPython is compiled in some seconds, on a machine that is busy in many.
const SOON: Duration = Duration::from_secs(90);
const SIDE_FILE: &str = "[asks]\nenvironment = [\"GREETING\"]\n";
/// What the measured call is of.
const CASE: &str = "[[case]]\ntool = \"count\"\narguments = { n = 1 }\nstructured = { count = 1 }\n";
const WARM_CALLS: usize = 50;

/// What each language has to do.
const COLUMNS: [&str; 8] = ["build", "load", "list", "call", "progress", "elicit", "refused", "granted"];

type Proven = Result<(), String>;

fn equal(found: &Value, expected: &Value) -> Proven {
    if found == expected { Ok(()) } else { Err(format!("{found} is not {expected}")) }
}

/// What a call ended with: never a panic, because a cell that fails is to be shown in its place.
fn result(answer: &Answer) -> Result<&Value, String> {
    answer.messages.last().and_then(|message| message.get("result")).ok_or_else(|| format!("no result: {answer:?}"))
}

/// `gatehouse new`, our tools in place of the template's, `gatehouse build`: the component's path, and how long the build took.
fn build(desk: &Desk, language: Language, name: &str) -> Result<(PathBuf, Duration), String> {
    let made = desk.run(&["new", name, "--lang", language.word()]);
    if made.code != 0 {
        return Err(format!("{made:?}"));
    }
    desk.borrow(language, name);
    lay(&root().join("tests/languages").join(language.word()), &desk.path().join(name));
    let began = Instant::now();
    let built = desk.run(&["build", name]);
    let took = began.elapsed();
    let told = format!("plugin     {name}: ok, 3 tools, sha256:");
    if built.code != 0 || !built.out.contains(&told) {
        return Err(format!("{built:?}"));
    }
    Ok((desk.path().join(name).join(format!("{name}.wasm")), took))
}

/// Copies what lies in one folder over another.
fn lay(from: &Path, over: &Path) {
    fs::create_dir_all(over).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let to = over.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            lay(&entry, &to);
        } else {
            fs::copy(&entry, &to).expect("copied");
        }
    }
}

async fn list(gateway: &Gateway) -> Proven {
    let listed = gateway.modern(Modern::new("tools/list", json!({}))).await;
    let tools = result(&listed)?["tools"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].clone()).collect();
    equal(&json!(names), &json!(["count", "ask", "variable"]))?;
    let count = &tools[0];
    equal(&count["description"], &json!("Counts to a number, and tells how far it has come."))?;
    equal(&count["annotations"]["readOnlyHint"], &json!(true))?;
    equal(&count["inputSchema"]["required"], &json!(["n"]))?;
    equal(&count["inputSchema"]["properties"]["n"]["maximum"], &json!(1_000))?;
    equal(&count["outputSchema"]["required"], &json!(["count"]))
}

async fn call(gateway: &Gateway) -> Proven {
    let counted = json!({ "count": 3 });
    equal(&result(&gateway.call("count", json!({ "n": 3 })).await)?["structuredContent"], &counted)?;
    let session = gateway.session("2025-11-25").await;
    let legacy = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("count", json!({ "n": 3 })))).await;
    equal(&result(&legacy)?["structuredContent"], &counted)?;
    // What does not fit the tool's schema is told to the model, and the guest is not asked.
    let unfit = gateway.call("count", json!({ "n": "three" })).await;
    equal(&result(&unfit)?["isError"], &json!(true))
}

async fn progress(gateway: &Gateway) -> Proven {
    let with = gateway.modern(Modern::call_with_progress("count", json!({ "n": 3 }))).await;
    result(&with)?;
    let told: Vec<_> =
        with.notifications().iter().map(|one| json!([one["method"], one["params"]["progress"], one["params"]["total"]])).collect();
    let steps: Vec<_> = [1.0, 2.0, 3.0].iter().map(|done| json!(["notifications/progress", done, 3.0])).collect();
    // Whole numbers may be written either way.
    let as_numbers = |all: &[Value]| -> Vec<_> { all.iter().map(|one| (one[0].clone(), one[1].as_f64(), one[2].as_f64())).collect() };
    if as_numbers(&told) != as_numbers(&steps) {
        return Err(format!("{told:?}"));
    }
    let without = gateway.call("count", json!({ "n": 3 })).await;
    equal(&json!(without.notifications()), &json!([]))
}

async fn elicit(gateway: &Gateway) -> Proven {
    // What has to be escaped on its way, in any language.
    let name = "Zoë \"Z\" \\ \n 🦀";
    let said = json!({ "action": "accept", "content": { "name": name } });
    let call = || with_forms(Modern::call("ask", json!({})));
    let asked = gateway.modern(call()).await;
    let asked = result(&asked)?;
    let question = &asked["inputRequests"]["name"]["params"];
    equal(&question["message"], &json!("What is your name?"))?;
    equal(&question["requestedSchema"]["required"], &json!(["name"]))?;
    let done = gateway.modern(again(call(), json!({ "name": said }), &asked["requestState"])).await;
    equal(&result(&done)?["structuredContent"], &json!({ "name": name }))?;
    let declined = gateway.modern(again(call(), json!({ "name": { "action": "decline" } }), &asked["requestState"])).await;
    equal(&result(&declined)?["isError"], &json!(true))?;
    let mute = gateway.call("ask", json!({})).await;
    equal(&json!(mute.messages.last().map(|message| message["error"]["code"].clone())), &json!(-32021))?;

    for revision in ["2025-06-18", "2025-11-25"] {
        let session = session(gateway, revision).await;
        let mut events = Events::of(gateway.legacy_request(Some(&session), &rpc("a", "tools/call", call_params("ask", json!({}))))).await;
        let asked = question_of(&mut events).await;
        equal(&json!([asked["method"], asked["params"]["message"]]), &json!(["elicitation/create", "What is your name?"]))?;
        let told = answer(gateway, &session, &asked["id"], said.clone()).await;
        equal(&json!(told.status), &json!(202))?;
        let end = messages(events).await.last().map(|event| event.message()).unwrap_or_default();
        equal(&end["result"]["structuredContent"], &json!({ "name": name }))?;
    }
    Ok(())
}

/// Its side file asks, and nobody granted.
async fn refused(gateway: &Gateway) -> Proven {
    let answer = gateway.call("variable", json!({})).await;
    let result = result(&answer)?;
    equal(&json!([result["isError"], result["content"][0]["text"]]), &json!([true, "The variable GREETING is not granted."]))
}

async fn granted(gateway: &Gateway, name: &str) -> Proven {
    gateway.set(&format!("[grants.greeting]\nplugin = \"{name}\"\n[grants.greeting.environment]\nGREETING = \"Grüß Gott\"\n"));
    let (code, said) = gateway.reload().await;
    if code != 0 {
        return Err(said);
    }
    equal(&result(&gateway.call("variable", json!({})).await)?["structuredContent"], &json!({ "greeting": "Grüß Gott" }))
}

/// What it costs; nothing is asserted of it.
struct Measured {
    bytes: u64,
    build: Duration,
    /// From a gateway's start to its readiness: with nothing compiled, and again.
    starts: [Duration; 2],
    first: Duration,
    median: Duration,
    cpu_us: u64,
    memory_bytes: u64,
}

impl Measured {
    fn line(&self) -> String {
        let ms = |duration: &Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
        let [cold, again] = &self.starts;
        format!(
            "{} | {} | {} | {} | {} | {} | {} | {:.1}",
            self.bytes,
            ms(&self.build),
            ms(cold),
            ms(again),
            ms(&self.first),
            format_args!("{:.2}", self.median.as_secs_f64() * 1e3),
            self.cpu_us,
            self.memory_bytes as f64 / f64::from(1 << 20)
        )
    }
}

async fn timed_call(gateway: &Gateway) -> Duration {
    let began = Instant::now();
    gateway.call("count", json!({ "n": 1 })).await;
    began.elapsed()
}

/// A gateway of its own with an empty cache, and a second one that finds the code there.
fn starts(name: &str, component: &Path) -> [Duration; 2] {
    let place = Place::with(&[(name, component.to_owned())]);
    beside(&place.plugins(), name, SIDE_FILE);
    [(); 2].map(|()| {
        let serving = place.serve(&[]);
        let ready_after = serving.ready_after;
        serving.stop();
        ready_after
    })
}

/// The cells of one language, and what it costs where all is well.
async fn row(desk: &Desk, language: Language) -> (Vec<Proven>, Option<Measured>) {
    let name = format!("language-{}", language.word());
    let (component, build) = match build(desk, language, &name) {
        Ok(built) => built,
        Err(reason) => return (vec![Err(reason)], None),
    };
    let starts = starts(&name, &component);
    let gateway = Gateway::with(Setup::default()).await;
    beside(&gateway.plugins, &name, SIDE_FILE);
    let bytes = fs::read(&component).expect("it was built");
    gateway.drop_in(&name, &bytes);
    eventually(&format!("{name} is served"), SOON, async || (gateway.tools().await.len() == 3).then_some(())).await;
    let first = timed_call(&gateway).await;

    let cells = vec![
        Ok(()),
        Ok(()),
        list(&gateway).await,
        call(&gateway).await,
        progress(&gateway).await,
        elicit(&gateway).await,
        refused(&gateway).await,
        granted(&gateway, &name).await,
    ];
    let mut warm = Vec::new();
    for _ in 0..WARM_CALLS {
        warm.push(timed_call(&gateway).await);
    }
    warm.sort();
    desk.write(&format!("{name}/cases.toml"), CASE);
    let file = component.display().to_string();
    let tested = desk.run(&["test", &file, "--json"]);
    let case = serde_json::from_str::<Value>(&tested.out).unwrap_or_default()["cases"][0].clone();
    let number = |member: &str| case[member].as_u64().unwrap_or_else(|| panic!("{member}: {tested:?}"));
    let (cpu_us, memory_bytes) = (number("cpu_us"), number("memory_bytes"));
    let median = warm[WARM_CALLS / 2];
    (cells, Some(Measured { bytes: bytes.len() as u64, build, starts, first, median, cpu_us, memory_bytes }))
}

/// One table: a language that cannot be built here is left out aloud, and where CI is set it is a failure.
#[tokio::test]
async fn each_language_does_everything() {
    let desk = Desk::new();
    let mut proven = format!("| language | {} |\n", COLUMNS.join(" | "));
    let mut costs = "| language | component, bytes | build, ms | start that compiles, ms | start again, ms | first call, ms | \
        median call, ms | cpu of a call, µs | memory of a call, MiB |\n"
        .to_owned();
    let mut wrong = Vec::new();
    for language in Language::ALL {
        let word = language.word();
        if let Some(what) = desk.missing(language) {
            proven.push_str(&format!("| {word} | not run: {what} is missing here |\n"));
            continue;
        }
        let (cells, measured) = row(&desk, language).await;
        let marks: Vec<_> = (0..COLUMNS.len()).map(|at| cells.get(at).map_or("-", |cell| if cell.is_ok() { "✓" } else { "✗" })).collect();
        proven.push_str(&format!("| {word} | {} |\n", marks.join(" | ")));
        costs.extend(measured.map(|measured| format!("| {word} | {} |\n", measured.line())));
        let reasons =
            cells.into_iter().zip(COLUMNS).filter_map(|(cell, column)| cell.err().map(|reason| format!("{word}, {column}: {reason}")));
        wrong.extend(reasons);
    }
    eprintln!("{proven}\n{costs}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
