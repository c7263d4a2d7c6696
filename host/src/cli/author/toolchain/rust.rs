//! Rust: cargo, with the target wasm32-wasip2.
//!
//! Where rustup's server cannot be reached the target cannot be added. There, Debian's compiler builds its own standard library with the same
//! cargo: `rust-web-src` holds the sources, and `wasi-libc` what they call.

use super::super::super::Failed;
use super::super::project::Project;
use super::super::tool;
use super::{Compiler, read, say};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const TARGET: &str = "wasm32-wasip2";
const MISSING: &str = "install Rust 1.95 or later from https://rustup.rs";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";
const DEBIAN_PACKAGES: &str = "rustc-web rust-web-src wasi-libc";

pub(super) async fn build(project: &Project, compiler: Option<Compiler>) -> Result<Vec<u8>, Failed> {
    if compiler == Some(Compiler::Debian) {
        return with_debian(project).await;
    }
    say(&format!("cargo build --release --target {TARGET}"));
    let ended = tool::run(cargo(), &project.folder, MISSING).await?;
    if ended.well {
        return component(project, &ended.out);
    }
    // As rustc has said it for years, whatever the command was.
    if !ended.said.contains("target may not be installed") {
        return Err(Failed::other("cargo failed; what it said stands above"));
    }
    if compiler.is_none() && Path::new(DEBIAN_LIBC).is_dir() {
        say(&format!("the target {TARGET} is not installed; Debian's compiler is"));
        return with_debian(project).await;
    }
    Err(Failed::other(format!(
        "the target {TARGET} is not installed: rustup target add {TARGET}\nWhere rustup's server cannot be reached, on Debian: {}",
        debian_install()
    )))
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // What somebody means for the programs of this machine does not fit components.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    cargo
}

fn debian_install() -> String {
    format!("apt-get install --no-install-recommends {DEBIAN_PACKAGES}")
}

async fn with_debian(project: &Project) -> Result<Vec<u8>, Failed> {
    if !Path::new(DEBIAN_LIBC).is_dir() || !Path::new(DEBIAN_RUSTC).is_file() {
        return Err(Failed::other(format!("Debian's Rust for {TARGET} is missing: {}", debian_install())));
    }
    // Debian has no linker for components; every toolchain of rustup has one.
    let mut ask = Command::new("rustc");
    ask.args(["--print", "target-libdir"]);
    let libraries = tool::run(ask, &project.folder, MISSING).await?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&libraries.out).trim());
    let linker = libraries.with_file_name("bin").join("wasm-component-ld");
    if !linker.is_file() {
        return Err(Failed::other(format!("{} is missing: rustup toolchain install stable", linker.display())));
    }
    say(&format!("cargo build --release --target {TARGET}, with {DEBIAN_RUSTC} and its standard library"));
    let mut cargo = cargo();
    cargo.args(["-Z", "build-std=std,panic_abort", "--target-dir", "target/debian"]);
    cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_WASIP2_LINKER", &linker);
    cargo.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", format!("-L {DEBIAN_LIBC}"));
    let ended = tool::run(cargo, &project.folder, MISSING).await?;
    if ended.well { component(project, &ended.out) } else { Err(Failed::other("cargo failed; what it said stands above")) }
}

/// The one that cargo says it made.
fn component(project: &Project, messages: &[u8]) -> Result<Vec<u8>, Failed> {
    let manifest = project.folder.join("Cargo.toml");
    let made = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let own = made.filter(|message| message.get("manifest_path").and_then(Value::as_str).is_some_and(|path| Path::new(path) == manifest));
    let files = own.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let components = files.filter_map(|file| file.as_str().filter(|file| file.ends_with(".wasm")).map(PathBuf::from));
    match components.last() {
        Some(component) => read(&component),
        None => Err(Failed::other("cargo made no component: Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`")),
    }
}
