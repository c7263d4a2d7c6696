//! `gatehouse limits`

use super::{Failed, Settings, output};
use crate::config::Number;
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// Shows what was read: there is no list of limits beside the places where the settings are read.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let config = arguments.settings.load(None)?;
    let file = config.file().exists().then(|| config.file().display().to_string());
    if arguments.json {
        let limits: Vec<_> = config.numbers.iter().map(as_json).collect();
        output::print(&format!("{}\n", json!({ "settings": file, "limits": limits })));
        return Ok(());
    }
    let from = file.map_or_else(|| "There is no settings file: these are the defaults.".to_owned(), |file| format!("Settings: {file}"));
    output::print(&format!("{from}\n{}", table(&config.numbers)));
    Ok(())
}

fn as_json(number: &Number) -> Value {
    json!({
        "key": number.key,
        "subject": subject(number),
        "value": number.value,
        "unit": unit(&number.key),
        "default": number.default,
        "min": number.range.start(),
        "max": number.range.end(),
        "line": number.line,
        "beyond": Some(number.beyond).filter(|beyond| !beyond.is_empty()),
    })
}

/// A line for each, by subject. What a tenant or a server does not say of itself is as in `quotas`, and is left out.
fn table(numbers: &[Number]) -> String {
    let is_own = |number: &&Number| ["tenants.", "servers."].iter().any(|section| number.key.starts_with(section));
    let shown: Vec<_> = numbers.iter().filter(|number| !is_own(number) || number.line.is_some()).collect();
    let mut subjects: Vec<&str> = Vec::new();
    for number in &shown {
        let subject = subject(number);
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    // Those that have a subject first: they hold for everybody.
    subjects.sort_by_key(|subject| subject.starts_with('['));
    let mut out = String::new();
    for heading in subjects {
        let note = if heading == "[quotas]" { ", where 0 is as many as there are" } else { "" };
        out.push_str(&format!("\n{}{note}\n", output::bold(heading)));
        shown.iter().filter(|number| subject(number) == heading).for_each(|number| out.push_str(&row(number)));
    }
    out
}

fn row(number: &Number) -> String {
    let key = number.key.split_once('.').map_or(number.key.as_str(), |(_, key)| key);
    let value = format!("{} {}", grouped(number.value), unit(&number.key));
    let (least, greatest) = (*number.range.start(), *number.range.end());
    let is_fixed = least == greatest;
    let range = if is_fixed { String::new() } else { format!("{} to {}", grouped(least), grouped(greatest)) };
    let set = match number.line {
        Some(line) => format!("line {line}"),
        None if is_fixed => "fixed".to_owned(),
        None => "default".to_owned(),
    };
    let text = format!("  {:<40} {:<24} {set:<10} {range:<34} {}", mcp::text::line(key, 120), value.trim_end(), number.beyond);
    format!("{}\n", text.trim_end())
}

/// What it is a limit of; the section where that says it.
fn subject(number: &Number) -> &str {
    if !number.subject.is_empty() {
        return number.subject;
    }
    match number.key.split('.').next().unwrap_or_default() {
        "auth" => "[auth]",
        "grants" => "[grants]",
        "journal" => "[journal]",
        "quotas" => "[quotas]",
        "servers" => "[servers]",
        "store" => "[store]",
        "tenants" => "[tenants]",
        "traces" => "[traces]",
        _ => "[others]",
    }
}

/// As a key's name ends.
fn unit(key: &str) -> &'static str {
    let name = key.rsplit('.').next().unwrap_or_default();
    let name = name.trim_end_matches("_max").trim_end_matches("_min");
    let (name, per) = match name.rsplit_once("_per_") {
        Some((name, "minute")) => (name, "/minute"),
        Some((name, "second")) => (name, "/s"),
        _ => (name, ""),
    };
    let what =
        ["mib_s", "ms", "days", "bytes", "bytes_out", "s"].into_iter().find(|unit| name == *unit || name.ends_with(&format!("_{unit}")));
    match (what, per) {
        (Some("mib_s"), _) => "MiB·s/minute",
        (Some("ms"), "/minute") => "ms/minute",
        (Some("ms"), _) => "ms",
        (Some("days"), _) => "days",
        (Some("s"), _) => "s",
        (Some(_), "/minute") => "bytes/minute",
        (Some(_), "/s") => "bytes/s",
        (Some(_), _) => "bytes",
        (None, "/minute") => "/minute",
        (None, "/s") => "/s",
        (None, _) => "",
    }
}

/// `1,048,576`, as the settings' page writes numbers.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{grouped, unit};

    #[test]
    fn a_name_ends_with_its_unit() {
        for (key, expected) in [
            ("limits.connections_max", ""),
            ("limits.header_timeout_s", "s"),
            ("limits.stream_after_ms", "ms"),
            ("limits.body_bytes_max", "bytes"),
            ("limits.body_bytes_per_second_min", "bytes/s"),
            ("limits.auth_failures_per_minute_max", "/minute"),
            ("limits.sessions_per_tenant_max", ""),
            ("quotas.tool.calls_per_second_max", "/s"),
            ("quotas.tool.cpu_ms_per_minute_max", "ms/minute"),
            ("quotas.tool.memory_mib_s_per_minute_max", "MiB·s/minute"),
            ("quotas.tool.bytes_out_per_minute_max", "bytes/minute"),
            ("journal.age_max_days", "days"),
            ("store.cache_bytes", "bytes"),
            ("auth.issuers.x.lifetime_max_s", "s"),
            ("limits.call_handles_max", ""),
        ] {
            assert_eq!(unit(key), expected, "{key}");
        }
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1_000, 1_048_576].map(grouped), ["0", "999", "1,000", "1,048,576"]);
    }
}
