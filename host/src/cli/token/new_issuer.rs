//! `gatehouse token new-issuer DIR`: a key pair for development, and the settings that believe it.

use super::quoted;
use crate::cli::{Failed, output};
use clap::Args;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use token::NewKey;

const PRIVATE: &str = "key.json";
const PUBLIC: &str = "jwks.json";

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Where the two files go; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The issuer's name, as tokens have it in `iss`
    #[arg(long, default_value = "gatehouse-dev")]
    issuer: String,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failed { code: 71, message: format!("there is no randomness: {error}") })?;
    let new = NewKey::of_seed(&seed).map_err(|fault| Failed::other(fault.to_string()))?;
    let directory = &arguments.directory;
    let failed = |path: &Path, error: std::io::Error| Failed::other(format!("{}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| failed(directory, error))?;
    // Absolute, so that the settings mean them wherever they stand.
    let directory = directory.canonicalize().map_err(|error| failed(directory, error))?;
    let (private, public) = (directory.join(PRIVATE), directory.join(PUBLIC));
    if public.exists() {
        return Err(Failed::other(format!("{} is there already, and is not written over", public.display())));
    }
    write(&private, 0o600, &new.private_jwk).map_err(|error| failed(&private, error))?;
    write(&public, 0o644, &new.jwks).map_err(|error| failed(&public, error))?;
    let file = quoted(&public.to_string_lossy());
    let settings = format!("[auth.issuers.dev]\nissuer = {}\njwks_file = {file}\n", quoted(&arguments.issuer));
    if arguments.json {
        let told = serde_json::json!({
            "issuer": arguments.issuer, "kid": new.kid, "key_file": private, "jwks_file": public, "settings": settings,
        });
        output::print(&format!("{told:#}\n"));
        return Ok(());
    }
    output::print(&format!(
        "Private key  {}: whoever can read it can be anybody\nPublic key   {}\n\n\
         For a gateway on this machine, add this to the settings:\n\n\
         [auth]\nmode = \"tokens\"\npublic_url = \"http://127.0.0.1:8080\"\n\n{settings}\n\
         Then make tokens:\n\n  \
         gatehouse token mint --issuer {} --audience http://127.0.0.1:8080/mcp --subject me --key {}\n",
        private.display(),
        public.display(),
        arguments.issuer,
        private.display(),
    ));
    Ok(())
}

/// Never over a file that is there, and never readable by others for a moment.
fn write(path: &Path, mode: u32, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
