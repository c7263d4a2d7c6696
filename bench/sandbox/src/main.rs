//! The sandbox alone: instantiate, call and drop, without HTTP, by the sandbox's own interface. `gatehouse-bench sandbox` starts this and makes a table of
//! what it says: a line of JSON for each round of each guest.

#[cfg(test)]
mod allocations;

use anyhow::{Context, Result, ensure};
// For its features: see Cargo.toml.
use gatehouse as _;
use rustix::time::{ClockId, clock_gettime};
use sandbox::contract::{Caller, ClientFeatures};
use sandbox::{
    Asks, Authority, Call, Compiler, Finished, Grants, Growth, Guest, Limits, Outcome, PoolSizes, Sandbox, SandboxConfig, Share, Work,
};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

// A test counts with one of its own.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Between two looks at the clock. Few, because language runtimes take milliseconds.
const BATCH: u32 = 20;
const TOOLBOX: &str = "Rust, text toolbox";

/// A guest and what it is called with.
struct Kind {
    name: &'static str,
    file: &'static str,
    made_by: &'static str,
    tool: &'static str,
    arguments: fn() -> Value,
    growth: Growth,
}

/// In the order of what they cost. Those of Rust echo 100 bytes, the others do the little work of their smallest tool.
const KINDS: [Kind; 7] = [
    // One page of memory, all of it from the beginning, one module, and nothing of WASI: what the sandbox itself costs.
    Kind {
        name: "Rust, compact",
        file: "target/fixtures/compact.wasm",
        made_by: "make fixtures",
        tool: "compact_echo",
        arguments: || json!({ "message": "x".repeat(100) }),
        growth: Growth::Elided,
    },
    // Its memory does not grow either, but it is a MiB.
    Kind {
        name: TOOLBOX,
        file: "target/plugins/text-toolbox.wasm",
        made_by: "make plugins",
        tool: "echo",
        arguments: || json!({ "message": "x".repeat(100) }),
        growth: Growth::Elided,
    },
    // As its toolchain makes it: its memory would grow in each call.
    Kind {
        name: "Rust, as cargo makes it",
        file: "target/fixtures/mirrored.wasm",
        made_by: "make fixtures",
        tool: "mirrored",
        arguments: || json!({ "note": "x".repeat(100) }),
        growth: Growth::Elided,
    },
    // And does.
    Kind {
        name: "Rust, growth not elided",
        file: "target/fixtures/mirrored.wasm",
        made_by: "make fixtures",
        tool: "mirrored",
        arguments: || json!({ "note": "x".repeat(100) }),
        growth: Growth::AsItIs,
    },
    Kind {
        name: "C, as gatehouse build makes it",
        file: "target/plugins/chart.wasm",
        made_by: "make plugins",
        tool: "draw_chart",
        arguments: || json!({ "labels": ["a", "b"], "values": [1, 2] }),
        growth: Growth::Elided,
    },
    Kind {
        name: "JavaScript",
        file: "target/plugins/text-template.wasm",
        made_by: "make plugins",
        tool: "parse_csv",
        arguments: || json!({ "csv": "name,age\nAda,36" }),
        growth: Growth::Elided,
    },
    Kind {
        name: "Python",
        file: "target/plugins/data-helper.wasm",
        made_by: "make plugins",
        tool: "date_difference",
        arguments: || json!({ "from": "2026-01-01", "to": "2026-07-28" }),
        growth: Growth::Elided,
    },
];

fn main() -> Result<()> {
    let (rounds, each_s) = std::env::args().nth(1).zip(std::env::args().nth(2)).context("usage: gatehouse-bench-sandbox ROUNDS SECONDS")?;
    let (rounds, each): (u32, _) = (rounds.parse()?, Duration::try_from_secs_f64(each_s.parse()?)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for kind in &KINDS {
        let house = Arc::new(House::new(kind.growth)?);
        let guest = runtime.block_on(house.load(kind))?;
        for _ in 0..rounds {
            let [one, two] = [run(&house, &guest, kind, 1, each)?, run(&house, &guest, kind, 2, each)?];
            let found = [one.cpu_us, one.per_second, two.cpu_us, two.per_second, two.per_second / one.per_second];
            writeln!(std::io::stdout(), "{}", json!({ "guest": kind.name, "found": found }))?;
        }
    }
    Ok(())
}

/// A sandbox as the gateway has it, and the right to use it.
struct House {
    sandbox: Sandbox,
    authority: Authority,
    /// All calls are of one tenant.
    share: Share,
}

impl House {
    fn new(growth: Growth) -> Result<Self> {
        let limits = Limits::default();
        let turns = fair::Places::new(std::thread::available_parallelism()?.get());
        let config = SandboxConfig {
            pools: PoolSizes::default(),
            limits,
            // Components of the project's own: no worker is needed to keep them apart.
            compiler: Compiler::in_process(growth),
            cache: None,
            turns,
            decision_wall: Duration::from_secs(1),
        };
        let (sandbox, authority) = Sandbox::new(config)?;
        Ok(Self { sandbox, authority, share: Share::default() })
    }

    async fn load(&self, kind: &Kind) -> Result<Guest> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(kind.file);
        ensure!(path.exists(), "{} is missing; `{}` makes it", path.display(), kind.made_by);
        let bytes = std::fs::read(path)?;
        Ok(self.sandbox.load(bytes.into(), &Asks::default(), self.sandbox.shared()).await?)
    }

    /// One call from its permit to its answer.
    async fn call(&self, guest: &Guest, kind: &Kind, arguments: String) -> Finished {
        let permit = self.authority.permit(guest, Work::CallTool { name: kind.tool.to_owned(), arguments }, Grants::none());
        let call = Call {
            caller: Caller { tenant: "default".to_owned(), subject: None, scopes: Vec::new(), claims: None },
            client: ClientFeatures::empty(),
            resume: None,
            meta: None,
            limits: *self.sandbox.limits(),
            events: None,
            outgoing: None,
            keyvalue: None,
            refusals: None,
            learner: None,
            spent: Arc::default(),
            share: self.share.clone(),
            claim: None,
            whose: None,
        };
        self.sandbox.call(permit, call).await
    }
}

/// The arguments of a kind as text.
fn arguments(kind: &Kind) -> String {
    (kind.arguments)().to_string()
}

/// Whether that is the answer of a tool that did its work.
fn check(finished: Finished) -> Result<()> {
    match finished.outcome {
        Ok(Ok(Outcome::Reply(reply))) if !reply.is_error => Ok(()),
        other => anyhow::bail!("this is not what is measured: {other:?}"),
    }
}

/// What one round gave.
struct Round {
    cpu_us: f64,
    per_second: f64,
}

/// Calls on so many threads for so long: processor time for each, and how many a second.
fn run(house: &Arc<House>, guest: &Guest, kind: &'static Kind, threads: usize, each: Duration) -> Result<Round> {
    let start = Arc::new(Barrier::new(threads));
    let all: Vec<_> = (0..threads)
        .map(|_| {
            let (house, guest, start) = (Arc::clone(house), guest.clone(), Arc::clone(&start));
            std::thread::spawn(move || thread(&house, &guest, kind, &start, each))
        })
        .collect();
    let (mut cpu_us, mut calls, mut per_second) = (0.0, 0.0, 0.0);
    for one in all {
        let one = one.join().ok().context("a thread that came to its end")??;
        cpu_us += one.cpu.as_secs_f64() * 1e6;
        calls += f64::from(one.calls);
        per_second += f64::from(one.calls) / one.wall.as_secs_f64();
    }
    Ok(Round { cpu_us: cpu_us / calls, per_second })
}

struct Done {
    calls: u32,
    cpu: Duration,
    wall: Duration,
}

fn thread(house: &House, guest: &Guest, kind: &Kind, start: &Barrier, each: Duration) -> Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments = arguments(kind);
    runtime.block_on(async {
        for _ in 0..BATCH {
            check(house.call(guest, kind, arguments.clone()).await)?;
        }
        start.wait();
        let (began, cpu, mut calls) = (Instant::now(), thread_cpu(), 0);
        while began.elapsed() < each {
            for _ in 0..BATCH {
                house.call(guest, kind, arguments.clone()).await;
            }
            calls += BATCH;
        }
        Ok(Done { calls, cpu: thread_cpu().saturating_sub(cpu), wall: began.elapsed() })
    })
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
