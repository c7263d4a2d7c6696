//! `gatehouse reload`

use super::{Failed, Settings, asking, output};
use clap::Args;
use serde_json::Value;
use std::time::Duration;

/// For plugins of a new directory to be compiled.
const PATIENCE: Duration = Duration::from_secs(610);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    // A look at them here shows every mistake, whoever runs the gateway.
    let config = arguments.settings.load(None)?;
    let mut answer = String::new();
    asking::ask(&mut asking::running(&config)?, "reload", PATIENCE, |line| answer.push_str(line)).map_err(asking::broken)?;
    let told: Value = serde_json::from_str(&answer).map_err(asking::broken)?;
    let text = told.get("text").and_then(Value::as_str).unwrap_or_default();
    let well = told.get("ok").and_then(Value::as_bool).unwrap_or_default();
    if arguments.json {
        output::print(&format!("{told}\n"));
    } else if well {
        output::print(&format!("{text}\n"));
    }
    match (well, arguments.json) {
        (true, _) => Ok(()),
        (false, true) => Err(Failed::shown(78)),
        (false, false) => Err(Failed::config(format!("the running settings go on: {text}"))),
    }
}
