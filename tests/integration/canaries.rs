//! Two tenants do the same things at the same time, with the same ids, tokens and names, and each says a word that the other must never hear.

use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::{Modern, binary, call_params, fixture, rpc, turn};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;

/// Operations of both together. `GATEHOUSE_CANARY_OPERATIONS` says another number.
const OPERATIONS: usize = 4_000;
const AT_ONCE: usize = 16;

fn canary(who: Who) -> String {
    format!("CANARY-{}", who.0)
}

/// What one caller at a time does, and what it got to see.
struct Bird {
    house: Arc<House>,
    who: Who,
    token: String,
    session: String,
    operations: usize,
}

impl Bird {
    /// Every answer has the own word in it where it must, and the other's nowhere.
    async fn sing(self, foreign: &str) {
        for operation in 0..self.operations {
            let (text, own) = match operation % 6 {
                0 => (self.modern(Modern::call("echo", json!({ "message": self.word(operation) }))).await, true),
                1 => (self.modern(self.counting(operation)).await, true),
                2 => (self.legacy(rpc(7, "tools/call", call_params("echo", json!({ "message": self.word(operation) })))).await, true),
                3 => (self.legacy(self.counting_legacy(operation)).await, true),
                4 => (self.modern(Modern::new("tools/list", json!({}))).await, false),
                // What was said before is not there for whoever comes next.
                _ => (self.modern(Modern::call("remember", json!({ "text": self.word(operation) }))).await, false),
            };
            assert!(!text.contains(foreign), "{:?} heard {foreign} in operation {operation}: {text}", self.who);
            assert!(
                !own || text.contains(&self.word(operation)),
                "{:?} was answered something else in operation {operation}: {text}",
                self.who
            );
        }
    }

    fn word(&self, operation: usize) -> String {
        format!("{}-{operation}", canary(self.who))
    }

    fn counting(&self, operation: usize) -> Modern {
        let mut request = Modern::call_with_progress("slow_count", json!({ "message": self.word(operation), "n": 3, "interval_ms": 0 }));
        request.body["params"]["_meta"]["progressToken"] = "same".into();
        request
    }

    fn counting_legacy(&self, operation: usize) -> Value {
        let mut call =
            rpc(8, "tools/call", call_params("slow_count", json!({ "message": self.word(operation), "n": 3, "interval_ms": 0 })));
        call["params"]["_meta"]["progressToken"] = "same".into();
        call
    }

    async fn modern(&self, request: Modern) -> String {
        self.house.gateway.modern(request.header("authorization", format!("Bearer {}", self.token))).await.text
    }

    async fn legacy(&self, body: Value) -> String {
        let request = self.house.legacy(self.who, "POST", "/mcp", Some(&self.session), Some(&body));
        request.send().await.expect("an answer").text().await.expect("a whole body")
    }
}

/// N02, N04.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_is_heard_next_door() {
    let _turn = turn().await;
    let operations = std::env::var("GATEHOUSE_CANARY_OPERATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(OPERATIONS);
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    let house = Arc::new(House::with(&own, ("", "", &format!("[limits]\nsessions_per_principal_max = 64\n{NO_RATES}"))).await);
    let mut birds = Vec::new();
    for _ in 0..AT_ONCE / 2 {
        for who in [ADA, OTHER_ADA] {
            let (token, session) = (house.token(who, "/mcp"), house.session(who, "/mcp").await);
            let bird = Bird { house: Arc::clone(&house), who, token, session, operations: operations / AT_ONCE };
            let foreign = canary(if who == ADA { OTHER_ADA } else { ADA });
            birds.push(tokio::spawn(async move { bird.sing(&foreign).await }));
        }
    }
    for bird in birds {
        bird.await.expect("it heard nothing wrong");
    }
    println!("{operations} operations, no canary crossed");

    // The record of calls says whose each was, and holds no arguments at all.
    let data = house.gateway.data();
    for (tenant, other) in [("acme", "umbrella"), ("umbrella", "acme")] {
        let mut command = Command::new(binary());
        command
            .current_dir(data.parent().expect("a directory"))
            .args(["journal", "show", "--json", "--tenant", tenant, "--data"])
            .arg(&data);
        let shown = String::from_utf8(command.output().expect("it runs").stdout).expect("text");
        assert!(shown.lines().count() >= operations / 4, "{}", shown.lines().count());
        assert!(!shown.contains(other) && !shown.contains("CANARY"), "the record of {tenant}");
    }
    assert!(!house.gateway.log().contains("CANARY"), "nor does the log");
}
