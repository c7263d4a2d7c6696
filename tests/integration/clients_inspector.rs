//! The Inspector's two command lines in both eras: `mcp-inspector --cli`, which connects for one method and leaves, and `mcpdo`, which
//! stays connected by a daemon of its own and so can also listen and answer.
//!
//! What neither has: an answer for sampling (they do not declare it), a word about lists that changed, and a way to cancel a call.

use super::clients::{LIMIT, installed};
use super::clients_offers::{Era, gateway};
use crate::harness::Gateway;
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// A gateway, and a home for what the Inspector writes there.
struct Inspector {
    gateway: Gateway,
    home: tempfile::TempDir,
    program: &'static str,
    /// Before each method.
    arguments: Vec<String>,
}

impl Inspector {
    async fn start(program: &'static str, arguments: impl FnOnce(&str) -> Vec<String>) -> Self {
        let gateway = gateway().await;
        let arguments = arguments(&gateway.url());
        Self { gateway, home: tempfile::tempdir().expect("a temporary directory"), program, arguments }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let package = installed("target/clients/node/node_modules/@modelcontextprotocol/inspector");
        let mut command = Command::new(installed("target/clients/bin/node"));
        command.arg(package.join("clients").join(self.program)).args(&self.arguments).args(arguments);
        // Nothing of the developer's own Inspector, and nothing for the system's store of secrets.
        command.env_clear().env("HOME", self.home.path()).env("MCP_INSPECTOR_SECRET_STORE", "memory");
        command.current_dir(self.home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        tokio::time::timeout(LIMIT, self.command(arguments).output()).await.expect("it ends in time").expect("it starts")
    }

    /// What it prints: the result as the client library hands it over.
    async fn show(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// What it says when the gateway refuses.
    async fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    /// Runs what goes on until it is stopped; `meanwhile` follows once it printed `ready`, and then it must print `awaited`.
    async fn watch(&self, arguments: &[&str], ready: Option<&str>, meanwhile: &[&str], awaited: &str) {
        let mut watching = self.command(arguments).spawn().expect("it starts");
        let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
        let mut until = async |word: &str| {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line.contains(word) {
                    return;
                }
            }
            panic!("{arguments:?} ended before it printed {word}");
        };
        let all = async {
            if let Some(ready) = ready {
                until(ready).await;
            }
            // Where it does not say from when on it listens, only what comes after that reaches it.
            let again = async {
                loop {
                    self.show(meanwhile).await;
                }
            };
            tokio::select! {
                () = until(awaited) => {}
                () = again => {}
            }
        };
        tokio::time::timeout(LIMIT, all).await.unwrap_or_else(|_| panic!("{arguments:?} does not print {awaited}"));
    }
}

fn each<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
    list.as_array().expect("a list").iter().map(|item| item[member].as_str().expect("a text")).collect()
}

fn first_text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}"))
}

fn era_name(era: Era) -> &'static str {
    if era == Era::Legacy { "legacy" } else { "modern" }
}

async fn check_one_by_one(era: Era) {
    let start =
        |url: &str| ["--cli", url, "--transport", "http", "--protocol-era", era_name(era), "--method"].map(ToOwned::to_owned).to_vec();
    let inspector = Inspector::start("launcher/build/index.js", start).await;
    let opened = inspector.show(&["initialize"]).await;
    let revision = if era == Era::Legacy { "2025-11-25" } else { "2026-07-28" };
    assert_eq!((&opened["protocolVersion"], &opened["serverInfo"]["name"]), (&json!(revision), &json!("gatehouse")));

    // Schemas that other clients cannot read would end it with code 6.
    let tools = inspector.show(&["tools/list", "--strict"]).await;
    assert!(each(&tools["tools"], "name").contains(&"test_elicitation"));
    let echoed = inspector.show(&["tools/call", "--tool-name", "test_x_mcp_header", "--tool-arg", "region=süd"]).await;
    assert_eq!(first_text(&echoed), json!({ "region": "süd" }).to_string());
    // It asks for progress and shows none of it.
    assert_eq!(first_text(&inspector.show(&["tools/call", "--tool-name", "test_tool_with_progress"]).await), "Progress was reported");
    let load = ["tools/call", "--tool-name", "test_simple_text", "--load", "--load-requests", "20", "--load-concurrency", "1"];
    let load = inspector.show(&load).await;
    assert_eq!((&load["ok"], &load["errors"]), (&json!(20), &json!(0)), "{load}");
    let refusal = inspector.refusal(&["tools/call", "--tool-name", "test_elicitation", "--tool-arg", "message=hello"]).await;
    assert!(refusal.contains("elicitation.form"), "{refusal}");

    assert_eq!(each(&inspector.show(&["resources/list"]).await["resources"], "uri").len(), 6);
    let templates = inspector.show(&["resources/templates/list"]).await;
    assert_eq!(each(&templates["resourceTemplates"], "uriTemplate"), ["test://template/{id}/data"]);
    for (uri, member, begins) in [
        ("test://static-text", "text", "This is the content"),
        ("test://static-binary", "blob", "iVBORw0KGgo"),
        ("test://template/7/data", "text", "{\"id\":\"7\""),
    ] {
        let read = inspector.show(&["resources/read", "--uri", uri]).await;
        assert!(read["contents"][0][member].as_str().is_some_and(|text| text.starts_with(begins)), "{read}");
    }

    assert_eq!(each(&inspector.show(&["prompts/list"]).await["prompts"], "name").len(), 6);
    let prompt = ["prompts/get", "--prompt-name", "test_prompt_with_arguments", "--prompt-args", "arg1=one", "arg2=two"];
    let prompt = inspector.show(&prompt).await;
    assert_eq!(prompt["messages"][0]["content"]["text"], "Prompt with arguments: arg1='one', arg2='two'");
}

/// Ends the daemon of an Inspector with it, however the test ends.
struct Daemon(Inspector);

impl Drop for Daemon {
    fn drop(&mut self) {
        let mut stop = self.0.command(&["daemon", "stop"]).into_std();
        // Without one there is nothing to stop.
        let _ = stop.output();
    }
}

async fn check_connected(era: Era) {
    let start = |url: &str| ["--format", "json", "--connection", url].map(ToOwned::to_owned).to_vec();
    let daemon = Daemon(Inspector::start("mcpdo/build/mcp-bin.js", start).await);
    let inspector = &daemon.0;
    let connected = inspector.show(&["connect", &inspector.gateway.url(), "--transport", "http", "--era", era_name(era)]).await;
    assert_eq!(connected["protocolEra"], era_name(era));

    let complete = ["prompts/complete", "--complete-ref-type", "ref/prompt", "--complete-ref", "test_prompt_with_arguments"];
    let suggestions = inspector.show(&[&complete[..], &["--complete-arg-name", "arg1", "--complete-arg-value", "par"]].concat()).await;
    assert_eq!(suggestions["values"], json!(["paris", "park", "party"]));

    let roots = json!([{ "uri": "file:///srv/project", "name": "project" }]);
    inspector.show(&["roots/set", "--roots-json", &roots.to_string()]).await;
    let listed = inspector.show(&["tools/call", "test_input_required_result_list_roots"]).await;
    assert!(first_text(&listed).contains("file:///srv/project"), "{listed}");

    for (question, about, answers) in [
        (["tools/call", "test_elicitation", "message:=Who are you?"], "User response", &["username:=me", "email:=me@localhost"][..]),
        (["resources/read", "--uri", "test://asks"], "Read for", &["name:=me"][..]),
    ] {
        let asked = inspector.show(&question).await;
        let id = asked["elicitationPending"]["elicitationId"].as_str().unwrap_or_else(|| panic!("no question in {asked}"));
        let answered = inspector.show(&[&["elicitation/respond", id], answers].concat()).await;
        let text = answered["content"][0]["text"].as_str().or(answered["contents"][0]["text"].as_str());
        assert!(text.is_some_and(|text| text.starts_with(about) && text.contains("\"me\"")), "{answered}");
    }

    let touch = ["tools/call", "test_touch_resource", "uri:=test://watched-resource"];
    let subscribe = ["resources/subscribe", "test://watched-resource"];
    inspector.watch(&subscribe, Some("\"subscribed\""), &touch, "\"resources/updated\"").await;
    if era == Era::Legacy {
        assert_eq!(inspector.show(&["logging/setLevel", "info"]).await, json!({}));
    }
    inspector.watch(&["logging/tail"], None, &["tools/call", "test_tool_with_logging"], "Tool execution started").await;
    inspector.show(&["disconnect", &inspector.gateway.url()]).await;
}

#[tokio::test]
async fn inspector_legacy_shows_everything_that_it_has_a_method_for() {
    check_one_by_one(Era::Legacy).await;
}

#[tokio::test]
async fn inspector_modern_shows_everything_that_it_has_a_method_for() {
    check_one_by_one(Era::Modern).await;
}

#[tokio::test]
async fn inspector_connected_legacy_answers_and_listens() {
    check_connected(Era::Legacy).await;
}

#[tokio::test]
async fn inspector_connected_modern_answers_and_listens() {
    check_connected(Era::Modern).await;
}
