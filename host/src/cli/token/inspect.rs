//! `gatehouse token inspect`: what a token says, and, with a gateway's settings, what that gateway would say to it.

use crate::auth::{Bearer, Known, Refusal, Unknown};
use crate::cli::{Failed, output, runtime, shown};
use crate::config::{AuthConfig, Config, Overrides};
use clap::Args;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Of one value that is shown.
const VALUE_CHARS_MAX: usize = 1_000;
/// Claims that are points in time (RFC 7519, 4.1; OpenID Connect Core, 2).
const TIMES: [&str; 4] = ["exp", "nbf", "iat", "auth_time"];

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The token or API key; from standard input, where no other user sees it, with `-` or none
    #[arg(default_value = "-", hide_default_value = true)]
    token: String,
    /// Verify it as the gateway with this settings file would [default: gatehouse.toml, where --server or --path is given]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Verify it for the virtual server of this id
    #[arg(long, value_name = "ID", conflicts_with = "path")]
    server: Option<String>,
    /// Verify it for this path [default: /mcp, where --config is given]
    #[arg(long)]
    path: Option<String>,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// What a gateway said.
struct Verdict {
    resource: String,
    said: Result<Known, Unknown>,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let token = match arguments.token.as_str() {
        "-" => shown::read(Path::new("-"))?,
        given => shown::bare(given),
    };
    let verdict = match (&arguments.config, &arguments.server, &arguments.path) {
        (None, None, None) => None,
        _ => Some(ask(arguments, &token)?),
    };
    let shown = if token.starts_with("gh_") { Ok((Value::Null, Value::Null)) } else { parts(&token) };
    if arguments.json {
        output::print(&format!("{:#}\n", as_json(&shown, verdict.as_ref())));
    } else {
        output::print(&readable(&token, &shown, verdict.as_ref()));
    }
    match (&verdict, &shown) {
        (Some(Verdict { said: Ok(_), .. }), _) | (None, Ok(_)) => Ok(()),
        (Some(_), _) | (None, Err(_)) => Err(Failed::shown(1)),
    }
}

/// Header and claims as they are written, believed by nobody.
fn parts(token: &str) -> Result<(Value, Value), String> {
    let look = token::look(token).map_err(|refused| refused.to_string())?;
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    Ok((value(&look.header), value(&look.payload)))
}

/// By the gateway's own code.
fn ask(arguments: &Arguments, token: &str) -> Result<Verdict, Failed> {
    let config = Config::load(arguments.config.as_deref(), &Overrides::default()).map_err(|error| Failed::config(error.to_string()))?;
    let AuthConfig::Tokens(tokens) = &config.auth else {
        return Err(Failed::config("the settings ask for no tokens: auth.mode is not \"tokens\"".to_owned()));
    };
    let path = match (&arguments.server, &arguments.path) {
        (Some(id), _) if config.servers.iter().all(|server| server.id.as_str() != id) => {
            return Err(Failed::other(format!("the settings have no section [servers.{id}]")));
        }
        (Some(id), _) => format!("/servers/{id}/mcp"),
        (None, path) => path.clone().unwrap_or_else(|| "/mcp".to_owned()),
    };
    let bearer = Bearer::load(tokens, None).map_err(|error| Failed::config(error.to_string()))?;
    let (resource, keeping) = (bearer.resource(&path), bearer.keep_keys());
    let header = format!("Bearer {token}");
    let said = runtime()?.block_on(async {
        let fetching = async {
            keeping.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            said = bearer.verify(&path, std::iter::once(header.as_bytes())) => Some(said),
            () = fetching => None,
        }
    });
    let there = |known: Known| {
        let is_there = config.tenants.iter().any(|tenant| tenant.id == known.tenant);
        if is_there { Ok(known) } else { Err(Unknown::Refused(Refusal::Tenant)) }
    };
    said.map(|said| Verdict { resource, said: said.and_then(there) }).ok_or_else(|| Failed::other("nobody verified it"))
}

/// Why a gateway says no: a word for programs, a sentence for people.
fn reason(unknown: Unknown) -> (&'static str, String) {
    match unknown {
        Unknown::NoToken => ("no_token", "there is none".to_owned()),
        Unknown::Malformed => ("malformed", "it cannot stand in a header".to_owned()),
        Unknown::NoAnswer => ("no_answer", "a policy gave no answer".to_owned()),
        Unknown::Revoked => ("revoked", "an operator has revoked it".to_owned()),
        Unknown::NoKeys => ("no_keys", "the keys of its issuer cannot be had now".to_owned()),
        Unknown::Refused(Refusal::Header(fault)) => (fault.as_str(), "it cannot stand in a header".to_owned()),
        Unknown::Refused(refusal) => (refusal.as_str(), refusal.to_string()),
    }
}

fn as_json(shown: &Result<(Value, Value), String>, verdict: Option<&Verdict>) -> Value {
    let mut told = Map::new();
    match shown {
        Ok((header, claims)) => told.extend([("header".to_owned(), header.clone()), ("claims".to_owned(), claims.clone())]),
        Err(fault) => told.extend([("unreadable".to_owned(), fault.as_str().into())]),
    }
    let mut tell = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
    match verdict {
        None => tell("verified", Value::Null),
        Some(Verdict { resource, said }) => {
            tell("resource", resource.as_str().into());
            tell("verified", said.is_ok().into());
            match said {
                Ok(Known { principal, tenant, .. }) => {
                    tell("tenant", tenant.as_str().into());
                    tell("issuer", json!(principal.issuer.as_deref()));
                    tell("subject", json!(principal.subject.as_deref()));
                    tell("scopes", principal.scopes.iter().map(|scope| Value::from(&**scope)).collect());
                }
                Err(unknown) => {
                    let (word, says) = reason(*unknown);
                    tell("reason", word.into());
                    tell("says", says.into());
                }
            }
        }
    }
    Value::Object(told)
}

fn readable(token: &str, shown: &Result<(Value, Value), String>, verdict: Option<&Verdict>) -> String {
    let mut text = String::new();
    match shown {
        Ok((Value::Null, Value::Null)) => text.push_str("An API key: it says nothing of itself.\n"),
        Ok((header, claims)) => {
            members(&mut text, "Header", header);
            members(&mut text, "Claims", claims);
        }
        Err(fault) => {
            let _ = writeln!(text, "This is no token ({} bytes): {fault}.", token.len());
        }
    }
    text.push('\n');
    // Writing to a `String` cannot fail.
    let _ = match verdict {
        None if shown.is_err() => Ok(()),
        None => writeln!(
            text,
            "NOT VERIFIED: anybody can write this. Give --config FILE, and --server ID or --path PATH, to hear what a gateway says."
        ),
        Some(Verdict { resource, said: Ok(Known { principal, tenant, .. }) }) => {
            let name = |text: &Option<Arc<str>>| safe(text.as_deref().unwrap_or_default());
            let scopes: Vec<_> = principal.scopes.iter().map(|scope| &**scope).collect();
            let scopes = if scopes.is_empty() { "no scopes".to_owned() } else { format!("the scopes {}", scopes.join(" ")) };
            writeln!(
                text,
                "VERIFIED for {resource}: {} of the tenant {tenant}, by the word of {}, with {scopes}.",
                name(&principal.subject),
                name(&principal.issuer)
            )
        }
        Some(Verdict { resource, said: Err(unknown) }) => {
            let (word, says) = reason(*unknown);
            writeln!(text, "REFUSED for {resource}: {says} ({word}).")
        }
    };
    text
}

/// One line a member.
fn members(text: &mut String, title: &str, value: &Value) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{title}");
    let Some(members) = value.as_object() else {
        let _ = writeln!(text, "  {}", safe(&value.to_string()));
        return;
    };
    let widest = members.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(24);
    for (name, value) in members {
        let shown = match (value.as_i64(), value) {
            (Some(seconds), _) if TIMES.contains(&name.as_str()) => format!("{seconds}  {}", when(seconds)),
            (_, Value::String(text)) => safe(text),
            (_, other) => safe(&other.to_string()),
        };
        let _ = writeln!(text, "  {:widest$}  {shown}", safe(name));
    }
}

/// A point in time for people, and how far away it is.
fn when(seconds: i64) -> String {
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp(seconds) else { return "(no year that anybody counts)".to_owned() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0);
    let away = seconds.saturating_sub(now);
    let far = match away.unsigned_abs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    };
    let far = if away >= 0 { format!("in {far}") } else { format!("{far} ago") };
    let (month, day) = (u8::from(at.month()), at.day());
    format!("{:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC, {far}", at.year(), at.hour(), at.minute(), at.second())
}

/// On one line, and without what would turn or hide letters on a screen: whoever made the token chose them.
fn safe(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let plain: String = text.chars().map(|c| if turns(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect();
    mcp::text::line(&plain, VALUE_CHARS_MAX)
}
