//! `gatehouse token key NAME`

use super::{quoted, section_name};
use crate::auth::NewApiKey;
use crate::cli::{Failed, output};
use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Its name in the settings, and whom the gateway takes its owner for
    #[arg(value_parser = section_name)]
    name: String,
    /// A scope that is granted with it; can be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The tenant on whose behalf its owner calls
    #[arg(long, value_parser = section_name)]
    tenant: Option<String>,
    /// The last day on which it counts, such as 2027-01-31 (UTC)
    #[arg(long, value_name = "DAY")]
    expires: Option<String>,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let key = NewApiKey::make().map_err(|error| Failed { code: 71, message: format!("there is no randomness: {error}") })?;
    let mut settings = format!("[auth.keys.{}]\nhash = {}\n", arguments.name, quoted(&key.hash));
    if !arguments.scopes.is_empty() {
        let scopes: Vec<_> = arguments.scopes.iter().map(|scope| quoted(scope)).collect();
        settings.push_str(&format!("scopes = [{}]\n", scopes.join(", ")));
    }
    if let Some(tenant) = &arguments.tenant {
        settings.push_str(&format!("tenant = {}\n", quoted(tenant)));
    }
    if let Some(day) = &arguments.expires {
        settings.push_str(&format!("expires = {}\n", quoted(day)));
    }
    check(&settings, arguments.tenant.as_deref())?;
    if arguments.json {
        let told = serde_json::json!({ "key": key.text, "hash": key.hash, "settings": settings });
        output::print(&format!("{told:#}\n"));
        return Ok(());
    }
    output::print(&format!(
        "{}\n\nIt is not kept and not shown again. To let its owner in, add this to the settings:\n\n{settings}",
        key.text
    ));
    Ok(())
}

/// The gateway itself says whether it takes them, so that a key never goes out whose section is refused later.
fn check(settings: &str, tenant: Option<&str>) -> Result<(), Failed> {
    // The tenant's section is the operator's to write.
    let tenant = tenant.map(|tenant| format!("[tenants.{tenant}]\n")).unwrap_or_default();
    let text = format!("[auth]\nmode = \"tokens\"\npublic_url = \"https://localhost\"\n{settings}{tenant}");
    match crate::config::Config::read(&text, std::path::Path::new(""), &crate::config::Overrides::default()) {
        Ok(_) => Ok(()),
        Err(mistakes) => {
            let mistakes: Vec<_> = mistakes.iter().map(|mistake| format!("{}: {}", mistake.key, mistake.message)).collect();
            Err(Failed { code: 64, message: mistakes.join("; ") })
        }
    }
}
