//! What a component reached for, as the side file and the settings that would let it.

use crate::egress::Found;
use std::fmt::Write as _;

/// What is proposed for a directory that has no size by itself.
const SCRATCH_BYTES: u64 = 16 << 20;

/// One text of TOML: the side file's part, and the settings'.
pub(super) fn toml(plugin: &str, found: &Found) -> String {
    let Found { http, settings, all_settings, buckets, environment, directories, scratch, others, is_cut } = found;
    let requests: Vec<_> = http
        .iter()
        .map(|(origin, methods)| {
            let methods: Vec<_> = methods.iter().map(String::as_str).collect();
            format!("{} {origin}", methods.join(","))
        })
        .collect();
    let of = |writes: bool| directories.iter().filter(move |(_, written)| **written == writes).map(|(path, _)| path.clone());
    let (read, written): (Vec<_>, Vec<_>) = (of(false).collect(), of(true).collect());
    let (settings, buckets): (Vec<_>, Vec<_>) = (settings.iter().cloned().collect(), buckets.iter().cloned().collect());
    let name = if mcp::tool::is_tool_name(plugin) { plugin } else { "plugin" };

    // Writing to a `String` cannot fail.
    let mut text =
        format!("# What {} asked for in this run, and was refused. Another run may ask for more.\n", mcp::text::line(plugin, 128));
    for other in others {
        let _ = writeln!(text, "# It also asked for what nothing can grant: {other}");
    }
    if *environment {
        let _ = writeln!(
            text,
            "# It looked at its environment by wasi:cli/environment, which gives all variables at once and is told no names. If it needs one, add \
             `environment = [\"NAME\"]` below [asks], and `NAME = \"its value\"` below [grants.{name:?}.environment]."
        );
    }
    if *all_settings {
        let _ =
            writeln!(text, "# It asked which settings there are; those that it did not name are to be added by hand, to `config` of both.");
    }
    if *is_cut {
        let _ = writeln!(text, "# There was more than is shown here.");
    }
    if requests.is_empty() && settings.is_empty() && buckets.is_empty() && directories.is_empty() && !scratch {
        let _ = writeln!(text, "# Nothing that a side file would name.");
        return text;
    }
    let _ = writeln!(text, "\n# For {name}.toml, beside {name}.wasm:\n[asks]");
    let kinds = [("http", &requests), ("config", &settings), ("keyvalue", &buckets), ("files", &read), ("files_write", &written)];
    for (kind, names) in kinds {
        if !names.is_empty() {
            let _ = writeln!(text, "{kind} = [{}]", quoted(names));
        }
    }
    if *scratch {
        let _ = writeln!(text, "scratch = true");
    }
    let _ = writeln!(text, "\n# For the gateway's settings:\n[grants.{name:?}]\nplugin = {name:?}");
    if *scratch {
        let _ = writeln!(text, "scratch_bytes_max = {SCRATCH_BYTES} # that its scratch directory may hold");
    }
    if !requests.is_empty() {
        let _ = writeln!(text, "\n[grants.{name:?}.http]\nallow = [{}]", quoted(&requests));
    }
    if !buckets.is_empty() {
        let _ = writeln!(text, "\n[grants.{name:?}.keyvalue]\nbuckets = [{}]", quoted(&buckets));
    }
    if !settings.is_empty() {
        let _ = writeln!(text, "\n[grants.{name:?}.config]");
        for setting in &settings {
            let _ = writeln!(text, "{setting:?} = \"\" # its value");
        }
    }
    if !directories.is_empty() {
        let _ = writeln!(text, "\n[grants.{name:?}.files] # where the directories are");
        for path in &read {
            let _ = writeln!(text, "{path:?} = {path:?}");
        }
        for path in &written {
            let _ = writeln!(text, "{path:?} = {{ directory = {path:?}, access = \"read-write\" }}");
        }
    }
    text
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
