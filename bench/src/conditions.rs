//! Under which conditions figures were made. Without them nobody can compare two runs.

use crate::ROUNDS;
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt;
use std::process::Command;
use std::time::Duration;

/// Of one run.
#[derive(Debug)]
pub(crate) struct Conditions {
    cores: usize,
    processor: String,
    /// Of the last minute, when the run began.
    load: String,
    kernel: String,
    date: String,
    /// None outside of a repository.
    commit: Option<String>,
    each: Duration,
}

impl Conditions {
    /// Those of now, for rounds of that length.
    pub(crate) fn now(each: Duration) -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: processor.unwrap_or("an unnamed processor").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or("?").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_default(),
            commit: said("git", &["rev-parse", "--short=12", "HEAD"]).map(|commit| match said("git", &["status", "--porcelain"]) {
                Some(changed) if !changed.is_empty() => format!("{commit}, changed"),
                _ => commit,
            }),
            each,
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores, "processor": self.processor, "load": self.load, "kernel": self.kernel, "date": self.date, "commit": self.commit,
            "round_s": self.each.as_secs_f64(), "rounds": ROUNDS,
        })
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, load, kernel, date, commit, each } = self;
        let commit = commit.as_deref().unwrap_or("none");
        write!(
            f,
            "{cores} cores of {processor}, load {load}, Linux {kernel}, {date}, commit {commit}; {:.1} s a round, median of {ROUNDS} rounds",
            each.as_secs_f64()
        )
    }
}

/// What a command says, if it ends well.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
