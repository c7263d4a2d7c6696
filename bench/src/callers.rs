//! What it costs to know who calls and to ask a policy: the same echo, each row with one thing more or another one than the row before.

use crate::calls::{BYTES, NO_RATES};
use crate::load::rounds;
use crate::report::{Report, Shape};
use crate::requests::modern_echo;
use crate::servers::{Server, api_key, existing};
use anyhow::Result;
use gatehouse_forge::{Signer, claims, jwks, with};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PUBLIC: &str = "https://gate.example";
const ISSUER: &str = "https://login.example";
const CONNECTIONS: usize = 16;
/// It says yes to everybody with the scope, and no to all others.
const SCOPES: &str = "settings = { rules = [{ scopes = [\"text:use\"], tools = [\"*\"] }] }";
const CEDAR: &str =
    "settings = { policies = \"permit(principal, action, resource) when { principal.scopes.contains(\\\"text:use\\\") };\" }";
const REDACT: &str = "settings = { classes = [\"email\"] }";

/// A row: its name, the signer or none for an API key, policies by name with their settings, and whether decisions are kept.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) shows: Shows,
    pub(crate) policies: &'static [(&'static str, &'static str)],
    pub(crate) kept: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Shows {
    Nothing,
    Key,
    Token(fn() -> Signer),
}

/// What most callers are: somebody with a token that was seen before, whom a policy lets in.
pub(crate) const GUARDED: Row = Row {
    name: "a token, EdDSA, and scopes",
    shows: Shows::Token(|| Signer::ed25519("k", 1)),
    policies: &[("scopes", SCOPES)],
    kept: true,
};

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    let ed25519 = Shows::Token(|| Signer::ed25519("k", 1));
    let row = |name, shows, policies, kept| Row { name, shows, policies, kept };
    let rows = [
        row("anybody", Shows::Nothing, &[][..], true),
        row("an API key", Shows::Key, &[], true),
        row("a token, RS256", Shows::Token(|| Signer::rs256("k")), &[], true),
        row("a token, ES256", Shows::Token(|| Signer::es256("k")), &[], true),
        row("a token, EdDSA", ed25519, &[], true),
        row("  and scopes, kept", ed25519, &[("scopes", SCOPES)], true),
        row("  and scopes, asked", ed25519, &[("scopes", SCOPES)], false),
        row("  and cedar, kept", ed25519, &[("cedar", CEDAR)], true),
        row("  and cedar, asked", ed25519, &[("cedar", CEDAR)], false),
        row("  and scopes, redact", ed25519, &[("scopes", SCOPES), ("redact", REDACT)], true),
    ];
    let title = format!("callers: what it costs to know who calls, {CONNECTIONS} connections");
    let columns = [("calls/s", 0), ("p50 µs", 0), ("p99 µs", 0), ("CPU µs", 1), ("more", 1)];
    let table = report.table(title, "who calls", &columns, Shape::Bars(3));
    let mut base = None;
    for row in rows {
        let (settings, header) = prepare(&row)?;
        let server = Server::gatehouse_with(&settings.text).await?;
        let measured = rounds(&server, &[modern_echo(BYTES, header.as_deref())], CONNECTIONS, each).await?;
        let more = measured.cpu_us - *base.get_or_insert(measured.cpu_us);
        table.row(row.name, &[measured.per_second, measured.p50_us, measured.p99_us, measured.cpu_us, more]);
    }
    Ok(())
}

/// The text, and what it names.
pub(crate) struct Settings {
    pub(crate) text: String,
    _keys: tempfile::TempDir,
}

pub(crate) fn prepare(row: &Row) -> Result<(Settings, Option<String>)> {
    let keys = tempfile::tempdir()?;
    let mut text = NO_RATES.to_owned();
    if !row.kept {
        text.push_str("[limits]\npolicy_decisions_kept_max = 0\n");
    }
    if !row.policies.is_empty() {
        let names: Vec<_> = row.policies.iter().map(|(name, _)| *name).collect();
        text.push_str(&format!("[gateway]\npolicies = {names:?}\n"));
    }
    for (name, settings) in row.policies {
        let file = existing(&format!("target/policies/{name}.wasm"), "make policies")?;
        text.push_str(&format!("[policies.{name}]\nfile = {file:?}\n{settings}\n"));
    }
    if !matches!(row.shows, Shows::Nothing) {
        text.push_str(&format!("[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n"));
    }
    let header = match row.shows {
        Shows::Nothing => None,
        Shows::Key => {
            let (key, section) = api_key(keys.path(), "bench", None)?;
            text.push_str(&section);
            Some(key)
        }
        Shows::Token(signer) => {
            let (signer, file) = (signer(), keys.path().join("jwks.json"));
            std::fs::write(&file, jwks(&[signer.jwk()]))?;
            text.push_str(&format!("[auth.issuers.one]\nissuer = \"{ISSUER}\"\njwks_file = {file:?}\n"));
            let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            let claims = with(&claims(ISSUER, &format!("{PUBLIC}/mcp"), now_s), &json!({ "scope": "text:use" }));
            Some(signer.token(&claims))
        }
    };
    Ok((Settings { text, _keys: keys }, header.map(|shown| format!("Bearer {shown}"))))
}
