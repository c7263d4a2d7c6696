//! What plugins write: in the directories that they are granted for it, no more than those may hold, and nowhere else.

use super::grants::beside;
use crate::harness::{Answer, Gateway, Modern, Setup, eventually};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

/// A directory to write with a file of 100 bytes, one to read, and one that is nobody's.
fn directories() -> TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for directory in ["out", "data", "beside"] {
        fs::create_dir(place.path().join(directory)).expect("made");
    }
    fs::write(place.path().join("out/old"), vec![b'o'; 100]).expect("written");
    fs::write(place.path().join("data/a.txt"), "here").expect("written");
    fs::write(place.path().join("beside/secret"), "hush").expect("written");
    place
}

fn granting(place: &TempDir, bytes_max: u64, files_max: u64) -> String {
    let at = |name: &str| place.path().join(name).display().to_string();
    format!(
        "[grants.x]\nplugin = \"reader\"\n[grants.x.files]\n\"/data\" = {:?}\n\
         \"/out\" = {{ directory = {:?}, access = \"read-write\", bytes_max = {bytes_max}, files_max = {files_max} }}\n",
        at("data"),
        at("out")
    )
}

async fn serving(settings: String, asks: &str) -> Gateway {
    let gateway = Gateway::with(Setup { fixtures: vec!["reader"], settings, ..Setup::default() }).await;
    beside(&gateway.plugins, "reader", &format!("[asks]\nconfig = []\n{asks}\n"));
    eventually("it is served", SOON, async || gateway.tools().await.contains(&"file".to_owned()).then_some(())).await;
    gateway
}

const ASKS: &str = "files = [\"/data\"]\nfiles_write = [\"/out\"]";

/// What came of something that was tried in `/out`.
async fn tried(gateway: &Gateway, what: &str, path: &str, more: Value) -> Value {
    let mut arguments = json!({ "in": "/out", "do": what, "path": path });
    arguments.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    gateway.modern(Modern::call("file", arguments)).await.result()["structuredContent"].clone()
}

fn bytes(bytes: u64) -> Value {
    json!({ "bytes": bytes })
}

/// Bytes and names below a directory.
pub(super) fn holds(directory: &Path) -> (u64, u64) {
    fs::read_dir(directory).expect("it can be listed").fold((0, 0), |(bytes, files), entry| {
        let entry = entry.expect("an entry");
        let found = entry.metadata().expect("it is there");
        let (below, more) = if found.is_dir() { holds(&entry.path()) } else { (found.len(), 0) };
        (bytes + below, files + more + 1)
    })
}

#[tokio::test]
async fn what_is_written_stays_within_its_quota() {
    let place = directories();
    let out = place.path().join("out");
    let gateway = serving(granting(&place, 1_000, 5), ASKS).await;
    let (done, quota) = (json!({ "done": true }), json!({ "error": "quota" }));

    // Bytes, by every way that there is. What was there before counts.
    assert_eq!(tried(&gateway, "put", "a", bytes(900)).await, done);
    assert_eq!(holds(&out), (1_000, 2));
    for (what, path, more) in [
        ("put", "b", bytes(1)),
        ("put at once", "b", bytes(1)),
        ("put at once", "b", json!({ "bytes": 1, "offset": 1_u64 << 40 })),
        ("append", "a", bytes(1)),
        ("append", "b", bytes(1)),
        ("put", "a", bytes(901)),
        ("put", "a", json!({ "bytes": 1, "offset": 900 })),
        ("put", "a", json!({ "bytes": 1, "offset": u64::MAX })),
        ("grow", "a", bytes(901)),
        ("grow", "a", bytes(u64::MAX)),
    ] {
        assert_eq!(tried(&gateway, what, path, more.clone()).await, quota, "{what} {path} {more}");
        assert!(holds(&out).0 <= 1_000, "{what} {path} {more}");
    }
    assert_eq!(tried(&gateway, "put", "a", json!({ "bytes": 100, "offset": 800 })).await, done, "in place of what is there");
    assert_eq!(tried(&gateway, "grow", "a", bytes(500)).await, done);
    assert_eq!(tried(&gateway, "append", "b", bytes(400)).await, done);
    assert_eq!(tried(&gateway, "append", "b", bytes(1)).await, quota);
    assert_eq!(tried(&gateway, "truncate", "a", json!({})).await, done);
    assert_eq!(tried(&gateway, "put", "b", bytes(900)).await, done);
    assert_eq!(holds(&out), (1_000, 3));

    // Files.
    assert_eq!(tried(&gateway, "make directory", "c", json!({})).await, done);
    assert_eq!(tried(&gateway, "link", "b", json!({ "to": "c/d" })).await, done);
    for (what, path) in [("create", "e"), ("make directory", "e"), ("link", "b"), ("put", "c/e")] {
        assert_eq!(tried(&gateway, what, path, json!({ "to": "e" })).await, quota, "{what}");
    }
    assert_eq!(tried(&gateway, "make directory", "c", json!({})).await, json!({ "error": "exist" }), "which takes no room");
    // One name less of a file that has two gives no bytes back; the last one does.
    assert_eq!(tried(&gateway, "remove", "b", json!({})).await, done);
    assert_eq!(tried(&gateway, "append", "a", bytes(1)).await, quota);
    assert_eq!(tried(&gateway, "rename", "a", json!({ "to": "c/d" })).await, done, "over the last name of the other");
    assert_eq!(holds(&out), (100, 3));
    assert_eq!(tried(&gateway, "append", "c/d", bytes(900)).await, done);
    assert_eq!(tried(&gateway, "append", "c/d", bytes(1)).await, quota);
    assert_eq!(tried(&gateway, "remove", "c/d", json!({})).await, done);
    assert_eq!(tried(&gateway, "remove directory", "c", json!({})).await, done);
    assert_eq!(holds(&out), (100, 1));

    // A file without a name takes its room for as long as it is open.
    assert_eq!(tried(&gateway, "hide", "h", json!({ "bytes": 900, "to": "seen" })).await, json!({ "while_open": "quota" }));
    assert_eq!(holds(&out), (1_000, 2));

    let (_, lines) = gateway.command(&["journal", "show", "--event", "files.denied", "--json"]).await;
    let of = |reason: &str| {
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["reason"] == reason && line["target"] == "reader x /out" && line["tenant"] == "default").count()
    };
    assert!(of("bytes") > 0 && of("files") > 0, "{lines}");
}

#[tokio::test]
async fn calls_side_by_side_share_one_count() {
    let place = directories();
    let gateway = serving(granting(&place, 100 + 3 * 300_000, 100), ASKS).await;
    let mut writing = tokio::task::JoinSet::new();
    for number in 0..8 {
        let arguments = json!({ "in": "/out", "do": "put", "path": format!("f{number}"), "bytes": 300_000 });
        writing.spawn(Answer::of(Modern::call("file", arguments).build(&gateway)));
    }
    let mut refused = 0;
    while let Some(ended) = writing.join_next().await {
        let told = ended.expect("no panic").result()["structuredContent"].clone();
        refused += usize::from(told == json!({ "error": "quota" }));
    }
    let (held, files) = holds(&place.path().join("out"));
    assert!(refused >= 5, "{refused}");
    assert!(held <= 100 + 3 * 300_000 && held > 3 * 300_000 - 8 * 4_096, "{held}");
    assert_eq!(files, 9);
    assert_eq!(tried(&gateway, "put", "more", bytes(300_000)).await, json!({ "error": "quota" }));
}

#[tokio::test]
async fn nothing_leads_out_of_a_directory_to_write() {
    let place = directories();
    let at = |name: &str| place.path().join(name);
    for (to, link) in [("../beside", "out/up"), ("../beside/secret", "out/up-secret"), ("../beside/new", "out/new"), ("old", "out/inside")]
    {
        symlink(to, at(link)).expect("made");
    }
    symlink(at("beside/secret"), at("out/absolute")).expect("made");
    rustix::fs::mkfifoat(rustix::fs::CWD, at("out/pipe"), 0o600.into()).expect("made");
    let gateway = serving(granting(&place, 1 << 20, 100), ASKS).await;
    let before = (holds(&at("beside")), holds(&at("data")));
    for path in ["up/x", "up-secret", "new", "absolute", "../beside/secret", "../beside/x", "/etc/x", "up/../x", "..", "pipe"] {
        for what in ["put", "append", "put at once", "truncate", "grow", "create", "make directory", "read"] {
            let told = tried(&gateway, what, path, bytes(1)).await;
            assert!(told["error"].is_string(), "{what} {path}: {told}");
        }
    }
    assert_eq!(tried(&gateway, "put", "pipe", bytes(1)).await, json!({ "error": "not-permitted" }), "it is not waited for");
    assert_eq!(tried(&gateway, "append", "inside", bytes(1)).await, json!({ "done": true }));
    for to in ["old", "../beside/secret", "/etc/passwd"] {
        assert_eq!(tried(&gateway, "symlink", "made", json!({ "to": to })).await, json!({ "error": "not-permitted" }), "{to}");
    }
    for what in ["link", "rename"] {
        let crossing = tried(&gateway, what, "old", json!({ "into": "/data", "to": "old" })).await;
        assert_eq!(crossing, json!({ "error": "cross-device" }), "{what}");
        let arguments = json!({ "in": "/data", "do": what, "path": "a.txt", "into": "/out", "to": "a.txt" });
        let crossing = gateway.modern(Modern::call("file", arguments)).await.result()["structuredContent"].clone();
        assert_eq!(crossing, json!({ "error": "cross-device" }), "{what}");
    }
    for (what, path, to) in [("link", "old", "../beside/x"), ("rename", "old", "up/x"), ("link", "pipe", "x"), ("link", "up-secret", "x")] {
        let told = tried(&gateway, what, path, json!({ "to": to })).await;
        assert!(told["error"].is_string(), "{what} {path}: {told}");
    }
    assert_eq!((holds(&at("beside")), holds(&at("data"))), before);
    assert_eq!(fs::read_to_string(at("beside/secret")).expect("read"), "hush");
    assert_eq!(tried(&gateway, "symlink", "made", json!({ "in": "/data", "to": "a.txt" })).await, json!({ "error": "not-permitted" }));
}

#[tokio::test]
async fn both_must_say_that_a_directory_is_written_and_the_settings_count_it_again() {
    let place = directories();
    let out = place.path().join("out");
    let gateway = serving(granting(&place, 100, 10), "files = [\"/out\"]\nfiles_write = [\"/data\"]").await;
    let (done, quota) = (json!({ "done": true }), json!({ "error": "quota" }));
    assert_eq!(tried(&gateway, "put", "old", bytes(1)).await, json!({ "error": "not-permitted" }), "it asks to read");
    let file = gateway.plugins.join("reader.wasm").display().to_string();
    let (_, report) = gateway.command(&["inspect", &file, "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let in_force = &report["granted"][0]["in_force"];
    assert_eq!((&in_force["files"], &in_force["files_write"]), (&json!(["/data", "/out"]), &json!([])), "{report:#}");

    beside(&gateway.plugins, "reader", "[asks]\nconfig = []\nfiles_write = [\"/out\"]\n");
    eventually("it may write", SOON, async || (tried(&gateway, "put", "old", bytes(1)).await == done).then_some(())).await;
    assert_eq!(tried(&gateway, "append", "old", bytes(1)).await, quota, "100 are there");
    // What others do there is seen when the settings are read.
    fs::write(out.join("old"), "").expect("written");
    assert_eq!(tried(&gateway, "append", "old", bytes(1)).await, quota, "and not before");
    fs::write(out.join("big"), vec![b'x'; 99]).expect("written");
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(tried(&gateway, "append", "old", bytes(1)).await, done);
    assert_eq!(tried(&gateway, "append", "old", bytes(1)).await, quota);
    gateway.set(&granting(&place, 200, 10));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(tried(&gateway, "append", "old", bytes(100)).await, done);
    assert_eq!(tried(&gateway, "append", "old", bytes(1)).await, quota);
    assert_eq!(holds(&out), (200, 2));
}
