//! C: clang with a libc for WASI. The bindings lie in the folder; `wit-bindgen c` makes them anew when its WIT changed.

use super::super::super::Failed;
use super::super::project::Project;
use super::super::tool;
use super::{encode, means, read, say};
use std::fs;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Where the WASI SDK installs itself.
const SDK: &str = "/opt/wasi-sdk/bin/clang";
/// Where Debian's libc for WASI has its headers.
const DEBIAN_HEADERS: &str = "/usr/include/wasm32-wasi";
/// Debian's compilers that know where its libc is, newest first.
const COMPILERS: [&str; 5] = ["clang-19", "clang-18", "clang-17", "clang-16", "clang"];
const MISSING: &str = "install a clang for WASI: the WASI SDK in /opt/wasi-sdk, or on Debian: \
    apt-get install --no-install-recommends clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc";

pub(super) async fn build(project: &Project) -> Result<Vec<u8>, Failed> {
    let folder = &project.folder;
    let mut command = compiler(project).await?;
    let mut sources = Vec::new();
    for below in ["src", "bindings"] {
        sources.extend(c_files(&folder.join(below))?);
    }
    let out = means(project, "core.wasm")?;
    say(&format!("{} -Os -mexec-model=reactor src/*.c bindings/*.c -o build/core.wasm", command.as_std().get_program().display()));
    command.args(["-Os", "-Wall", "-mexec-model=reactor", "-Ibindings", "-Wl,--strip-all", "-o"]).arg(&out).args(&sources);
    let ended = tool::run(command, folder, MISSING).await?;
    if ended.well { encode::component(project, read(&out)?) } else { Err(Failed::other("clang failed; what it said stands above")) }
}

/// The WASI SDK's where it is, otherwise Debian's.
async fn compiler(project: &Project) -> Result<Command, Failed> {
    if Path::new(SDK).is_file() {
        let mut sdk = Command::new(SDK);
        sdk.arg("--target=wasm32-wasip1");
        return Ok(sdk);
    }
    if Path::new(DEBIAN_HEADERS).is_dir() {
        for name in COMPILERS {
            let mut known = Command::new(name);
            known.arg("--version");
            if tool::run(known, &project.folder, MISSING).await.is_ok_and(|ended| ended.well) {
                let mut debian = Command::new(name);
                debian.args(["--target=wasm32-wasi", "--sysroot=/", "-isystem", DEBIAN_HEADERS]);
                return Ok(debian);
            }
        }
    }
    Err(Failed::other(format!("there is no clang for WASI: {MISSING}")))
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let unreadable = |error: std::io::Error| Failed::other(format!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    // The order of a directory is nobody's choice.
    files.sort();
    Ok(files)
}
