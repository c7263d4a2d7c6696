//! What the process gives up at its start.

use super::file::Section;

/// What the process gives up at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessConfig {
    /// The files and connections that the settings do not name.
    pub landlock: Landlock,
}

/// Whether the kernel holds the process to what its settings name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// It does not.
    Off,
    /// As far as this kernel can.
    BestEffort,
    /// It does, or there is no start.
    Required,
}

pub(super) fn read(root: &Section<'_, '_>) -> ProcessConfig {
    let process = root.section("process");
    let landlock = process.parsed("landlock", |text| match text {
        "off" => Ok(Landlock::Off),
        "best_effort" => Ok(Landlock::BestEffort),
        "required" => Ok(Landlock::Required),
        _ => Err("must be \"off\", \"best_effort\" or \"required\"".to_owned()),
    });
    process.end();
    ProcessConfig { landlock: landlock.unwrap_or(Landlock::BestEffort) }
}
