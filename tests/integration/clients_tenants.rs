//! Official clients of two tenants at one gateway: each comes with a token of one issuer, under one name, and each sees its own tenant's tools
//! and no other's.

use super::clients::{Era, LIMIT, TOOLS, judge, node, python, report, series};
use super::rust_sdk;
use super::tenants::{ADA, House, OTHER_ADA, Who};
use crate::harness::fixture;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What each has beside what is shared: a component of its own, and a server that shows everything under the shared names.
async fn house() -> House {
    let own = [("acme", fixture("versioned")), ("umbrella", fixture("described"))];
    House::with(&own, ("", "", "[servers.acme-text]\ntenant = \"acme\"\ntools = [\"*\"]\n")).await
}

/// The tools of a caller at `/mcp`, in their order.
async fn tools(house: &House, who: Who) -> Vec<String> {
    let tools = house.tools(who, "/mcp").await;
    assert!(tools.len() > TOOLS.len() && TOOLS.iter().all(|name| tools.iter().any(|tool| tool == name)), "{who:?}: {tools:?}");
    tools
}

async fn both(program: [PathBuf; 2], mode: Option<&str>, era: Era) {
    let house = house().await;
    let (mine, theirs) = (tools(&house, ADA).await, tools(&house, OTHER_ADA).await);
    assert_ne!(mine, theirs);
    let program = program.each_ref().map(PathBuf::as_path);
    let seen = async |who: Who, path: &str| {
        let mut command = series(&program, &format!("{}{path}", house.gateway.origin), mode);
        command.args(["--token", &house.token(who, path)]);
        report(command).await
    };
    // At once, so that either could meet what the other left.
    let (ada, other) = tokio::join!(seen(ADA, "/mcp"), seen(OTHER_ADA, "/mcp"));
    for (seen, tools) in [(&ada, &mine), (&other, &theirs)] {
        assert_eq!(seen["tools"], json!(tools));
        judge(seen, era);
    }
    let ada = seen(ADA, "/servers/acme-text/mcp").await;
    assert_eq!(ada["tools"], json!(mine));
    judge(&ada, era);
    is_turned_away(&house, &program, mode).await;
}

/// At another tenant's server there is nothing, and whoever runs the client is told so.
async fn is_turned_away(house: &House, program: &[&Path], mode: Option<&str>) {
    let path = "/servers/acme-text/mcp";
    let mut command = series(program, &format!("{}{path}", house.gateway.origin), mode);
    command.args(["--token", &house.token(OTHER_ADA, path)]).stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends in time").expect("it starts");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && serde_json::from_slice::<Value>(&ran.stdout).is_err(), "{told}");
}

#[tokio::test]
async fn typescript_sdk_1() {
    both(node("sdk-v1.mjs"), None, Era::Legacy).await;
}

#[tokio::test]
async fn typescript_client_2() {
    for (mode, era) in [("legacy", Era::Legacy), ("pinned", Era::Modern)] {
        both(node("client-v2.mjs"), Some(mode), era).await;
    }
}

#[tokio::test]
async fn python_sdk() {
    for (mode, era) in [("legacy", Era::Legacy), ("pinned", Era::Modern)] {
        both(python("mcp_client.py"), Some(mode), era).await;
    }
}

#[tokio::test]
async fn fastmcp() {
    both(python("fastmcp_cli.py"), None, Era::Untold).await;
}

#[tokio::test]
async fn rust_sdk() {
    let house = house().await;
    let url = format!("{}/mcp", house.gateway.origin);
    for who in [ADA, OTHER_ADA] {
        let (tools, token) = (tools(&house, who).await, house.token(who, "/mcp"));
        assert_eq!(rust_sdk::with_token(&house.gateway, &url, &token).await, [tools.clone(), tools]);
    }
}
