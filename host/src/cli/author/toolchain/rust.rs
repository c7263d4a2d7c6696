//! Rust: cargo, with the target wasm32-wasip2.

use super::super::super::Failed;
use super::super::project::Project;
use super::super::tool;
use super::{read, say};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const TARGET: &str = "wasm32-wasip2";
const MISSING: &str = "install Rust 1.95 or later from https://rustup.rs";

pub(super) async fn build(project: &Project) -> Result<Vec<u8>, Failed> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // What somebody means for the programs of this machine does not fit components. RUSTC and the flags of the target stay: where rustup's
    // server cannot be reached, they may name another compiler that has the target.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    say(&format!("cargo build --release --target {TARGET}"));
    let ended = tool::run(cargo, &project.folder, MISSING).await?;
    if ended.well {
        return component(project, &ended.out);
    }
    // As rustc has said it for years, whatever the command was.
    if ended.said.contains("target may not be installed") {
        return Err(Failed::other(format!("the target {TARGET} is not installed: rustup target add {TARGET}")));
    }
    Err(Failed::other("cargo failed; what it said stands above"))
}

/// The one that cargo says it made.
fn component(project: &Project, messages: &[u8]) -> Result<Vec<u8>, Failed> {
    let manifest = project.folder.join("Cargo.toml");
    let made = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let own = made.filter(|message| message.get("manifest_path").and_then(Value::as_str).is_some_and(|path| Path::new(path) == manifest));
    let files = own.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let mut components = files.filter_map(|file| file.as_str().filter(|file| file.ends_with(".wasm")).map(PathBuf::from));
    match components.next_back() {
        Some(component) => read(&component),
        None => Err(Failed::other("cargo made no component: Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`")),
    }
}
