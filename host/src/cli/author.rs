//! What the author of a component needs, from an empty folder to a tool that is called: `gatehouse new`, `build`, `test`, `fuzz` and `dev`.

pub(super) mod build;
mod cases;
pub(super) mod dev;
mod docs;
pub(super) mod fuzz;
pub(super) mod new;
mod project;
mod templates;
pub(super) mod test;
mod tool;
mod toolchain;

use super::rig::Rig;
use super::{Failed, Settings};
use crate::config::Config;
use crate::gateway::CodeIsKept;
use project::Project;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For compiling a component. A gateway waits for less; but a component must not fail its author because the machine builds something beside.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(600);

fn patient(mut config: Config) -> Config {
    config.limits.plugins.compile_timeout = config.limits.plugins.compile_timeout.max(COMPILE_TIMEOUT);
    config
}

/// Of one thing that a guest said, what is shown.
const SAID_LINES_MAX: usize = 20;
const SAID_CHARS_MAX: usize = 400;

/// What a guest said, line by line, for people.
fn said(words: &str) -> impl Iterator<Item = String> {
    words.lines().take(SAID_LINES_MAX).map(|line| mcp::text::line(line, SAID_CHARS_MAX))
}

/// What a command is about.
enum Subject {
    /// A folder with sources.
    Folder(Project),
    /// A component file.
    File(PathBuf),
}

impl Subject {
    /// A component file, or a folder, which is the working directory where nothing is named.
    fn of(named: Option<&Path>) -> Result<Self, Failed> {
        let named = named.unwrap_or(Path::new("."));
        if named.is_file() { Ok(Self::File(named.to_owned())) } else { Project::find(named).map(Self::Folder) }
    }

    /// The component, built where a source is younger than it.
    async fn component(&self) -> Result<PathBuf, Failed> {
        match self {
            Self::File(file) => Ok(file.clone()),
            Self::Folder(project) => {
                if project.is_stale()? {
                    toolchain::build(project).await?;
                }
                Ok(project.component())
            }
        }
    }

    /// A file of its folder.
    fn beside(&self, name: &str) -> PathBuf {
        match self {
            Self::File(file) => file.with_file_name(name),
            Self::Folder(project) => project.folder.join(name),
        }
    }

    /// The component, ready to be called.
    async fn open(&self, settings: &Settings) -> Result<Rig, Failed> {
        let component = self.component().await?;
        let (config, kept) = self.config(settings)?;
        Rig::open(&component, config, kept).await
    }

    /// Settings for calls of this component alone.
    fn config(&self, settings: &Settings) -> Result<(Config, CodeIsKept), Failed> {
        match self {
            Self::File(_) => Ok((patient(settings.load(None)?), CodeIsKept::WhereOneIs)),
            Self::Folder(project) => of_folder(project, settings),
        }
    }
}

/// Settings for calls of a folder's component alone. The folder keeps compiled code of its own, so that a large component is compiled once for
/// all commands.
fn of_folder(project: &Project, settings: &Settings) -> Result<(Config, CodeIsKept), Failed> {
    let mut config = patient(settings.load(None)?);
    if settings.data.is_none() {
        config.data_directory = project.kept();
        config.code_cache_directory = project.kept().join("code-cache");
    }
    Ok((config, CodeIsKept::Always))
}
