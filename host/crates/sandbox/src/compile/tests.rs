use super::*;

/// A component that holds a core module of one short section.
fn component(id: u8, content: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
    let module = [&b"\0asm\x01\0\0\0"[..], &[id, length(content)], content].concat();
    [&b"\0asm\x0d\0\x01\0"[..], &[1, length(&module)], &module].concat()
}

/// A component with two functions, `fine` and `odd`, by themselves and in the interface `a:b/c`. What the second gives is of that type, and `kind` says
/// whether it is async.
fn with_function(ty: &[u8], kind: u8) -> Vec<u8> {
    use crate::survey::tests::{MODULE, component, leb, section};
    let one = |id: u8, content: &[u8]| section(id, &[&[1], content].concat());
    let named = |name: &str| [&leb(name.len()), name.as_bytes()].concat();
    // Core functions without a parameter, one of which gives a number.
    let types = section(1, b"\x02\x60\0\0\x60\0\x01\x7f");
    let code = section(10, b"\x02\x02\0\x0b\x04\0\x41\0\x0b");
    let module = [MODULE, &types, &section(3, b"\x02\0\x01"), &section(7, b"\x02\x01f\0\0\x01g\0\x01"), &code].concat();
    let types = [&[3][..], ty, &[0x40, 0, 1, 0], &[kind, 0, 0, 0]].concat();
    let instance = [&[1, 2][..], &[0], &named("fine"), &[1, 0], &[0], &named("odd"), &[1, 1]].concat();
    component(&[
        section(1, &module),
        one(2, b"\0\0\0"),
        section(6, b"\x02\0\0\x01\0\x01f\0\0\x01\0\x01g"),
        section(7, &types),
        section(8, b"\x02\0\0\0\0\x01\0\0\x01\0\x02"),
        one(5, &instance),
        one(11, &[&[0][..], &named("fine"), &[1, 0, 0]].concat()),
        one(11, &[&[0][..], &named("odd"), &[1, 1, 0]].concat()),
        one(11, &[&[0][..], &named("a:b/c"), &[5, 0, 0]].concat()),
    ])
}

fn refusal(component: &[u8]) -> Option<String> {
    precompile(component, Growth::Elided).err()
}

#[test]
fn what_every_toolchain_needs_compiles() {
    let memory = &[1, 0, 1][..];
    let two_memories = &[2, 0, 1, 0, 1][..];
    let two_results = &[1, 0x60, 0, 2, 0x7f, 0x7f][..];
    let vector = &[1, 0x60, 1, 0x7b, 0][..];
    for (name, id, content) in [("memory", 5, memory), ("memories", 5, two_memories), ("results", 1, two_results), ("vector", 1, vector)] {
        assert_eq!(refusal(&component(id, content)), None, "{name}");
    }
}

/// R31: proposals that bring risk and that no toolchain needs by default are refused, each by its name.
#[test]
fn proposals_that_bring_risk_are_refused() {
    for (id, content, expected) in [
        (5, &[1, 3, 1, 1][..], "threads must be enabled for shared memories"),
        (5, &[1, 4, 1], "memory64 must be enabled for 64-bit memories"),
        (5, &[1, 8, 1, 0], "the custom page sizes proposal must be enabled"),
        (13, &[1, 0, 0], "exceptions proposal not enabled"),
        (1, &[1, 0x5f, 0], "struct indexed types not supported without the gc feature"),
        (1, &[1, 0x60, 1, 0x64, 0x70, 0], "function references required for non-nullable types"),
    ] {
        let refusal = refusal(&component(id, content)).unwrap_or_default();
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    }
}

/// Its functions are told apart by name, because whoever reads it has to leave some of them out.
#[test]
fn functions_of_types_that_the_engine_lacks_are_named() {
    let lacking = "; the engine takes no component with such a function, not even for its others: build it without them, or give them a component of their own";
    for (ty, expected) in [
        (&[0x66, 1, 0x7d][..], "`odd`: its result has a stream in its type; `a:b/c#odd`: its result has a stream in its type"),
        (&[0x65, 1, 0x7d], "`odd`: its result has a future in its type; `a:b/c#odd`: its result has a future in its type"),
        (&[0x64], "`odd`: its result has an error-context in its type; `a:b/c#odd`: its result has an error-context in its type"),
    ] {
        assert_eq!(refusal(&with_function(ty, 0x40)), Some(format!("{expected}{lacking}")));
    }
    let of_async = refusal(&with_function(&[0x7d], 0x43)).unwrap_or_default();
    assert!(of_async.starts_with("`odd` is async; `a:b/c#odd` is async; the engine takes"), "{of_async}");
    assert_eq!(refusal(&with_function(&[0x7d], 0x40)), None, "a number is no such type");
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0", b"(component)", &component(5, &[1, 0, 1])[..12]] {
        assert!(refusal(bytes).is_some(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_and_one_that_fails_is_told() {
    let component: Arc<[u8]> = component(5, &[1, 0, 1]).into();
    let shell = |script: &str, wall| Compiler::worker("/bin/sh".into(), vec!["-c".to_owned(), script.to_owned()], Growth::Elided, wall);
    let minute = Duration::from_secs(60);
    let compile = async |script, wall| shell(script, wall).compile(Arc::clone(&component)).await.expect_err("no code").to_string();
    assert_eq!(compile("exec sleep 60", Duration::from_secs(1)).await, "compiling it was stopped after 1 s");
    assert_eq!(compile("cat >/dev/null; echo reason >&2; exit 65", minute).await, "it does not compile: reason");
    assert!(compile("cat >/dev/null; kill -9 $$", minute).await.contains("without an answer (signal: 9 (SIGKILL))"));
    assert!(compile("cat >/dev/null; exit 0", minute).await.contains("without an answer (exit status: 0)"), "no code is no success");
    let nowhere = Compiler::worker("/nonexistent/program".into(), Vec::new(), Growth::Elided, minute).compile(Arc::clone(&component)).await;
    assert!(matches!(nowhere, Err(CompileError::Worker(_))), "{nowhere:?}");
    let code = shell("cat", minute).compile(Arc::clone(&component)).await.expect("what it wrote");
    assert_eq!(code.0, &component[..]);
}

/// X15: the worker's code comes from a component of a stranger. What it could reach is what a thread can that gave it up.
#[test]
fn a_worker_has_no_files_and_no_connections() {
    use landlock::{ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
    let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let files = strict().handle_access(AccessFs::from_all(ABI::V3)).is_ok();
    let connections = strict().handle_access(AccessNet::from_all(ABI::V4)).is_ok();
    let directory = tempfile::tempdir().expect("a directory");
    let (file, path) = (directory.path().join("file"), directory.path().to_owned());
    std::fs::write(&file, "text").expect("written");
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let denied = |done: std::io::Result<()>| done.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    let given_up = std::thread::spawn(move || {
        let status = give_up_files().expect("best effort");
        let opened = std::fs::read(&file).map(drop);
        let made = std::fs::write(path.join("new"), "x");
        let program = std::process::Command::new("/bin/sh").arg("-c").arg("exit 0").status().map(drop);
        let connected = std::net::TcpStream::connect(address).map(drop);
        let code = precompile(&component(5, &[1, 0, 1]), Growth::Elided);
        (status.no_new_privs, [opened, made, program].map(denied), denied(connected), code.is_ok())
    });
    let (no_new_privs, no_files, no_connections, compiles) = given_up.join().expect("no panic");
    assert!(no_new_privs && compiles, "what it is for goes on");
    if files {
        assert_eq!(no_files, [true; 3]);
    }
    if connections {
        assert!(no_connections);
    }
}
