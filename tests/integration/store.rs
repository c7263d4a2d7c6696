//! What becomes of the gateway when its store is taken, of another version, damaged or full (reliability group D).

use crate::harness::{Answer, Event, Events, Gateway, Setup, binary, count, eventually, messages, plugin, rpc};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: settings.to_owned(), ..Setup::default() }).await
}

async fn readiness(gateway: &Gateway) -> Value {
    Answer::of(gateway.client.get(format!("{}/readyz", gateway.origin))).await.messages[0].clone()
}

/// Runs a gateway that is expected not to start.
fn serve(directory: &Path, data: &Path) -> (Output, Duration) {
    let plugins = directory.join("plugins");
    fs::create_dir_all(&plugins).expect("made");
    fs::copy(plugin("text-template"), plugins.join("text-template.wasm")).expect("copied");
    let began = Instant::now();
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--plugins"]).arg(plugins).arg("--data").arg(data).current_dir(directory);
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    (output, began.elapsed())
}

/// D08.
#[tokio::test]
async fn two_gateways_do_not_share_a_store() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let directory = tempfile::tempdir().expect("a directory");
    let (output, took) = serve(directory.path(), &gateway.data());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("is in use by another process") && took < Duration::from_secs(10), "{took:?}: {said}");
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status, 200, "the first one is unharmed");
}

/// D09.
#[test]
fn a_store_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("data/store");
    fs::create_dir_all(&store).expect("made");
    fs::write(store.join("FORMAT"), "gatehouse store 99\n").expect("written");
    let (output, _) = serve(directory.path(), &directory.path().join("data"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("written by a newer version: its format is 99, and this version knows 3"), "{said}");
    assert_eq!(fs::read_dir(&store).expect("there").count(), 1, "nothing was touched");
}

/// D04.
#[tokio::test]
async fn a_store_that_cannot_be_opened_stops_the_start_only_if_it_is_required() {
    let directory = tempfile::tempdir().expect("a directory");
    let in_the_way = directory.path().join("in-the-way");
    fs::write(&in_the_way, "").expect("written");
    // A confined process keeps directories that it could make at its start; this one is made later.
    let confined = "[process]\nlandlock = \"off\"\n";
    let settings = |required| format!("{confined}[store]\ndirectory = {:?}\nrequired = {required}\n", in_the_way.join("store"));
    fs::write(directory.path().join("gatehouse.toml"), settings(true)).expect("written");
    let (output, took) = serve(directory.path(), &directory.path().join("data"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("in-the-way/store") && took < Duration::from_secs(5), "{took:?}: {said}");

    let mut gateway = with(&settings(false)).await;
    assert_eq!((&readiness(&gateway).await["ready"], &readiness(&gateway).await["store"]), (&json!(true), &json!("degraded")));
    // Calls are served, without ids.
    let session = gateway.session("2025-11-25").await;
    let all = Events::of(gateway.legacy_request(Some(&session), &count(1, 3, 5))).await.rest().await;
    assert!(all.len() == 4 && all.iter().all(|event| event.id.is_none()), "{all:?}");
    // It recovers by itself, and what was begun meanwhile is kept from then on.
    fs::remove_file(&in_the_way).expect("removed");
    let well = async || (readiness(&gateway).await["store"] == "ok").then_some(());
    eventually("the store works", Duration::from_secs(30), well).await;
    let kept = async || {
        let all = Events::of(gateway.legacy_request(Some(&session), &count(1, 1, 5))).await.rest().await;
        all.iter().all(|event| event.id.is_some()).then_some(all)
    };
    eventually("events have ids again", Duration::from_secs(30), kept).await;
    gateway.restart().await;
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status, 200);
}

/// D06, as an operator meets it: told in the log and by readiness, and the gateway serves.
#[tokio::test]
async fn a_damaged_store_is_set_aside() {
    let mut gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    gateway.kill().await;
    fs::write(gateway.data().join("store/sled/conf"), "no configuration").expect("written");
    gateway.start_again().await;
    let ready = readiness(&gateway).await;
    assert_eq!((&ready["ready"], &ready["store"], &ready["store_set_aside"]), (&json!(true), &json!("ok"), &json!(true)));
    assert!(gateway.log().contains("the store is damaged; it was set aside"), "{}", gateway.log());
    let aside = fs::read_dir(gateway.data().join("store")).expect("read").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(aside.filter(|name| name.to_string_lossy().starts_with("sled.corrupt-")).count(), 1);
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status, 404, "what was in it is gone");
    assert_eq!(gateway.legacy(Some(&gateway.session("2025-11-25").await), rpc(1, "ping", json!({}))).await.status, 200);
}

/// Nobody else of the machine reads it.
#[tokio::test]
async fn the_store_is_its_users_own() {
    let gateway = with("").await;
    let mode = |path: &str| fs::metadata(gateway.data().join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("store"), mode("key")), (0o700, 0o600));
    let session = gateway.session("2025-11-25").await;
    let events: Vec<Event> = Events::of(gateway.legacy_request(Some(&session), &count(1, 1, 1))).await.rest().await;
    assert!(!events.is_empty() && !gateway.log().contains(&session), "no session's name is in the log");
}

/// Runs `gatehouse store COMMAND` on a gateway's data.
fn store(data: &Path, command: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(binary()).arg("store").args(command).arg("--data").arg(data).current_dir(directory.path()).output();
    let output = output.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it ends"), text(&output.stdout), text(&output.stderr))
}

/// A running gateway is asked, a stopped one's store is opened: both say the same.
#[tokio::test]
async fn the_store_can_be_looked_into() {
    let mut gateway = with("").await;
    let data = gateway.data();
    let session = gateway.session("2025-11-25").await;
    let all = Events::of(gateway.legacy_request(Some(&session), &count(1, 30, 1))).await.rest().await;
    assert!(all.len() > 30);
    let stats = |told: &str| -> Value { serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {told}")) };
    let mut said = Vec::new();
    for stopped in [false, true] {
        if stopped {
            gateway.kill().await;
        }
        let (code, told, error) = store(&data, &["stats", "--json"]);
        let told = stats(&told);
        assert_eq!((code, &told["sessions"], &told["streams"], &told["events"]), (0, &json!(1), &json!(1), &json!(31)), "{told} {error}");
        assert!(told["bytes_by_tenant"]["default"].as_u64().expect("bytes") > 1_000);
        let (code, told, _) = store(&data, &["stats"]);
        assert!(code == 0 && told.contains("  Sessions  1\n") && told.contains("  Tenant    default: "), "{told}");
        let (code, told, _) = store(&data, &["verify"]);
        assert_eq!((code, &*told), (0, "1 records, 1 streams, 31 events, 0 entries of buckets: all whole\n"));
        let (code, told, _) = store(&data, &["export"]);
        let lines: Vec<Value> = told.lines().map(stats).collect();
        assert_eq!((code, lines.len()), (0, 33));
        assert_eq!((&lines[0]["kind"], &lines[0]["id"], &lines[32]["final"]), (&json!("record"), &json!(session), &json!(true)));
        let last: Value = serde_json::from_str(lines[32]["data"].as_str().expect("text")).expect("a message");
        assert_eq!(last["result"]["content"][0]["text"], "done");
        said.push(lines.into_iter().skip(1).collect::<Vec<_>>());
        let (code, told, error) = store(&data, &["compact"]);
        if stopped {
            assert!(code == 0 && told.contains("entries; "), "{told}{error}");
        } else {
            assert!(code == 75 && error.contains("stop the gateway first"), "{told}{error}");
        }
    }
    assert_eq!(said[0], said[1]);
    gateway.start_again().await;
    let rest = gateway.events_request(&session, Some(all.last().expect("one").id())).send().await.expect("an answer");
    assert_eq!(rest.status(), 200, "what was compacted goes on");
    let checked = Command::new(binary()).args(["check", "--plugins"]).arg(&gateway.plugins).arg("--data").arg(&data).output();
    let checked = String::from_utf8(checked.expect("it runs").stdout).expect("text");
    assert!(checked.contains("store      in use by a gateway that runs\n"), "{checked}");
    let empty = tempfile::tempdir().expect("a directory");
    let (code, _, error) = store(empty.path(), &["verify"]);
    assert!(code == 1 && error.contains("there is no store in"), "{error}");
}

/// D03, D05: the disk is full in the middle of a stream, and free again. Needs root, to mount a disk that is small enough.
#[tokio::test]
#[ignore = "needs root: make fulldisk"]
async fn a_full_disk_costs_ids_and_nothing_else() {
    let disk = Disk::of_8_mib();
    let gateway = with(&format!("[store]\ndirectory = {:?}\n", disk.path().join("store"))).await;
    let session = gateway.session("2025-11-25").await;
    // 20 s of events.
    let mut events = Events::of(gateway.legacy_request(Some(&session), &count(1, 1_000, 20))).await;
    let mut seen: Vec<Event> = Vec::new();
    let ballast = disk.path().join("ballast");
    let (mut full, mut without, mut back) = (false, 0, 0);
    while let Some(event) = events.next().await {
        match (full, event.id.is_some()) {
            (false, true) if seen.len() == 100 => {
                fill(&ballast);
                full = true;
            }
            (true, false) if without == 0 => {
                assert_eq!(readiness(&gateway).await["store"], "degraded");
                assert_eq!(gateway.legacy(Some(&session), rpc(9, "ping", json!({}))).await.status, 200);
                without += 1;
            }
            (true, false) => {
                without += 1;
                if without == 100 {
                    fs::remove_file(&ballast).expect("removed");
                }
            }
            (true, true) if without > 0 => back += 1,
            _ => {}
        }
        seen.push(event);
    }
    println!("{without} events without an id, {back} with one after the disk was free again");
    let steps: Vec<_> = seen.iter().filter_map(|event| event.data.as_deref().filter(|data| !data.is_empty())).collect();
    assert_eq!(steps.len(), 1_001, "the client missed nothing");
    assert!(without >= 100 && back > 0, "{without} {back}");
    assert_eq!(readiness(&gateway).await["store"], "ok");
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
    let rest = messages(gateway.resume(&session, seen.iter().rev().nth(20).expect("one")).await).await;
    assert_eq!(rest.len(), 20, "what has ids can be resumed");
}

/// A small disk in memory; unmounted with the guard.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of_8_mib() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(directory.path()).status();
        assert!(mounted.expect("it runs").success(), "a small disk is mounted, as root");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the gateway may not have ended yet.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Writes until nothing more goes onto the disk.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).expect("a file");
    for bytes in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![0; bytes]).is_ok() {}
    }
}
