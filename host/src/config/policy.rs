//! Policies: components that decide, and where they are asked.

use super::file::Section;
use std::path::{Path, PathBuf};

/// One policy with its settings.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// Its name in settings and logs.
    pub name: String,
    /// The component.
    pub file: PathBuf,
    /// Its own settings, a JSON object as text.
    pub settings: String,
    /// Whether its verdicts count.
    pub mode: PolicyMode,
}

/// Whether a policy's verdicts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyMode {
    /// They do.
    Enforce,
    /// They are logged and nothing else.
    DryRun,
}

impl PolicyMode {
    /// As the settings have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::DryRun => "dry-run",
        }
    }
}

pub(super) fn read(name: &str, base: &Path, policy: Section<'_, '_>) -> Option<PolicyConfig> {
    let file = policy.text("file");
    if file.is_none() {
        policy.note("file", "must name the policy's component, such as \"policies/scopes.wasm\"");
    }
    let mode = policy.parsed("mode", |text| match text {
        "enforce" => Ok(PolicyMode::Enforce),
        "dry-run" => Ok(PolicyMode::DryRun),
        _ => Err("must be \"enforce\" or \"dry-run\"".to_owned()),
    });
    let settings = policy.json("settings").unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new()));
    policy.end();
    Some(PolicyConfig {
        name: name.to_owned(),
        file: base.join(file?),
        settings: settings.to_string(),
        mode: mode.unwrap_or(PolicyMode::Enforce),
    })
}
