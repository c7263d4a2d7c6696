//! The second wall: the kernel holds this process to the files that its settings name (landlock), whatever becomes of its own code.
//!
//! It is entered before there is a second thread, because the kernel confines threads: those that begin later inherit it, and so does the
//! compile worker, which gives up the rest by itself. What is confined stays so until the process ends. Hence settings that name something
//! else are refused while it runs ([`Confinement::permits`]).
//!
//! Rules are of directories and files as they are at the start, not of names: what is put into a directory later is covered, and a
//! directory that takes its place under the same name is not.

use crate::config::{Config, Landlock};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};
use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

/// Opening, making, moving, removing and truncating: with less it would be no wall.
const LEAST: ABI = ABI::V3;
/// Newer rights are taken where the kernel has them.
const NEWEST: ABI = ABI::V6;

/// What runtime, store and allocator look up of the system.
const SYSTEM: [&str; 8] = [
    "/dev/urandom",
    "/etc/ld.so.cache",
    "/proc/meminfo",
    "/proc/self",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];
/// What it takes to find a host by its name: settings of the resolver, and its modules, which it loads when it is first asked.
const RESOLVER: [&str; 12] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run/systemd/resolve",
    "/run/NetworkManager",
];

/// Whether the process is confined, and to what.
#[derive(Debug)]
pub enum Confinement {
    /// The settings want none.
    Off,
    /// The kernel has none; why.
    Missing(String),
    /// It is.
    Entered(Domain),
}

/// What is left to a confined process.
#[derive(Debug)]
pub struct Domain {
    /// Real paths of what can be read, with everything below.
    readable: Vec<PathBuf>,
    /// The same of what plugins can write.
    writable: Vec<PathBuf>,
    connects: bool,
    /// The kernel's level of landlock, as far as it is used.
    level: i32,
}

/// The settings want more than there is.
#[derive(Debug, thiserror::Error)]
pub enum NotConfined {
    /// The kernel does not have it.
    #[error(
        "process.landlock is \"required\", and it cannot be had: {0}; take a kernel from 6.2 on that has landlock among its security \
         modules, or set process.landlock = \"best_effort\" to go without"
    )]
    Missing(String),
}

impl Confinement {
    /// Gives up everything that the settings do not name. To be called while the process has one thread; there is no way back.
    ///
    /// Directories that are written to are made here, for their owner alone: a rule is of something that is there.
    ///
    /// # Errors
    ///
    /// When the settings require it and the kernel cannot.
    pub fn enter(config: &Config) -> Result<Self, NotConfined> {
        // Nothing that is started from here gets rights that it was not started with.
        let unprivileged = rustix::thread::set_no_new_privs(true);
        let required = match config.process.landlock {
            Landlock::Off => return Ok(Self::Off),
            Landlock::BestEffort => false,
            Landlock::Required => true,
        };
        if let Err(error) = unprivileged {
            return missing(required, format!("no_new_privs: {error}"));
        }
        let rules = Rules::of(config);
        let entered = rules.enter(required);
        match entered {
            Ok(RestrictionStatus { ruleset: RulesetStatus::NotEnforced, landlock, .. }) => missing(required, why(landlock)),
            Ok(RestrictionStatus { landlock, .. }) => {
                let level = match landlock {
                    LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
                    LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
                };
                let real = |path: &PathBuf| path.canonicalize().ok();
                let readable = rules.read.iter().chain(&rules.write).chain(&rules.granted).filter_map(real).collect();
                let writable = rules.granted.iter().filter_map(real).collect();
                Ok(Self::Entered(Domain { readable, writable, connects: rules.connects, level }))
            }
            Err(error) => missing(required, error.to_string()),
        }
    }

    /// Says in the log how it stands, which was not there yet when it was entered.
    pub fn report(&self) {
        match self {
            Self::Off => {}
            Self::Missing(reason) => {
                tracing::warn!(%reason, "the kernel does not hold this process to its files: there is one wall less (process.landlock)");
            }
            Self::Entered(Domain { level, .. }) if *level < LEAST as i32 => {
                tracing::warn!(level, "the kernel's landlock is an old one: it does not hold all that it should (process.landlock)");
            }
            Self::Entered(Domain { level, connects, .. }) => {
                tracing::info!(level, connects, "the kernel holds this process to the files that its settings name");
            }
        }
    }

    /// Whether other settings can be taken without a restart.
    ///
    /// # Errors
    ///
    /// The first setting that names what this process has given up. It says the setting and not the path, which may be a secret put in the
    /// wrong place.
    pub fn permits(&self, config: &Config) -> Result<(), String> {
        let Self::Entered(domain) = self else { return Ok(()) };
        let outside = |path: &Path| match path.canonicalize() {
            Ok(real) => !domain.readable.iter().any(|readable| real.starts_with(readable)),
            // What is not there has an error of its own.
            Err(_) => false,
        };
        let directories = config.plugin_directories().into_iter().chain(config.granted_directories());
        let named = directories.chain(config.files()).chain(config.lock_file());
        if let Some(named) = named.into_iter().find(|named| outside(named.path)) {
            return Err(format!(
                "{}: lies where this process cannot reach since its start (process.landlock); restart the gateway, or put it below the \
                 settings file's directory",
                named.setting
            ));
        }
        let unwritable =
            |path: &Path| path.canonicalize().is_ok_and(|real| !domain.writable.iter().any(|writable| real.starts_with(writable)));
        if let Some(named) = config.granted_to_write().into_iter().find(|named| unwritable(named.path)) {
            return Err(format!(
                "{}: lies where this process cannot write since its start (process.landlock); restart the gateway",
                named.setting
            ));
        }
        if config.grants_http() && !domain.connects {
            return Err("grants: http needs connections, which this process has given up at its start, when no grant had it \
                        (process.landlock); restart the gateway"
                .to_owned());
        }
        // A collector of traces counts at the next start only.
        if config.fetches_keys() && !domain.connects {
            return Err("auth.issuers: jwks_url needs connections, which this process has given up at its start, when no issuer had one \
                        (process.landlock); restart the gateway"
                .to_owned());
        }
        Ok(())
    }
}

fn missing(required: bool, reason: String) -> Result<Confinement, NotConfined> {
    if required { Err(NotConfined::Missing(reason)) } else { Ok(Confinement::Missing(reason)) }
}

fn why(landlock: LandlockStatus) -> String {
    match landlock {
        LandlockStatus::NotImplemented => "this kernel was built without landlock".to_owned(),
        LandlockStatus::NotEnabled => "landlock is not among the security modules that this kernel was started with".to_owned(),
        LandlockStatus::Available { .. } => "this kernel's landlock enforces nothing of it".to_owned(),
    }
}

/// What the process keeps.
struct Rules {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
    /// What plugins write, who make files and directories and nothing else.
    granted: BTreeSet<PathBuf>,
    execute: BTreeSet<PathBuf>,
    connects: bool,
}

impl Rules {
    fn of(config: &Config) -> Self {
        let mut read: BTreeSet<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        let directories = config.plugin_directories().into_iter().chain(config.granted_directories());
        read.extend(directories.map(|named| named.path.to_owned()));
        let (files, lock) = (config.files(), config.lock_file());
        // Without a settings file there is none to come: the working directory may be anything. What settings name may come later.
        let settings = Some(config.file()).filter(|file| file.exists());
        let named = files.iter().chain(&lock).map(|named| named.path);
        for file in settings.into_iter().chain(named) {
            read.extend(around(file));
        }
        let connects = config.connects();
        if connects {
            for path in RESOLVER.iter().map(Path::new) {
                read.insert(path.to_owned());
                read.extend(path.canonicalize().ok());
            }
        }
        let write: BTreeSet<_> = config.written_directories().into_iter().collect();
        for directory in &write {
            // Whoever opens it says what is wrong with it.
            let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        }
        let granted = config.granted_to_write().iter().map(|named| named.path.to_owned()).collect();
        Self { read, write, granted, execute: program(), connects }
    }

    fn enter(&self, required: bool) -> Result<RestrictionStatus, RulesetError> {
        let read: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        let execute = make_bitflags!(AccessFs::{ReadFile | Execute});
        let granted = make_bitflags!(AccessFs::{
            ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
        });
        let null = make_bitflags!(AccessFs::{ReadFile | WriteFile});
        let least = if required { CompatLevel::HardRequirement } else { CompatLevel::BestEffort };
        let mut ruleset = Ruleset::default()
            .set_compatibility(least)
            .handle_access(AccessFs::from_all(LEAST))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?;
        if !self.connects {
            ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
        }
        ruleset
            .create()?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(&self.execute, execute))?
            .add_rules(path_beneath_rules(["/dev/null"], null))?
            .add_rules(path_beneath_rules(&self.granted, granted))?
            .add_rules(path_beneath_rules(&self.write, AccessFs::from_all(NEWEST) & !AccessFs::Execute))?
            .restrict_self()
    }
}

/// Where a file can be replaced by another that is renamed into its place: the directory that it lies in, and that of what it links to. A
/// directory right below the root, such as `/etc`, holds much that is none of the gateway's: there it is the file alone.
fn around(file: &Path) -> impl Iterator<Item = PathBuf> {
    let of = |file: PathBuf| {
        let directory = file.parent().map(|directory| if directory.as_os_str().is_empty() { Path::new(".") } else { directory });
        let real = directory.and_then(|directory| directory.canonicalize().ok());
        match real {
            Some(real) if real.components().filter(|part| matches!(part, Component::Normal(_))).count() > 1 => real,
            _ => file,
        }
    };
    [Some(file.to_owned()), file.canonicalize().ok()].into_iter().flatten().map(of)
}

/// The program and the libraries that it has loaded: what the compile worker is made of.
fn program() -> BTreeSet<PathBuf> {
    // Device, inode and the like stand before the path, which is the rest of the line.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| Some(PathBuf::from(line.get(line.find('/')?..)?)));
    mapped.chain(std::env::current_exe().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use std::fs;
    use std::io::ErrorKind;
    use std::path::Path;

    /// A directory of `gatehouse.toml` with plugins, and another one beside.
    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let place = tempfile::tempdir().expect("a directory");
        let (own, other) = (place.path().join("own"), place.path().join("other"));
        for directory in [&own, &other, &own.join("plugins"), &other.join("plugins")] {
            fs::create_dir(directory).expect("made");
            fs::write(directory.join("file"), "text").expect("written");
        }
        (place, own, other)
    }

    fn config(directory: &Path, settings: &str) -> Config {
        let file = directory.join("gatehouse.toml");
        fs::write(&file, settings).expect("written");
        Config::load(Some(&file), &Overrides::default()).expect("right")
    }

    /// What this kernel can.
    fn kernel_has_it() -> bool {
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(LEAST)).is_ok()
    }

    /// The kernel confines threads, so that a test can give one of its own away.
    fn confined<T: Send + 'static>(config: Config, then: impl FnOnce(Confinement) -> T + Send + 'static) -> T {
        std::thread::spawn(move || then(Confinement::enter(&config).expect("best effort"))).join().expect("no panic")
    }

    #[test]
    fn a_confined_thread_and_its_threads_have_what_the_settings_name() {
        let (_place, own, other) = place();
        let (config, has_it) = (config(&own, ""), kernel_has_it());
        let outside = move |own: &Path, other: &Path| {
            let refused = |done: std::io::Result<()>| done.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
            vec![
                refused(fs::read(other.join("file")).map(drop)),
                refused(fs::read_dir(other).map(drop)),
                refused(fs::write(other.join("new"), "x")),
                refused(fs::write(own.join("new"), "x")),
                refused(fs::write(own.join("plugins/new"), "x")),
                refused(fs::remove_file(own.join("plugins/file"))),
                refused(fs::rename(own.join("gatehouse-data/x"), other.join("x"))),
                refused(fs::OpenOptions::new().write(true).open(other.join("file")).map(drop)),
                refused(std::os::unix::fs::symlink("/etc/passwd", own.join("plugins/link"))),
                refused(fs::read("/etc/shadow").map(drop)),
                refused(std::process::Command::new("/bin/true").status().map(drop)),
            ]
        };
        let (refused, inherited) = confined(config, move |confinement| {
            assert_eq!(matches!(confinement, Confinement::Entered(_)), has_it, "{confinement:?}");
            fs::read(own.join("plugins/file")).expect("a plugin directory is read");
            fs::read_dir(own.join("plugins")).expect("and listed");
            fs::read(own.join("gatehouse.toml")).expect("so are the settings");
            fs::write(own.join("gatehouse-data/x"), "x").expect("the data directory is written to");
            fs::create_dir(own.join("gatehouse-data/journal/deeper")).expect("with all below it");
            fs::rename(own.join("gatehouse-data/x"), own.join("gatehouse-data/journal/deeper/x")).expect("and across");
            fs::write(own.join("gatehouse-data/x"), "x").expect("written");
            fs::read("/dev/null").expect("nothing is there for all");
            let (first, again) = ((own.clone(), other.clone()), (own, other));
            let inherited = std::thread::spawn(move || outside(&first.0, &first.1)).join().expect("no panic");
            (outside(&again.0, &again.1), inherited)
        });
        if has_it {
            assert_eq!(refused, [true; 11]);
            assert_eq!(inherited, [true; 11], "threads that begin later inherit it");
        }
    }

    #[test]
    fn connections_are_given_up_where_nobody_is_connected_to() {
        const CONNECTS: &str = "[auth]\nmode = \"tokens\"\npublic_url = \"https://a.example\"\n[auth.issuers.a]\nissuer = \"i\"\n\
                                jwks_url = \"https://a.example/keys\"\n";
        let (_place, own, _) = place();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let level = |confinement: &Confinement| match confinement {
            Confinement::Entered(domain) => domain.level,
            Confinement::Off | Confinement::Missing(_) => 0,
        };
        let (without, with) = (config(&own, ""), config(&own, CONNECTS));
        let later = with.clone();
        let (level, connected, permitted) = confined(without, move |confinement| {
            (level(&confinement), std::net::TcpStream::connect(address).map(drop), confinement.permits(&later))
        });
        if level >= ABI::V4 as i32 {
            assert_eq!(connected.expect_err("no connections").kind(), ErrorKind::PermissionDenied);
        }
        if level > 0 {
            assert!(permitted.expect_err("too late").starts_with("auth.issuers: jwks_url needs connections"));
        }
        confined(with, move |_| std::net::TcpStream::connect(address).map(drop).expect("an issuer may be anywhere"));
    }

    #[test]
    fn other_settings_are_taken_within_the_domain() {
        let (_place, own, other) = place();
        let (now, has_it) = (config(&own, ""), kernel_has_it());
        fs::create_dir(own.join("plugins/deeper")).expect("made");
        let below = config(&own, "[plugins]\ndirectory = \"plugins/deeper\"\n");
        let beside = config(&own, &format!("[plugins]\ndirectory = {:?}\n", other.join("plugins")));
        std::os::unix::fs::symlink(other.join("file"), own.join("policy.wasm")).expect("made");
        let linked = config(&own, "[policies.p]\nfile = \"policy.wasm\"\n");
        let absent = config(&own, "[policies.p]\nfile = \"/nowhere/policy.wasm\"\n");
        confined(now, move |confinement| {
            assert_eq!(confinement.permits(&below), Ok(()));
            assert_eq!(confinement.permits(&absent), Ok(()), "that has an error of its own");
            if has_it {
                for (config, setting) in [(&beside, "plugins.directory: "), (&linked, "policies.p.file: ")] {
                    let refused = confinement.permits(config).expect_err("outside");
                    assert!(refused.starts_with(setting) && refused.contains("restart"), "{refused}");
                    assert!(!refused.contains("other"), "no path is shown: {refused}");
                }
            }
        });
    }

    #[test]
    fn what_plugins_write_can_be_written_and_nothing_beside() {
        let (_place, own, other) = place();
        for directory in ["out", "beside"] {
            fs::create_dir_all(other.join(directory).join("sub")).expect("made");
        }
        let granting = |directory: &str| {
            let directory = other.join(directory);
            let grant = format!("[grants.x]\nplugin = \"p\"\n[grants.x.files]\n\"/read\" = {:?}\n", other.join("plugins"));
            config(&own, &format!("{grant}\"/out\" = {{ directory = {directory:?}, access = \"read-write\" }}\n"))
        };
        let (now, elsewhere, has_it) = (granting("out"), granting("beside"), kernel_has_it());
        confined(now, move |confinement| {
            fs::write(other.join("out/file"), "x").expect("a file is made");
            fs::rename(other.join("out/file"), other.join("out/sub/file")).expect("and moved");
            fs::remove_file(other.join("out/sub/file")).expect("and removed");
            if has_it {
                let refused = |done: std::io::Result<()>| done.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
                assert!(refused(std::os::unix::fs::symlink("file", other.join("out/link"))), "no links");
                assert!(refused(rustix::fs::mkfifoat(rustix::fs::CWD, other.join("out/pipe"), 0o600.into()).map_err(Into::into)));
                assert!(refused(fs::write(other.join("beside/file"), "x")));
                assert!(refused(fs::write(other.join("plugins/file"), "x")), "that is to be read");
                let told = confinement.permits(&elsewhere).expect_err("too late");
                assert!(told.starts_with("grants.x.files./out: lies where this process cannot"), "{told}");
            }
        });
    }

    #[test]
    fn what_is_required_is_had_or_there_is_no_start() {
        let (_place, own, _) = place();
        let config = config(&own, "[process]\nlandlock = \"required\"\n");
        let entered = std::thread::spawn(move || Confinement::enter(&config)).join().expect("no panic");
        match entered {
            Ok(Confinement::Entered(domain)) => assert!(kernel_has_it() && domain.level >= LEAST as i32),
            Err(NotConfined::Missing(reason)) => assert!(!kernel_has_it() && !reason.is_empty()),
            other => panic!("{other:?}"),
        }
        let said = missing(true, why(LandlockStatus::NotEnabled)).expect_err("required").to_string();
        assert!(said.contains("process.landlock") && said.contains("security modules"), "{said}");
        assert!(matches!(missing(false, why(LandlockStatus::NotImplemented)), Ok(Confinement::Missing(_))));
    }

    #[test]
    fn a_file_in_a_directory_of_everybodys_counts_alone() {
        let around = |file: &str| around(Path::new(file)).collect::<Vec<_>>();
        assert_eq!(around("/etc/passwd"), [PathBuf::from("/etc/passwd"), PathBuf::from("/etc/passwd")]);
        assert_eq!(around("/usr/bin/env").first(), Some(&PathBuf::from("/usr/bin")));
        assert!(program().iter().any(|path| path.ends_with(std::env::current_exe().expect("a path").file_name().expect("a name"))));
    }
}
