//! The servers that are measured, each a process of its own.

use crate::native::Sdk;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// A gateway with a thousand plugins that are compiled for the first time takes this long, on a machine that is not much slower than those of today.
const START_LIMIT: Duration = Duration::from_secs(600);

/// A gateway that nobody asks for anything is at its end soon; this one writes a profile, too.
const END_LIMIT: Duration = Duration::from_secs(60);

/// Binaries, and what makes them.
const SHIPPED: (&str, &str) = ("target/release/gatehouse", "make build");
const INSTRUMENTED: (&str, &str) = ("target/instrumented/release/gatehouse", "make profile");
/// What an instrumented one leaves in its directory: it may write nowhere but below `data`.
pub(crate) const COUNTED: &str = "data/counted.profraw";

/// What a gateway gets beside the text toolbox.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) settings: String,
    /// Fixtures by name.
    pub(crate) fixtures: &'static [&'static str],
    /// One that counts what it runs through, instead of the one that ships.
    pub(crate) instrumented: bool,
}

/// A running server.
pub(crate) struct Server {
    address: String,
    pid: u32,
    child: Child,
    /// From its beginning until it was ready.
    started: Duration,
    directory: Option<TempDir>,
}

impl Server {
    /// This program again, serving one route that parses JSON and writes JSON.
    pub(crate) async fn bare() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-route");
        Self::start(command, None).await
    }

    /// The same with the same tool behind the official SDK.
    pub(crate) async fn sdk(sdk: Sdk) -> Result<Self> {
        let (name, _) = Sdk::NAMES.into_iter().find(|(_, one)| *one == sdk).context("it has a name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["sdk-route", name]);
        Self::start(command, None).await
    }

    /// The shipped binary with the text toolbox and settings.
    pub(crate) async fn gatehouse_with(settings: &str) -> Result<Self> {
        Self::start_gatehouse(&Setup { settings: settings.to_owned(), ..Setup::default() }).await
    }

    /// The same with more than settings.
    pub(crate) async fn start_gatehouse(Setup { settings, fixtures, instrumented }: &Setup) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let config = directory.path().join("gatehouse.toml");
        std::fs::write(&config, settings)?;
        let plugins = directory.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        let toolbox = existing("target/plugins/text-toolbox.wasm", "make plugins")?;
        std::fs::copy(toolbox, plugins.join("text-toolbox.wasm"))?;
        for name in *fixtures {
            let component = existing(&format!("target/fixtures/{name}.wasm"), "make fixtures")?;
            std::fs::copy(component, plugins.join(format!("{name}.wasm")))?;
        }
        let binary = if *instrumented { INSTRUMENTED } else { SHIPPED };
        let mut command = serve(binary, directory.path())?;
        if *instrumented {
            command.env("LLVM_PROFILE_FILE", directory.path().join(COUNTED));
        }
        Self::start(command, Some(directory)).await
    }

    /// Lets it come to its end; what it leaves.
    pub(crate) async fn end(mut self) -> Result<TempDir> {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw).context("a process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = tokio::time::timeout(END_LIMIT, self.child.wait()).await??;
        anyhow::ensure!(status.success(), "the gateway ended with {status}");
        self.directory.take().context("it has a directory")
    }

    /// Ends it, and starts another one in its place: with what lies in its directories by now.
    pub(crate) async fn again(mut self) -> Result<Self> {
        self.child.kill().await?;
        let directory = self.directory.take().context("it has a directory")?;
        Self::start(serve(SHIPPED, directory.path())?, Some(directory)).await
    }

    async fn start(mut command: Command, directory: Option<TempDir>) -> Result<Self> {
        let began = Instant::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("piped")?).lines();
        let mut last = String::new();
        let address = loop {
            let line = tokio::time::timeout(START_LIMIT, lines.next_line()).await??;
            let Some(line) = line else { bail!("the server ended: {last}") };
            if let Some((_, url)) = line.split_once("ready http://") {
                break url.split('/').next().unwrap_or_default().to_owned();
            }
            last = line;
        };
        let started = began.elapsed();
        tokio::task::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let pid = child.id().context("it runs")?;
        Ok(Self { address, pid, child, started, directory })
    }

    /// From its beginning until it was ready.
    pub(crate) fn started(&self) -> Duration {
        self.started
    }

    /// Where components are dropped.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.directory.as_ref().map(|directory| directory.path().join("plugins")).unwrap_or_default()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Processor time that the process has used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("a field of /proc/PID/stat");
        // utime and stime, in hundredths of a second on every Linux that matters.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }

    /// Memory that the process has.
    pub(crate) fn resident_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a line of /proc/PID/status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Begins a session of 2025-11-25.
    pub(crate) async fn initialize(&self) -> Result<String> {
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } });
        let answer = self.post("", &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })).await?;
        let Some(session) = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")) else { bail!("no session: {answer}") };
        let session = session.trim().to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let answer = self.post(&format!("mcp-session-id: {session}\r\n"), &initialized).await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 202"), "no session: {answer}");
        Ok(session)
    }

    /// On a connection of its own; the whole answer.
    async fn post(&self, header: &str, body: &Value) -> Result<String> {
        let body = body.to_string();
        let mut stream = tokio::net::TcpStream::connect(&self.address).await?;
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{header}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// A binary, with what lies in a directory.
fn serve((binary, made_by): (&str, &str), directory: &Path) -> Result<Command> {
    let mut command = Command::new(existing(binary, made_by)?);
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(directory.join("gatehouse.toml"));
    command.arg("--plugins").arg(directory.join("plugins")).arg("--data").arg(directory.join("data"));
    Ok(command)
}

/// A key and the settings that let its owner in, by the shipped binary.
pub(crate) fn api_key(place: &Path, name: &str, tenant: Option<&str>) -> Result<(String, String)> {
    let binary = existing(SHIPPED.0, SHIPPED.1)?;
    let mut command = std::process::Command::new(binary);
    command.args(["token", "key", name, "--scope", "text:use", "--json"]).current_dir(place);
    if let Some(tenant) = tenant {
        command.args(["--tenant", tenant]);
    }
    let made: Value = serde_json::from_slice(&command.output()?.stdout)?;
    let member = |name: &str| made.get(name).and_then(|text| text.as_str()).map(str::to_owned).context("a member");
    Ok((member("key")?, member("settings")?))
}

pub(crate) fn existing(path: &str, made_by: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if path.exists() { Ok(path) } else { bail!("{} is missing; `{made_by}` makes it", path.display()) }
}
