//! `gatehouse inspect FILE`

use super::{Failed, Settings, output, runtime};
use crate::catalog::{InForce, Loader, Written, load_file};
use crate::config::{GrantConfig, SCRATCH};
use crate::gateway::CodeIsKept;
use clap::Args;
use mcp::Revision;
use sandbox::{Asks, Reach, Skipped, Survey};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The component
    file: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let bytes = std::fs::read(&arguments.file).map_err(|error| Failed::other(format!("{}: {error}", arguments.file.display())))?;
    let survey = sandbox::survey(&bytes).map_err(|error| Failed::other(format!("{}: {error}", arguments.file.display())))?;
    drop(bytes);
    let config = arguments.settings.load(None)?;
    let loaded = runtime()?.block_on(async {
        let (sandbox, _) = crate::gateway::make_sandbox(&config, CodeIsKept::WhereOneIs)?;
        let loader = Loader::new(Arc::clone(&sandbox), config.limits.plugins.clone());
        Ok::<_, Failed>(load_file(&loader, &arguments.file).await)
    })?;
    let name = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let grants: Vec<_> = config.grants.iter().filter(|grant| *grant.plugin == *name).collect();
    let report = match &loaded {
        Ok(plugin) => Report {
            survey: &survey,
            tools: values(plugin.tools.iter().map(|tool| &tool.written)),
            resources: values(plugin.resources.iter().map(|resource| &resource.written)),
            templates: values(plugin.templates.iter().map(|template| &template.written)),
            prompts: values(plugin.prompts.iter().map(|prompt| &prompt.written)),
            skipped: &plugin.skipped,
            is_plain: !plugin.guest.is_native(),
            asks: plugin.asks(),
            granted: &grants,
            problem: None,
        },
        Err(error) => Report {
            survey: &survey,
            tools: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            prompts: Vec::new(),
            skipped: &[],
            is_plain: false,
            asks: Asks::default(),
            granted: &grants,
            problem: Some(error.to_string()),
        },
    };
    output::print(&if arguments.json { format!("{:#}\n", report.json()) } else { report.text(arguments) });
    if report.problem.is_some() { Err(Failed::shown(1)) } else { Ok(()) }
}

/// Definitions as clients of the newest revision see them.
fn values<'a>(written: impl Iterator<Item = &'a Written>) -> Vec<Value> {
    let texts = written.filter_map(|written| written.at(Revision::V2026_07_28));
    texts.filter_map(|text| serde_json::from_str(text.as_str()).ok()).collect()
}

struct Report<'a> {
    survey: &'a Survey,
    tools: Vec<Value>,
    resources: Vec<Value>,
    templates: Vec<Value>,
    prompts: Vec<Value>,
    /// Functions of a plain component that are no tools.
    skipped: &'a [Skipped],
    is_plain: bool,
    /// What its side file asks for.
    asks: Asks,
    /// What the settings grant to a plugin of its name.
    granted: &'a [&'a GrantConfig],
    problem: Option<String>,
}

impl Report<'_> {
    /// Which world of the contract the exports are of.
    fn world(&self) -> &'static str {
        if self.is_plain {
            return "none of Gatehouse's: a plain component";
        }
        let exports = |interface: &str| self.survey.exports.iter().any(|name| name.starts_with(interface));
        match (
            exports("gatehouse:tool/tools@"),
            exports("gatehouse:tool/resources@") || exports("gatehouse:tool/prompts@"),
            exports("gatehouse:policy/"),
        ) {
            (true, false, _) => "gatehouse:tool/tool-plugin",
            (true, true, _) => "gatehouse:tool/full-plugin",
            (false, true, _) => "gatehouse:tool, without tools",
            (false, false, true) => "gatehouse:policy",
            (false, false, false) => "none of Gatehouse's",
        }
    }

    /// What it could do if everything that it imports were granted, without repetition.
    fn grants(&self) -> Vec<&'static str> {
        let mut grants: Vec<_> = self.survey.imports.iter().filter_map(|import| grant(import.reach())).collect();
        grants.sort_unstable();
        grants.dedup();
        grants
    }

    /// What its side file asks for, kind by kind.
    fn asked(&self) -> Vec<(&'static str, Vec<String>)> {
        let Asks { http, config, environment, files, files_write, keyvalue, scratch } = &self.asks;
        let http = http.iter().map(|patterns| ("http", shown(patterns)));
        let config = config.iter().map(|names| ("config", shown(names)));
        let environment = Some(("environment", shown(environment))).filter(|_| !environment.is_empty());
        let files = Some(("files", shown(files))).filter(|_| !files.is_empty());
        let keyvalue = keyvalue.iter().map(|names| ("keyvalue", shown(names)));
        let files_write = Some(("files_write", shown(files_write))).filter(|_| !files_write.is_empty());
        let scratch = scratch.then(|| ("scratch", vec![SCRATCH.to_owned()]));
        http.chain(config).chain(environment).chain(files).chain(files_write).chain(keyvalue).chain(scratch).collect()
    }

    /// What each grant of the settings comes to for it, kind by kind: what both say. Of what has a value it is the name: the value may be secret.
    fn in_force(&self) -> impl Iterator<Item = (&GrantConfig, Vec<(&'static str, Vec<String>)>)> {
        self.granted.iter().map(|grant| {
            let InForce { http, config, environment, files, files_write, keyvalue, scratch, reuse, .. } = InForce::of(&self.asks, grant);
            let kinds = vec![
                ("http", shown(http.iter().map(|rule| &rule.pattern))),
                ("config", shown(config)),
                ("environment", shown(environment)),
                ("files", shown(files.iter().map(|(path, _)| path))),
                ("files_write", shown(files_write)),
                ("keyvalue", shown(keyvalue.iter().map(|bucket| &bucket.name))),
                ("scratch", scratch.map(|_| SCRATCH.to_owned()).into_iter().collect()),
                ("reuse", reuse.map(|calls| format!("{calls} calls")).into_iter().collect()),
            ];
            (*grant, kinds)
        })
    }

    fn capabilities(&self, text: &mut String) {
        let grants = self.grants();
        let grants = if grants.is_empty() { "nothing: it can only compute, log and tell the time".to_owned() } else { grants.join(", ") };
        let _ = writeln!(text, "\n  capabilities");
        let _ = writeln!(text, "    by its imports it could reach, if granted: {grants}");
        let listed = |kinds: Vec<(&'static str, Vec<String>)>| {
            let kinds = kinds.into_iter().filter(|(_, what)| !what.is_empty());
            kinds.flat_map(|(kind, what)| what.into_iter().map(move |what| format!("{kind} {what}"))).collect::<Vec<_>>()
        };
        let asked = listed(self.asked());
        let _ = writeln!(text, "    its side file asks for: {}", if asked.is_empty() { "nothing".to_owned() } else { asked.join(", ") });
        for (grant, kinds) in self.in_force() {
            let tenants = grant.tenants.as_ref().map(|tenants| tenants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
            let whose = match (&grant.owner, tenants) {
                (Some(owner), _) => format!("if it lies in the directory of {owner}"),
                (None, Some(tenants)) => format!("if it lies in the shared directory, for {tenants}"),
                (None, None) => "if it lies in the shared directory, for all tenants".to_owned(),
            };
            let kinds = listed(kinds);
            let what = if kinds.is_empty() { "nothing that it asks for".to_owned() } else { kinds.join(", ") };
            let _ = writeln!(text, "    grants.{} comes to, {whose}: {what}", grant.name);
        }
        if self.granted.is_empty() {
            let _ = writeln!(text, "    the settings grant: nothing to a plugin of its name");
        }
    }

    fn json(&self) -> Value {
        let kinds = |kinds: Vec<(&'static str, Vec<String>)>| {
            kinds.into_iter().map(|(kind, what)| (kind.to_owned(), json!(what))).collect::<Map<_, _>>()
        };
        let in_force = self.in_force().map(|(grant, in_force)| {
            let tenants = grant.tenants.as_ref().map(|tenants| tenants.iter().map(ToString::to_string).collect::<Vec<_>>());
            json!({ "grant": &*grant.name, "plugin": grant.names(), "tenants": tenants, "in_force": kinds(in_force) })
        });
        let in_force: Vec<_> = in_force.collect();
        let imports: Vec<_> =
            self.survey.imports.iter().map(|import| json!({ "name": import.name, "grant": grant(import.reach()) })).collect();
        json!({
            "digest": format!("sha256:{}", self.survey.digest),
            "bytes": self.survey.bytes,
            "world": self.world(),
            "exports": self.survey.exports,
            "imports": imports,
            "grants": self.grants(),
            "asks": kinds(self.asked()),
            "granted": in_force,
            "functions": self.survey.functions,
            "core_instances": self.survey.core_instances,
            "memory_bytes_min": self.survey.memory_bytes_min,
            "tools": self.tools,
            "resources": self.resources,
            "resourceTemplates": self.templates,
            "prompts": self.prompts,
            "skipped": self.skipped.iter().map(|skipped| json!({ "function": skipped.path, "reason": skipped.reason })).collect::<Vec<_>>(),
            "problem": self.problem,
        })
    }

    fn text(&self, arguments: &Arguments) -> String {
        let survey = self.survey;
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{}", output::bold(&arguments.file.display().to_string()));
        let _ = writeln!(text, "  digest   sha256:{}", survey.digest);
        let _ = writeln!(
            text,
            "  size     {}, {} functions, {} of memory to begin with",
            output::size(survey.bytes),
            survey.functions,
            output::size(survey.memory_bytes_min)
        );
        let _ = writeln!(text, "  world    {}", self.world());
        self.capabilities(&mut text);
        let _ = writeln!(text, "\n  imports");
        for import in &survey.imports {
            let _ = writeln!(text, "    {}{}", import.name, grant(import.reach()).map(|grant| format!("   ({grant})")).unwrap_or_default());
        }
        let _ = writeln!(text, "\n  tools");
        for tool in &self.tools {
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            let description = tool.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = writeln!(text, "    {}\n      {}", output::bold(name), mcp::text::line(description, 400));
            for (label, member) in [("takes", "inputSchema"), ("gives", "outputSchema")] {
                if let Some(schema) = tool.get(member) {
                    let _ = writeln!(text, "      {label} {schema}");
                }
            }
        }
        let others = [
            ("resources", &self.resources, "uri"),
            ("resource templates", &self.templates, "uriTemplate"),
            ("prompts", &self.prompts, "name"),
        ];
        for (heading, items, name) in others.into_iter().filter(|(_, items, _)| !items.is_empty()) {
            let _ = writeln!(text, "\n  {heading}");
            for item in items {
                let member = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or_default();
                let _ = writeln!(text, "    {}\n      {}", output::bold(member(name)), mcp::text::line(member("description"), 400));
            }
        }
        if !self.skipped.is_empty() {
            let _ = writeln!(text, "\n  functions that are no tools");
            for skipped in self.skipped {
                let _ = writeln!(
                    text,
                    "    {}\n      {}",
                    output::bold(&mcp::text::line(&skipped.path, 200)),
                    mcp::text::line(&skipped.reason, 400)
                );
            }
        }
        if let Some(problem) = &self.problem {
            let _ = writeln!(text, "    cannot be served: {problem}");
        }
        text
    }
}

fn shown<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

fn grant(reach: Reach) -> Option<&'static str> {
    match reach {
        Reach::Nothing => None,
        Reach::Files => Some("files"),
        Reach::Environment => Some("environment"),
        Reach::Config => Some("config"),
        Reach::KeyValue => Some("keyvalue"),
        Reach::Http => Some("http"),
        Reach::Sockets => Some("sockets, which are never granted"),
        Reach::Unknown => Some("something that this gateway does not offer"),
    }
}
