//! `gatehouse new NAME`

use super::super::{Failed, output};
use super::project::{Language, check_name};
use super::templates;
use clap::Args;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's name: that of the folder that is made, which may lie in another one
    name: PathBuf,
    /// What it is to be written in
    #[arg(long, value_enum)]
    lang: Language,
    /// Make a component that knows nothing of MCP: its functions become tools by their types
    #[arg(long)]
    plain: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let Arguments { name: folder, lang, plain } = arguments;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    check_name(&name).map_err(|reason| Failed { code: 64, message: reason })?;
    let files = templates::files(*lang, *plain, &name);
    make(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failed::other(format!("{} is there already; nothing was changed", folder.display())),
        _ => Failed::other(format!("{}: {error}", folder.display())),
    })?;
    let mut text = String::new();
    for (path, content) in &files {
        let file = folder.join(path);
        write(&file, content).map_err(|error| Failed::other(format!("{}: {error}", file.display())))?;
        text.push_str(&format!("  {}\n", file.display()));
    }
    text.push_str(&format!("\nBuild it:  gatehouse build {0}\nTest it:   gatehouse test {0}\n", folder.display()));
    output::print(&text);
    Ok(())
}

/// Makes the folder, which must not be there; those that it is to lie in must.
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)
}

/// Writes a file that is not there.
fn write(file: &Path, content: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    io::Write::write_all(&mut fs::File::create_new(file)?, content.as_bytes())
}
