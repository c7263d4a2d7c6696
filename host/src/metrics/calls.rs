//! Calls by tenant, tool and outcome. Which tenants and tools there are is resolved with each generation; a call finds its row by two look-ups,
//! without a lock, and counts there.

use super::OTHER;
use super::counters::{Count, Histogram};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Tools, over all tenants, that have rows of their own; those beyond are counted as `other`. 14 outcomes each, if a tool has seen them all:
/// so the page stays below a mebibyte or two, whatever is dropped in.
const ROWS_MAX: usize = 1_000;

/// All calls.
pub static CALLS: LazyLock<Calls> = LazyLock::new(Calls::default);

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Ok,
    /// With a result that says that the tool failed.
    ToolError,
    /// With questions; the call with their answers counts for itself.
    Asked,
    /// Stopped after its time.
    Timeout,
    /// It crashed.
    Trap,
    /// It wanted more memory, or whatever, than it may have.
    Limit,
    /// Its result broke its schema, or was none.
    InvalidResult,
    /// It was called with what does not fit.
    InvalidArguments,
    /// A policy says no.
    Denied,
    /// A policy gave no answer.
    PolicyFailed,
    /// There was no slot for it.
    Refused,
    /// Whatever else: the guest's own reasons, or the gateway's.
    Failed,
    /// Its client gave up.
    Cancelled,
    /// An operator stopped it.
    Revoked,
    /// What it names is not there.
    Unknown,
}

impl Outcome {
    /// The word that stands for it.
    pub fn word(self) -> &'static str {
        Self::ALL.get(self as usize).map_or(super::OTHER, |(_, word)| word)
    }

    const ALL: [(Self, &'static str); 15] = [
        (Self::Ok, super::OK),
        (Self::ToolError, "tool_error"),
        (Self::Asked, "asked"),
        (Self::Timeout, "timeout"),
        (Self::Trap, "trap"),
        (Self::Limit, "limit"),
        (Self::InvalidResult, "invalid_result"),
        (Self::InvalidArguments, "invalid_arguments"),
        (Self::Denied, "denied"),
        (Self::PolicyFailed, "policy_failed"),
        (Self::Refused, "refused"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
        (Self::Revoked, "revoked"),
        (Self::Unknown, "unknown"),
    ];
}

/// The calls of one tool by one tenant.
#[derive(Debug, Default)]
pub struct Row {
    counts: [Count; Outcome::ALL.len()],
    times: Arc<Times>,
}

/// How long calls of one tenant took.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) wall: Histogram,
    pub(super) cpu: Histogram,
}

impl Row {
    /// One more that ended so.
    pub fn count(&self, outcome: Outcome) {
        if let Some(count) = self.counts.get(outcome as usize) {
            count.count();
        }
    }

    /// How long one took whose guest ran.
    pub fn took(&self, wall: Duration, cpu: Duration) {
        self.times.wall.observe(wall);
        self.times.cpu.observe(cpu);
    }

    /// How often each outcome was, without those that never were.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::ALL.iter().zip(&self.counts).map(|((_, word), count)| (*word, count.get())).filter(|(_, count)| *count > 0)
    }
}

/// The rows of one generation.
#[derive(Debug, Default)]
pub struct Calls(ArcSwap<Table>);

#[derive(Debug, Default)]
pub(super) struct Table {
    tenants: HashMap<Box<str>, Tenant>,
    /// Of tenants that there are not any more.
    stray: Arc<Row>,
}

#[derive(Debug, Default)]
struct Tenant {
    tools: HashMap<Box<str>, Arc<Row>>,
    other: Arc<Row>,
    times: Arc<Times>,
}

impl Calls {
    /// Where calls of that tool by that tenant are counted. A call keeps its row to its end, whatever the generation is then.
    pub fn row(&self, tenant: &str, tool: Option<&str>) -> Arc<Row> {
        let table = self.0.load();
        let Some(theirs) = table.tenants.get(tenant) else { return Arc::clone(&table.stray) };
        Arc::clone(tool.and_then(|tool| theirs.tools.get(tool)).unwrap_or(&theirs.other))
    }

    /// The tenants and tools that there are from now on, a tool maybe more than once. Those that were there before go on; what is gone is
    /// shown no more.
    pub fn settle<'a>(&self, tools: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
        let before = self.0.load_full();
        let mut now = Table { tenants: HashMap::new(), stray: Arc::clone(&before.stray) };
        let mut rows = 0;
        for (name, tool) in tools {
            let known = before.tenants.get(name);
            let tenant = now.tenants.entry(name.into()).or_insert_with(|| Tenant::after(known));
            let Some(tool) = tool.filter(|tool| rows < ROWS_MAX && !tenant.tools.contains_key(*tool)) else { continue };
            let row = match (tool, known.and_then(|known| known.tools.get(tool))) {
                // Its label stands for others as well, so it shares their row.
                (OTHER, _) => Arc::clone(&tenant.other),
                (_, Some(row)) => Arc::clone(row),
                (_, None) => Arc::new(Row { times: Arc::clone(&tenant.times), ..Row::default() }),
            };
            rows += 1;
            tenant.tools.insert(tool.into(), row);
        }
        if let Some(tenant) = now.tenants.get(OTHER) {
            now.stray = Arc::clone(&tenant.other);
        }
        self.0.store(Arc::new(now));
    }

    pub(super) fn now(&self) -> Arc<Table> {
        self.0.load_full()
    }
}

impl Tenant {
    fn after(known: Option<&Self>) -> Self {
        let times = known.map(|known| Arc::clone(&known.times)).unwrap_or_default();
        let other = known.map(|known| Arc::clone(&known.other));
        let other = other.unwrap_or_else(|| Arc::new(Row { times: Arc::clone(&times), ..Row::default() }));
        Self { tools: HashMap::new(), other, times }
    }
}

impl Table {
    /// Each row once, with its tenant and its tool, in one order.
    pub(super) fn rows(&self) -> Vec<(&str, &str, &Row)> {
        let own = self.tenants.iter().flat_map(|(name, tenant)| {
            let tools = tenant.tools.iter().map(|(tool, row)| (&**tool, row)).filter(|(tool, _)| *tool != OTHER);
            tools.chain([(OTHER, &tenant.other)]).map(move |(tool, row)| (&**name, tool, &**row))
        });
        let stray = Some((OTHER, OTHER, &*self.stray)).filter(|_| !self.tenants.contains_key(OTHER));
        let mut rows: Vec<_> = own.chain(stray).collect();
        rows.sort_by_key(|(tenant, tool, _)| (*tenant, *tool));
        rows
    }

    /// How long the calls of each tenant took.
    pub(super) fn times(&self) -> Vec<(&str, &Times)> {
        let own = self.tenants.iter().map(|(name, tenant)| (&**name, &*tenant.times));
        let mut times: Vec<_> = own.collect();
        times.sort_by_key(|(tenant, _)| *tenant);
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(calls: &Calls) -> Vec<String> {
        let table = calls.now();
        let rows = table.rows();
        rows.iter().flat_map(|(tenant, tool, row)| row.each().map(move |(word, n)| format!("{tenant}/{tool}/{word} {n}"))).collect()
    }

    #[test]
    fn every_outcome_has_its_place() {
        for (at, (outcome, _)) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, at);
        }
    }

    #[test]
    fn rows_come_and_go_with_what_there_is() {
        let calls = Calls::default();
        calls.row("a", Some("x")).count(Outcome::Ok);
        calls.settle([("a", None), ("a", Some("x")), ("a", Some("x")), ("b", Some("y"))].into_iter());
        calls.row("a", Some("x")).count(Outcome::Ok);
        calls.row("a", Some("y")).count(Outcome::Trap);
        calls.row("b", None).count(Outcome::Unknown);
        let old = calls.row("b", Some("y"));
        assert_eq!(shown(&calls), ["a/other/trap 1", "a/x/ok 1", "b/other/unknown 1", "other/other/ok 1"]);
        calls.settle([("a", Some("x"))].into_iter());
        old.count(Outcome::Ok);
        calls.row("a", Some("x")).count(Outcome::Ok);
        assert_eq!(shown(&calls), ["a/other/trap 1", "a/x/ok 2", "other/other/ok 1"]);
    }

    #[test]
    fn names_that_stand_for_others_share_their_row() {
        let calls = Calls::default();
        calls.settle([("other", Some("other"))].into_iter());
        calls.row("nobody", Some("x")).count(Outcome::Ok);
        calls.row("other", Some("other")).count(Outcome::Ok);
        assert_eq!(shown(&calls), ["other/other/ok 2"]);
        assert_eq!(calls.now().times().len(), 1);
    }

    #[test]
    fn there_are_only_so_many_rows() {
        let calls = Calls::default();
        let names: Vec<_> = (0..2 * ROWS_MAX).map(|at| format!("t{at}")).collect();
        calls.settle(names.iter().map(|name| ("a", Some(name.as_str()))));
        names.iter().for_each(|name| calls.row("a", Some(name)).count(Outcome::Ok));
        assert_eq!(shown(&calls).len(), ROWS_MAX + 1);
    }
}
