//! `gatehouse build`

use super::super::{Failed, Settings, check, output, runtime};
use super::project::{Language, Project};
use super::toolchain::{self, Compiler};
use super::{Rig, Subject};
use crate::catalog::Plugin;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// What it is written in, where the folder does not show it
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// Which compiler builds Rust [default: rustup's, or Debian's where that one cannot]
    #[arg(long, value_enum)]
    compiler: Option<Compiler>,
    #[command(flatten)]
    settings: Settings,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let project = Project::find(&arguments.folder, arguments.lang)?;
    let (config, kept) = Subject::Folder(Project::find(&arguments.folder, arguments.lang)?).config(&arguments.settings)?;
    runtime()?.block_on(async {
        toolchain::build(&project, arguments.compiler).await?;
        let rig = Rig::open(&project.component(), config, kept).await?;
        let component = arguments.folder.join(format!("{}.wasm", project.name));
        output::print(&format!(
            "component  {}, {}\n{}",
            component.display(),
            output::size(rig.plugin().guest.survey().bytes),
            shown(rig.plugin())
        ));
        Ok(())
    })
}

/// What `gatehouse check` would say of it, and its tools.
pub(super) fn shown(plugin: &Plugin) -> String {
    let mut text = check::of_plugin("", plugin);
    let widest = plugin.tools.iter().map(|tool| tool.definition.name.len()).max().unwrap_or(0).min(32);
    for tool in &plugin.tools {
        let description = tool.definition.description.as_deref().unwrap_or_default();
        text.push_str(&format!("           {:widest$}  {}\n", tool.definition.name, output::summary(description, 70)));
    }
    text
}
