//! `gatehouse revoke` and `gatehouse restore`
//!
//! Asks the running gateway. Where none runs, what is revoked is changed for its next start.

use super::{Failed, Settings, asking, output};
use crate::config::{ServerId, TenantId};
use crate::control;
use crate::gateway::StartError;
use crate::revocation::{FILE, FileError, Order, Revocation, Revocations, Target, now_ms};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// For an answer: calls are stopped, sessions end, and the disk may take its time.
const PATIENCE: Duration = Duration::from_secs(40);
/// For a gateway that starts, or another command, to be done with it.
const BUSY: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

const LONG_ABOUT: &str = "Stop a tenant, a caller, a plugin or a tool now.\n\n\
    It counts from one request to the next, and outlasts restarts. Calls in flight are stopped within milliseconds, and their clients are told \
    (-31014, `revoked`). Who is revoked gets 403, and its sessions, streams and tasks end; what is revoked is not there any more, for anybody \
    or for one tenant. The answer says what was stopped.\n\n\
    Without a running gateway it counts from the next start on, and the answer says so.";
const EXAMPLES: &str = "Examples:\n  \
    gatehouse revoke plugin crm --reason 'it sends data away'     nobody can use anything of that plugin\n  \
    gatehouse revoke tool delete_file --tenant acme --for 1h      callers of acme cannot use it for an hour\n  \
    gatehouse revoke principal https://login.example.com ada      whoever that is does not come in any more\n  \
    gatehouse revoke tenant acme                                  nor does anybody of acme\n  \
    gatehouse revoke list                                         what is revoked now\n  \
    gatehouse restore tenant acme                                 takes it back: repeat what was revoked";

#[derive(Debug, Args)]
#[command(long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub(super) struct Revoke {
    #[command(subcommand)]
    what: ToRevoke,
}

#[derive(Debug, Subcommand)]
enum ToRevoke {
    /// All callers of a tenant
    Tenant(With<Tenant>),
    /// One caller, by the issuer and the subject that its token has (API keys: the issuer `gatehouse`)
    Principal(With<Principal>),
    /// Everything that a plugin offers
    Plugin(With<Plugin>),
    /// One tool
    Tool(With<Tool>),
    /// Show what is revoked, why, since when and until when
    List(Common),
}

/// Take a revocation back: repeat what was revoked.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(subcommand)]
    what: ToRestore,
}

#[derive(Debug, Subcommand)]
enum ToRestore {
    /// A tenant
    Tenant(Of<Tenant>),
    /// A caller
    Principal(Of<Principal>),
    /// A plugin
    Plugin(Of<Plugin>),
    /// A tool
    Tool(Of<Tool>),
}

#[derive(Debug, Args)]
struct With<T: Args> {
    #[command(flatten)]
    what: T,
    /// Why, for the log and the journal; clients are not told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For how long, such as 30s, 15m, 1h or 7d [default: until it is taken back]
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    span: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Of<T: Args> {
    #[command(flatten)]
    what: T,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Tenant {
    /// Its name in the settings; `default` where they have none
    #[arg(value_parser = tenant)]
    name: Box<str>,
}

#[derive(Debug, Args)]
struct Principal {
    /// Who vouches for it, as `iss` has it
    issuer: Box<str>,
    /// Its name there, as `sub` has it
    subject: Box<str>,
    /// Of this tenant only
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    tenant: Option<Box<str>>,
}

#[derive(Debug, Args)]
struct Plugin {
    /// The file's name without `.wasm`; `TENANT/NAME` is the same as NAME with --tenant
    name: Box<str>,
    /// For this tenant only: what it has of that name, its own or shared
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    tenant: Option<Box<str>>,
}

#[derive(Debug, Args)]
struct Tool {
    /// The name that its plugin gave it, whatever a virtual server calls it
    name: Box<str>,
    /// For this tenant only
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    tenant: Option<Box<str>>,
    /// At this virtual server only
    #[arg(long, value_name = "ID", value_parser = server)]
    server: Option<Box<str>>,
}

fn tenant(text: &str) -> Result<Box<str>, &'static str> {
    TenantId::parse(text).map(|id| id.as_str().into()).ok_or("no tenant can have that name")
}

fn server(text: &str) -> Result<Box<str>, &'static str> {
    ServerId::parse(text).map(|id| id.as_str().into()).ok_or("no virtual server can have that id")
}

/// A number and a unit.
fn span(text: &str) -> Result<Duration, &'static str> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let number = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?.parse::<u32>().ok()?, *seconds)));
    match number {
        Some((number @ 1.., seconds)) => Ok(Duration::from_secs(u64::from(number) * seconds)),
        _ => Err("say a number and s, m, h or d, such as 1h"),
    }
}

impl From<&Tenant> for Target {
    fn from(given: &Tenant) -> Self {
        Self::Tenant { tenant: given.name.clone() }
    }
}

impl From<&Principal> for Target {
    fn from(given: &Principal) -> Self {
        let Principal { issuer, subject, tenant } = given;
        Self::Principal { issuer: issuer.clone(), subject: subject.clone(), tenant: tenant.clone() }
    }
}

impl From<&Plugin> for Target {
    fn from(given: &Plugin) -> Self {
        // No plugin's name has a slash.
        let split = given.name.split_once('/').filter(|(tenant, _)| given.tenant.is_none() && TenantId::parse(tenant).is_some());
        match split {
            Some((tenant, plugin)) => Self::Plugin { plugin: plugin.into(), tenant: Some(tenant.into()) },
            None => Self::Plugin { plugin: given.name.clone(), tenant: given.tenant.clone() },
        }
    }
}

impl From<&Tool> for Target {
    fn from(given: &Tool) -> Self {
        Self::Tool { tool: given.name.clone(), tenant: given.tenant.clone(), server: given.server.clone() }
    }
}

pub(super) fn revoke(arguments: Revoke) -> Result<(), Failed> {
    fn with<T: Args>(with: With<T>) -> Result<(), Failed>
    where
        Target: for<'t> From<&'t T>,
    {
        let (target, at_ms) = (Target::from(&with.what), now_ms());
        let until_ms = with.span.map(|span| at_ms.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
        let revocation = Revocation { target, reason: with.reason, at_ms, until_ms };
        if !revocation.is_sound() {
            return Err(Failed { code: 64, message: "a name is empty, or a name or the reason is too long".to_owned() });
        }
        do_revoke(&with.common, revocation)
    }
    match arguments.what {
        ToRevoke::Tenant(given) => with(given),
        ToRevoke::Principal(given) => with(given),
        ToRevoke::Plugin(given) => with(given),
        ToRevoke::Tool(given) => with(given),
        ToRevoke::List(common) => list(&common),
    }
}

pub(super) fn restore(arguments: Restore) -> Result<(), Failed> {
    let (target, common) = match &arguments.what {
        ToRestore::Tenant(Of { what, common }) => (what.into(), common),
        ToRestore::Principal(Of { what, common }) => (what.into(), common),
        ToRestore::Plugin(Of { what, common }) => (what.into(), common),
        ToRestore::Tool(Of { what, common }) => (what.into(), common),
    };
    do_restore(common, target)
}

/// Who can change what is revoked.
enum Place {
    /// Nobody but this command.
    File(Box<Revocations>),
    /// The gateway that runs.
    Running(UnixStream),
}

impl Place {
    fn of(common: &Common) -> Result<Self, Failed> {
        let config = common.settings.load(None)?;
        // A mistyped directory must not look like one that something was revoked in.
        if !config.data_directory.is_dir() {
            return Err(Failed::other(format!(
                "no gateway keeps anything in {}: name its directory with --data, or its settings with --config",
                config.data_directory.display()
            )));
        }
        let (directory, socket) = (config.revocation_directory(), control::socket(&config.control_directory()));
        let began = Instant::now();
        loop {
            // Whoever answers counts: a socket that was left behind does not.
            let error = match UnixStream::connect(&socket) {
                Ok(stream) => return Ok(Self::Running(stream)),
                Err(error) => error,
            };
            match Revocations::open(&directory) {
                Err(FileError::Locked(_)) if began.elapsed() < BUSY => std::thread::sleep(LOOK),
                Err(FileError::Locked(_)) => {
                    let message = format!("the gateway cannot be asked ({error}): it starts; try again, or stop it");
                    return Err(Failed { code: 69, message });
                }
                opened => return Ok(Self::File(Box::new(opened.map_err(StartError::from)?))),
            }
        }
    }
}

/// All lines of the gateway's answer.
fn ask(stream: &mut UnixStream, order: &Order) -> Result<Vec<Value>, Failed> {
    let broken = |error: std::io::Error| Failed::other(format!("the gateway's answer broke off: {error}; look at `gatehouse revoke list`"));
    let line = serde_json::to_string(order).map_err(|error| Failed::other(error.to_string()))?;
    let mut told = Vec::new();
    asking::ask(stream, &line, PATIENCE, |line| told.push(serde_json::from_str(line))).map_err(broken)?;
    told.into_iter().collect::<Result<_, _>>().map_err(|error| broken(error.into()))
}

/// The one line of an answer, if all went well.
fn ask_one(stream: &mut UnixStream, order: &Order) -> Result<Value, Failed> {
    let told = ask(stream, order)?.pop().unwrap_or_default();
    if told.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(told);
    }
    Err(Failed::other(told.get("text").and_then(Value::as_str).unwrap_or("the gateway gave no answer")))
}

fn do_revoke(common: &Common, revocation: Revocation) -> Result<(), Failed> {
    let target = shown(&revocation.target);
    let told = match Place::of(common)? {
        Place::Running(mut stream) => ask_one(&mut stream, &Order::Revoke(revocation))?,
        Place::File(revocations) => {
            revocations.revoke(revocation).map_err(Failed::other)?;
            revocations.keep().map_err(|error| unwritten(&error))?;
            if common.json {
                output::print("{\"ok\":true,\"running\":false}\n");
            } else {
                output::print(&format!("{target} is revoked from the next start on: no gateway runs here\n"));
            }
            return Ok(());
        }
    };
    if common.json {
        output::print(&format!("{told}\n"));
    } else {
        output::print(&effect(&target, &told));
    }
    match told.get("not_kept").and_then(Value::as_str) {
        None => Ok(()),
        Some(reason) => Err(Failed { code: 74, message: format!("it is in force and not kept: it may end with this gateway: {reason}") }),
    }
}

/// What a revocation did, for people.
fn effect(target: &str, told: &Value) -> String {
    let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    let many = |name: &str, one: &str, more: &str| match count(name) {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    };
    let mut text = format!(
        "{target} is revoked\n  {} stopped; {}, {} and {} ended; {:.1} ms\n",
        many("calls", "call in flight was", "calls in flight were"),
        many("sessions", "session", "sessions"),
        many("streams", "event stream", "event streams"),
        many("tasks", "task", "tasks"),
        told.get("ms").and_then(Value::as_f64).unwrap_or_default(),
    );
    if count("calls_left") > 0 {
        text.push_str(&format!("  of {} the guest has not gone yet\n", count("calls_left")));
    }
    if told.get("there").and_then(Value::as_bool) == Some(false) {
        text.push_str("  nothing of that name is there now: look at the spelling; it counts for what may come\n");
    }
    text
}

fn do_restore(common: &Common, target: Target) -> Result<(), Failed> {
    let name = shown(&target);
    let (restored, running) = match Place::of(common)? {
        Place::Running(mut stream) => {
            let told = ask_one(&mut stream, &Order::Restore(target))?;
            (told.get("restored").and_then(Value::as_bool).unwrap_or_default(), true)
        }
        Place::File(revocations) => (revocations.restore(&target).map_err(|error| unwritten(&error))?.is_some(), false),
    };
    if !restored {
        return Err(Failed::other(format!("{name} is not revoked, in these very words; `gatehouse revoke list` shows what is")));
    }
    match (common.json, running) {
        (true, _) => output::print(&format!("{}\n", serde_json::json!({ "ok": true, "running": running }))),
        (false, true) => output::print(&format!("{name} is restored\n")),
        (false, false) => output::print(&format!("{name} is restored from the next start on: no gateway runs here\n")),
    }
    Ok(())
}

fn list(common: &Common) -> Result<(), Failed> {
    let told = match Place::of(common)? {
        Place::Running(mut stream) => ask(&mut stream, &Order::List {})?,
        Place::File(revocations) => revocations.now().all().iter().filter_map(|one| serde_json::to_value(one).ok()).collect(),
    };
    if common.json {
        told.iter().for_each(|one| output::print(&format!("{one}\n")));
        return Ok(());
    }
    if told.is_empty() {
        output::print("nothing is revoked\n");
    }
    for one in told.into_iter().filter_map(|one| serde_json::from_value::<Revocation>(one).ok()) {
        let until = one.until_ms.map(|until| format!(", until {}", output::utc(until))).unwrap_or_default();
        let why = one.reason.map(|reason| format!("  {}", mcp::text::line(&reason, 512))).unwrap_or_default();
        output::print(&format!("{}  since {}{until}{why}\n", shown(&one.target), output::utc(one.at_ms)));
    }
    Ok(())
}

fn unwritten(error: &std::io::Error) -> Failed {
    Failed { code: 74, message: format!("{} cannot be written: {error}; nothing has changed", Path::new(FILE).display()) }
}

/// Names come from tokens: none may write to a terminal what it wants.
fn shown(target: &Target) -> String {
    mcp::text::line(&target.to_string(), 512)
}
