//! A core module of a compiler that knows nothing of components → a component, with the types of the folder's WIT.

use super::super::super::Failed;
use super::super::docs;
use super::super::project::Project;
use wasi_preview1_component_adapter_provider::{WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Both compilers' libraries speak WASI's preview 1, which the adapter makes WASI 0.2 of.
pub(super) fn component(project: &Project, mut module: Vec<u8>) -> Result<Vec<u8>, Failed> {
    let (resolve, world) = docs::resolved(project)?;
    // The chain of causes says which export is missing, or of which type it is.
    let wrong = |error: anyhow::Error| Failed::other(format!("what was compiled does not fit wit/: {error:#}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(wrong)?;
    let encoder = ComponentEncoder::default().validate(true).module(&module).map_err(wrong)?;
    let encoder = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER).map_err(wrong)?;
    let mut encoder = encoder;
    encoder.encode().map_err(wrong)
}
