//! The plugin directory while the gateway runs: what is dropped in, replaced, removed, half there or broken.
//!
//! Cases L01 to L25 of the catalogue, as far as they apply.

use super::command::Place;
use crate::harness::{Gateway, Modern, Setup, eventually, fixture, plugin, process};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The promise is one second; the rest is for a machine that does other things as well.
const SOON: Duration = Duration::from_secs(3);
/// Directories are looked at every two seconds where no notice comes.
const POLLED: Duration = Duration::from_secs(5);

/// The fixture, as another version of itself.
fn version(number: u8) -> Vec<u8> {
    replaced(&fs::read(fixture("versioned")).expect("the fixture"), b"VERSION-0001", format!("VERSION-{number:04}").as_bytes())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at).collect();
    let [at] = places[..] else { panic!("it stands there {} times", places.len()) };
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

/// The text of the tool `version`; none where there is no such tool.
async fn shown(gateway: &Gateway) -> Option<String> {
    let answer = gateway.call("version", json!({})).await;
    if answer.message().get("error").is_some() {
        assert_eq!((answer.status, answer.code()), (200, -32602), "{answer:?}");
        return None;
    }
    Some(answer.tool_text().to_owned())
}

async fn until_shown(gateway: &Gateway, number: u8) {
    let text = format!("VERSION-{number:04}");
    let asked = || async { (shown(gateway).await.as_ref() == Some(&text)).then_some(()) };
    eventually(&format!("{text} is served"), SOON, asked).await;
}

async fn until_unknown(gateway: &Gateway) {
    let asked = || async { shown(gateway).await.is_none().then_some(()) };
    eventually("the tool is unknown", SOON, asked).await;
}

async fn until_logged(gateway: &Gateway, text: &str) {
    let logged = || async { gateway.log().contains(text).then_some(()) };
    eventually(text, SOON, logged).await;
}

fn lines(gateway: &Gateway, text: &str) -> usize {
    gateway.log().lines().filter(|line| line.contains(text)).count()
}

/// The gateway has looked at the directory anew: something else came, was served, went, and was unknown again.
async fn looked_anew(gateway: &Gateway) {
    gateway.drop_in("zz-other", &fs::read(fixture("mirrored")).expect("the fixture"));
    let known = |wanted: bool| move |tools: Vec<String>| (tools.contains(&"mirrored".to_owned()) == wanted).then_some(());
    eventually("another plugin is served", SOON, || async { known(true)(gateway.tools().await) }).await;
    gateway.take_out("zz-other");
    eventually("another plugin is gone", SOON, || async { known(false)(gateway.tools().await) }).await;
}

/// Starts calls that take a while, and comes back once all of them run: each has reported its first step.
async fn running(gateway: &Gateway, calls: usize, wait_ms: u64) -> Vec<impl Future<Output = String>> {
    let begun = (0..calls).map(|_| {
        let request = Modern::call_with_progress("version", json!({ "wait_ms": wait_ms, "steps": 10 }));
        request.build(gateway).send()
    });
    let begun = futures_util::future::join_all(begun).await;
    begun.into_iter().map(|response| async { response.expect("an answer").text().await.expect("a whole body") }).collect()
}

#[tokio::test]
async fn a_dropped_component_is_listed_and_callable_at_once() {
    let gateway = Gateway::start().await;
    assert_eq!(shown(&gateway).await, None);
    gateway.drop_in("versioned", &version(1));
    until_shown(&gateway, 1).await;
    assert!(gateway.tools().await.contains(&"version".to_owned()));
}

/// What is mapped of compiled code, in bytes, and which files in memory are, such as what guests' memories begin with.
fn mapped(gateway: &Gateway) -> (u64, BTreeSet<u64>) {
    let mappings = process::mappings(gateway.pid());
    let code = mappings.iter().filter(|mapping| mapping.is_compiled_code).map(|mapping| mapping.bytes).sum();
    (code, mappings.iter().filter_map(|mapping| mapping.memory_file).collect())
}

/// They end, others have the new one, and then nothing of the old one is left in memory.
#[tokio::test]
async fn l21_calls_of_the_old_version_end_with_it() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let old = running(&gateway, 100, 2_000).await;
    let (code, files) = mapped(&gateway);
    assert!(code > 0 && !files.is_empty(), "{code} {files:?}");
    gateway.drop_in("versioned", &version(2));
    until_shown(&gateway, 2).await;
    let (both, _) = mapped(&gateway);
    assert!(both >= code * 3 / 2, "both versions are there: {code}, then {both} bytes");
    for body in futures_util::future::join_all(old).await {
        assert!(body.contains("\"text\":\"VERSION-0001\""), "{body}");
    }
    // Five seconds are the promise; the rest is for a machine that does other things as well.
    let freed = async || {
        let (code_now, files_now) = mapped(&gateway);
        (code_now <= code && files.is_disjoint(&files_now)).then_some(())
    };
    eventually("the old version is freed", Duration::from_secs(30), freed).await;
    assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0002"));
    assert_eq!(lines(&gateway, "plugin replaced"), 1);
}

#[tokio::test]
async fn sixty_swaps_lose_no_call() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let over = AtomicBool::new(false);
    let load = || async {
        let mut calls = 0_usize;
        while !over.load(Relaxed) {
            let text = shown(&gateway).await.expect("the tool is always there");
            assert!(text.starts_with("VERSION-000"), "{text}");
            calls += 1;
        }
        calls
    };
    let swaps = async {
        for swap in 0..60 {
            let next = 2 - swap % 2;
            gateway.drop_in("versioned", &version(next));
            until_shown(&gateway, next).await;
        }
        over.store(true, Relaxed);
    };
    let (a, b, ()) = tokio::join!(load(), load(), swaps);
    assert!(a + b > 60, "{a} and {b} calls");
    assert_eq!(lines(&gateway, "WARN"), 0, "{}", gateway.log());
}

#[tokio::test]
async fn l22_a_removed_component_ends_its_calls_and_is_unknown() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let calls = running(&gateway, 5, 2_000).await;
    gateway.take_out("versioned");
    until_unknown(&gateway).await;
    assert_eq!(gateway.tools().await, Vec::<String>::new());
    for body in futures_util::future::join_all(calls).await {
        assert!(body.contains("\"text\":\"VERSION-0001\""), "{body}");
    }
}

/// The tools stay callable throughout: their new owner takes over in the moment that the old one goes.
#[tokio::test]
async fn l22_a_renamed_component_goes_on() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    fs::rename(gateway.plugins.join("versioned.wasm"), gateway.plugins.join("renamed.wasm")).expect("renamed");
    let over = || async {
        assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"));
        gateway.log().contains("plugin removed plugin=versioned").then_some(())
    };
    eventually("the old name is gone", SOON, over).await;
    assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"));
    assert_eq!(lines(&gateway, "WARN"), 0, "{}", gateway.log());
}

#[tokio::test]
async fn l02_half_a_file_is_not_served_and_reported_once() {
    let gateway = Gateway::start().await;
    let (whole, path) = (version(1), gateway.plugins.join("versioned.wasm"));
    fs::write(&path, &whole[..whole.len() / 2]).expect("half of it");
    until_logged(&gateway, "a file in the plugin directory is not served plugin=versioned").await;
    looked_anew(&gateway).await;
    assert_eq!(shown(&gateway).await, None);
    assert_eq!(lines(&gateway, "plugin=versioned"), 1, "{}", gateway.log());
    let mut file = fs::OpenOptions::new().append(true).open(&path).expect("it is there");
    file.write_all(&whole[whole.len() / 2..]).expect("the rest of it");
    drop(file);
    until_shown(&gateway, 1).await;
}

/// Cut anywhere, it is never served, whatever its sections happen to end with; completed by a rename, it is.
#[tokio::test]
async fn l02_no_piece_of_a_file_is_served() {
    let gateway = Gateway::start().await;
    let whole = version(1);
    for piece in 1..16 {
        let bytes = &whole[..whole.len() * piece / 16];
        gateway.drop_in(&format!("piece-{piece:02}"), bytes);
    }
    let reported = || async { (lines(&gateway, "is not served plugin=piece-") == 15).then_some(()) };
    eventually("each piece is reported", POLLED, reported).await;
    assert_eq!(shown(&gateway).await, None);
    gateway.drop_in("piece-07", &whole);
    until_shown(&gateway, 1).await;
}

#[tokio::test]
async fn l03_a_slow_copy_is_loaded_once_when_it_is_whole() {
    let gateway = Gateway::start().await;
    let mut file = fs::File::create(gateway.plugins.join("versioned.wasm")).expect("a file");
    for piece in version(1).chunks(4 << 10) {
        file.write_all(piece).expect("written");
        // The pace of the copy is the subject.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(file);
    until_shown(&gateway, 1).await;
    assert_eq!(lines(&gateway, "plugin loaded plugin=versioned"), 1, "{}", gateway.log());
    // A loaded machine may take a pause for the end; a second one would be a flood.
    assert!(lines(&gateway, "is not served plugin=versioned") <= 1, "{}", gateway.log());
}

/// What replaces a component and is none: the last good version goes on, and the reason is in the log.
#[tokio::test]
async fn l01_l22_a_broken_replacement_leaves_the_last_good_version() {
    let whole = version(1);
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    let broken: [(&str, Vec<u8>, &str); 8] = [
        ("cut", whole[..whole.len() * 2 / 3].to_vec(), "the component is broken or cut short at byte "),
        ("core", core_module, "this is a core module, not a component"),
        (
            "random",
            (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
            "this is not WebAssembly: it begins with 00 9e 3c da",
        ),
        ("elf", fs::read("/proc/self/exe").expect("a program")[..65_536].to_vec(), "this is not WebAssembly: it begins with an ELF header"),
        ("zip", b"PK\x03\x04".to_vec(), "this is not WebAssembly: it begins with a zip header"),
        ("empty", Vec::new(), "the file is empty"),
        ("text", b"(component)".to_vec(), "this is not WebAssembly: it begins with WAT text"),
        ("list", fs::read(fixture("broken-list")).expect("the fixture"), "its list-tools refused: told to refuse"),
    ];
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    for (name, bytes, reason) in broken {
        gateway.drop_in("versioned", &bytes);
        let told = format!("the new version of a plugin is not served; the last good one goes on plugin=versioned error={reason}");
        until_logged(&gateway, &told).await;
        assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"), "{name}");
        assert_eq!(lines(&gateway, &told), 1, "{name}: {}", gateway.log());
    }
    gateway.drop_in("versioned", &version(2));
    until_shown(&gateway, 2).await;
}

#[tokio::test]
async fn l18_a_newcomer_with_a_taken_name_waits() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    gateway.drop_in("another", &version(2));
    let told = "is not served plugin=another error=its tool `version` has the name of a tool of `versioned`, which was there before";
    until_logged(&gateway, told).await;
    looked_anew(&gateway).await;
    assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"));
    assert_eq!(lines(&gateway, "plugin=another"), 1, "{}", gateway.log());
    // The first is still the first in a new version of its own.
    gateway.drop_in("versioned", &version(3));
    until_shown(&gateway, 3).await;
    gateway.take_out("versioned");
    until_shown(&gateway, 2).await;
    assert_eq!(gateway.tools().await, ["version"]);
}

/// A name is free as well when its owner no longer uses it.
#[tokio::test]
async fn l18_a_newcomer_is_served_when_the_owner_gives_the_name_up() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    gateway.drop_in("another", &version(2));
    until_logged(&gateway, "is not served plugin=another").await;
    gateway.drop_in("versioned", &fs::read(fixture("mirrored")).expect("the fixture"));
    until_shown(&gateway, 2).await;
    assert_eq!(gateway.tools().await, ["version", "mirrored"]);
}

#[tokio::test]
async fn l04_l06_l08_what_is_no_file_of_ours_is_not_followed_and_never_waited_for() {
    let gateway = Gateway::start().await;
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    fs::write(elsewhere.path().join("real.wasm"), version(1)).expect("written");
    let place = |name: &str| gateway.plugins.join(name);
    std::os::unix::fs::symlink(elsewhere.path().join("real.wasm"), place("link.wasm")).expect("a link");
    std::os::unix::fs::symlink("/etc/passwd", place("passwd.wasm")).expect("a link");
    std::os::unix::fs::symlink("nowhere", place("dangling.wasm")).expect("a link");
    fs::create_dir(place("folder.wasm")).expect("a directory");
    fs::write(place("folder.wasm").join("inner.wasm"), version(1)).expect("written");
    rustix::fs::mknodat(rustix::fs::CWD, place("pipe.wasm"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(place("socket.wasm")).expect("a socket");
    for name in [".hidden.wasm", "x.wasm~", "x.WASM", "wasm", ".wasm", "line\nfeed.wasm"] {
        fs::write(place(name), version(1)).expect("written");
    }
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"not-utf8-\xff.wasm");
    fs::write(gateway.plugins.join(odd), version(1)).expect("written");
    fs::File::create(place("large.wasm")).and_then(|file| file.set_len((32 << 20) + 1)).expect("a large file");

    until_logged(&gateway, "is not served plugin=large error=it cannot be read: it has 33554433 bytes; the limit is 33554432").await;
    for (name, reason) in [
        ("link", "it is a symbolic link, which is not followed"),
        ("passwd", "it is a symbolic link, which is not followed"),
        ("dangling", "it is a symbolic link, which is not followed"),
        ("folder", "it is not a regular file"),
        ("pipe", "it is not a regular file"),
        ("socket", "it is not a regular file"),
    ] {
        until_logged(&gateway, &format!("is not served plugin={name} error=it cannot be read: {reason}")).await;
    }
    looked_anew(&gateway).await;
    // Each was told once, and nothing else was looked at.
    assert_eq!(lines(&gateway, "is not served"), 7, "{}", gateway.log());
    assert_eq!(shown(&gateway).await, None);
}

#[tokio::test]
async fn l24_more_files_than_the_limit_are_told_once() {
    let settings = "[limits]\nplugins_max = 1\n".to_owned();
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], settings, ..Setup::default() }).await;
    for number in 1..4 {
        gateway.drop_in(&format!("aa-{number}"), &fs::read(fixture("mirrored")).expect("the fixture"));
    }
    until_logged(&gateway, "the plugin directory holds more components than the limit").await;
    gateway.drop_in("versioned", &version(2));
    until_shown(&gateway, 2).await;
    assert_eq!(gateway.tools().await, ["version"]);
    assert_eq!(lines(&gateway, "holds more components than the limit"), 1, "{}", gateway.log());
    gateway.take_out("versioned");
    let served = || async { (gateway.tools().await == ["mirrored"]).then_some(()) };
    eventually("another has its place", SOON, served).await;
}

/// More notices than the kernel keeps: what counts is what lies there in the end.
#[tokio::test]
async fn l24_a_storm_of_notices_is_weathered() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let plugins = gateway.plugins.clone();
    let storm = tokio::task::spawn_blocking(move || {
        for number in 0..25_000 {
            let path = plugins.join(format!("{}.wasm~", number % 16));
            fs::write(&path, "").and_then(|()| fs::remove_file(&path)).expect("its own");
        }
    });
    while !storm.is_finished() {
        assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"));
    }
    gateway.drop_in("versioned", &version(2));
    until_shown(&gateway, 2).await;
}

/// Looking at the directory must not itself be noticed, nor anything else wake a gateway that nobody calls.
#[tokio::test]
async fn an_idle_gateway_uses_no_processor_time() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    gateway.drop_in("versioned", &version(2));
    until_shown(&gateway, 2).await;
    let hundredths = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", gateway.pid())).expect("it runs");
        let fields: Vec<_> = stat.rsplit(')').next().expect("after the name").split_whitespace().collect();
        fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
    };
    // The subject is what passes in this time. The epoch's ticker goes on for half a second after the last call.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = hundredths();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(hundredths() - before <= 10, "{} of 200 hundredths of a second", hundredths() - before);
}

/// While the directory is away the loaded plugins serve; in the new one notices come as they came in the old one.
#[tokio::test]
async fn l25_a_directory_made_anew_is_watched_again() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let away = gateway.plugins.with_extension("old");
    fs::rename(&gateway.plugins, &away).expect("moved away");
    until_polled(&gateway, "the plugin directory cannot be read; what is loaded stays").await;
    assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"));
    // Made whole aside and moved into place, so that what serves goes on.
    let new = gateway.plugins.with_extension("new");
    fs::create_dir(&new).expect("a directory");
    fs::copy(away.join("versioned.wasm"), new.join("versioned.wasm")).expect("copied");
    fs::copy(fixture("mirrored"), new.join("mirrored.wasm")).expect("copied");
    fs::rename(&new, &gateway.plugins).expect("moved");
    let served = || async {
        assert_eq!(shown(&gateway).await.as_deref(), Some("VERSION-0001"));
        gateway.tools().await.contains(&"mirrored".to_owned()).then_some(())
    };
    eventually("the new directory is seen", POLLED, served).await;
    swapped_faster_than_a_poll(&gateway).await;
}

/// A directory that is exchanged between two looks is never missed, and so never noticed to be another one but by what it is.
#[tokio::test]
async fn l25_a_directory_exchanged_in_a_moment_is_watched_again() {
    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let new = gateway.plugins.with_extension("new");
    fs::create_dir(&new).expect("a directory");
    fs::write(new.join("versioned.wasm"), version(9)).expect("written");
    rustix::fs::renameat_with(rustix::fs::CWD, &new, rustix::fs::CWD, &gateway.plugins, rustix::fs::RenameFlags::EXCHANGE)
        .expect("exchanged");
    let shown_new = || async { (shown(&gateway).await.as_deref() == Some("VERSION-0009")).then_some(()) };
    eventually("the new directory is seen", POLLED, shown_new).await;
    swapped_faster_than_a_poll(&gateway).await;
}

async fn until_polled(gateway: &Gateway, text: &str) {
    let logged = || async { gateway.log().contains(text).then_some(()) };
    eventually(text, POLLED, logged).await;
}

/// Six swaps, each seen, in less time than as many polls would take.
async fn swapped_faster_than_a_poll(gateway: &Gateway) {
    let began = std::time::Instant::now();
    for number in 2..8 {
        gateway.drop_in("versioned", &version(number));
        until_shown(gateway, number).await;
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}: by polls alone", began.elapsed());
}

/// What needs seconds to compile is nobody else's delay, neither in coming nor in going.
#[test]
fn a_language_runtime_that_compiles_delays_no_other_plugin() {
    let place = Place::with(&[("versioned", fixture("versioned"))]);
    let gateway = place.serve(&[]);
    fs::copy(plugin("data-helper"), place.plugins().join("data-helper.wasm")).expect("copied");
    let began = std::time::Instant::now();
    // Not so often that asking is what takes the time.
    let call = |tool: &str| {
        std::thread::sleep(Duration::from_millis(50));
        place.run(&["call", tool, "--url", &gateway.url])
    };
    while gateway.children() == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it is compiled: {}", gateway.log());
    }
    fs::copy(fixture("mirrored"), place.plugins().join("mirrored.wasm")).expect("copied");
    fs::remove_file(place.plugins().join("versioned.wasm")).expect("removed");
    while call("mirrored").code != 0 || call("version").code == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", gateway.log());
    }
    assert!(!gateway.log().contains("plugin loaded plugin=data-helper"), "{}", gateway.log());
    while call("statistics").err.contains("has no tool") {
        assert!(began.elapsed() < Duration::from_secs(120), "{}", gateway.log());
    }
    assert!(gateway.stop().success());
}

#[test]
fn a_plugin_directory_that_everybody_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::set_permissions(place.plugins(), fs::Permissions::from_mode(0o777)).expect("its own");
    for command in ["serve", "check"] {
        let ran = place.run(&[command]);
        assert_eq!(ran.code, 78, "{ran:?}");
        assert_eq!(
            ran.err,
            "gatehouse: the plugin directory plugins can be written by every user of this machine; take that away with `chmod o-w plugins`\n"
        );
    }
}
