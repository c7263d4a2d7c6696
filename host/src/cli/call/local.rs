//! Calling a tool of a component file: the same gates and limits as in the gateway, without HTTP.

use super::arguments::Given;
use super::{granted, refused, show_progress};
use crate::cli::rig::Rig;
use crate::cli::{Failed, Settings, output, runtime};
use crate::egress::Learned;
use crate::gateway::CodeIsKept;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;

/// With what settings that are named grant to the component for that tenant, which is told.
pub(super) fn call(
    file: &Path,
    (settings, tenant): (&Settings, Option<&str>),
    tool: &str,
    given: Given,
) -> Result<Map<String, Value>, Failed> {
    let config = settings.load(None)?;
    let _logging = crate::telemetry::start(&config.log);
    let granted = settings.config.as_ref().map(|_| granted::of(&config, file, tenant)).transpose()?.flatten();
    runtime()?.block_on(async {
        let mut rig = match granted {
            Some(granted) => Rig::granted(file, config, CodeIsKept::WhereOneIs, granted).await?,
            None => Rig::open(file, config, CodeIsKept::WhereOneIs).await?,
        };
        rig.in_force().iter().for_each(|told| output::note(told));
        called(&mut rig, file, tool, given).await?
    })
}

/// A result, or why there is none.
type Called = Result<Map<String, Value>, Failed>;

/// The same, and what the component reached for, as TOML.
pub(super) fn learn(file: &Path, settings: &Settings, tool: &str, given: Given) -> Result<(Called, String), Failed> {
    let config = settings.load(None)?;
    let _logging = crate::telemetry::start(&config.log);
    let learned = Arc::new(Learned::default());
    runtime()?.block_on(async {
        let mut rig = Rig::learning(file, config, CodeIsKept::WhereOneIs, Arc::clone(&learned)).await?;
        let result = called(&mut rig, file, tool, given).await?;
        Ok((result, super::learned::toml(&rig.plugin().name, &learned.found())))
    })
}

async fn called(rig: &mut Rig, file: &Path, tool: &str, given: Given) -> Result<Called, Failed> {
    let found = rig.tool(tool).map_err(|reason| Failed::other(format!("{} {reason}", file.display())))?;
    let schema = serde_json::from_str(found.definition.input_schema.as_str()).ok();
    let arguments = given.resolve(schema.as_ref());
    Ok(rig.call(tool, &arguments, None, &mut show_progress).await.end.map_err(|failure| {
        let error = crate::http::public_error(&failure);
        refused(&serde_json::from_str(error.write().as_str()).unwrap_or_default())
    }))
}
