//! The second wall: a gateway that the kernel holds to what its settings name. What is asserted is what this machine's kernel can; the other
//! kind of kernel is made by refusing landlock's system calls.

use super::clients::installed;
use super::command::{Place, Serving};
use crate::harness::{eventually, fixture, plugin, root};
use landlock::{ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const HELD: &str = "the kernel holds this process to the files that its settings name";
const NOT_HELD: &str = "the kernel does not hold this process to its files";
const REQUIRED: &str = "[process]\nlandlock = \"required\"\n";

/// Becomes the program that it is told, on a kernel that was built without landlock as far as that can see: `landlock_create_ruleset` (444 on
/// every processor) is answered ENOSYS by a filter (seccomp, classic BPF).
const WITHOUT_LANDLOCK: &str = "
import ctypes, os, struct, sys
BPF = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in BPF))
class Program(ctypes.Structure):
    _fields_ = [('lines', ctypes.c_ushort), ('code', ctypes.c_void_p)]
program = Program(len(BPF), ctypes.cast(code, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
for call in [(38, 1, 0, 0, 0), (22, 2, ctypes.byref(program))]:
    if libc.prctl(*call) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
";

fn kernel_has_landlock() -> bool {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(ABI::V3)).is_ok()
}

/// Its components are compiled once for all tests.
fn set(place: &Place, more: &str) {
    place.settings(&format!("{more}\n[plugins]\ncode_cache = {:?}\n", root().join("target/test-code-cache")));
}

fn tools(place: &Place, gateway: &Serving) -> String {
    place.run(&["call", "echo", "--arg", "message=here", "--url", &gateway.url]).out
}

fn logged(gateway: &Serving, what: &str) -> Option<()> {
    gateway.log().contains(what).then_some(())
}

/// X15, a trick with a directory: another one takes the place of the plugin directory. Where the kernel holds the gateway to the one that it
/// began with, what lies in the other cannot be read; where not, it is served.
#[tokio::test]
async fn another_directory_under_the_name_of_the_plugins_is_not_read() {
    for mode in ["required", "off"] {
        if mode == "required" && !kernel_has_landlock() {
            continue;
        }
        let (place, other) =
            (Place::with(&[("text-toolbox", plugin("text-toolbox"))]), Place::with(&[("versioned", fixture("versioned"))]));
        set(&place, &format!("[process]\nlandlock = \"{mode}\"\n"));
        // A link in its own place is not followed anywhere; one above it is.
        let above = place.path().join("above");
        fs::create_dir(&above).and_then(|()| fs::rename(place.plugins(), above.join("plugins"))).expect("moved");
        let gateway = place.serve(&["--plugins", "above/plugins"]);
        assert_eq!(gateway.log().contains(HELD), mode == "required", "{}", gateway.log());
        fs::rename(&above, place.path().join("above.old")).expect("renamed");
        std::os::unix::fs::symlink(other.path(), &above).expect("made");
        if mode == "required" {
            eventually("it is told", SOON, async || logged(&gateway, "Permission denied")).await;
            assert!(!gateway.log().contains("plugin=versioned"), "{}", gateway.log());
            assert_eq!(tools(&place, &gateway), "here\n", "what it has goes on");
        } else {
            eventually("it is served", SOON, async || logged(&gateway, "versioned")).await;
        }
        assert!(gateway.stop().success());
    }
}

/// X15, tricks with settings: none that names something else is taken, whatever lies there, and none is shown.
#[tokio::test]
async fn settings_that_reach_beyond_are_refused_until_a_restart() {
    let (place, other) = (Place::with(&[("text-toolbox", plugin("text-toolbox"))]), Place::with(&[("versioned", fixture("versioned"))]));
    set(&place, "");
    let gateway = place.serve(&[]);
    let held = kernel_has_landlock();
    assert_eq!((gateway.log().contains(HELD), gateway.log().contains(NOT_HELD)), (held, !held), "{}", gateway.log());
    if !held {
        return;
    }
    fs::copy(fixture("verdict"), other.path().join("policy.wasm")).expect("copied");
    std::os::unix::fs::symlink("/etc/shadow", place.path().join("keys")).expect("made");
    let tokens =
        |more: &str| format!("[auth]\nmode = \"tokens\"\npublic_url = \"https://a.example\"\n[auth.issuers.a]\nissuer = \"i\"\n{more}\n");
    let table = [
        (format!("[policies.p]\nfile = {:?}\n", other.path().join("policy.wasm")), "policies.p.file: "),
        (format!("[tenants.default]\nplugin_directory = {:?}\n", other.plugins()), "tenants.default.plugin_directory: "),
        (format!("[grants.g]\nplugin = \"p\"\n[grants.g.files]\n\"/d\" = {:?}\n", other.plugins()), "grants.g.files./d: "),
        ("[grants.g]\nplugin = \"p\"\n[grants.g.config]\nk = { file = \"/etc/shadow\" }\n".to_owned(), "grants.g.config.k.file: "),
        (tokens("jwks_file = \"/etc/shadow\""), "auth.issuers.a.jwks_file: "),
        (tokens("secret_file = \"keys\""), "auth.issuers.a.secret_file: "),
        (tokens("jwks_file = \"plugins/../../../etc/shadow\""), "auth.issuers.a.jwks_file: "),
        (tokens("jwks_url = \"https://a.example/keys\""), "auth.issuers: jwks_url needs connections"),
        ("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"/proc/1/environ\"\n".to_owned(), "admin.token_file: "),
    ];
    for (settings, refusal) in table {
        set(&place, &settings);
        let ran = place.run(&["reload"]);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(ran.code == 78 && said.contains(refusal) && said.contains("restart"), "{settings}: {ran:?}");
        assert!(!said.contains("shadow") && !said.contains("environ"), "{ran:?}");
        assert_eq!(tools(&place, &gateway), "here\n", "the running ones go on");
    }
    // What lies below the settings' directory is within reach, and so is all of it after a restart.
    fs::copy(fixture("verdict"), place.path().join("policy.wasm")).expect("copied");
    set(&place, "[policies.p]\nfile = \"policy.wasm\"\n");
    assert_eq!(place.run(&["reload"]).code, 0);
    assert!(gateway.stop().success());
    set(&place, &format!("{REQUIRED}[tenants.default]\nplugin_directory = {:?}\n", other.plugins()));
    let gateway = place.serve(&[]);
    assert!(gateway.out().contains("versioned"), "{}", gateway.out());
    assert!(gateway.stop().success());
}

/// All of it goes on behind the wall: a component that is dropped in is compiled by a worker, calls are kept and recorded, settings are read
/// again. Every thread is confined, as far as the kernel shows it.
#[tokio::test]
async fn a_confined_gateway_does_all_that_it_does() {
    let place = Place::with(&[("text-toolbox", plugin("text-toolbox")), ("misbehave", fixture("misbehave"))]);
    // A cache of its own, so that everything is compiled.
    place.settings(if kernel_has_landlock() { REQUIRED } else { "" });
    let gateway = place.serve(&[]);
    fs::copy(fixture("versioned"), place.plugins().join("versioned.wasm")).expect("copied");
    eventually("it is compiled", SOON, async || logged(&gateway, "plugin=versioned")).await;
    assert_eq!(tools(&place, &gateway), "here\n");
    let shadow = place.run(&["call", "read_file", "--arg", "path=/etc/shadow", "--json", "--url", &gateway.url]);
    assert!(!shadow.out.contains("root:"), "{shadow:?}");
    assert_eq!(place.run(&["reload"]).code, 0);
    let recorded = || place.run(&["journal", "show", "--json"]).out.contains("\"echo\"");
    eventually("the record", SOON, async || recorded().then_some(())).await;
    let threads = fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("it runs");
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap_or_default();
    let statuses: Vec<_> = threads.map(|thread| status(thread.expect("a thread"))).filter(|status| !status.is_empty()).collect();
    assert!(statuses.len() > 3 && statuses.iter().all(|status| status.contains("NoNewPrivs:\t1")), "{statuses:?}");
    assert!(gateway.stop().success());
}

/// X15 on a kernel that has no landlock.
#[tokio::test]
async fn a_kernel_without_landlock_is_refused_or_told_once() {
    let python = installed("target/clients/python/bin/python");
    let without = [python.to_str().expect("text"), "-c", WITHOUT_LANDLOCK];
    let place = Place::with(&[("text-toolbox", plugin("text-toolbox"))]);
    set(&place, REQUIRED);
    let ran = place.run_under(&without, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!((ran.code, ran.out.as_str()), (78, ""), "{ran:?}");
    assert!(ran.err.starts_with("gatehouse: process.landlock is \"required\", and it cannot be had: "), "{ran:?}");
    for (mode, warnings) in [("best_effort", 1), ("off", 0)] {
        set(&place, &format!("[process]\nlandlock = \"{mode}\"\n"));
        let gateway = place.serve_under(&without, &["--listen", "127.0.0.1:0"]);
        let log = gateway.log();
        assert_eq!((log.matches(NOT_HELD).count(), log.contains(HELD)), (warnings, false), "{mode}: {log}");
        assert_eq!(tools(&place, &gateway), "here\n");
        assert!(gateway.stop().success());
    }
}

/// Both packages close what the page says.
#[test]
fn packages_have_the_same_walls() {
    let read = |file: &str| fs::read_to_string(root().join("packaging").join(file)).expect("the file");
    let unit = read("gatehouse.service");
    for line in [
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "DynamicUser=yes",
        "UMask=0077",
        "LimitCORE=0",
        "MemoryMax=4G",
        "TasksMax=512",
    ] {
        assert!(unit.lines().any(|there| there == line), "{line}");
    }
    let page = read("README.md");
    for part in ["--read-only", "--cap-drop ALL", "no-new-privileges", "--memory 4g", "--pids-limit 512", "--tmpfs /tmp", "--ulimit core=0"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(read("Containerfile").lines().any(|line| line.starts_with("USER ") && !line.contains("root")), "not as root");
}
