//! The servers that are measured, each a process of its own.

use anyhow::{Context, Result, bail};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// What a gateway gets beside the text toolbox.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) settings: String,
    /// Fixtures by name.
    pub(crate) fixtures: &'static [&'static str],
}

/// A running server.
pub(crate) struct Server {
    address: String,
    pid: u32,
    _child: Child,
    directory: Option<TempDir>,
}

impl Server {
    /// This program again, serving one route that parses JSON and writes JSON.
    pub(crate) async fn bare() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-route");
        Self::start(command, None).await
    }

    /// The shipped binary with the text toolbox.
    pub(crate) async fn gatehouse() -> Result<Self> {
        Self::gatehouse_with("").await
    }

    /// The same with settings.
    pub(crate) async fn gatehouse_with(settings: &str) -> Result<Self> {
        Self::start_gatehouse(&Setup { settings: settings.to_owned(), ..Setup::default() }).await
    }

    /// The same with more than settings.
    pub(crate) async fn start_gatehouse(Setup { settings, fixtures }: &Setup) -> Result<Self> {
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
        let mut command = Command::new(existing("target/release/gatehouse", "make build")?);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--plugins")
            .arg(&plugins)
            .arg("--data")
            .arg(directory.path().join("data"));
        Self::start(command, Some(directory)).await
    }

    async fn start(mut command: Command, directory: Option<TempDir>) -> Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("piped")?).lines();
        let address = loop {
            let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await??.context("the server ended")?;
            if let Some((_, url)) = line.split_once("ready http://") {
                break url.split('/').next().unwrap_or_default().to_owned();
            }
        };
        tokio::task::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let pid = child.id().context("it runs")?;
        Ok(Self { address, pid, _child: child, directory })
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
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } } })
        .to_string();
        let mut stream = tokio::net::TcpStream::connect(&self.address).await?;
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let session = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        match session {
            Some(session) => Ok(session.trim().to_owned()),
            None => bail!("no session: {answer}"),
        }
    }
}

/// A key and the settings that let its owner in, by the shipped binary.
pub(crate) fn api_key(place: &Path, name: &str, tenant: Option<&str>) -> Result<(String, String)> {
    let binary = existing("target/release/gatehouse", "make build")?;
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

/// The yardstick: axum as it is, one route.
pub(crate) fn bare_route() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let ready = format!("ready http://{}/\n", listener.local_addr()?);
        tokio::io::stderr().write_all(ready.as_bytes()).await?;
        let router = Router::new().route("/echo", post(echo)).route("/v1/traces", post(async || ()));
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // As in the gateway.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

async fn echo(Json(request): Json<Value>) -> Json<Value> {
    let text = request.get("params").and_then(|params| params.get("message")).cloned().unwrap_or_default();
    let id = request.get("id").cloned().unwrap_or_default();
    Json(json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } }))
}
