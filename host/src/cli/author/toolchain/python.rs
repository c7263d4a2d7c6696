//! Python: componentize-py, in an environment of the folder's own.

use super::super::super::Failed;
use super::super::project::Project;
use super::super::tool;
use super::{means, read, say};
use std::path::{Path, PathBuf};
use tokio::process::Command;

const MISSING: &str = "install Python 3.10 or later; on Debian: apt-get install python3 python3-venv";

pub(super) async fn build(project: &Project) -> Result<Vec<u8>, Failed> {
    let componentize = componentize(project).await?;
    let (folder, out) = (&project.folder, means(project, "plugin.wasm")?);
    let world = super::super::docs::world(project)?;
    say(&format!("componentize-py --wit-path wit --world {world} componentize plugin -p src -o build/plugin.wasm"));
    let mut command = Command::new(componentize);
    command.args(["--wit-path", "wit", "--world", &world, "componentize", "plugin", "-p", "src", "-o"]).arg(&out);
    let ended = tool::run(command, folder, MISSING).await?;
    if ended.well { read(&out) } else { Err(Failed::other("componentize-py failed; what it said stands above")) }
}

/// That of the folder's environment, which is made where there is none and nothing of that name can be run as it is.
async fn componentize(project: &Project) -> Result<PathBuf, Failed> {
    let folder = &project.folder;
    let own = folder.join(".venv/bin/componentize-py");
    if own.is_file() {
        return Ok(own);
    }
    let mut known = Command::new("componentize-py");
    known.arg("--version");
    if tool::run(known, folder, MISSING).await.is_ok_and(|ended| ended.well) {
        return Ok(PathBuf::from("componentize-py"));
    }
    say("python3 -m venv .venv");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", ".venv"]);
    if !tool::run(venv, folder, MISSING).await?.well {
        return Err(Failed::other("python3 made no environment; on Debian: apt-get install python3-venv"));
    }
    say(".venv/bin/pip install -r requirements.txt");
    let mut pip = Command::new(folder.join(".venv/bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(Path::new("requirements.txt"));
    if !tool::run(pip, folder, MISSING).await?.well || !own.is_file() {
        return Err(Failed::other("there is no componentize-py in .venv: .venv/bin/pip install -r requirements.txt"));
    }
    Ok(own)
}
