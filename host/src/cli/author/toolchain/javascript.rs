//! JavaScript: whatever the script `build` of package.json does, which has to write build/plugin.wasm.

use super::super::super::Failed;
use super::super::project::Project;
use super::super::tool;
use super::{read, say};
use tokio::process::Command;

const MISSING: &str = "install node 18 or later with npm; on Debian: apt-get install nodejs npm";

pub(super) async fn build(project: &Project) -> Result<Vec<u8>, Failed> {
    let folder = &project.folder;
    if !folder.join("node_modules").is_dir() {
        // Not `npm ci`: componentize-qjs names optional packages of other systems that were never published, which no lock file can hold.
        say("npm install");
        if !npm(project, &["install", "--no-audit", "--no-fund", "--loglevel=error"]).await? {
            return Err(Failed::other("npm install failed; what it said stands above"));
        }
    }
    say("npm run build");
    let out = folder.join("build/plugin.wasm");
    // One that an earlier build left must not pass for that of this one.
    let _ = std::fs::remove_file(&out);
    if !npm(project, &["run", "--silent", "build"]).await? {
        return Err(Failed::other("npm run build failed; what it said stands above. If a package is missing: npm install"));
    }
    read(&out)
}

async fn npm(project: &Project, arguments: &[&str]) -> Result<bool, Failed> {
    let mut npm = Command::new("npm");
    npm.args(arguments);
    let ended = tool::run(npm, &project.folder, MISSING).await?;
    if !ended.well {
        // npm and the scripts that it runs say some of what went wrong on standard output.
        super::super::super::output::note(String::from_utf8_lossy(&ended.out).trim_end());
    }
    Ok(ended.well)
}
