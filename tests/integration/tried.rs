//! `gatehouse call --plugin FILE --config SETTINGS`: a component file is tried out with what the settings grant to it, and with no more.

use super::command::{Place, Ran};
use crate::harness::{Upstream, fixture};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A place with that fixture, what it asks for, and these settings.
fn place(plugin: &str, asks: &str, settings: &str) -> Place {
    let place = Place::new();
    fs::copy(fixture(plugin), place.path().join(format!("{plugin}.wasm"))).expect("copied");
    fs::write(place.path().join(format!("{plugin}.toml")), format!("[asks]\n{asks}\n")).expect("written");
    for directory in ["etc", "data", "out", "tmp"] {
        fs::create_dir(place.path().join(directory)).expect("made");
    }
    fs::write(place.path().join("etc/settings.toml"), settings).expect("written");
    place
}

/// Calls its tool with these settings, and what stands behind them.
fn tried(place: &Place, (plugin, tool): (&str, &str), arguments: &Value, more: &[&str]) -> Ran {
    let temporary = format!("TMPDIR={}", place.path().join("tmp").display());
    let (file, arguments) = (format!("{plugin}.wasm"), arguments.to_string());
    let call = ["call", tool, "--plugin", &file, "--json", &arguments];
    place.run_under(&["env", &temporary], &[&call[..], more].concat())
}

const WITH: [&str; 2] = ["--config", "etc/settings.toml"];

fn structured(ran: &Ran) -> Value {
    ran.json()["structuredContent"].clone()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
}

const ASKS: &str =
    "config = [\"region\", \"api/token\"]\nenvironment = [\"MODE\"]\nfiles = [\"/data\"]\nfiles_write = [\"/out\"]\nscratch = true";
const SETTINGS: &str = r#"
[tenants.default]
[tenants.acme]
[grants.x]
plugin = "reader"
tenants = ["default"]
scratch_bytes_max = 10
[grants.x.config]
region = "north"
"api/token" = { file = "token" }
unasked = "x"
[grants.x.environment]
MODE = "fast"
[grants.x.files]
"/data" = "../data"
"/out" = { directory = "../out", access = "read-write", bytes_max = 100 }
[grants.acme]
plugin = "reader"
tenants = ["acme"]
[grants.acme.config]
region = "south"
"#;

#[test]
fn what_named_settings_grant_is_given() {
    let place = place("reader", ASKS, SETTINGS);
    let token = place.path().join("etc/token");
    fs::write(&token, "hush-hush\n").expect("written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("closed");
    fs::write(place.path().join("data/a"), "there").expect("written");
    let given = |more: &[&str]| tried(&place, ("reader", "given"), &json!({ "key": "api/token" }), more);
    let ran = given(&WITH);
    let told = structured(&ran);
    assert_eq!(told["settings"], json!({ "region": "north", "api/token": "hush-hush" }), "{ran:?}");
    assert_eq!((&told["variables"], &told["directories"]), (&json!({ "MODE": "fast" }), &json!(["/data", "/out", "/scratch"])));
    let told =
        "grants.x gives it, for the tenant default: settings, variables, directories to read, directories to write, a scratch directory\n";
    assert!(ran.err.contains(told) && !ran.err.contains("hush"), "{ran:?}");

    // For whom they are, and for nobody else.
    let acme = given(&[&WITH[..], &["--tenant", "acme"]].concat());
    assert_eq!(structured(&acme)["settings"], json!({ "region": "south" }), "{acme:?}");
    let nobody = given(&[&WITH[..], &["--tenant", "nobody"]].concat());
    assert_eq!(nobody.code, 78, "{nobody:?}");
    assert!(nobody.err.contains("these settings have no tenant `nobody`; --tenant says who calls, one of "), "{nobody:?}");
    // Settings that nobody names grant nothing, wherever they lie.
    let nothing = json!({ "settings": {}, "one": { "Ok": null }, "variables": {}, "arguments": [], "directories": [] });
    assert_eq!(structured(&given(&[])), nothing);
    place.settings(&SETTINGS.replace("\"../", "\"").replace("\"token\"", "\"etc/token\""));
    assert_eq!(structured(&given(&[])), nothing);
    assert_eq!(given(&["--tenant", "acme"]).code, 2, "it is of settings that are named");
    fs::remove_file(place.path().join("gatehouse.toml")).expect("it was there");

    // What cannot be given is told as a gateway tells it.
    fs::remove_file(&token).expect("it was there");
    let missing = given(&WITH);
    assert_eq!(missing.code, 78, "{missing:?}");
    assert!(missing.err.contains("grants.x.config.api/token.file: it cannot be read"), "{missing:?}");
}

#[test]
fn directories_have_their_quota_and_scratch_leaves_nothing() {
    let settings = SETTINGS.replace("\"api/token\" = { file = \"token\" }\n", "");
    let place = place("reader", ASKS, &settings);
    fs::write(place.path().join("data/a"), "there").expect("written");
    fs::write(place.path().join("out/before"), "x".repeat(50)).expect("written");
    let file = |directory: &str, what: &str, path: &str, bytes: u64| {
        let ran = tried(&place, ("reader", "file"), &json!({ "in": directory, "do": what, "path": path, "bytes": bytes }), &WITH);
        structured(&ran)
    };
    let (done, quota) = (json!({ "done": true }), json!({ "error": "quota" }));
    assert_eq!(file("/data", "read", "a", 0), json!({ "bytes": 5, "text": "there" }));
    assert_eq!(file("/data", "put", "b", 1)["error"], "not-permitted");
    assert_eq!(file("/out", "put", "new", 51), quota, "with what is there already");
    assert_eq!(file("/out", "put", "new", 50), done);
    assert_eq!(fs::read_to_string(place.path().join("out/new")).expect("it is written").len(), 50);
    assert_eq!((file("/scratch", "put", "a", 10), file("/scratch", "put", "a", 11)), (done, quota));
    assert_eq!(names(&place.path().join("tmp")), [""; 0]);
    assert!(!place.path().join("etc/gatehouse-data").exists(), "and nothing of a gateway's is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_leave_with_what_is_added() {
    let upstream = Upstream::plain().await;
    let origin = format!("127.0.0.1:{}", upstream.port());
    let settings = format!(
        "[grants.x]\nplugin = \"sender\"\n[grants.x.http]\nallow = [\"GET http://{origin}\"]\nprivate_addresses = [\"127.0.0.1\"]\n\
         [grants.x.http.credentials.\"127.0.0.1\"]\nheader = \"x-key\"\nfile = \"token\"\nin_clear = true\n"
    );
    let place = place("sender", &format!("http = [\"http://{origin}\"]"), &settings);
    let token = place.path().join("etc/token");
    fs::write(&token, "hush-hush").expect("written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("closed");
    let send = |method: &str, more: &[&str]| {
        let arguments = json!({ "scheme": "http", "authority": origin, "path": "/", "method": method });
        tried(&place, ("sender", "send"), &arguments, more)
    };
    let ran = send("GET", &WITH);
    assert_eq!(upstream.came(), 1, "{ran:?}");
    assert_eq!(upstream.request(1).await.field("x-key").as_deref(), Some("hush-hush"));
    assert!(!ran.out.contains("hush") && !ran.err.contains("hush"), "{ran:?}");
    // Neither what is not granted, nor anything without the settings.
    let (other, without) = (send("DELETE", &WITH), send("GET", &[]));
    assert!([&other, &without].iter().all(|ran| ran.out.contains("HttpRequestDenied")), "{other:?} {without:?}");
    assert_eq!(upstream.came(), 1);
}

/// A gateway's store is its own, whether or not it runs.
#[test]
fn buckets_begin_empty_and_that_is_told() {
    let settings = "[grants.x]\nplugin = \"keeper\"\n[grants.x.keyvalue]\nbuckets = [\"notes\"]\nkeys_max = 1\n";
    let place = place("keeper", "keyvalue = [\"notes\"]", settings);
    let count = json!({ "op": "increment", "key": "a" });
    let arguments = json!({ "bucket": "notes", "do": [count, count, { "op": "set", "key": "b", "value": "x" }] });
    for _ in 0..2 {
        let ran = tried(&place, ("keeper", "keep"), &arguments, &WITH);
        let all = structured(&ran)["all"].clone();
        assert_eq!((&all[0], &all[1]), (&json!(1), &json!(2)), "{ran:?}");
        assert!(all[2]["error"].as_str().is_some_and(|error| error.contains('1')), "the grant's limits hold: {ran:?}");
        assert!(ran.err.contains("its buckets are empty, and gone after this call"), "{ran:?}");
    }
    assert!(!place.path().join("etc/gatehouse-data").exists());
}

/// What a gateway of these settings would not serve is not trusted with what they grant.
#[test]
fn what_is_not_approved_gets_nothing() {
    let settings = "[plugins]\ntrust = \"prompt\"\ndirectory = \"../plugins\"\n[grants.x]\nplugin = \"reader\"\n[grants.x.config]\nregion = \"north\"\n";
    let place = place("reader", "", settings);
    let (component, side) = (place.plugins().join("reader.wasm"), place.plugins().join("reader.toml"));
    fs::copy(fixture("reader"), &component).expect("copied");
    fs::write(&side, "[asks]\nconfig = [\"region\"]\n").expect("written");
    let given = || tried(&place, ("plugins/reader", "given"), &json!({ "key": "region" }), &WITH);
    let refused = given();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("it is not approved") && refused.err.contains("gatehouse plugins approve reader"), "{refused:?}");
    let approved = place.run(&["plugins", "approve", "reader", "--yes", "--config", "etc/settings.toml"]);
    assert_eq!(approved.code, 0, "{approved:?}");
    assert_eq!(structured(&given())["one"], json!({ "Ok": "north" }));
    fs::write(&side, "[asks]\nconfig = [\"region\", \"token\"]\n").expect("written");
    let changed = given();
    assert!(changed.code == 1 && changed.err.contains("its side file is"), "{changed:?}");
}
