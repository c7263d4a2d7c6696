//! Machine code from components, in a process of its own.
//!
//! The engine promises nothing about the cost of compiling a hostile component, so it happens in a child process that can be killed:
//! with limits on its memory and processor time, low priority, no environment, no files and no connections but its pipes where the
//! kernel can hold it to that, and a time limit from outside. The serving process only ever maps the result.

mod elide;
mod unsupported;

use crate::engine;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

pub(crate) const ADDRESS_SPACE_BYTES_MAX: u64 = 4 << 30;
pub(crate) const CPU_SECONDS_MAX: u64 = 120;
const CODE_BYTES_MAX: u64 = 1 << 30;
const MESSAGE_BYTES_MAX: u64 = 4 << 10;
/// More than its pipes.
const OPEN_FILES_MAX: u64 = 16;

/// A component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler refused it. The text says why.
    #[error("it does not compile: {0}")]
    Refused(String),
    /// Compiling took too long.
    #[error("compiling it was stopped after {} s", .0.as_secs())]
    TooLong(Duration),
    /// The compile worker ended without an answer: out of memory or processor time, as a rule.
    #[error("the compile worker ended without an answer ({0}); the component may need more memory or processor time than the worker has")]
    Died(String),
    /// The worker could not be started or spoken with.
    #[error("the compile worker cannot be used: {0}")]
    Worker(#[from] std::io::Error),
}

/// Machine code that this gateway made itself: from its own compiler, from its own cache after the seal was checked, or copied from what it has
/// mapped of these.
#[derive(Debug)]
pub(crate) struct MachineCode(pub(crate) Vec<u8>);

impl MachineCode {
    /// That of a component that is mapped, to be mapped again for another engine.
    pub(crate) fn copied(component: &Component) -> wasmtime::Result<Self> {
        component.serialize().map(Self)
    }
}

/// Components that are compiled at a time: a small one does not have to wait for a language runtime.
const AT_A_TIME: usize = 2;

/// Whether a component that makes its memory grow in its first steps is written anew before it is compiled, so that it has that memory from the
/// beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Growth {
    /// It is: a fresh instance is cheaper, and the more so the more processors there are.
    Elided,
    /// It is compiled as it is.
    AsItIs,
}

/// Where compiling happens.
#[derive(Debug, Clone)]
pub struct Compiler {
    place: Place,
    growth: Growth,
    turns: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
enum Place {
    InProcess,
    Worker { program: PathBuf, arguments: Vec<String>, wall: Duration },
}

impl Compiler {
    /// In a child process: `program` with `arguments` must call [`run_worker`], with that `growth`. It is killed after `wall`.
    pub fn worker(program: PathBuf, arguments: Vec<String>, growth: Growth, wall: Duration) -> Self {
        Self::new(Place::Worker { program, arguments, wall }, growth)
    }

    /// In this process, on a thread for blocking work: for command-line tools and tests, where the file is the user's own.
    pub fn in_process(growth: Growth) -> Self {
        Self::new(Place::InProcess, growth)
    }

    fn new(place: Place, growth: Growth) -> Self {
        Self { place, growth, turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// What becomes of components that make their memory grow.
    pub(crate) fn growth(&self) -> Growth {
        self.growth
    }

    /// Compiles. Cancel-safe: dropping the future kills the worker.
    pub(crate) async fn compile(&self, component: Arc<[u8]>) -> Result<MachineCode, CompileError> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(CompileError::Died("the gateway is stopping".to_owned()));
        };
        let growth = self.growth;
        match &self.place {
            Place::InProcess => match tokio::task::spawn_blocking(move || precompile(&component, growth)).await {
                Ok(done) => done.map(MachineCode).map_err(CompileError::Refused),
                Err(error) => Err(CompileError::Died(error.to_string())),
            },
            Place::Worker { program, arguments, wall } => {
                let mut command = tokio::process::Command::new(program);
                command.args(arguments).env_clear().env("RAYON_NUM_THREADS", "2").kill_on_drop(true);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                match tokio::time::timeout(*wall, converse(command, component)).await {
                    Ok(done) => done,
                    Err(_) => Err(CompileError::TooLong(*wall)),
                }
            }
        }
    }
}

async fn converse(mut command: tokio::process::Command, component: Arc<[u8]>) -> Result<MachineCode, CompileError> {
    let mut child = command.spawn()?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(CompileError::Died("it has no pipes".to_owned()));
    };
    let (mut code, mut message) = (Vec::new(), Vec::new());
    let write = async move {
        // A worker that dies early breaks the pipe; what it printed says more than the broken pipe would.
        let _ = stdin.write_all(&component).await;
        drop(stdin);
    };
    let (mut stdout, mut stderr) = (stdout.take(CODE_BYTES_MAX), stderr.take(MESSAGE_BYTES_MAX));
    let (_, code_read, message_read) = tokio::join!(write, stdout.read_to_end(&mut code), stderr.read_to_end(&mut message));
    code_read?;
    message_read?;
    let status = child.wait().await?;
    let message = String::from_utf8_lossy(&message).trim().to_owned();
    match status.code() {
        Some(0) if !code.is_empty() => Ok(MachineCode(code)),
        Some(REFUSED) => Err(CompileError::Refused(message)),
        _ => Err(CompileError::Died(if message.is_empty() { status.to_string() } else { format!("{status}: {message}") })),
    }
}

/// The worker's exit code for a component that does not compile (`EX_DATAERR`).
const REFUSED: i32 = 65;

/// The body of the worker process: a component on standard input, its machine code on standard output. Returns the exit code.
///
/// Takes its limits itself before it reads a byte, so that its parent needs no unsafe code to set them.
pub fn run_worker(growth: Growth) -> i32 {
    use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
    let limit = |resource, value| {
        let _ = setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    };
    limit(Resource::As, ADDRESS_SPACE_BYTES_MAX);
    limit(Resource::Cpu, CPU_SECONDS_MAX);
    limit(Resource::Core, 0);
    limit(Resource::Fsize, 0);
    limit(Resource::Nofile, OPEN_FILES_MAX);
    let _ = setpriority_process(None, 10);
    // The limits above hold without it, and the gateway says whether its kernel has it.
    let _ = give_up_files();
    // What a panic would print names source files, which are nobody's business; the refusal says that there was one.
    std::panic::set_hook(Box::new(|_| {}));

    let mut component = Vec::new();
    let work = std::io::stdin()
        .lock()
        .take(crate::COMPONENT_BYTES_MAX + 1)
        .read_to_end(&mut component)
        .map_err(|error| (74, error.to_string()))
        .and_then(|_| precompile(&component, growth).map_err(|message| (REFUSED, message)))
        .and_then(|code| std::io::stdout().lock().write_all(&code).map_err(|error| (74, error.to_string())));
    match work {
        Ok(()) => 0,
        Err((code, message)) => {
            let _ = writeln!(std::io::stderr().lock(), "{message}");
            code
        }
    }
}

/// From here on this thread, and those that it starts, open no file, connect to nobody and signal no stranger: what they have is open
/// already. Where the kernel has no landlock, or an old one, nothing or less of it is given up.
fn give_up_files() -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, Scope};
    const NEWEST: ABI = ABI::V6;
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?.handle_access(AccessNet::from_all(NEWEST))?;
    ruleset.scope(Scope::from_all(NEWEST))?.create()?.restrict_self()
}

/// The engine here has no pool: only what it compiles for counts, and that is the same everywhere.
fn precompile(component: &[u8], growth: Growth) -> Result<Vec<u8>, String> {
    let engine = Engine::new(&engine::config()).map_err(|error| format!("{error:#}"))?;
    // A panic of the compiler is as good a refusal as any, and nothing of the engine is used after it.
    let contained = |work: &dyn Fn() -> Result<Vec<u8>, String>| {
        let failed = || Err("the compiler failed on it with an internal error".to_owned());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| failed())
    };
    let compiled = |component: &[u8]| {
        engine.precompile_component(component).map_err(|error| unsupported::explain(component).unwrap_or_else(|| format!("{error:#}")))
    };
    let elided = || elide::elide(component).ok_or_else(String::new).and_then(|elided| compiled(&elided));
    match growth {
        // Why it is refused, if it is, is said of the bytes that its author knows.
        Growth::Elided => contained(&elided).or_else(|_| contained(&|| compiled(component))),
        Growth::AsItIs => contained(&|| compiled(component)),
    }
}

#[cfg(test)]
mod tests;
