//! What plugins are given to read: settings, environment variables and directories, each by its name, and nothing beside.

use super::grants::beside;
use super::tenants::{ADA, House, OTHER_ADA};
use crate::harness::{Gateway, Modern, Setup, eventually};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

/// Writes a file that only its owner can read.
fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("closed");
}

/// The reader with a side file, served.
async fn asking(gateway: &Gateway, asks: &str) {
    beside(&gateway.plugins, "reader", &format!("[asks]\n{asks}\n"));
    eventually("it is served", SOON, async || gateway.tools().await.contains(&"given".to_owned()).then_some(())).await;
}

/// With these settings and variables of its own.
async fn serving(settings: String, asks: &str, environment: &'static [(&'static str, &'static str)]) -> Gateway {
    let setup = Setup { fixtures: vec!["reader", "misbehave"], settings, ..Setup::default() };
    let gateway = Gateway::in_environment(setup, environment).await;
    asking(&gateway, asks).await;
    gateway
}

async fn given(gateway: &Gateway, key: &str) -> Value {
    gateway.modern(Modern::call("given", json!({ "key": key }))).await.result()["structuredContent"].clone()
}

/// What came of something that was tried on a file of `/data`.
async fn tried(gateway: &Gateway, what: &str, path: &str) -> Value {
    let arguments = json!({ "in": "/data", "do": what, "path": path, "to": "to" });
    gateway.modern(Modern::call("file", arguments)).await.result()["structuredContent"].clone()
}

#[tokio::test]
async fn settings_and_variables_are_given_by_name_and_are_told_to_nobody_else() {
    let place = tempfile::tempdir().expect("a directory");
    let key = place.path().join("key");
    secret(&key, "hush-hush\n");
    let settings = format!(
        "[grants.plain]\nplugin = \"reader\"\n[grants.plain.config]\nregion = \"north\"\n\"api/token\" = {{ file = {key:?} }}\nunasked = \"x\"\n\
         [grants.more]\nplugin = \"reader\"\n[grants.more.environment]\nMODE = \"fast\"\nKEY = {{ file = {key:?} }}\nUNASKED = \"x\"\n"
    );
    let setup = Setup { fixtures: vec!["reader", "misbehave"], settings, ..Setup::default() };
    let gateway = Gateway::in_environment(setup, &[("MODE", "the gateway's"), ("OUTER", "the gateway's")]).await;
    let refused = "it imports what only a component may that asks for it in its side file: wasi:config/store@0.2.0-rc.1";
    eventually(refused, SOON, async || gateway.log().contains(refused).then_some(())).await;
    asking(&gateway, "config = [\"region\", \"api/token\", \"absent\"]\nenvironment = [\"MODE\", \"KEY\", \"OUTER\", \"HOME\"]").await;

    let told = given(&gateway, "api/token").await;
    assert_eq!(
        told,
        json!({
            "settings": { "region": "north", "api/token": "hush-hush" },
            "one": { "Ok": "hush-hush" },
            "variables": { "MODE": "fast", "KEY": "hush-hush" },
            "arguments": [],
            "directories": [],
        })
    );
    for key in ["unasked", "absent", "MODE", ""] {
        assert_eq!(given(&gateway, key).await["one"], json!({ "Ok": null }), "{key}");
    }
    // Lists are the same for all, and nothing is granted while they are made.
    let listed = gateway.modern(Modern::new("tools/list", json!({}))).await;
    assert!(listed.text.contains("While it was listed: 0 settings, 0 variables, 0 directories."), "{listed:?}");
    // Nothing changed for whoever was granted nothing.
    let env = gateway.call("env", json!({})).await;
    assert_eq!(env.result()["structuredContent"], json!({ "variables": {}, "arguments": [] }));

    let file = gateway.plugins.join("reader.wasm").display().to_string();
    let (_, report) = gateway.command(&["inspect", &file, "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["asks"]["config"], json!(["region", "api/token", "absent"]));
    assert_eq!(
        (&report["granted"][0]["in_force"]["environment"], &report["granted"][1]["in_force"]["config"]),
        (&json!(["KEY", "MODE"]), &json!(["api/token", "region"])),
        "{report:#}"
    );
    let (_, shown) = gateway.command(&["inspect", &file]).await;
    assert!(shown.contains("environment MODE") && shown.contains("config api/token"), "{shown}");
    for arguments in [&["journal", "show"][..], &["usage", "--json"], &["check"], &["inspect", &file]] {
        assert!(!gateway.command(arguments).await.1.contains("hush"), "{arguments:?}");
    }
    assert!(!report.to_string().contains("hush") && !gateway.log().contains("hush"));

    // Another value counts from the next reading of the settings on; one that cannot be read changes nothing.
    secret(&key, "other\n");
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(given(&gateway, "api/token").await["one"], json!({ "Ok": "other" }));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("opened");
    let (code, said) = gateway.reload().await;
    assert!(code == 78 && said.contains("grants.more.environment.KEY.file: others than its owner can read"), "{code} {said}");
    assert!(!said.contains(&key.display().to_string()), "the path may be a secret in the wrong place");
    assert_eq!(given(&gateway, "api/token").await["one"], json!({ "Ok": "other" }));
}

#[tokio::test]
async fn each_tenant_has_values_of_its_own() {
    let of = |tenant: &str| {
        format!(
            "[grants.{tenant}]\nplugin = \"reader\"\ntenants = [\"{tenant}\"]\n[grants.{tenant}.config]\nname = \"{tenant}\"\n\
             [grants.{tenant}.environment]\nNAME = \"{tenant}\"\n"
        )
    };
    let more = format!("{}{}", of("acme"), of("umbrella"));
    let house = House::of(Setup { fixtures: vec!["reader"], ..Setup::default() }, &[], ("", "", &more)).await;
    beside(&house.gateway.plugins, "reader", "[asks]\nconfig = [\"name\"]\nenvironment = [\"NAME\"]\n");
    eventually("it is served", SOON, async || house.tools(ADA, "/mcp").await.contains(&"given".to_owned()).then_some(())).await;
    for (who, name) in [(ADA, ADA.0), (OTHER_ADA, OTHER_ADA.0), (ADA, ADA.0)] {
        let told = house.asks(who, Modern::call("given", json!({}))).await.result()["structuredContent"].clone();
        assert_eq!((&told["settings"], &told["variables"]), (&json!({ "name": name }), &json!({ "NAME": name })));
    }
}

/// A directory with files, one beside it with what nobody may see, and links from the one to the other.
fn directories() -> TempDir {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    for directory in ["data", "data/sub", "beside", "unasked"] {
        fs::create_dir(at(directory)).expect("made");
    }
    for (file, text) in [("data/a.txt", "here"), ("data/sub/b.txt", "below"), ("beside/secret", "hush"), ("unasked/secret", "hush")] {
        fs::write(at(file), text).expect("written");
    }
    fs::write(at("data/large"), vec![b'x'; 3 << 20]).expect("written");
    for (to, link) in [
        ("a.txt", "data/inside"),
        ("../beside", "data/up"),
        ("../beside/secret", "data/up-secret"),
        ("/etc/passwd", "data/absolute"),
        ("sub/../../beside/secret", "data/around"),
        ("loop", "data/loop"),
    ] {
        symlink(to, at(link)).expect("made");
    }
    symlink(at("beside"), at("data/whole")).expect("made");
    place
}

fn granting(place: &TempDir) -> String {
    let at = |name: &str| place.path().join(name).display().to_string();
    format!("[grants.x]\nplugin = \"reader\"\n[grants.x.files]\n\"/data\" = {:?}\n\"/unasked\" = {:?}\n", at("data"), at("unasked"))
}

/// Every name below a directory, with what is in files.
fn contents(directory: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("it is there").file_type();
        all.push((path.display().to_string(), kind.is_file().then(|| fs::read(&path).expect("read"))));
        if kind.is_dir() {
            all.extend(contents(&path));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn r20_files_are_read_where_they_are_granted_and_nowhere_else() {
    let place = directories();
    let gateway = serving(granting(&place), "config = []\nfiles = [\"/data\", \"/absent\"]", &[]).await;
    let before = contents(place.path());
    assert_eq!(given(&gateway, "").await["directories"], json!(["/data"]), "what is granted and not asked for is not there");
    let names = ["a.txt", "absolute", "around", "inside", "large", "loop", "sub", "up", "up-secret", "whole"];
    assert_eq!(tried(&gateway, "list", ".").await, json!({ "names": names }));
    assert_eq!(tried(&gateway, "list", "sub").await, json!({ "names": ["b.txt"] }));
    for (path, text) in
        [("a.txt", "here"), ("sub/b.txt", "below"), ("sub/../a.txt", "here"), ("inside", "here"), ("./sub/./b.txt", "below")]
    {
        assert_eq!(tried(&gateway, "read", path).await["text"], text, "{path}");
    }
    assert_eq!(tried(&gateway, "read", "large").await["bytes"], 3 << 20);

    for path in [
        "../beside/secret",
        "sub/../../beside/secret",
        "/etc/passwd",
        "/",
        "..",
        "up",
        "whole",
        "up/secret",
        "up-secret",
        "absolute",
        "around",
        "whole/secret",
        "up/../a.txt",
        "loop",
        "../data/a.txt",
        "../unasked/secret",
        "/proc/self/environ",
        "a.txt/",
        "a.txt/../../beside/secret",
        "\0",
    ] {
        for what in ["read", "list"] {
            let told = tried(&gateway, what, path).await;
            assert!(told["error"].is_string(), "{what} {path}: {told}");
        }
    }
    // Nothing is written, by no way.
    for what in ["open to write", "create", "truncate", "write", "resize", "touch", "remove", "rename", "link"] {
        let told = tried(&gateway, what, "a.txt").await;
        assert!(told["error"].is_string(), "{what}: {told}");
    }
    for (what, path) in [
        ("create", "new"),
        ("create", "new/"),
        ("make directory", "new"),
        ("make directory", "new/"),
        ("remove directory", "sub"),
        ("change", "sub"),
        ("change", "."),
        ("symlink", "new"),
        ("rename", "sub"),
        ("link", "inside"),
        ("remove", "inside"),
        ("touch", "sub"),
    ] {
        let told = tried(&gateway, what, path).await;
        assert!(told["error"].is_string(), "{what} {path}: {told}");
    }
    assert_eq!(contents(place.path()), before);
    // For everybody else there are none.
    for path in ["/data/a.txt", "data/a.txt", "a.txt", "/etc/passwd"] {
        assert_eq!(gateway.call("read_file", json!({ "path": path })).await.result()["isError"], true, "{path}");
    }
}

#[tokio::test]
async fn files_are_opened_once_for_a_generation() {
    let place = directories();
    let gateway = serving(granting(&place), "config = []\nfiles = [\"/data\"]", &[]).await;
    // The directory that was opened goes on, whatever takes its name; and what is put into it is there at once.
    fs::write(place.path().join("data/new"), "new").expect("written");
    assert_eq!(tried(&gateway, "read", "new").await["text"], "new");
    fs::rename(place.path().join("data"), place.path().join("moved")).expect("renamed");
    assert_eq!(tried(&gateway, "read", "a.txt").await["text"], "here");
    // It is missed when the settings are read again, and then they are not taken.
    let (code, said) = gateway.reload().await;
    assert!(code == 78 && said.contains("grants.x.files./data: this directory cannot be read"), "{code} {said}");
    assert_eq!(tried(&gateway, "read", "a.txt").await["text"], "here");
    // A gateway does not start without it.
    let (code, said) = gateway.command(&["check"]).await;
    assert!(code == 78 && said.contains("grants.x.files./data: this directory cannot be read"), "{code} {said}");
    gateway.set("");
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(given(&gateway, "").await["directories"], json!([]));
}

/// Each open file is one of the process.
#[tokio::test]
async fn a_call_holds_few_files() {
    let place = directories();
    let gateway = serving(granting(&place), "config = []\nfiles = [\"/data\"]", &[]).await;
    let hold = async |times: u64| {
        let arguments = json!({ "in": "/data", "do": "hold", "path": "a.txt", "times": times });
        gateway.modern(Modern::call("file", arguments)).await
    };
    assert_eq!(hold(48).await.result()["structuredContent"], json!({ "done": true }));
    let too_many = hold(64).await;
    assert_eq!((too_many.code(), too_many.kind()), (-31003, "resource_limit"), "{too_many:?}");
    assert_eq!(tried(&gateway, "read", "a.txt").await["text"], "here");
}

/// A read that does not come back holds its call and nothing else: there are more of them than the runtime has threads.
#[tokio::test]
async fn a_read_that_blocks_holds_nobody_else() {
    let place = directories();
    let pipe = place.path().join("data/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).expect("made");
    let gateway =
        serving(format!("{}[limits]\ncall_wall_time_ms = 3_000\n", granting(&place)), "config = []\nfiles = [\"/data\"]", &[]).await;
    let many = std::thread::available_parallelism().map_or(1, usize::from) + 2;
    let mut blocked = tokio::task::JoinSet::new();
    for _ in 0..many {
        let call = Modern::call("file", json!({ "in": "/data", "do": "read", "path": "pipe" })).build(&gateway);
        blocked.spawn(crate::harness::Answer::of(call));
    }
    assert_eq!(tried(&gateway, "read", "a.txt").await["text"], "here");
    while let Some(ended) = blocked.join_next().await {
        assert_eq!(ended.expect("no panic").kind(), "wall_time");
    }
    // The calls are over, and what they began still blocks.
    assert_eq!(tried(&gateway, "read", "a.txt").await["text"], "here");
}
