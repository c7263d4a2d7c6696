//! `gatehouse token`: issuers and tokens for development, API keys, and what a token says.

mod inspect;
mod key;
mod mint;
mod new_issuer;

use super::Failed;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an API key: print it once, and the settings that let its owner in
    Key(key::Arguments),
    /// Make an issuer for development: a pair of keys, and the settings that believe it
    NewIssuer(new_issuer::Arguments),
    /// Make a token for development
    Mint(mint::Arguments),
    /// Show what a token says, and whether a gateway would take it
    Inspect(inspect::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.command {
        Command::Key(arguments) => key::run(arguments),
        Command::NewIssuer(arguments) => new_issuer::run(arguments),
        Command::Mint(arguments) => mint::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
    }
}

/// A name that can stand in the settings as it is.
fn section_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let right = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
    if right { Ok(text.to_owned()) } else { Err("a name has 1 to 64 of A-Z, a-z, 0-9, `-` and `_`".to_owned()) }
}

/// As a basic string of TOML, which JSON's strings are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
