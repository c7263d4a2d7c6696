//! `gatehouse store stats|verify|export|compact|clear`
//!
//! Opens a store that nobody has open, or asks the gateway that has.

use super::{Failed, Settings, asking, output, runtime};
use crate::config::{Config, StoreBackend};
use crate::control;
use clap::{Args, Subcommand};
use event_store::{Bucket, EventStore, OpenError, Start, TenantKey};
use serde_json::Value;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two words of progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// For a gateway that is busy; its answer to a walk comes page by page.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count what is kept, and how much of it each tenant has
    Stats(Common),
    /// Read everything and prove that it is whole
    Verify(Common),
    /// Print everything, one JSON object a line: records, then streams, then events, then entries of buckets
    ///
    /// Holds what tools said to clients, what plugins keep, and names of sessions: keep it as safe as the store.
    Export(Common),
    /// Write the store anew, without what was overwritten; the gateway must be stopped
    Compact(Common),
    /// Take everything away that a plugin keeps in a bucket; the gateway must be stopped
    Clear(Clear),
}

#[derive(Debug, Args)]
struct Clear {
    /// Of which tenant; `default` where the settings name none
    tenant: String,
    /// The plugin as grants name it, such as `weather`, or `acme/weather` of a tenant's own directory
    plugin: String,
    /// The bucket
    bucket: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.command {
        Command::Stats(common) => stats(common),
        Command::Verify(common) => verify(common),
        Command::Export(common) => export(common),
        Command::Compact(common) => compact(common),
        Command::Clear(clear) => self::clear(clear),
    }
}

fn load(common: &Common) -> Result<Config, Failed> {
    let config = common.settings.load(None)?;
    if config.store.backend == StoreBackend::Sled {
        return Ok(config);
    }
    Err(Failed::other("the settings keep nothing on the disk (store.backend)"))
}

/// Who can tell.
enum Source {
    /// Nobody has it open but this command.
    Closed(Arc<dyn EventStore>),
    /// A gateway has.
    Running(UnixStream),
}

impl Source {
    fn of(config: &Config) -> Result<Self, Failed> {
        match event_store::sled(&config.store.directory, config.store.settings.clone(), Start::Look) {
            Ok(store) => Ok(Self::Closed(store)),
            Err(locked @ OpenError::Locked { .. }) => {
                let cannot = |error| Failed { code: 75, message: format!("{locked}, which cannot be asked: {error}") };
                let stream = UnixStream::connect(control::socket(&config.store.directory)).map_err(cannot)?;
                Ok(Self::Running(stream))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Hands over each line of an answer.
    fn ask(self, question: &str, mut each: impl FnMut(&str)) -> Result<(), Failed> {
        match self {
            Self::Closed(store) => runtime()?.block_on(async {
                let unreadable = |error: event_store::StoreError| Failed::other(error.to_string());
                if question == "stats" {
                    let told = control::stats(&store.statistics().await.map_err(unreadable)?);
                    each(&Value::Object(told).to_string());
                    return Ok(());
                }
                let mut after = None;
                loop {
                    let walk = store.walk(after, control::PAGE_ITEMS).await.map_err(unreadable)?;
                    walk.items.iter().for_each(|item| each(&control::line(item).to_string()));
                    after = walk.next;
                    if after.is_none() {
                        return Ok(());
                    }
                }
            }),
            Self::Running(mut stream) => asking::ask(&mut stream, question, PATIENCE, each).map_err(asking::broken),
        }
    }
}

fn failed(error: &OpenError) -> Failed {
    let code = match error {
        OpenError::Locked { .. } => 75,
        OpenError::Newer { .. } => 78,
        OpenError::Unusable { .. } => 74,
        OpenError::Missing { .. } | OpenError::Damaged { .. } => 1,
    };
    Failed { code, message: error.to_string() }
}

fn stats(common: &Common) -> Result<(), Failed> {
    let config = load(common)?;
    let mut told = Value::Null;
    Source::of(&config)?.ask("stats", |line| told = serde_json::from_str(line).unwrap_or_default())?;
    if common.json {
        output::print(&format!("{told}\n"));
        return Ok(());
    }
    let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!("  Store     {}\n", config.store.directory.display());
    for (name, key) in [("Sessions", "sessions"), ("Tasks", "tasks"), ("Streams", "streams"), ("Events", "events")] {
        text.push_str(&format!("  {name:<8}  {}\n", count(key)));
    }
    text.push_str(&format!("  On disk   {}\n", output::size(count("disk_bytes"))));
    for bucket in told.get("buckets").and_then(Value::as_array).into_iter().flatten() {
        let name = |name: &str| bucket.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| bucket.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (keys, bytes) = (number("keys"), output::size(number("bytes")));
        text.push_str(&format!("  Bucket    {} of {}, {}: {keys} keys, {bytes}\n", name("bucket"), name("plugin"), name("tenant")));
    }
    for (tenant, bytes) in told.get("bytes_by_tenant").and_then(Value::as_object).into_iter().flatten() {
        let of = output::size(config.store.settings.tenant_bytes_max);
        text.push_str(&format!("  Tenant    {tenant}: {} of {of}\n", output::size(bytes.as_u64().unwrap_or_default())));
    }
    if let Some(reason) = told.get("degraded").and_then(Value::as_str) {
        text.push_str(&format!("  Degraded  {reason}\n"));
    }
    output::print(&text);
    Ok(())
}

/// Tells who waits how far it is.
struct Progress {
    began: Instant,
    told: Instant,
    count: u64,
    quiet: bool,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self { began: Instant::now(), told: Instant::now(), count: 0, quiet }
    }

    fn step(&mut self, count: u64, what: &str) {
        self.count = count;
        if !self.quiet && self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            output::note(&format!("… {count} {what} after {} s", self.began.elapsed().as_secs()));
        }
    }
}

fn verify(common: &Common) -> Result<(), Failed> {
    let (mut progress, mut counts, mut disordered) = (Progress::new(common.json), HashMap::<String, u64>::new(), 0_u64);
    let mut before = (String::new(), 0);
    Source::of(&load(common)?)?.ask("walk", |line| {
        let item: Value = serde_json::from_str(line).unwrap_or_default();
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = text("kind").to_owned();
        if kind == "event" {
            let stream = [text("tenant"), text("space"), text("id"), text("stream")].join("/");
            let seq = item.get("seq").and_then(Value::as_u64).unwrap_or_default();
            disordered += u64::from(before.0 == stream && before.1 >= seq);
            before = (stream, seq);
        }
        *counts.entry(kind).or_default() += 1;
        progress.step(progress.count + 1, "entries read");
    })?;
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let bad = count("damaged") + disordered;
    if common.json {
        let told = serde_json::json!({
            "records": count("record"), "streams": count("stream"), "events": count("event"), "entries": count("entry"), "damaged": bad,
        });
        output::print(&format!("{told}\n"));
    } else {
        output::print(&format!(
            "{} records, {} streams, {} events, {} entries of buckets: {}\n",
            count("record"),
            count("stream"),
            count("event"),
            count("entry"),
            if bad == 0 { "all whole".to_owned() } else { format!("{bad} entries are damaged") }
        ));
    }
    if bad == 0 { Ok(()) } else { Err(Failed::shown(1)) }
}

fn export(common: &Common) -> Result<(), Failed> {
    let mut progress = Progress::new(false);
    Source::of(&load(common)?)?.ask("walk", |line| {
        output::print(&format!("{line}\n"));
        progress.step(progress.count + 1, "entries written");
    })
}

fn compact(common: &Common) -> Result<(), Failed> {
    let config = load(common)?;
    let mut progress = Progress::new(common.json);
    let compacted =
        event_store::compact(&config.store.directory, &config.store.settings, &mut |count| progress.step(count, "entries copied"));
    let compacted = compacted.map_err(|error| match error {
        OpenError::Locked { .. } => Failed { code: 75, message: format!("{error}; stop the gateway first") },
        other => failed(&other),
    })?;
    if common.json {
        let told = serde_json::json!({
            "entries": compacted.entries, "bytes_before": compacted.bytes_before, "bytes_after": compacted.bytes_after,
        });
        output::print(&format!("{told}\n"));
    } else {
        let (before, after) = (output::size(compacted.bytes_before), output::size(compacted.bytes_after));
        output::print(&format!("{} entries; {before} on disk before, {after} after\n", compacted.entries));
    }
    Ok(())
}

fn clear(arguments: &Clear) -> Result<(), Failed> {
    let config = load(&arguments.common)?;
    let tenant = TenantKey::new(&arguments.tenant);
    let bucket = tenant.and_then(|tenant| Bucket::new(tenant, &arguments.plugin, &arguments.bucket));
    let bucket = bucket.ok_or_else(|| Failed::other("there is no bucket of such a name"))?;
    let store = event_store::sled(&config.store.directory, config.store.settings.clone(), Start::Look);
    let store = store.map_err(|error| match error {
        OpenError::Locked { .. } => Failed { code: 75, message: format!("{error}; stop the gateway first") },
        other => failed(&other),
    })?;
    let keys = runtime()?.block_on(async {
        let unusable = |error: event_store::StoreError| Failed::other(error.to_string());
        let all = store.statistics().await.map_err(unusable)?.buckets;
        let keys = all.iter().find(|(other, _)| *other == bucket).map_or(0, |(_, filled)| filled.keys);
        while store.clear(&bucket).await.map_err(unusable)? {}
        Ok::<_, Failed>(keys)
    })?;
    let Clear { tenant, plugin, bucket: name, common } = arguments;
    let told = serde_json::json!({ "tenant": tenant, "plugin": plugin, "bucket": name, "keys": keys });
    output::print(&if common.json { format!("{told}\n") } else { format!("{keys} keys taken away\n") });
    Ok(())
}
