//! The lock file: which plugins are approved, and as what. TOML, for people to read and to compare: sorted, each definition on lines of its own.
//!
//! Commands write it, whole or not at all; gateways only read it. What is not exactly as it must be is refused with its line, because a part
//! of it that is passed over would be an approval that nobody gave, or one that is missing.

use super::approved::{Approved, Definition};
use crate::catalog::directory::exposed;
use crate::config::TenantId;
use rustix::fs::FlockOperation;
use sandbox::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use toml::Spanned;

const VERSION: u64 = 1;
/// A few hundred plugins with as large definitions as they may have.
const BYTES_MAX: u64 = 64 << 20;
/// For another command that changes it.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(20);
/// Where it begins.
const HEAD: &str =
    "# The plugins that may be served, each with what is approved of it. `gatehouse plugins --help` tells how to change it.\n";

/// A plugin by its file's name without `.wasm`, and whose directory it lies in; none: the shared one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginId {
    /// Whose it is.
    pub tenant: Option<TenantId>,
    /// What it is called.
    pub name: String,
}

impl PluginId {
    /// Reads `NAME` or `TENANT/NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        let (tenant, name) = match text.split_once('/') {
            Some((tenant, name)) => (Some(TenantId::parse(tenant)?), name),
            None => (None, text),
        };
        let right = (1..=250).contains(&name.len()) && !name.starts_with('.') && !name.chars().any(|c| c.is_control() || c == '/');
        right.then(|| Self { tenant, name: name.to_owned() })
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What is approved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// Of each plugin.
    pub plugins: BTreeMap<PluginId, Approved>,
}

/// The lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It cannot be read.
    #[error("the lock file {path} cannot be read: {source}; without it nobody knows which plugins are approved")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none, where nothing is served without it.
    #[error("the lock file {0} is not there, and plugins.trust is \"locked\"; `gatehouse plugins lock` writes one of what lies there now")]
    Missing(PathBuf),
    /// Somebody else can change it.
    #[error("the lock file {path} {exposed}")]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Who, and what to do.
        exposed: String,
    },
    /// Who may write plugins could approve them.
    #[error(
        "the lock file {0} lies in a plugin directory, where it could be replaced by whoever brings plugins; name another with plugins.lock"
    )]
    AmongPlugins(PathBuf),
    /// It is not as it must be.
    #[error("the lock file {path}: line {line}: {what}")]
    Wrong {
        /// Which.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong and what would be right.
        what: String,
    },
    /// It cannot be written.
    #[error("the lock file {path} cannot be written: {source}; it is what it was")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: Spanned<u64>,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Spanned<String>>,
    name: Spanned<String>,
    component: Spanned<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side_file: Option<Spanned<String>>,
    #[serde(default, rename = "tool")]
    tools: Vec<ToolEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolEntry {
    name: Spanned<String>,
    sha256: Spanned<String>,
    definition: Spanned<String>,
}

/// What is wrong, and where its text begins.
type Mistake = (usize, String);

impl Lock {
    /// Reads the file; none where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, others can write it, or with the first thing that is wrong in it.
    pub fn read(path: &Path) -> Result<Option<Self>, LockError> {
        let unreadable = |source| LockError::Unreadable { path: path.to_owned(), source };
        // Whatever lies there, nobody waits for a pipe's other end.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        // Asked of what was opened: what lies under the name may be another file by now.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(unreadable(io::Error::other("it is no file")));
        }
        if let Some(exposed) = exposed(&metadata, path) {
            return Err(LockError::Exposed { path: path.to_owned(), exposed });
        }
        let mut text = String::new();
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(unreadable(io::Error::other(format!("it is longer than {BYTES_MAX} bytes"))));
        }
        Self::parse(&text).map(Some).map_err(|(at, what)| LockError::Wrong {
            path: path.to_owned(),
            line: mcp::text::line_number(&text, at),
            what,
        })
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let form: Form = toml::from_str(text)
            .map_err(|error| (error.span().map_or(0, |span| span.start), mcp::text::line(error.message().trim(), 400)))?;
        let version = *form.version.get_ref();
        if version != VERSION {
            return Err((form.version.span().start, format!("it is of form {version}, and this program knows {VERSION}")));
        }
        let mut plugins = BTreeMap::new();
        for entry in form.plugins {
            let at = entry.name.span().start;
            let tenant = entry.tenant.map(|tenant| {
                let parsed = TenantId::parse(tenant.get_ref());
                parsed.ok_or_else(|| (tenant.span().start, "tenant: is no tenant's name".to_owned()))
            });
            let id = PluginId { tenant: tenant.transpose()?, name: entry.name.into_inner() };
            if PluginId::parse(&id.to_string()).as_ref() != Some(&id) {
                return Err((at, "name: is no plugin's name: a file's, without .wasm".to_owned()));
            }
            let mut tools = BTreeMap::new();
            for tool in entry.tools {
                let (at, name, definition) =
                    (tool.name.span().start, tool.name.into_inner(), read_definition(&tool.sha256, &tool.definition)?);
                if definition.name() != Some(name.as_str()) {
                    return Err((at, format!("name: the definition below is not of `{}`", mcp::text::line(&name, 128))));
                }
                if tools.insert(name.clone(), definition).is_some() {
                    return Err((at, format!("name: the tool `{}` is there twice", mcp::text::line(&name, 128))));
                }
            }
            let side = entry.side_file.map(|side| digest("side_file", &side)).transpose()?;
            let approved = Approved { component: digest("component", &entry.component)?, side, tools };
            let shown = mcp::text::line(&id.to_string(), 300);
            if plugins.insert(id, approved).is_some() {
                return Err((at, format!("name: `{shown}` is there twice; one of the two is the approval, and nobody can tell which")));
            }
        }
        Ok(Self { plugins })
    }

    fn text(&self) -> io::Result<String> {
        let plugins = self.plugins.iter().map(|(id, approved)| Entry {
            tenant: id.tenant.as_ref().map(|tenant| spanless(tenant.to_string())),
            name: spanless(id.name.clone()),
            component: written(&approved.component),
            side_file: approved.side.as_ref().map(written),
            tools: approved.tools.iter().map(|(name, definition)| written_tool(name, definition)).collect(),
        });
        let form = Form { version: Spanned::new(0..0, VERSION), plugins: plugins.collect() };
        Ok(format!("{HEAD}{}", toml::to_string_pretty(&form).map_err(io::Error::other)?))
    }

    /// Changes what the file says, whole or not at all: a killed command leaves the old file or the new one, and two commands at once are
    /// carried out one after the other. When this returns, it is on the disk. Blocks.
    ///
    /// # Errors
    ///
    /// When the file is wrong, or cannot be written.
    pub fn change(path: &Path, change: impl FnOnce(&mut Self)) -> Result<(), LockError> {
        let unwritable = |source| LockError::Unwritable { path: path.to_owned(), source };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = File::open(parent).map_err(unwritable)?;
        alone(&directory).map_err(unwritable)?;
        let mut lock = Self::read(path)?.unwrap_or_default();
        change(&mut lock);
        lock.write(path, &directory).map_err(unwritable)
    }

    fn write(&self, path: &Path, directory: &File) -> io::Result<()> {
        let text = self.text()?;
        // What could not be read again would keep gateways from starting.
        if Self::parse(&text).as_ref() != Ok(self) {
            return Err(io::Error::other("what would be written does not read back; the gateway's makers want to hear of it"));
        }
        if text.len() as u64 > BYTES_MAX {
            return Err(io::Error::other(format!("it would be longer than {BYTES_MAX} bytes")));
        }
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?.to_string_lossy();
        let new = path.with_file_name(format!(".{name}.new"));
        // Left by a command that was killed.
        let _ = std::fs::remove_file(&new);
        // Others may read what is approved; the umask may take that away.
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o644).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        // The name too.
        directory.sync_all()
    }
}

/// Waits until no other command changes something in the directory, and not for ever. The right ends with the open directory.
fn alone(directory: &File) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < PATIENCE => std::thread::sleep(RETRY),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(io::Error::other("another command is changing it")),
            done => return Ok(done?),
        }
    }
}

fn digest(key: &str, text: &Spanned<String>) -> Result<Digest, Mistake> {
    let digest = text.get_ref().strip_prefix("sha256:").and_then(Digest::parse);
    digest.ok_or_else(|| (text.span().start, format!("{key}: must be sha256: and 64 hexadecimal digits")))
}

fn read_definition(sha256: &Spanned<String>, text: &Spanned<String>) -> Result<Definition, Mistake> {
    let definition =
        Definition::parse(text.get_ref()).ok_or_else(|| (text.span().start, "definition: must be a JSON object".to_owned()))?;
    if definition.digest != digest("sha256", sha256)? {
        return Err((sha256.span().start, "sha256: is not that of the definition below it: one of the two was changed".to_owned()));
    }
    Ok(definition)
}

/// Places are of what was read.
fn spanless(text: String) -> Spanned<String> {
    Spanned::new(0..0, text)
}

fn written(digest: &Digest) -> Spanned<String> {
    spanless(format!("sha256:{digest}"))
}

fn written_tool(name: &str, definition: &Definition) -> ToolEntry {
    // A line feed at the end, so that the closing quotes stand on a line of their own.
    let text = format!("{}\n", definition.pretty());
    ToolEntry { name: spanless(name.to_owned()), sha256: written(&definition.digest), definition: spanless(text) }
}

#[cfg(test)]
mod tests;
