//! Sources → a component, with the tools of their language.

mod c;
mod encode;
mod go;
mod javascript;
mod python;
mod rust;

use super::super::{Failed, output};
use super::docs;
use super::project::{Language, Project};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Builds a folder's component, and puts it into the folder as `NAME.wasm`.
///
/// # Errors
///
/// When a tool is missing, with the command that installs it, or fails.
pub(super) async fn build(project: &Project) -> Result<(), Failed> {
    let bytes = match project.language {
        Language::Rust => rust::build(project).await?,
        Language::Python => python::build(project).await?,
        Language::Js => javascript::build(project).await?,
        Language::Go => go::build(project).await?,
        Language::C => c::build(project).await?,
    };
    let bytes = docs::with_docs(project, bytes)?;
    let target = project.component();
    publish(&bytes, &target).map_err(|error| Failed::other(format!("{}: {error}", target.display())))
}

/// Puts a component in place, whole, so that nobody ever reads half of one.
fn publish(bytes: &[u8], target: &Path) -> io::Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let partial = target.with_file_name(format!(".{name}.partial"));
    fs::write(&partial, bytes)?;
    fs::rename(partial, target)
}

/// Where tools put what is only a means, with the name of a file; the folder is made.
fn means(project: &Project, name: &str) -> Result<PathBuf, Failed> {
    let folder = project.folder.join("build");
    fs::create_dir_all(&folder).map_err(|error| Failed::other(format!("{}: {error}", folder.display())))?;
    Ok(folder.join(name))
}

/// What a tool wrote.
fn read(file: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(file).map_err(|error| Failed::other(format!("{}: {error}", file.display())))
}

/// A step that may take a while, as it would be typed.
fn say(step: &str) {
    output::note(&format!("build: {step}"));
}
