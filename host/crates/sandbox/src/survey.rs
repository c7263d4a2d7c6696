//! What a file is, before anything of it is compiled: one pass over its sections, without trust and without running anything.

use crate::Digest;
use imported::Types;
use wasmparser::{ComponentExternalKind, Encoding, Instance, Parser, Payload};

mod imported;

/// A component may have this many bytes.
pub const COMPONENT_BYTES_MAX: u64 = 32 << 20;
pub(crate) const FUNCTIONS_MAX: u32 = 50_000;
pub(crate) const FUNCTION_BODY_BYTES_MAX: usize = 1 << 20;
pub(crate) const MODULES_MAX: u32 = 64;
pub(crate) const NESTING_MAX: usize = 16;
pub(crate) const EXTERNS_MAX: usize = 1_000;
/// Of an import or export: they are copied into lists, errors and tools, more than once for each function of an interface.
pub(crate) const NAME_BYTES_MAX: usize = 1_024;
/// What tools that know the WIT of a component write about it, in the format of the crate `wit-parser`.
const DOCS_SECTION: &str = "package-docs";
/// Longer docs are as good as none.
const DOCS_BYTES_MAX: usize = 256 << 10;

/// What a component says about itself.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Of all its bytes.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// What it asks of the host.
    pub imports: Vec<Import>,
    /// The names that it exports.
    pub exports: Vec<String>,
    /// Core functions with a body, in all its modules.
    pub functions: u32,
    /// Core instances that it makes.
    pub core_instances: u32,
    /// Linear memory that its modules begin with, together.
    pub memory_bytes_min: u64,
    /// The section with the docs of its WIT, as it stands there.
    pub(crate) docs: Option<Box<[u8]>>,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As it stands in the component, for example `wasi:clocks/wall-clock@0.2.6`.
    pub name: String,
    /// It is an interface of types that name what functions take: there is nothing to supply.
    pub only_types: bool,
}

/// What an import could do if it were granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing outside of the call: types, progress, logs, clocks, randomness, standard output.
    Nothing,
    /// Files of the host.
    Files,
    /// The process environment and arguments.
    Environment,
    /// Settings that the operator has for it.
    Config,
    /// Values that are kept beyond the call.
    KeyValue,
    /// Network sockets, which are never granted.
    Sockets,
    /// Servers, by HTTP.
    Http,
    /// This gateway does not know it.
    Unknown,
}

impl Survey {
    /// Whether it brings the comments of its WIT along.
    #[must_use]
    pub fn has_docs(&self) -> bool {
        self.docs.is_some()
    }

    /// Whether it exports an interface of the contract that makes it a plugin, and so is none whose own functions are tools.
    #[must_use]
    pub fn is_native(&self) -> bool {
        crate::work::is_native(&self.exports)
    }
}

impl Import {
    /// What it could reach.
    pub fn reach(&self) -> Reach {
        if self.only_types {
            return Reach::Nothing;
        }
        let (interface, version) = self.name.split_once('@').unwrap_or((&self.name, ""));
        match interface.split_once('/') {
            Some(("gatehouse:host", "progress" | "log" | "lists"))
            | Some(("gatehouse:tool", "tool-types"))
            | Some(("gatehouse:policy", "policy-types"))
                if version.starts_with("0.1.") =>
            {
                Reach::Nothing
            }
            Some(("gatehouse:host", "http")) if version.starts_with("0.1.") => Reach::Http,
            // Before its first release each version is another one.
            Some(("wasi:config", "store")) if version == "0.2.0-rc.1" => Reach::Config,
            Some(("wasi:keyvalue", "store" | "atomics" | "batch")) if version == "0.2.0-draft" => Reach::KeyValue,
            Some((package, name)) if version.starts_with("0.2.") => match (package, name) {
                ("wasi:http", "outgoing-handler") => Reach::Http,
                // Requests and responses as such: there is nowhere to send them.
                ("wasi:http", "types") => Reach::Nothing,
                ("wasi:filesystem", _) => Reach::Files,
                ("wasi:sockets", _) => Reach::Sockets,
                ("wasi:cli", "environment") => Reach::Environment,
                (
                    "wasi:cli",
                    "exit" | "stdin" | "stdout" | "stderr" | "terminal-input" | "terminal-output" | "terminal-stdin" | "terminal-stdout"
                    | "terminal-stderr",
                )
                | ("wasi:clocks", "wall-clock" | "monotonic-clock")
                | ("wasi:io", "error" | "poll" | "streams")
                | ("wasi:random", "random" | "insecure" | "insecure-seed") => Reach::Nothing,
                _ => Reach::Unknown,
            },
            _ => Reach::Unknown,
        }
    }
}

/// The bytes are not a component that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// Nothing.
    #[error("the file is empty")]
    Empty,
    /// Some other kind of file.
    #[error("this is not WebAssembly: it begins with {0}")]
    NotWasm(String),
    /// A module without the component model's types.
    #[error("this is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`")]
    CoreModule,
    /// A broken or cut component.
    #[error("the component is broken or cut short at byte {offset}: {message}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What the parser says.
        message: String,
    },
    /// More of something than a shared host takes.
    #[error("the component has {count} {what}; the limit is {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much it has, or at least has.
        count: u64,
        /// How much it may have.
        limit: u64,
    },
}

impl From<wasmparser::BinaryReaderError> for SurveyError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Malformed { offset: error.offset(), message: error.message().to_owned() }
    }
}

/// Looks at the bytes of a file.
///
/// # Errors
///
/// When they are not a component, or one beyond the limits of a shared host.
pub fn survey(bytes: &[u8]) -> Result<Survey, SurveyError> {
    let size = bytes.len() as u64;
    at_most("bytes", size, COMPONENT_BYTES_MAX)?;
    if bytes.is_empty() {
        return Err(SurveyError::Empty);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(SurveyError::NotWasm(first_bytes(bytes)));
    }
    let mut survey = Survey {
        digest: Digest::of(bytes),
        bytes: size,
        imports: Vec::new(),
        exports: Vec::new(),
        functions: 0,
        core_instances: 0,
        memory_bytes_min: 0,
        docs: None,
    };
    let mut types = Types::default();
    let mut modules = 0_u32;
    // The encodings that we are inside of: a nested component's imports are not the file's.
    let mut inside: Vec<Encoding> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if inside.len() == 1 {
            types.see(&payload, bytes)?;
        }
        match payload {
            Payload::Version { encoding, .. } => {
                if inside.is_empty() && encoding == Encoding::Module {
                    return Err(SurveyError::CoreModule);
                }
                inside.push(encoding);
                at_most("levels of nesting", inside.len() as u64, NESTING_MAX as u64)?;
                if encoding == Encoding::Module {
                    modules += 1;
                    at_most("core modules", u64::from(modules), u64::from(MODULES_MAX))?;
                }
            }
            // The parser takes the end of the file for the end of what is nested, wherever that was to end.
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. }
                if unchecked_range.end > bytes.len() =>
            {
                return Err(SurveyError::Malformed { offset: bytes.len(), message: "unexpected end-of-file".to_owned() });
            }
            Payload::End(_) => {
                inside.pop();
            }
            Payload::ComponentImportSection(imports) if inside.len() == 1 => {
                for import in imports {
                    let import = import?;
                    let name = named("bytes in the name of an import", import.name.name)?;
                    survey.imports.push(Import { name, only_types: types.has_only_types(&import.ty) });
                    at_most("imports", survey.imports.len() as u64, EXTERNS_MAX as u64)?;
                }
            }
            Payload::ComponentExportSection(exports) if inside.len() == 1 => {
                for export in exports {
                    let export = export?;
                    let name = named("bytes in the name of an export", export.name.name)?;
                    if matches!(export.kind, ComponentExternalKind::Instance | ComponentExternalKind::Func) {
                        survey.exports.push(name);
                    }
                    at_most("exports", survey.exports.len() as u64, EXTERNS_MAX as u64)?;
                }
            }
            // Of the component itself; toolchains that only know how to write a section of a module are understood as well.
            Payload::CustomSection(section)
                if section.name() == DOCS_SECTION
                    && section.data().len() <= DOCS_BYTES_MAX
                    && (survey.docs.is_none() || inside.len() == 1) =>
            {
                survey.docs = Some(section.data().into());
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    let page = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    survey.memory_bytes_min = survey.memory_bytes_min.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if matches!(instance?, Instance::Instantiate { .. }) {
                        survey.core_instances = survey.core_instances.saturating_add(1);
                    }
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                survey.functions = survey.functions.saturating_add(count);
                at_most("functions", u64::from(survey.functions), u64::from(FUNCTIONS_MAX))?;
            }
            Payload::CodeSectionEntry(body) => {
                at_most("bytes in one function", body.range().len() as u64, FUNCTION_BODY_BYTES_MAX as u64)?;
            }
            _ => {}
        }
    }
    Ok(survey)
}

/// An error that says of what there is too much.
pub(crate) fn at_most(what: &'static str, count: u64, limit: u64) -> Result<(), SurveyError> {
    if count > limit { Err(SurveyError::TooMuch { what, count, limit }) } else { Ok(()) }
}

fn named(what: &'static str, name: &str) -> Result<String, SurveyError> {
    at_most(what, name.len() as u64, NAME_BYTES_MAX as u64)?;
    Ok(name.to_owned())
}

fn first_bytes(bytes: &[u8]) -> String {
    let known = [(&b"\x7fELF"[..], "an ELF header"), (b"PK", "a zip header"), (b"\x1f\x8b", "a gzip header"), (b"(component", "WAT text")];
    match known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, name)) => (*name).to_owned(),
        None => bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
pub(crate) mod tests;
