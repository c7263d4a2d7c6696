//! What one call may use.

use crate::{compile, engine, kept, state, survey};
use std::time::Duration;

/// What a component may have to be loaded, and what its compiler may take. No setting changes these; the unit ends the name.
pub const OF_COMPONENTS: [(&str, u64); 8] = [
    ("component_bytes_max", survey::COMPONENT_BYTES_MAX),
    ("component_functions_max", survey::FUNCTIONS_MAX as u64),
    ("component_function_bytes_max", survey::FUNCTION_BODY_BYTES_MAX as u64),
    ("component_modules_max", survey::MODULES_MAX as u64),
    ("component_nesting_max", survey::NESTING_MAX as u64),
    ("component_imports_and_exports_max", survey::EXTERNS_MAX as u64),
    ("compile_memory_bytes_max", compile::ADDRESS_SPACE_BYTES_MAX),
    ("compile_cpu_time_s", compile::CPU_SECONDS_MAX),
];

/// What one call may use beside its [`Limits`]. No setting changes these.
pub const OF_CALLS: [(&str, u64); 5] = [
    ("call_stack_bytes_max", engine::STACK_BYTES_MAX as u64),
    ("call_instances_max", state::INSTANCES_MAX as u64),
    ("call_memories_max", state::MEMORIES_MAX as u64),
    ("call_tables_max", state::TABLES_MAX as u64),
    ("call_changes_max", state::CHANGES_MAX as u64),
];

/// What instances that wait for another call may use of what there is. No setting changes these.
pub const OF_KEPT: [(&str, u64); 3] = [
    ("kept_instances_max", kept::KEPT_MAX as u64),
    ("kept_instances_per_plugin_max", kept::KEPT_OF_GUEST_MAX as u64),
    ("kept_time_s", kept::KEPT_FOR.as_secs()),
];

/// The limits of one call. Each has its own [`Fault`](crate::Fault) or its own silent cap, as its line says; the defaults are
/// those of the gateway's limits table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the call to its end, waiting included → [`Fault::WallTime`](crate::Fault::WallTime).
    pub wall: Duration,
    /// Processor time of the guest and of the host functions that it calls → [`Fault::CpuTime`](crate::Fault::CpuTime).
    pub cpu: Duration,
    /// All linear memories of the instance together, in bytes. Growth beyond it is refused to the guest; a guest that then ends
    /// in a trap → [`Fault::Resource`](crate::Fault::Resource).
    pub memory_bytes: usize,
    /// All tables of the instance together, in elements. As with memory.
    pub table_elements: usize,
    /// Text, bytes and JSON of the result together, in bytes → [`Fault::ResultTooLarge`](crate::Fault::ResultTooLarge).
    pub result_bytes: usize,
    /// Data that the guest may hand to the host in one host call, and as its result, in bytes →
    /// [`Fault::Resource`](crate::Fault::Resource).
    pub copy_bytes: usize,
    /// Handles to host resources (streams, pollables, files) that are open at once; a trap beyond it.
    pub handles: usize,
    /// Bytes of randomness in one request; a trap beyond it.
    pub random_bytes: u64,
    /// Calls of host functions → [`Fault::Resource`](crate::Fault::Resource), within a millisecond of computing.
    pub host_calls: u64,
    /// Lines by `gatehouse:host/log`; more are dropped and counted.
    pub log_lines: u32,
    /// Bytes by `gatehouse:host/log`, all lines together; more are dropped and counted.
    pub log_bytes: usize,
    /// Bytes of standard output and standard error that are kept, each by itself; more are dropped and counted.
    pub stdio_bytes: usize,
    /// Reports by `gatehouse:host/progress`; more are dropped and counted.
    pub progress_reports: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            cpu: Duration::from_secs(5),
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            result_bytes: 1 << 20,
            copy_bytes: 16 << 20,
            handles: 1_024,
            random_bytes: 64 << 10,
            host_calls: 1_000_000,
            log_lines: 1_000,
            log_bytes: 64 << 10,
            stdio_bytes: 16 << 10,
            progress_reports: 10_000,
        }
    }
}

impl Limits {
    /// What all lists of a component get together when it is loaded: one second, and the memory of a call. How long they may be is what a
    /// guest may hand over at once, [`Limits::copy_bytes`].
    pub(crate) fn for_listing(&self) -> Self {
        Self { wall: Duration::from_secs(1), cpu: Duration::from_secs(1), ..*self }
    }
}
