//! The program as a command: run to its end, or started as a gateway whose settings, cache and outputs are the test's own.
//!
//! Most tests use the harness's `Gateway`, whose compiled code is shared by all of them. Here nothing is shared.

use crate::harness::{binary, kept_from_others, process};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A working directory of the test's own, with an empty plugin directory.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        kept_from_others();
        let place = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::create_dir(place.plugins()).expect("a plugin directory");
        place
    }

    /// With these components by name.
    pub fn with(components: &[(&str, PathBuf)]) -> Self {
        let place = Self::new();
        for (name, from) in components {
            fs::copy(from, place.plugins().join(format!("{name}.wasm"))).expect("copied");
        }
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn plugins(&self) -> PathBuf {
        self.path().join("plugins")
    }

    /// Where a gateway that runs here keeps compiled code.
    pub fn cache(&self) -> PathBuf {
        self.path().join("gatehouse-data/code-cache")
    }

    /// Writes `gatehouse.toml`, which commands that run here read.
    pub fn settings(&self, text: &str) {
        fs::write(self.path().join("gatehouse.toml"), text).expect("settings");
    }

    /// Runs a command here to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_under(&[], arguments)
    }

    /// The same, started by a program that becomes it.
    pub fn run_under(&self, starter: &[&str], arguments: &[&str]) -> Ran {
        let mut command = started_by(starter);
        let output = command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts a gateway here, on a port that is free, and waits until it is ready.
    pub fn serve(&self, arguments: &[&str]) -> Serving {
        self.serve_as_set(&[&["--listen", "127.0.0.1:0"], arguments].concat())
    }

    /// The same where the settings say.
    pub fn serve_as_set(&self, arguments: &[&str]) -> Serving {
        self.serve_under(&[], arguments)
    }

    /// The same, started by a program that becomes it.
    pub fn serve_under(&self, starter: &[&str], arguments: &[&str]) -> Serving {
        let file = |name: &str| fs::File::create(self.path().join(name)).expect("a file for its output");
        let began = Instant::now();
        let child = started_by(starter)
            .arg("serve")
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the gateway starts");
        let mut serving = Serving { child, directory: self.path().to_owned(), url: String::new(), ready_after: Duration::ZERO };
        while serving.url.is_empty() {
            let url = serving.log().lines().find_map(|line| line.strip_prefix("gatehouse: ready ").map(str::to_owned));
            serving.url = url.unwrap_or_default();
            let ended = serving.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none() && began.elapsed() < Duration::from_secs(90), "not ready: {}", serving.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        serving.ready_after = began.elapsed();
        serving
    }
}

/// The program, or one that becomes it: it gets the program's path as its next argument.
fn started_by(starter: &[&str]) -> Command {
    match starter.split_first() {
        None => Command::new(binary()),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(binary());
            command
        }
    }
}

/// A gateway that runs in a [`Place`]; killed at the end of the test.
pub struct Serving {
    child: std::process::Child,
    directory: PathBuf,
    /// Its endpoint.
    pub url: String,
    /// From its start to the line that says so.
    pub ready_after: Duration,
}

impl Serving {
    /// Standard error so far.
    pub fn log(&self) -> String {
        self.read("stderr")
    }

    /// Standard output so far.
    pub fn out(&self) -> String {
        self.read("stdout")
    }

    fn read(&self, name: &str) -> String {
        let mut text = Vec::new();
        fs::File::open(self.directory.join(name)).and_then(|mut file| file.read_to_end(&mut text)).expect("its output");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Processes that it started and that run now: compile workers.
    pub fn children(&self) -> usize {
        process::children(self.child.id()).len()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits.
    pub fn stop(self) -> ExitStatus {
        self.end_by(rustix::process::Signal::TERM)
    }

    /// Sends a signal that ends it, and waits.
    pub fn end_by(mut self, signal: rustix::process::Signal) -> ExitStatus {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("not 0");
        rustix::process::kill_process(pid, signal).expect("it runs");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
