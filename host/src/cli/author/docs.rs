//! What the comments of a folder's WIT say. Components carry their types and not the comments on them; for those that know nothing of a
//! gateway they are put beside, in the section that tools of the component model know, and clients see them as descriptions.

use super::super::Failed;
use super::project::Project;
use wit_parser::{PackageId, PackageMetadata, Resolve, WorldId};

/// The folder's own package.
fn package(project: &Project) -> Result<(Resolve, PackageId), Failed> {
    let folder = project.folder.join("wit");
    let mut resolve = Resolve::default();
    let pushed = resolve.push_dir(&folder);
    // The chain of causes is where the line and the mistake stand.
    let (package, _) = pushed.map_err(|error| Failed::other(format!("{}: {error:#}", folder.display())))?;
    Ok((resolve, package))
}

/// The world that is built, with all that it needs.
pub(super) fn resolved(project: &Project) -> Result<(Resolve, WorldId), Failed> {
    let name = world(project)?;
    let (resolve, package) = package(project)?;
    let world = resolve.packages.get(package).and_then(|package| package.worlds.get(&name).copied());
    world.map(|world| (resolve, world)).ok_or_else(|| Failed::other(format!("wit/ has no world `{name}`")))
}

/// Its name: that of the folder's only one, or `tool-plugin` where the WIT is a copy of the contract.
pub(super) fn world(project: &Project) -> Result<String, Failed> {
    let (resolve, package) = package(project)?;
    let worlds: Vec<_> = resolve.packages.get(package).map(|package| package.worlds.keys().cloned().collect()).unwrap_or_default();
    match worlds.as_slice() {
        [world] => Ok(world.clone()),
        worlds if worlds.iter().any(|world| world == "tool-plugin") => Ok("tool-plugin".to_owned()),
        worlds => Err(Failed::other(format!("wit/ has {} worlds, and one is built: {}", worlds.len(), worlds.join(", ")))),
    }
}

/// The component with the comments of its WIT, where it is a plain one and has none yet.
pub(super) fn with_docs(project: &Project, mut component: Vec<u8>) -> Result<Vec<u8>, Failed> {
    let survey = sandbox::survey(&component).map_err(|error| Failed::other(format!("what was built is no component: {error}")))?;
    if survey.is_native() || survey.has_docs() || !project.folder.join("wit").is_dir() {
        return Ok(component);
    }
    let (resolve, package) = package(project)?;
    let docs = PackageMetadata::extract(&resolve, package).encode().map_err(|error| Failed::other(format!("wit/: {error:#}")))?;
    // A custom section: its number, its length, its name, its content.
    let mut content = leb128(PackageMetadata::SECTION_NAME.len());
    content.extend_from_slice(PackageMetadata::SECTION_NAME.as_bytes());
    content.extend_from_slice(&docs);
    component.push(0);
    component.extend(leb128(content.len()));
    component.extend(content);
    Ok(component)
}

/// A number as WebAssembly writes lengths.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
