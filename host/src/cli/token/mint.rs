//! `gatehouse token mint`: tokens for development, by a key that a gateway was told to believe.

use crate::cli::{Failed, output};
use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use token::limits::{LIFETIME_MAX_S, PEM_BYTES_MAX};
use token::{Issuer, KeySet, SigningKey, TokenTypes};

/// Claims that flags give.
const OF_FLAGS: [&str; 7] = ["iss", "aud", "sub", "iat", "exp", "scope", "scp"];

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The issuer, as the gateway's settings have it
    #[arg(long)]
    issuer: String,
    /// The address of the server that the token is for: auth.public_url and the path, such as http://127.0.0.1:8080/mcp
    #[arg(long, value_name = "URL")]
    audience: String,
    /// Who shows it
    #[arg(long)]
    subject: String,
    /// A scope that is granted with it; can be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// One more claim; read as JSON, or as a string where it is none
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// How long it counts: 90s, 30m, 1h, and 24h at most
    #[arg(long, default_value = "1h", value_parser = lifetime, value_name = "TIME")]
    lifetime: u64,
    /// The issuer's private key of Ed25519: a JWK, or PEM (PKCS#8)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let key = read(&arguments.key)?;
    // A clock before 1970 would make a token of no time.
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Failed::other("the clock is before 1970"))?.as_secs();
    let expires_at_s = now_s.saturating_add(arguments.lifetime);
    let claims = Value::Object(claims(arguments, now_s, expires_at_s)?);
    let token = key.token(&claims.to_string()).map_err(|error| wrong(error.to_string()))?;
    prove(&key, &token, arguments, now_s)?;
    if arguments.json {
        output::print(&format!("{:#}\n", json!({ "token": token, "claims": claims, "expires_at_s": expires_at_s })));
    } else {
        output::print(&format!("{token}\n"));
    }
    Ok(())
}

fn wrong(message: impl Into<String>) -> Failed {
    Failed { code: 64, message: message.into() }
}

/// Seconds, of `90s`, `30m`, `1h` or `1d`.
fn lifetime(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let seconds = units.iter().find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*seconds));
    match seconds {
        Some(seconds @ 1..) if seconds <= u64::from(LIFETIME_MAX_S) => Ok(seconds),
        Some(_) => Err("a token counts for 1 second to 24 hours".to_owned()),
        None => Err("must be like 90s, 30m or 1h".to_owned()),
    }
}

fn read(file: &Path) -> Result<SigningKey, Failed> {
    let failed = |reason: String| Failed::other(format!("{}: {reason}", file.display()));
    let opened = std::fs::File::open(file).map_err(|error| failed(error.to_string()))?;
    if opened.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        output::note(&format!("{} can be read by others, who can make tokens with it: `chmod 600` it", file.display()));
    }
    let mut text = String::new();
    // One byte more than any key: what is longer is refused, and not cut.
    opened.take(PEM_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    SigningKey::read(&text).map_err(|fault| failed(fault.to_string()))
}

fn claims(arguments: &Arguments, now_s: u64, expires_at_s: u64) -> Result<Map<String, Value>, Failed> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Failed { code: 71, message: format!("there is no randomness: {error}") })?;
    let id = HEXLOWER.encode(&id);
    let mut given = Map::new();
    for claim in &arguments.claims {
        let (name, value) = claim.split_once('=').ok_or_else(|| wrong(format!("--claim {claim}: must be NAME=VALUE")))?;
        if OF_FLAGS.contains(&name) {
            return Err(wrong(format!("--claim {name}: there is a flag for that")));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        if given.insert(name.to_owned(), value).is_some() {
            return Err(wrong(format!("--claim {name} is given twice")));
        }
    }
    // RFC 9068, 2.2 demands these two as well.
    let mut claims = Map::from_iter([("jti".to_owned(), id.into()), ("client_id".to_owned(), "gatehouse token mint".into())]);
    claims.append(&mut given);
    claims.insert("iss".to_owned(), arguments.issuer.as_str().into());
    claims.insert("aud".to_owned(), arguments.audience.as_str().into());
    claims.insert("sub".to_owned(), arguments.subject.as_str().into());
    claims.insert("iat".to_owned(), now_s.into());
    claims.insert("exp".to_owned(), expires_at_s.into());
    if !arguments.scopes.is_empty() {
        claims.insert("scope".to_owned(), arguments.scopes.join(" ").into());
    }
    Ok(claims)
}

/// By the gateway's own rules, so that no token goes out that a gateway with this issuer would not take.
fn prove(key: &SigningKey, token: &str, arguments: &Arguments, now_s: u64) -> Result<(), Failed> {
    let public = key.public().map_err(|fault| Failed::other(fault.to_string()))?;
    let keys = KeySet::new(vec![public]).map_err(|fault| Failed::other(fault.to_string()))?;
    let issuer = Issuer { types: TokenTypes::AccessToken, ..Issuer::new(arguments.issuer.as_str(), keys) };
    let verified = token::verify(token, &[issuer], &arguments.audience, now_s);
    let verified = verified.map_err(|refused| wrong(format!("no gateway would take this token: {refused}")))?;
    // A blank in a scope would make two of it.
    let granted: Vec<_> = verified.scopes().iter().map(|scope| &**scope).collect();
    let odd = arguments.scopes.iter().find(|scope| !granted.contains(&scope.as_str()));
    odd.map_or(Ok(()), |scope| Err(wrong(format!("--scope `{scope}`: a scope has no blanks"))))
}
