//! What grants give that does not stand in the settings themselves: values in files, which are read with the settings, and directories, which
//! have to be there. It has everything or there is none of it.

use crate::config::{Config, GivenText, GrantConfig, Named, read_secret};
use rustix::fs::Access;
use sandbox::{FileQuota, GuestPath, SettingName, VariableName, Writable};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// As long as one in the settings may be, and line feeds.
const FILE_BYTES_MAX: u64 = (64 << 10) + 16;

/// Something of it cannot be used. Says neither what is in a file nor where it is.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct GivenError {
    setting: String,
    reason: String,
}

/// Values of all grants, by the grants' names.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<Arc<str>, OfGrant>);

/// Values of one grant.
#[derive(Default)]
pub(super) struct OfGrant {
    pub(super) config: BTreeMap<SettingName, Arc<str>>,
    pub(super) environment: BTreeMap<VariableName, Arc<str>>,
    /// Directories to write, open, and how much may be in them.
    files: Vec<(GuestPath, Arc<Writable>, FileQuota)>,
}

impl std::fmt::Debug for OfGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.config.keys()).entries(self.environment.keys()).finish()
    }
}

impl Given {
    /// Reads files and looks at directories. One that was written already goes on with its count; all of them are to be
    /// [counted](Self::count) before anything is added.
    ///
    /// # Errors
    ///
    /// The first of either that cannot be used.
    pub fn load(config: &Config, before: Option<&Self>) -> Result<Self, GivenError> {
        let real = |path: &Path| path.canonicalize().ok();
        let own: Vec<PathBuf> = config.written_directories().iter().filter_map(|path| real(path)).collect();
        let mut secrets: Vec<PathBuf> = config.files().iter().filter_map(|named| real(named.path)).collect();
        secrets.extend(real(config.file()));
        for Named { setting, path } in config.granted_directories() {
            directory(path, &own, &secrets).map_err(|reason| GivenError { setting, reason })?;
        }
        written(config)?;
        let grants = config.grants.iter().map(|grant| {
            let before = before.and_then(|before| before.of(&grant.name));
            Ok((Arc::clone(&grant.name), OfGrant::load(grant, before)?))
        });
        grants.collect::<Result<_, _>>().map(Self)
    }

    /// Counts what is in directories to write, each of which holds what its grant says from then on. Calls that write there wait meanwhile.
    pub async fn count(&self) {
        let all = self.0.iter().flat_map(|(grant, given)| given.files.iter().map(|files| (Arc::clone(grant), files.clone())));
        let all: Vec<_> = all.collect();
        let counting = tokio::task::spawn_blocking(move || {
            for (grant, (path, writable, quota)) in all {
                if let Err(error) = writable.count(quota) {
                    tracing::error!(%grant, %path, %error, "a directory that is granted cannot be counted; nothing can be added to it");
                }
            }
        });
        // What was not counted takes nothing.
        let _ = counting.await;
    }

    pub(super) fn of(&self, grant: &str) -> Option<&OfGrant> {
        self.0.get(grant)
    }
}

impl OfGrant {
    fn load(grant: &GrantConfig, before: Option<&Self>) -> Result<Self, GivenError> {
        fn values<N: Clone + Ord + std::fmt::Display>(given: &[(N, GivenText)], place: &str) -> Result<BTreeMap<N, Arc<str>>, GivenError> {
            let values = given.iter().map(|(name, text)| {
                let value = value(text).map_err(|reason| GivenError { setting: format!("{place}.{name}.file"), reason })?;
                Ok((name.clone(), value))
            });
            values.collect()
        }
        Ok(Self {
            config: values(&grant.config, &format!("grants.{}.config", grant.name))?,
            environment: values(&grant.environment, &format!("grants.{}.environment", grant.name))?,
            files: Self::writable(grant, before)?,
        })
    }

    fn writable(grant: &GrantConfig, before: Option<&Self>) -> Result<Vec<(GuestPath, Arc<Writable>, FileQuota)>, GivenError> {
        let written = grant.files.iter().filter_map(|(path, given)| Some((path, &given.directory, given.write?)));
        let opened = written.map(|(path, directory, quota)| {
            let open = before.into_iter().flat_map(|before| &before.files);
            let same = open.map(|(_, writable, _)| writable).find(|open| open.is_of(&grant.name, path) && open.is_at(directory));
            let writable = match same {
                Some(open) => Arc::clone(open),
                None => Arc::new(Writable::open(directory, Arc::clone(&grant.name), path.clone()).map_err(|error| GivenError {
                    setting: format!("grants.{}.files.{path}", grant.name),
                    reason: format!("this directory cannot be read: {error}"),
                })?),
            };
            Ok((path.clone(), writable, quota))
        });
        opened.collect()
    }

    pub(super) fn writable_at(&self, path: &GuestPath) -> Option<Arc<Writable>> {
        self.files.iter().find(|(known, _, _)| known == path).map(|(_, writable, _)| Arc::clone(writable))
    }
}

fn value(given: &GivenText) -> Result<Arc<str>, String> {
    let file = match given {
        GivenText::Text(text) => return Ok(Arc::clone(text)),
        GivenText::File(file) => file,
    };
    let text = read_secret(file, FILE_BYTES_MAX, "take another value if somebody read it")?;
    let text = text.trim_end_matches(['\r', '\n']);
    match GivenText::mistake(text) {
        Some(wrong) => Err(wrong.to_owned()),
        None if text.is_empty() => Err("it is empty; it must have the value".to_owned()),
        None => Ok(text.into()),
    }
}

/// What plugins read must be there, and have nothing of the gateway's own in it: neither what it keeps nor what its settings are made of.
fn directory(path: &Path, own: &[PathBuf], secrets: &[PathBuf]) -> Result<(), String> {
    let real = path.canonicalize().map_err(|error| format!("this directory cannot be read: {error}"))?;
    std::fs::read_dir(&real).map_err(|error| format!("this directory cannot be read: {error}"))?;
    let holds = |path: &PathBuf| path.starts_with(&real);
    if own.iter().any(|own| holds(own) || real.starts_with(own)) {
        return Err("this is, holds or lies in a directory where the gateway keeps what plugins must not see; grant another one".to_owned());
    }
    if secrets.iter().any(holds) {
        return Err(
            "the settings, or a file that they name, lie in this directory, and plugins must not see them; grant another one".to_owned()
        );
    }
    Ok(())
}

/// What plugins write must be theirs alone: neither where components or files of the settings come from, nor one where another plugin writes,
/// because each is counted by itself.
fn written(config: &Config) -> Result<(), GivenError> {
    let real = |path: &Path| path.canonicalize().ok();
    let within = |one: &Path, other: &Path| one.starts_with(other) || other.starts_with(one);
    let plugins: Vec<_> = config.plugin_directories().iter().filter_map(|named| real(named.path)).collect();
    let locks: Vec<_> = config.lock_file().iter().filter_map(|named| real(named.path)).collect();
    let mut taken: Vec<(String, PathBuf)> = Vec::new();
    for Named { setting, path } in config.granted_to_write() {
        // That it is there was looked at before.
        let Some(directory) = real(path) else { continue };
        let reason = if plugins.iter().any(|plugins| within(plugins, &directory)) {
            "components come from this directory, or from one that it holds or lies in; grant another one to write".to_owned()
        } else if locks.iter().any(|lock| lock.starts_with(&directory)) {
            "the lock file of plugins lies in this directory; grant another one to write".to_owned()
        } else if let Some((other, _)) = taken.iter().find(|(_, other)| within(other, &directory)) {
            format!(
                "{other} is written too, and is, holds or lies in this directory; each has a quota of its own, so grant directories apart"
            )
        } else if let Err(error) = rustix::fs::access(&directory, Access::WRITE_OK | Access::EXEC_OK) {
            format!("this directory cannot be written: {error}")
        } else {
            taken.push((setting, directory));
            continue;
        };
        return Err(GivenError { setting, reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_cannot_be_given_is_named_by_its_setting() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        let load = |more: &str| {
            let text = format!("[grants.x]\nplugin = \"p\"\n{more}");
            fs::write(at("gatehouse.toml"), text).expect("written");
            let config = Config::load(Some(&at("gatehouse.toml")), &Overrides::default()).expect("right");
            Given::load(&config, None).map_err(|error| error.to_string())
        };
        for directory in ["data", "gatehouse-data/store", "keys"] {
            fs::create_dir_all(at(directory)).expect("made");
        }
        symlink(at("gatehouse-data"), at("link")).expect("made");
        let keyed = "[grants.x.config]\nkey = { file = \"keys/key\" }\n";
        assert!(load(keyed).is_err_and(|told| told.starts_with("grants.x.config.key.file: it cannot be read")));
        let write = |text: &str, mode| {
            fs::write(at("keys/key"), text).expect("written");
            fs::set_permissions(at("keys/key"), fs::Permissions::from_mode(mode)).expect("set");
        };
        write("hush\n", 0o644);
        assert!(load(keyed).is_err_and(|told| told.contains("`chmod 600` it") && !told.contains("hush")));
        write("\n", 0o600);
        assert!(load(keyed).is_err_and(|told| told.contains("it is empty")));
        write("hush\r\n", 0o600);
        let given = load(keyed).expect("right");
        let key = SettingName::parse("key").expect("a name");
        assert_eq!(given.of("x").and_then(|given| given.config.get(&key)).map(|value| &**value), Some("hush"));
        assert!(!format!("{given:?}").contains("hush"));

        let files = |directory: &str, more: &str| load(&format!("[grants.x.files]\n\"/d\" = \"{directory}\"\n{more}")).map(drop);
        assert_eq!(files("data", ""), Ok(()));
        for (directory, why) in [
            ("missing", "this directory cannot be read"),
            ("gatehouse.toml", "this directory cannot be read"),
            (".", "this is, holds or lies in"),
            ("gatehouse-data/store", "this is, holds or lies in"),
            ("link", "this is, holds or lies in"),
        ] {
            let told = files(directory, "").expect_err("it is refused");
            assert!(told.starts_with("grants.x.files./d: ") && told.contains(why), "{directory}: {told}");
        }
        assert!(files("keys", keyed).is_err_and(|told| told.contains("the settings, or a file that they name")));

        for directory in ["plugins/below", "out/below", "apart"] {
            fs::create_dir_all(at(directory)).expect("made");
        }
        let write = |all: &[&str]| {
            let all = all.iter().enumerate();
            let all = all.map(|(at, directory)| format!("\"/d{at}\" = {{ directory = \"{directory}\", access = \"read-write\" }}\n"));
            load(&format!("[grants.x.files]\n{}", all.collect::<String>())).map(drop)
        };
        assert_eq!(write(&["out", "apart"]), Ok(()));
        for (directories, why) in [
            (&["plugins/below"][..], "components come from this directory"),
            (&["gatehouse-data"], "this is, holds or lies in"),
            (&["out", "out/below"], "grants.x.files./d0 is written too"),
            (&["out/below", "out"], "grants.x.files./d0 is written too"),
            (&["out", "apart", "out"], "grants.x.files./d2: grants.x.files./d0 is written too"),
        ] {
            assert!(write(directories).is_err_and(|told| told.contains(why)), "{directories:?}");
        }
    }
}
