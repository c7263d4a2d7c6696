//! What falls again and again is left alone for a while, for the caller whose calls they are.

use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::{Answer, Modern, eventually, fixture};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const FELL: (u16, i64) = (200, -31002);
const LEFT_ALONE: (u16, i64) = (503, -31007);

async fn house(limits: &str) -> House {
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    House::with(&own, ("", "", &format!("{NO_RATES}[limits]\n{limits}\n"))).await
}

fn told(answer: &Answer) -> (u16, i64) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn r08_what_falls_again_and_again_is_left_alone() {
    let house = house("").await;
    let ask = async |who: Who, tool: &'static str| house.asks(who, Modern::call(tool, json!({}))).await;
    for call in 0..20 {
        assert_eq!(told(&ask(ADA, "trap").await), FELL, "{call}");
    }
    for _ in 0..100 {
        let answer = ask(ADA, "trap").await;
        assert_eq!(told(&answer), LEFT_ALONE, "{answer:?}");
        assert!((1..=30).contains(&answer.retry_after_s()), "{answer:?}");
    }
    // Neither other tools of the plugin, nor other callers, tenants, and arguments that fall elsewhere are concerned.
    assert_eq!(told(&ask(ADA, "panic").await), FELL);
    assert_eq!(told(&ask(Who("acme", "bob"), "trap").await), FELL);
    assert_eq!(told(&ask(OTHER_ADA, "trap").await), FELL);
    assert_eq!(house.asks(ADA, Modern::call("echo", json!({ "message": "well" }))).await.tool_text(), "well");

    // Its log is written aside.
    let lines = |text: &str| house.gateway.log().lines().filter(|line| line.contains(text)).count();
    let told = async || (lines("a call was stopped") >= 23).then_some(());
    eventually("each call that ran is in the log", SOON, told).await;
    assert_eq!(lines("it falls again and again"), 1, "{}", house.gateway.log());
    assert_eq!(lines("a call was stopped"), 23, "nothing is said of what did not run: {}", house.gateway.log());
}

#[tokio::test]
async fn one_call_tries_whether_it_is_well_again() {
    let house = house("breaker_calls_min = 3\nbreaker_window_s = 1").await;
    let ask = async || told(&house.asks(ADA, Modern::call("trap", json!({}))).await);
    for _ in 0..3 {
        assert_eq!(ask().await, FELL);
    }
    assert_eq!(ask().await, LEFT_ALONE);
    let tried = async || (ask().await == FELL).then_some(());
    eventually("one call tries", SOON, tried).await;
    assert_eq!(ask().await, LEFT_ALONE, "it has fallen again");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let house = house("breaker_calls_min = 0").await;
    for call in 0..50 {
        assert_eq!(told(&house.asks(ADA, Modern::call("trap", json!({}))).await), FELL, "{call}");
    }
}
