//! `gatehouse journal tail|show|verify`: calls, and what else happened.
//!
//! Reads the files; a gateway that is writing them is not disturbed.

use super::{Failed, Settings, output};
use crate::journal::{Event, Record, lines_from_end, segments, verify};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks for new calls.
const FOLLOW: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the newest lines: calls, and events such as refused tokens
    Tail(Tail),
    /// Show lines that fit every filter, oldest first
    ///
    /// A line is of a call, or of an event: who was not let in (auth.denied), which quota was hit (quota.hit), what an operator did (revoke,
    /// admin.reload), which plugin came or went (plugin.loaded), and so on. Filters of calls leave out events, and --event leaves out calls;
    /// --tenant, --principal and --seq are for both.
    Show(Show),
    /// Prove that nothing in the journal was changed, taken out or put in
    Verify(Common),
}

#[derive(Debug, Args)]
struct Tail {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    lines: usize,
    /// Go on as lines come, until stopped
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Filter {
    /// Only calls of this tool, of this prompt, or of this resource or template as it is listed
    #[arg(long)]
    tool: Option<String>,
    /// Only calls by this method, such as tools/call or resources/read
    #[arg(long)]
    method: Option<String>,
    /// Only calls of this plugin
    #[arg(long)]
    plugin: Option<String>,
    /// Only what happened on behalf of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only what this principal did, named as lines name it: issuer, a space, subject
    #[arg(long)]
    principal: Option<String>,
    /// Only calls that ended so: result, tool_error, fault, refused, cancelled or revoked
    #[arg(long)]
    outcome: Option<String>,
    /// Only calls, whichever they are
    #[arg(long, conflicts_with_all = ["event", "address"])]
    calls: bool,
    /// Only events whose word begins so: `auth.denied` is one kind, `auth` all that is about letting in, and `""` every event
    #[arg(long, value_name = "PREFIX")]
    event: Option<String>,
    /// Only events that came from this address
    #[arg(long)]
    address: Option<String>,
    /// Only the line of this number
    #[arg(long)]
    seq: Option<u64>,
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object a line, for scripts
    #[arg(long)]
    json: bool,
}

impl Common {
    fn directory(&self) -> Result<PathBuf, Failed> {
        let config = self.settings.load(None)?;
        let Some(journal) = config.journal else { return Err(Failed::other("the settings switch the journal off (journal.enabled)")) };
        if journal.directory.is_dir() {
            Ok(journal.directory)
        } else {
            Err(Failed::other(format!(
                "there is no journal in {}: nothing was recorded yet, or --data names another directory",
                journal.directory.display()
            )))
        }
    }

    fn print(&self, line: &str) {
        if self.json {
            output::print(&format!("{line}\n"));
        } else {
            output::print(&readable(line));
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.command {
        Command::Tail(tail) => show_tail(tail),
        Command::Show(show) => show_all(show),
        Command::Verify(common) => show_proof(common),
    }
}

fn show_tail(tail: &Tail) -> Result<(), Failed> {
    let directory = tail.common.directory()?;
    let unreadable = unreadable(&directory);
    let lines = lines_from_end(&directory, tail.lines).map_err(&unreadable)?;
    lines.iter().for_each(|line| tail.common.print(line));
    if !tail.follow {
        return Ok(());
    }
    // From the end of the newest segment; a newer one is read from its beginning.
    let mut at = segments(&directory).map_err(&unreadable)?.last().map(|segment| (segment.first_seq, segment.bytes));
    loop {
        std::thread::sleep(FOLLOW);
        for segment in segments(&directory).map_err(&unreadable)? {
            let from = match at {
                Some((first_seq, _)) if segment.first_seq < first_seq => continue,
                Some((first_seq, bytes)) if segment.first_seq == first_seq => bytes,
                _ => 0,
            };
            let read = lines_from(&segment.path, from, |line| tail.common.print(line)).map_err(&unreadable)?;
            at = Some((segment.first_seq, from + read));
        }
    }
}

fn show_all(show: &Show) -> Result<(), Failed> {
    let directory = show.common.directory()?;
    let unreadable = unreadable(&directory);
    for segment in segments(&directory).map_err(&unreadable)? {
        let fits = |line: &str| serde_json::from_str(line).is_ok_and(|record: Value| show.filter.fits(&record));
        lines_from(&segment.path, 0, |line| {
            if fits(line) {
                show.common.print(line);
            }
        })
        .map_err(&unreadable)?;
    }
    Ok(())
}

fn show_proof(common: &Common) -> Result<(), Failed> {
    let directory = common.directory()?;
    let proved = verify(&directory, |segment| {
        if !common.json {
            output::note(&format!("… {} ({})", segment.path.display(), output::size(segment.bytes)));
        }
    });
    match proved {
        Ok(None) => {
            output::print(if common.json { "{\"ok\":true,\"records\":0}\n" } else { "the journal is empty\n" });
            Ok(())
        }
        Ok(Some(proof)) if common.json => {
            let proof = serde_json::json!({
                "ok": true,
                "first_seq": proof.first_seq,
                "last_seq": proof.last_seq,
                "missed": proof.missed,
                "head": proof.head.to_string(),
            });
            output::print(&format!("{proof}\n"));
            Ok(())
        }
        Ok(Some(proof)) => {
            output::print(&format!(
                "whole: records {} to {}, {} missing by their own word\nhead {}\n",
                proof.first_seq, proof.last_seq, proof.missed, proof.head
            ));
            Ok(())
        }
        Err(error) => {
            if common.json {
                output::print(&format!("{}\n", serde_json::json!({ "ok": false, "reason": error.to_string() })));
            }
            Err(Failed::other(error.to_string()))
        }
    }
}

impl Filter {
    fn fits(&self, record: &Value) -> bool {
        let equal = |wanted: &Option<String>, name: &str| {
            wanted.as_deref().is_none_or(|wanted| record.get(name).and_then(Value::as_str) == Some(wanted))
        };
        let event = record.get("event").and_then(Value::as_str);
        // A call that names no method is of the usual one.
        let method = record.get("method").and_then(Value::as_str).or(event.is_none().then_some("tools/call"));
        equal(&self.tool, "tool")
            && self.method.as_deref().is_none_or(|wanted| method == Some(wanted))
            && !(self.calls && event.is_some())
            && self.event.as_deref().is_none_or(|prefix| event.is_some_and(|event| event.starts_with(prefix)))
            && equal(&self.address, "address")
            && equal(&self.principal, "principal")
            && equal(&self.plugin, "plugin")
            && equal(&self.tenant, "tenant")
            && equal(&self.outcome, "outcome")
            && self.seq.is_none_or(|seq| record.get("seq").and_then(Value::as_u64) == Some(seq))
    }
}

fn unreadable(directory: &Path) -> impl Fn(std::io::Error) -> Failed {
    let directory = directory.display().to_string();
    move |error| Failed { code: 74, message: format!("the journal in {directory} cannot be read: {error}") }
}

/// Hands every whole line from a place on to `each`, and says how many bytes they were.
fn lines_from(path: &Path, from: u64, mut each: impl FnMut(&str)) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let (mut line, mut read) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
        read += line.len() as u64;
        each(line.trim_end());
        line.clear();
    }
    Ok(read)
}

/// A call or an event on one line.
fn readable(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    let seq = value.get("seq").and_then(Value::as_u64).unwrap_or_default();
    if let Ok(event) = serde_json::from_str::<Event>(line) {
        return format!("{seq:>8}  {}\n", readable_event(&event));
    }
    let Ok(record) = serde_json::from_str::<Record>(line) else {
        return format!("(no record) {}\n", mcp::text::line(line, 200));
    };
    let outcome = value.get("outcome").and_then(Value::as_str).unwrap_or_default();
    let by = record
        .policy
        .as_ref()
        .map(|policy| format!(" by {}: {}", mcp::text::line(&policy.name, 128), mcp::text::line(&policy.reason, 256)))
        .unwrap_or_default();
    let reason = record.reason.as_deref().map(|reason| format!(" ({reason}{by})")).unwrap_or_default();
    let who = record.principal.as_deref().unwrap_or("anonymous");
    let method = if record.method == "tools/call" { String::new() } else { format!("{} ", record.method) };
    format!(
        "{seq:>8}  {}  {} {who}  {method}{}/{}  {outcome}{reason}  {:.1} ms, {:.1} ms of processor, {} in, {} out\n",
        output::utc(record.at_ms),
        record.tenant,
        record.plugin,
        record.tool,
        record.wall_us as f64 / 1e3,
        record.cpu_us as f64 / 1e3,
        output::size(record.arguments_bytes),
        output::size(record.result_bytes),
    )
}

/// What is there of it, in one order. Names that others chose are shown as one line each.
fn readable_event(event: &Event) -> String {
    let shown = |text: &str| mcp::text::line(text, 512);
    let mut parts = vec![output::utc(event.at_ms), shown(&event.event)];
    parts.extend(
        event.tenant.as_deref().map(|tenant| format!("{} {}", shown(tenant), shown(event.principal.as_deref().unwrap_or("anonymous")))),
    );
    parts.extend(event.address.map(|address| format!("from {address}")));
    parts.extend(event.server.as_deref().map(|server| format!("at server {}", shown(server))));
    parts.extend(event.target.as_deref().map(shown));
    parts.extend(event.reason.as_deref().map(|reason| format!("({})", shown(reason))));
    parts.extend(event.component.as_deref().map(|digest| format!("sha256 {}", digest.get(..12).unwrap_or(digest))));
    parts.extend(event.calls.map(|calls| format!("{calls} calls stopped")));
    parts.extend(event.count.map(|count| format!("{count} times more")));
    parts.join("  ")
}
