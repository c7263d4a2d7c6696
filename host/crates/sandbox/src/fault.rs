//! What can go wrong, by name. The host turns these into answers; nothing here chooses a code or a status.

use crate::{CompileError, Import, Refused, Skipped, SurveyError};
use std::time::Duration;

/// Why a call has no outcome. The instance is gone, and nothing of it is used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The call took longer than its wall-time limit.
    #[error("the call was stopped after {} ms of wall time", .limit.as_millis())]
    WallTime {
        /// The limit that it hit.
        limit: Duration,
    },
    /// The call used more processor time than its limit.
    #[error("the call was stopped after {} ms of processor time", .limit.as_millis())]
    CpuTime {
        /// The limit that it hit.
        limit: Duration,
    },
    /// The guest ended after it was refused more of something.
    #[error("the guest ran out of {0}")]
    Resource(Resource),
    /// The result is larger than its limit.
    #[error("the result has at least {bytes} bytes; the limit is {limit}")]
    ResultTooLarge {
        /// How large it is, as far as it was looked at.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The guest trapped. The text names the kind of trap, never anything of the guest's own.
    #[error("the guest trapped: {0}")]
    Trap(String),
    /// The guest ended the process that it believes to be in.
    #[error("the guest called exit({0})")]
    Exit(i32),
    /// No place was free to run in.
    #[error("no instance is free")]
    Busy,
    /// The engine failed for a reason that is not the guest's. The text is for the log.
    #[error("the engine failed: {0}")]
    Engine(String),
}

impl Fault {
    /// One word for logs and records, of a closed set.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::WallTime { .. } => "wall_time",
            Self::CpuTime { .. } => "cpu_time",
            Self::Resource(resource) => match resource {
                Resource::Memory => "memory",
                Resource::SharedMemory => "tenant_memory",
                Resource::HostMemory => "host_memory",
                Resource::Table => "table",
                Resource::Stack => "stack",
                Resource::Handles => "handles",
                Resource::Copies => "copies",
                Resource::HostCalls => "host_calls",
            },
            Self::ResultTooLarge { .. } => "result_too_large",
            Self::Trap(_) => "trap",
            Self::Exit(_) => "exit",
            Self::Busy => "pool_full",
            Self::Engine(_) => "engine",
        }
    }
}

/// What a guest can run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Resource {
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("memory")]
    Memory,
    /// The memory of its [`Share`](crate::Share).
    #[error("memory that it shares with other calls")]
    SharedMemory,
    /// The memory of all shares.
    #[error("memory that all calls share")]
    HostMemory,
    /// [`Limits::table_elements`](crate::Limits::table_elements).
    #[error("table elements")]
    Table,
    /// The call stack.
    #[error("stack")]
    Stack,
    /// [`Limits::handles`](crate::Limits::handles).
    #[error("handles")]
    Handles,
    /// [`Limits::copy_bytes`](crate::Limits::copy_bytes).
    #[error("room for what it hands to the host at once")]
    Copies,
    /// [`Limits::host_calls`](crate::Limits::host_calls).
    #[error("calls to the host")]
    HostCalls,
}

/// Why a component was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not a component that this gateway takes.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// It imports what it may not.
    #[error("{}", imports(.unknown, .unasked))]
    Imports {
        /// What the gateway does not offer.
        unknown: Vec<Import>,
        /// What it offers to components that ask for it.
        unasked: Vec<Import>,
    },
    /// It exports none of the interfaces that make a plugin, and no function of its own.
    #[error(
        "it exports no `gatehouse:tool/tools@0.1.0`, nor `resources` or `prompts` of that package, and no function of its own; it exports {}",
        list(.0)
    )]
    Exports(Vec<String>),
    /// It is a plain component, and none of its functions can be called with JSON.
    #[error("it is a plain component without a function that can be a tool: {}", reasons(.0))]
    NoFunctions(Vec<Skipped>),
    /// It exports none of the interfaces that make a policy.
    #[error("it exports no `authenticator`, `authorizer` or `call-filter` of `gatehouse:policy@0.1.0`; it exports {}", list(.0))]
    NoPolicy(Vec<String>),
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It compiled, and does not fit the contract or the pool.
    #[error("it cannot be linked: {0}")]
    Link(String),
    /// Its lists did not come to an end.
    #[error("its lists failed: {0}")]
    List(#[source] Fault),
    /// One of its lists refused.
    #[error(transparent)]
    Refused(#[from] Refused),
}

fn imports(unknown: &[Import], unasked: &[Import]) -> String {
    let names = |imports: &[Import]| imports.iter().map(|import| import.name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = (!unknown.is_empty()).then(|| format!("it imports what this gateway does not offer: {}", names(unknown)));
    let unasked = (!unasked.is_empty())
        .then(|| format!("it imports what only a component may that asks for it in its side file: {}", names(unasked)));
    unknown.into_iter().chain(unasked).collect::<Vec<_>>().join("; ")
}

/// Reasons that one error names.
const REASONS_MAX: usize = 8;

fn reasons(skipped: &[Skipped]) -> String {
    if skipped.is_empty() {
        return "its interfaces have no functions".to_owned();
    }
    let reasons = skipped.iter().take(REASONS_MAX).map(|Skipped { path, reason, .. }| format!("`{path}`: {reason}"));
    let mut text = reasons.collect::<Vec<_>>().join("; ");
    if skipped.len() > REASONS_MAX {
        text.push_str(&format!("; and {} more", skipped.len() - REASONS_MAX));
    }
    text
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
