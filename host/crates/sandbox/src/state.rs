//! What the host keeps for one instance, and the host functions that the guest calls.

use crate::bindings::gatehouse::host::{lists, log, progress};
use crate::bindings::gatehouse::tool::tool_types;
use crate::engine::House;
use crate::events::{Change, EventSender, GuestEvent, LogLevel, LogLine, Progress, Stream};
use crate::fault::Resource;
use crate::files::{FileRefusals, Files};
use crate::grants::{Environment, Settings};
use crate::kept::Kept;
use crate::keyvalue::{Keeper, KeyValue};
use crate::learn::Learner;
use crate::meter::Spent;
use crate::outgoing::{Http, Outgoing};
use crate::share::{Memory, UsedUp};
use crate::stdio::Capture;
use crate::{Grants, Limits};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfig;
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

const MESSAGE_BYTES_MAX: usize = 4_096;
/// What one call may say of `gatehouse:host/lists`, and how long a URI there may be.
pub(crate) const CHANGES_MAX: u32 = 64;
const URI_BYTES_MAX: usize = 8_192;
/// Handles of a guest that has files: each open file is one of the process, and each list of a directory is held whole by the host.
const FILE_HANDLES_MAX: usize = 64;
/// What one instance of a component may be made of.
pub(crate) const INSTANCES_MAX: usize = 64;
pub(crate) const MEMORIES_MAX: usize = 4;
pub(crate) const TABLES_MAX: usize = 16;

/// The data of one store.
pub(crate) struct State {
    /// Calls of the guest to the host.
    pub(crate) host_calls: u64,
    pub(crate) limiter: Limiter,
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
    pub(crate) said: Said,
    pub(crate) http: Http,
    keeper: Keeper,
    pub(crate) files: Files,
    /// Who wants to hear what it reaches for; none: nobody.
    pub(crate) learner: Option<Arc<dyn Learner>>,
    events: Option<EventSender>,
    config: Settings,
    environment: Environment,
    random_bytes: u64,
    /// Made when the guest first calls a function of WASI: many never do.
    wasi: Option<Box<WasiCtx>>,
    pub(crate) table: ResourceTable,
}

/// Where what a guest says goes, and what it sends and keeps; none: nowhere.
#[derive(Default)]
pub(crate) struct Outward {
    pub(crate) events: Option<EventSender>,
    pub(crate) outgoing: Option<Arc<dyn Outgoing>>,
    pub(crate) keyvalue: Option<Arc<dyn KeyValue>>,
    pub(crate) refusals: Option<Arc<dyn FileRefusals>>,
    pub(crate) learner: Option<Arc<dyn Learner>>,
}

/// How much the guest has said, and how much of it was dropped.
#[derive(Debug, Default)]
pub(crate) struct Said {
    log_lines: u32,
    log_bytes: usize,
    pub(crate) log_lines_dropped: u32,
    reports: u32,
    pub(crate) reports_dropped: u32,
    last_done: Option<f64>,
    changes: u32,
    pub(crate) changes_dropped: u32,
    limits: SaidLimits,
}

#[derive(Debug, Default)]
struct SaidLimits {
    log_lines: u32,
    log_bytes: usize,
    reports: u32,
}

impl Said {
    fn new(limits: &Limits) -> Self {
        let limits = SaidLimits { log_lines: limits.log_lines, log_bytes: limits.log_bytes, reports: limits.progress_reports };
        Self { limits, ..Self::default() }
    }
}

impl State {
    /// With exactly what is granted, and beside it no variables, no arguments, no files, no network. Requests leave by `outgoing`,
    /// values are kept by `keyvalue`.
    pub(crate) fn new(
        limits: &Limits,
        grants: &Grants,
        Outward { events, outgoing, keyvalue, refusals, learner }: Outward,
        limiter: Limiter,
    ) -> Self {
        let (stdout, stderr) = (Capture::new(limits.stdio_bytes), Capture::new(limits.stdio_bytes));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        if !grants.files.is_empty() {
            table.set_max_capacity(limits.handles.min(FILE_HANDLES_MAX));
        }
        let files = Files::new(&grants.files, refusals);
        let http = Http::new(&grants.http, outgoing);
        let keeper = Keeper::new(&grants.keyvalue, keyvalue);
        Self {
            limiter,
            host_calls: 0,
            stdout,
            stderr,
            said: Said::new(limits),
            http,
            keeper,
            files,
            learner,
            events,
            config: grants.config.clone(),
            environment: grants.environment.clone(),
            random_bytes: limits.random_bytes,
            wasi: None,
            table,
        }
    }

    /// Another call begins: all that is counted of one is counted anew, and what it says goes elsewhere. What the guest has in its memory and its
    /// table stays, and counts on.
    pub(crate) fn begin(&mut self, limits: &Limits, outward: Outward, spent: Arc<Spent>) {
        self.look_outward(outward);
        self.host_calls = 0;
        self.limiter.begin(spent);
        self.stdout.begin(limits.stdio_bytes);
        self.stderr.begin(limits.stdio_bytes);
        self.said = Said::new(limits);
    }

    /// No call runs. Nothing of the one before is held.
    pub(crate) fn rest(&mut self) {
        self.look_outward(Outward::default());
    }

    fn look_outward(&mut self, Outward { events, outgoing, keyvalue, refusals, learner }: Outward) {
        self.events = events;
        self.http.look_outward(outgoing);
        self.keeper.look_outward(keyvalue);
        self.files.look_outward(refusals);
        self.learner = learner;
    }

    /// Whether the guest came to its answer without passing a limit, and left nothing that goes on.
    pub(crate) fn is_sound(&self, limits: &Limits) -> bool {
        self.limiter.refused.is_none() && self.host_calls <= limits.host_calls && self.http.is_at_rest()
    }

    /// As it was before there was anything of its instance.
    pub(crate) fn before_instance(mut self) -> Self {
        let capacity = self.table.max_capacity();
        self.table = ResourceTable::new();
        self.table.set_max_capacity(capacity);
        self.files.close_all();
        self.limiter.give_back();
        self
    }

    /// The guest calls the host: each function begins with one of these.
    pub(crate) fn asked(&mut self) -> &mut Self {
        self.host_calls = self.host_calls.saturating_add(1);
        self
    }

    pub(crate) fn config(&mut self) -> WasiConfig<'_> {
        self.asked();
        WasiConfig::new(self.config.variables())
    }

    pub(crate) fn keeping(&mut self) -> (&Keeper, &mut ResourceTable) {
        (&self.keeper, &mut self.table)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.asked();
        let ctx = self.wasi.get_or_insert_with(|| {
            let mut wasi = WasiCtxBuilder::new();
            wasi.stdout(self.stdout.clone()).stderr(self.stderr.clone());
            wasi.max_random_size(self.random_bytes).allow_blocking_current_thread(false);
            self.environment.give(&mut wasi);
            Box::new(wasi.build())
        });
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.asked();
        let (ctx, hooks) = self.http.parts();
        WasiHttpCtxView { hooks, table: &mut self.table, ctx }
    }
}

/// The contract's types come with no functions.
impl tool_types::Host for State {}

impl progress::Host for State {
    async fn report(&mut self, done: f64, total: Option<f64>, message: Option<String>) -> wasmtime::Result<()> {
        let Some(events) = self.events.as_ref().filter(|events| events.wants_progress()) else { return Ok(()) };
        let grows = done.is_finite() && self.said.last_done.is_none_or(|last| done > last);
        if !grows || self.said.reports >= self.said.limits.reports {
            self.said.reports_dropped = self.said.reports_dropped.saturating_add(1);
            return Ok(());
        }
        self.said.reports += 1;
        self.said.last_done = Some(done);
        let total = total.filter(|total| total.is_finite());
        let message = message.map(|text| cut(text, MESSAGE_BYTES_MAX));
        events.send(GuestEvent::Progress(Progress { done, total, message })).await;
        Ok(())
    }
}

impl log::Host for State {
    async fn write(&mut self, level: log::Level, logger: Option<String>, data: String) -> wasmtime::Result<()> {
        let said = &mut self.said;
        let bytes = data.len().saturating_add(logger.as_ref().map_or(0, String::len));
        let total = said.log_bytes.saturating_add(bytes);
        if said.log_lines >= said.limits.log_lines || total > said.limits.log_bytes {
            said.log_lines_dropped = said.log_lines_dropped.saturating_add(1);
            return Ok(());
        }
        said.log_lines += 1;
        said.log_bytes = total;
        if let Some(events) = &self.events {
            let line = LogLine { level: level.into(), stream: Stream::Log, logger, data };
            events.send(GuestEvent::Log(line)).await;
        }
        Ok(())
    }
}

impl State {
    async fn changed(&mut self, change: Change) {
        if self.said.changes >= CHANGES_MAX {
            self.said.changes_dropped = self.said.changes_dropped.saturating_add(1);
            return;
        }
        self.said.changes += 1;
        if let Some(events) = &self.events {
            events.send(GuestEvent::Changed(change)).await;
        }
    }
}

impl lists::Host for State {
    async fn changed(&mut self, kind: lists::Kind) -> wasmtime::Result<()> {
        let change = match kind {
            lists::Kind::Tools => Change::Tools,
            lists::Kind::Resources => Change::Resources,
            lists::Kind::Prompts => Change::Prompts,
        };
        State::changed(self, change).await;
        Ok(())
    }

    async fn resource_updated(&mut self, uri: String) -> wasmtime::Result<()> {
        if uri.len() <= URI_BYTES_MAX {
            State::changed(self, Change::Resource(uri)).await;
        } else {
            self.said.changes_dropped = self.said.changes_dropped.saturating_add(1);
        }
        Ok(())
    }
}

impl From<log::Level> for LogLevel {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Notice => Self::Notice,
            log::Level::Warning => Self::Warning,
            log::Level::Error => Self::Error,
            log::Level::Critical => Self::Critical,
            log::Level::Alert => Self::Alert,
            log::Level::Emergency => Self::Emergency,
        }
    }
}

/// At a character's border.
fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
    text
}

/// Adds up what all memories and all tables of the instance have; the engine's own limiter looks at each by itself.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: usize,
    memory_bytes_max: usize,
    /// Where others read how much it is.
    spent: Arc<Spent>,
    /// Of which memory it is a part; given back when the guest is gone.
    part_of: Arc<Memory>,
    /// What gives some of it free before any is refused.
    kept: Weak<Kept>,
    table_elements: usize,
    table_elements_max: usize,
    /// What was refused last: a guest that traps afterwards trapped for want of it.
    pub(crate) refused: Option<Resource>,
}

impl Limiter {
    /// A part of that memory, and others read in `spent` how much it is.
    pub(crate) fn new(limits: &Limits, spent: Arc<Spent>, part_of: Arc<Memory>, kept: Weak<Kept>) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes,
            spent,
            part_of,
            kept,
            table_elements: 0,
            table_elements_max: limits.table_elements,
            refused: None,
        }
    }

    /// Another call begins, with the memory that the guest has already.
    fn begin(&mut self, spent: Arc<Spent>) {
        spent.memory_bytes.store(self.memory_bytes, Relaxed);
        self.spent = spent;
        self.refused = None;
    }

    fn give_back(&mut self) {
        self.part_of.give_back(std::mem::take(&mut self.memory_bytes));
        self.table_elements = 0;
    }

    fn take(&self, bytes: usize) -> Result<(), UsedUp> {
        loop {
            let Err(used_up) = self.part_of.take(bytes) else { return Ok(()) };
            if !self.kept.upgrade().is_some_and(|kept| kept.make_memory(used_up, &self.part_of)) {
                return Err(used_up);
            }
        }
    }

    /// Gives up what is only kept of instances in that house. Whether there was any.
    pub(crate) fn clear_house(&self, house: &House) -> bool {
        self.kept.upgrade().is_some_and(|kept| kept.clear_house(house))
    }

    /// Memories never shrink, so this is also the peak.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.memory_bytes_max {
            self.refused = Some(Resource::Memory);
            return Ok(false);
        }
        if let Err(used_up) = self.take(total - self.memory_bytes) {
            self.refused = Some(match used_up {
                UsedUp::Own => Resource::SharedMemory,
                UsedUp::Above => Resource::HostMemory,
            });
            return Ok(false);
        }
        self.memory_bytes = total;
        self.spent.memory_bytes.store(total, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > self.table_elements_max {
            self.refused = Some(Resource::Table);
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }
}

#[cfg(test)]
mod tests;
