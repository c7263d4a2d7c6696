//! A gateway process of the test's own: its own plugin directory, its own port, its own log. It ends with the test.

use super::paths::{binary, fixture, plugin, root};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a start may take. Fixtures are compiled once for all tests, the largest in some seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a gateway gets beside the text toolbox.
#[derive(Default)]
pub struct Setup {
    /// Example plugins by name.
    pub plugins: Vec<&'static str>,
    /// Fixtures by name.
    pub fixtures: Vec<&'static str>,
    /// More of `gatehouse.toml`.
    pub settings: String,
}

/// A running gateway.
pub struct Gateway {
    /// `http://127.0.0.1:PORT`
    pub origin: String,
    /// Where components are dropped.
    pub plugins: PathBuf,
    /// The HTTP client of the test.
    pub client: reqwest::Client,
    child: Child,
    environment: &'static [(&'static str, &'static str)],
    log: Arc<Mutex<String>>,
    directory: TempDir,
}

/// A process that is ready, and where.
type Started = (Child, String);

impl Gateway {
    /// With the text toolbox.
    pub async fn start() -> Self {
        Self::with(Setup { plugins: vec!["text-toolbox"], ..Setup::default() }).await
    }

    /// With these plugins and settings.
    pub async fn with(setup: Setup) -> Self {
        Self::in_environment(setup, &[]).await
    }

    /// The same with variables beside those of the test.
    pub async fn in_environment(setup: Setup, environment: &'static [(&'static str, &'static str)]) -> Self {
        kept_from_others();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins).expect("a plugin directory");
        for name in &setup.plugins {
            install(&plugin(name), &plugins.join(format!("{name}.wasm")));
        }
        for name in &setup.fixtures {
            install(&fixture(name), &plugins.join(format!("{name}.wasm")));
        }
        write_settings(directory.path(), &setup.settings);

        let log = Arc::new(Mutex::new(String::new()));
        let (child, url) = start(directory.path(), "127.0.0.1:0", environment, &log).await;
        let origin = url.strip_suffix("/mcp").expect("the line names the endpoint").to_owned();
        Self { origin, plugins, client: client(), child, environment, log, directory }
    }

    /// The default endpoint.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.origin.trim_start_matches("http://").to_owned()
    }

    /// Where it keeps what it keeps.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Kills it, as a crash would.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Kills it, and starts another one in its place: same address, same plugins, same data.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Starts it again after its end.
    pub async fn start_again(&mut self) {
        let address = self.address();
        (self.child, _) = start(self.directory.path(), &address, self.environment, &self.log).await;
        // Connections to the one before are no use any more.
        self.client = client();
    }

    /// Closes the test's connections to it; the next request makes a new one.
    pub fn forget_connections(&mut self) {
        self.client = client();
    }

    /// Everything that it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("not poisoned").clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Puts a component into the plugin directory whole, by renaming it in.
    pub fn drop_in(&self, name: &str, bytes: &[u8]) {
        let temporary = self.plugins.join(format!(".{name}.new"));
        fs::write(&temporary, bytes).expect("written");
        fs::rename(temporary, self.plugins.join(format!("{name}.wasm"))).expect("renamed");
    }

    /// Puts other settings in place, whole, by renaming them in.
    pub fn set(&self, settings: &str) {
        write_settings(self.directory.path(), settings);
    }

    /// Has it read its settings again, and waits until that is done: the exit code of `gatehouse reload`, and what it said.
    pub async fn reload(&self) -> (i32, String) {
        self.command(&["reload"]).await
    }

    /// A command with the gateway's settings: its exit code, and what it said.
    pub async fn command(&self, arguments: &[&str]) -> (i32, String) {
        let config = self.directory.path().join("gatehouse.toml");
        let mut command = Command::new(binary());
        command.args(arguments).arg("--config").arg(config).arg("--plugins").arg(&self.plugins).arg("--data").arg(self.data());
        let output = command.stdin(Stdio::null()).output().await.expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), text)
    }

    /// What the ledger says that a tenant used; null where it does not know it.
    pub async fn used(&self, tenant: &str) -> Value {
        let (_, text) = self.command(&["usage", "--json"]).await;
        let mut rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        rows.find(|row| row["of"] == "tenant" && row["name"] == tenant).unwrap_or_default()
    }

    /// Takes a component out of it.
    pub fn take_out(&self, name: &str) {
        fs::remove_file(self.plugins.join(format!("{name}.wasm"))).expect("it was there");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).expect("a pid")).expect("not 0");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end.
    pub async fn ended(mut self, limit: Duration) -> (ExitStatus, String) {
        let status = tokio::time::timeout(limit, self.child.wait()).await.expect("it ends in time").expect("it can be waited for");
        let log = self.log();
        (status, log)
    }
}

/// Starts a process and waits until it is ready.
async fn start(directory: &Path, listen: &str, environment: &[(&str, &str)], log: &Arc<Mutex<String>>) -> Started {
    let mut child = Command::new(binary())
        .arg("serve")
        .args(["--listen", listen])
        .arg("--config")
        .arg(directory.join("gatehouse.toml"))
        .arg("--plugins")
        .arg(directory.join("plugins"))
        .arg("--data")
        .arg(directory.join("data"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the gateway starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let (ready, told) = tokio::sync::oneshot::channel();
    let written = Arc::clone(log);
    tokio::spawn(async move {
        let mut ready = Some(ready);
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(url) = line.strip_prefix("gatehouse: ready ")
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(url.to_owned());
            }
            let mut log = written.lock().expect("not poisoned");
            log.push_str(&line);
            log.push('\n');
        }
    });
    let url = match tokio::time::timeout(START_LIMIT, told).await {
        Ok(Ok(url)) => url,
        _ => panic!("the gateway did not become ready:\n{}", log.lock().expect("not poisoned")),
    };
    (child, url)
}

fn write_settings(directory: &Path, settings: &str) {
    // Compiled once for all tests; everything else is each gateway's own.
    let cache = root().join("target/test-code-cache");
    let cache = format!("[plugins]\ncode_cache = {cache:?}\n");
    let text = match settings.split_once("[plugins]\n") {
        Some((before, after)) => format!("{before}{cache}{after}"),
        None => format!("{settings}\n{cache}"),
    };
    let temporary = directory.join(".gatehouse.toml.new");
    fs::write(&temporary, text).expect("written");
    fs::rename(temporary, directory.join("gatehouse.toml")).expect("renamed");
}

/// Plugins that others can write are refused, so what tests make must not be that, whatever the umask of whoever runs them.
pub fn kept_from_others() {
    rustix::process::umask(0o022.into());
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().expect("a client")
}

fn install(from: &Path, to: &Path) {
    fs::copy(from, to).expect("a plugin is copied");
}
