//! Calling a tool of a component file: the same gates and limits as in the gateway, without HTTP.

use super::arguments::Given;
use super::{refused, show_progress};
use crate::cli::rig::Rig;
use crate::cli::{Failed, Settings, runtime};
use crate::gateway::CodeIsKept;
use serde_json::{Map, Value};
use std::path::Path;

pub(super) fn call(file: &Path, settings: &Settings, tool: &str, given: Given) -> Result<Map<String, Value>, Failed> {
    let config = settings.load(None)?;
    let _logging = crate::telemetry::start(&config.log);
    runtime()?.block_on(async {
        let mut rig = Rig::open(file, config, CodeIsKept::WhereOneIs).await?;
        let found = rig.tool(tool).map_err(|reason| Failed::other(format!("{} {reason}", file.display())))?;
        let schema = serde_json::from_str(found.definition.input_schema.as_str()).ok();
        let arguments = given.resolve(schema.as_ref());
        rig.call(tool, &arguments, None, &mut show_progress).await.end.map_err(|failure| {
            let error = crate::http::public_error(&failure);
            refused(&serde_json::from_str(error.write().as_str()).unwrap_or_default())
        })
    })
}
