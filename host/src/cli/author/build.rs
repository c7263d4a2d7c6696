//! `gatehouse build`

use super::super::{Failed, Settings, check, output, runtime};
use super::Rig;
use super::project::Project;
use super::toolchain;
use crate::catalog::Plugin;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let project = Project::find(&arguments.folder)?;
    let (config, kept) = super::of_folder(&project, &arguments.settings)?;
    runtime()?.block_on(async {
        toolchain::build(&project).await?;
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
