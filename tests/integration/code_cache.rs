//! Compiled code that is kept: used again after a restart, and used only when it is the gateway's own.
//!
//! Whether something was compiled is seen by forbidding it: a compile time of one second is not enough for the Python example, so a gateway
//! with that limit serves it from the cache or not at all.

use super::command::{Place, Ran};
use crate::harness::{fixture, plugin};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const FORBIDDEN: &str = "[limits]\ncompile_timeout_s = 1\n";
const BROKEN_SEAL: &str = "a file in the compiled-code cache does not bear the gateway's seal; it is removed and made again";

fn entries(cache: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(cache).expect("a cache").map(|entry| entry.expect("an entry").path());
    let mut code: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "code")).collect();
    code.sort();
    code
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

type Change = fn(&mut Vec<u8>);

/// Changes a file that is written once and then read only.
fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("it is there");
    how(&mut bytes);
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

fn call(place: &Place, url: &str) -> Ran {
    place.run(&["call", "mirrored", "--arg", "note=x", "--url", url])
}

#[test]
fn a_restart_does_not_compile_again() {
    let place = Place::with(&[("data-helper", plugin("data-helper"))]);
    place.settings(FORBIDDEN);
    let refused = place.run(&["check"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.out.contains("data-helper: compiling it was stopped after 1 s"), "{refused:?}");

    place.settings("");
    place.serve(&[]).stop();
    assert_eq!(entries(&place.cache()).len(), 1);
    place.settings(FORBIDDEN);
    let gateway = place.serve(&[]);
    let ran = place.run(&["call", "date_difference", "--args-json", r#"{"from":"2026-01-01","to":"2026-01-31"}"#, "--url", &gateway.url]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // Its compiler alone would take longer on the fastest machine.
    assert!(gateway.ready_after.as_secs() < 4, "{:?}", gateway.ready_after);
    assert!(gateway.stop().success());

    // One bit of 37 MB.
    let entry = entries(&place.cache()).remove(0);
    change(&entry, |bytes| bytes[20_000_000] ^= 1);
    let ran = place.run(&["check"]);
    assert!(ran.out.contains("data-helper: compiling it was stopped after 1 s"), "the changed code is not run: {ran:?}");
    assert!(entries(&place.cache()).is_empty(), "and is removed");
}

#[test]
fn a_changed_entry_is_told_and_made_again() {
    let place = Place::with(&[("mirrored", fixture("mirrored"))]);
    place.serve(&[]).stop();
    let [entry] = &entries(&place.cache())[..] else { panic!("one entry") };
    let good = fs::read(entry).expect("it is there");
    let changes: [(&str, Change); 6] = [
        ("the first byte", |bytes| bytes[0] ^= 1),
        ("the seal", |bytes| bytes[8] ^= 1),
        ("the code", |bytes| bytes[1_000] ^= 1),
        ("the last byte", |bytes| *bytes.last_mut().expect("bytes") ^= 1),
        ("cut", |bytes| bytes.truncate(20)),
        ("empty", Vec::clear),
    ];
    for (name, how) in changes {
        change(entry, how);
        let gateway = place.serve(&[]);
        assert_eq!(call(&place, &gateway.url).code, 0, "{name}");
        assert_eq!(gateway.log().lines().filter(|line| line.contains(BROKEN_SEAL)).count(), 1, "{name}: {}", gateway.log());
        assert!(gateway.stop().success());
        // Compiling is deterministic, and so is the seal.
        assert!(fs::read(entry).expect("it is there again") == good, "{name}");
    }
    let gateway = place.serve(&[]);
    assert!(!gateway.log().contains(BROKEN_SEAL), "{}", gateway.log());
}

/// Code is as powerful as the gateway itself, so that of another gateway is not taken, nor that of another component.
#[test]
fn entries_of_others_are_refused() {
    let [place, other] = [(); 2].map(|()| Place::with(&[("mirrored", fixture("mirrored"))]));
    for place in [&place, &other] {
        place.serve(&[]).stop();
    }
    let ([own], [foreign]) = (&entries(&place.cache())[..], &entries(&other.cache())[..]) else { panic!("one entry each") };
    assert_eq!(own.file_name(), foreign.file_name(), "the same component");
    let foreign = fs::read(foreign).expect("it is there");
    change(own, |bytes| *bytes = foreign);
    let gateway = place.serve(&[]);
    assert!(gateway.log().contains(BROKEN_SEAL), "{}", gateway.log());
    assert_eq!(call(&place, &gateway.url).code, 0);
    gateway.stop();

    // Sealed by this gateway, for another component.
    fs::copy(fixture("versioned"), place.plugins().join("versioned.wasm")).expect("copied");
    place.serve(&[]).stop();
    let [first, second] = &entries(&place.cache())[..] else { panic!("two entries") };
    let code = fs::read(first).expect("it is there");
    change(second, |bytes| *bytes = code);
    let gateway = place.serve(&[]);
    assert_eq!(gateway.log().lines().filter(|line| line.contains(BROKEN_SEAL)).count(), 1, "{}", gateway.log());
    assert_eq!(call(&place, &gateway.url).code, 0);
    assert_eq!(place.run(&["call", "version", "--url", &gateway.url]).out, "VERSION-0001\n");
}

#[test]
fn the_cache_is_its_owners_alone() {
    let place = Place::with(&[("mirrored", fixture("mirrored"))]);
    place.serve(&[]).stop();
    let cache = place.cache();
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(mode(&cache.join("seal.key")), 0o600);
    assert!(entries(&cache).iter().all(|entry| mode(entry) == 0o400));
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).expect("its own");
    place.serve(&[]).stop();
    assert_eq!(mode(&cache), 0o700, "taken back");
    fs::write(cache.join("seal.key"), "short").expect("written");
    let ran = place.run(&["serve"]);
    assert_eq!(ran.code, 74, "{ran:?}");
    assert!(
        ran.err.contains("seal.key cannot be used: it is not a key of 32 bytes; remove it, and compiled code is made again"),
        "{ran:?}"
    );
}

/// What was not used for longest goes first.
#[test]
fn the_cache_has_a_size() {
    let place = Place::with(&[("mirrored", fixture("mirrored")), ("versioned", fixture("versioned"))]);
    place.settings("[limits]\ncode_cache_bytes_max = 500000\n");
    place.serve(&[]).stop();
    let kept = entries(&place.cache());
    let bytes: u64 = kept.iter().map(|entry| fs::metadata(entry).expect("it is there").len()).sum();
    assert!(kept.len() == 1 && bytes <= 500_000, "{kept:?}: {bytes} bytes");
}
