use super::*;

/// A component that holds a core module of one short section.
fn component(id: u8, content: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
    let module = [&b"\0asm\x01\0\0\0"[..], &[id, length(content)], content].concat();
    [&b"\0asm\x0d\0\x01\0"[..], &[1, length(&module)], &module].concat()
}

fn refusal(component: &[u8]) -> Option<String> {
    precompile(component).err()
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

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0", b"(component)", &component(5, &[1, 0, 1])[..12]] {
        assert!(refusal(bytes).is_some(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_and_one_that_fails_is_told() {
    let component: Arc<[u8]> = component(5, &[1, 0, 1]).into();
    let shell = |script: &str, wall| Compiler::worker("/bin/sh".into(), vec!["-c".to_owned(), script.to_owned()], wall);
    let minute = Duration::from_secs(60);
    let compile = async |script, wall| shell(script, wall).compile(Arc::clone(&component)).await.expect_err("no code").to_string();
    assert_eq!(compile("exec sleep 60", Duration::from_secs(1)).await, "compiling it was stopped after 1 s");
    assert_eq!(compile("cat >/dev/null; echo reason >&2; exit 65", minute).await, "it does not compile: reason");
    assert!(compile("cat >/dev/null; kill -9 $$", minute).await.contains("without an answer (signal: 9 (SIGKILL))"));
    assert!(compile("cat >/dev/null; exit 0", minute).await.contains("without an answer (exit status: 0)"), "no code is no success");
    let nowhere = Compiler::worker("/nonexistent/program".into(), Vec::new(), minute).compile(Arc::clone(&component)).await;
    assert!(matches!(nowhere, Err(CompileError::Worker(_))), "{nowhere:?}");
    let code = shell("cat", minute).compile(Arc::clone(&component)).await.expect("what it wrote");
    assert_eq!(code.0, &component[..]);
}
