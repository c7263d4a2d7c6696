//! `gatehouse reload`

use super::{Failed, Settings, output};
use crate::control;
use clap::Args;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
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
    let path = control::socket(&config.control_directory());
    let cannot =
        |error: std::io::Error| Failed { code: 69, message: format!("no gateway that uses {} can be asked: {error}", path.display()) };
    let mut stream = UnixStream::connect(&path).map_err(cannot)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(cannot)?;
    let broken = |error: std::io::Error| Failed::other(format!("the gateway's answer broke off: {error}"));
    writeln!(stream, "reload").map_err(broken)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(broken)?;
    let told: Value = serde_json::from_str(&line).map_err(|_| Failed::other("the gateway's answer broke off"))?;
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
