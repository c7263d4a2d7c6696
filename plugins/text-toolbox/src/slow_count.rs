//! A tool that takes its time and says how far it is.

use crate::bindings::gatehouse::host::progress;
use crate::tool::{Text, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowCount {
    /// What to return at the end.
    message: String,
    /// How far to count.
    #[schemars(range(max = 1000))]
    n: u32,
    /// How long to wait from one count to the next, in milliseconds.
    #[serde(default)]
    #[schemars(range(max = 10_000))]
    interval_ms: u32,
}

impl Tool for SlowCount {
    const NAME: &str = "slow_count";
    const TITLE: &str = "Slow count";
    const DESCRIPTION: &str = "Counts to n, reports progress at each step, and then returns the message. Useful to see how a client shows \
        progress, and what becomes of a call when its connection breaks.";

    type Output = Text;

    fn run(self) -> Result<Text, String> {
        for step in 1..=self.n {
            if step > 1 {
                std::thread::sleep(Duration::from_millis(self.interval_ms.into()));
            }
            let line = format!("{step} of {}", self.n);
            progress::report(step.into(), Some(self.n.into()), Some(&line));
        }
        Ok(Text(self.message))
    }
}
