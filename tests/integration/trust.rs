//! Trust of plugins: what is not approved is not served, what was approved goes on meanwhile, and nobody else's hand on the files counts. Cases
//! L06, L09, L10 and L20 of the catalogue.

use super::admin::Administered;
use super::audit::{events, whole};
use super::command::Place;
use super::definitions::described;
use crate::harness::{Gateway, Modern, Setup, binary, eventually, fixture};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(super) const SOON: Duration = Duration::from_secs(20);
const PROMPT: &str = "[plugins]\ntrust = \"prompt\"\n";
const LOCKED: &str = "[plugins]\ntrust = \"locked\"\n";
const ONE: &str = "Looks at something.";
const TWO: &str = "Looks at something, and tells everybody.";

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A component with the tool `look`, described so.
pub(super) fn looker(description: &str) -> Vec<u8> {
    described(&json!([{ "name": "look", "description": description }]))
}

pub(super) async fn gateway(settings: &str) -> Gateway {
    Gateway::with(Setup { settings: settings.to_owned(), ..Setup::default() }).await
}

/// What clients are told of a tool; none where there is none of that name.
pub(super) async fn told(gateway: &Gateway, tool: &str) -> Option<String> {
    let answer = gateway.modern(Modern::new("tools/list", json!({}))).await;
    let tools = answer.result()["tools"].as_array().expect("a list").clone();
    let tool = tools.into_iter().find(|found| found["name"] == tool)?;
    Some(tool["description"].as_str().expect("text").to_owned())
}

pub(super) async fn until_told(gateway: &Gateway, tool: &str, description: Option<&str>) {
    let what = format!("{tool} is told as {description:?}");
    eventually(&what, SOON, async || (told(gateway, tool).await.as_deref() == description).then_some(())).await;
}

pub(super) async fn until_logged(gateway: &Gateway, text: &str) {
    let logged = eventually(text, SOON, async || gateway.log().contains(text).then_some(()));
    logged.await;
}

fn lock_of(gateway: &Gateway) -> PathBuf {
    gateway.plugins.with_file_name("plugins.lock")
}

/// Runs a command that is to succeed.
pub(super) async fn done(gateway: &Gateway, arguments: &[&str]) -> String {
    let (code, said) = gateway.command(arguments).await;
    assert_eq!(code, 0, "{arguments:?}: {said}");
    said
}

/// One plugin as `gatehouse plugins list` shows it.
pub(super) async fn listed(gateway: &Gateway, plugin: &str) -> Value {
    let said = done(gateway, &["plugins", "list", "--json"]).await;
    let list: Value = serde_json::from_str(&said).expect("JSON");
    list["plugins"].as_array().expect("a list").iter().find(|row| row["plugin"] == plugin).cloned().unwrap_or_default()
}

fn renamed_in(path: &Path, text: &str) {
    let temporary = path.with_extension("test");
    fs::write(&temporary, text).expect("written");
    fs::rename(temporary, path).expect("renamed");
}

/// The digest that the lock has for a tool's definition.
fn locked_definition(lock: &str, tool: &str) -> String {
    let (_, rest) = lock.split_once(&format!("[[plugin.tool]]\nname = \"{tool}\"\nsha256 = \"sha256:")).expect("the tool's entry");
    rest[..64].to_owned()
}

/// Same file name, same code, another description: the old one stays until somebody approves the new one.
#[tokio::test]
async fn l20_a_changed_description_waits_until_it_is_approved() {
    let gateway = gateway(PROMPT).await;
    let (one, two) = (looker(ONE), looker(TWO));
    gateway.drop_in("looker", &one);
    let newcomer = &events(&gateway, "plugin.untrusted", 1).await[0];
    assert_eq!((&newcomer["target"], &newcomer["reason"]), (&json!("looker"), &json!("not_approved")));
    assert_eq!((&newcomer["old"], &newcomer["new"]), (&Value::Null, &json!(hex(&one))));
    assert_eq!(told(&gateway, "look").await, None);

    // Nobody can be asked here.
    let (code, said) = gateway.command(&["plugins", "approve", "looker"]).await;
    assert!(code == 64 && said.contains("--yes") && !lock_of(&gateway).exists(), "{code}: {said}");
    let said = done(&gateway, &["plugins", "approve", "looker", "--yes"]).await;
    assert!(said.contains("not approved so far") && said.contains(ONE), "{said}");
    until_told(&gateway, "look", Some(ONE)).await;
    let approved = &events(&gateway, "plugin.approved", 1).await[0];
    assert_eq!((&approved["target"], &approved["component"]), (&json!("looker"), &json!(hex(&one))));
    let lock = fs::read_to_string(lock_of(&gateway)).expect("a lock file");
    let old_definition = locked_definition(&lock, "look");

    gateway.drop_in("looker", &two);
    let changed = &events(&gateway, "tool.definition_changed", 1).await[0];
    assert_eq!((&changed["target"], &changed["reason"]), (&json!("looker/look"), &json!("waits")));
    assert_eq!(changed["old"], json!(old_definition));
    let untrusted = &events(&gateway, "plugin.untrusted", 2).await[1];
    assert_eq!(untrusted["reason"], json!("component_changed"));
    assert_eq!((&untrusted["old"], &untrusted["new"]), (&json!(hex(&one)), &json!(hex(&two))));
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE), "the old definition stays");

    let row = listed(&gateway, "looker").await;
    assert_eq!((&row["state"], &row["reason"]), (&json!("quarantined"), &json!("component_changed")));
    assert_eq!((&row["component"], &row["approved"]), (&json!(format!("sha256:{}", hex(&two))), &json!(format!("sha256:{}", hex(&one)))));
    let diff = done(&gateway, &["plugins", "diff"]).await;
    for line in [format!("-  \"description\": \"{ONE}\","), format!("+  \"description\": \"{TWO}\","), "tool `look`: changed".to_owned()] {
        assert!(diff.contains(&line), "{line} in {diff}");
    }
    let (code, said) = gateway.command(&["check"]).await;
    assert!(code == 1 && said.contains("waits: its component is sha256:"), "{code}: {said}");

    done(&gateway, &["plugins", "approve", "--all", "--yes"]).await;
    until_told(&gateway, "look", Some(TWO)).await;
    let lock = fs::read_to_string(lock_of(&gateway)).expect("a lock file");
    assert_eq!(changed["new"], json!(locked_definition(&lock, "look")), "what was told is what was approved then");
    assert_eq!(done(&gateway, &["plugins", "diff", "looker"]).await, "looker: as it is approved\n");
    whole(&gateway);

    // It outlives the process, and so does its withdrawal.
    done(&gateway, &["plugins", "remove", "looker"]).await;
    until_told(&gateway, "look", None).await;
    assert_eq!(events(&gateway, "plugin.unapproved", 1).await[0]["target"], json!("looker"));
    done(&gateway, &["plugins", "approve", "looker", "--yes"]).await;
    until_told(&gateway, "look", Some(TWO)).await;
}

/// What a side file says is what a model reads as well.
#[tokio::test]
async fn l20_a_changed_side_file_waits_too() {
    let gateway = Gateway::with(Setup { fixtures: vec!["calculator"], settings: PROMPT.to_owned(), ..Setup::default() }).await;
    done(&gateway, &["plugins", "lock"]).await;
    let tool = "calculator_add";
    let before = eventually("the tool", SOON, async || told(&gateway, tool).await).await;
    let side = gateway.plugins.join("calculator.toml");
    renamed_in(&side, "[functions.add]\ndescription = \"Adds, and tells everybody.\"\n");
    let untrusted = events(&gateway, "plugin.untrusted", 2).await;
    let untrusted = untrusted.last().expect("two");
    assert_eq!((&untrusted["reason"], &untrusted["old"]), (&json!("side_file_changed"), &Value::Null));
    let text = fs::read(&side).expect("a side file");
    assert_eq!(untrusted["new"], json!(hex(&text)));
    assert_eq!(events(&gateway, "tool.definition_changed", 1).await[0]["target"], json!("calculator/calculator_add"));
    assert_eq!(told(&gateway, tool).await, Some(before));
    done(&gateway, &["plugins", "approve", "calculator", "--yes"]).await;
    until_told(&gateway, tool, Some("Adds, and tells everybody.")).await;
}

/// Not in the lock file, or another by one nibble: not even compiled.
#[tokio::test]
async fn l09_what_the_lock_does_not_name_is_not_loaded() {
    let place = Place::new();
    place.settings(LOCKED);
    let ran = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(ran.code == 78 && ran.err.contains("plugins.lock is not there") && ran.err.contains("gatehouse plugins lock"), "{ran:?}");

    let gateway = gateway("").await;
    let one = looker(ONE);
    gateway.drop_in("looker", &one);
    until_told(&gateway, "look", Some(ONE)).await;
    done(&gateway, &["plugins", "lock"]).await;
    gateway.set(LOCKED);
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    let stranger = fs::read(fixture("versioned")).expect("the fixture");
    gateway.drop_in("stranger", &stranger);
    let untrusted = &events(&gateway, "plugin.untrusted", 1).await[0];
    assert_eq!((&untrusted["target"], &untrusted["reason"]), (&json!("stranger"), &json!("not_approved")));
    assert_eq!((&untrusted["old"], &untrusted["new"]), (&Value::Null, &json!(hex(&stranger))));

    let lock = fs::read_to_string(lock_of(&gateway)).expect("a lock file");
    let digest = hex(&one);
    let last = digest.chars().last().and_then(|last| last.to_digit(16)).expect("a digit") ^ 1;
    let other = format!("{}{last:x}", &digest[..63]);
    renamed_in(&lock_of(&gateway), &lock.replacen(&digest, &other, 1));
    until_told(&gateway, "look", None).await;
    let untrusted = &events(&gateway, "plugin.untrusted", 2).await[1];
    assert_eq!((&untrusted["target"], &untrusted["reason"]), (&json!("looker"), &json!("component_changed")));
    assert_eq!((&untrusted["old"], &untrusted["new"]), (&json!(other), &json!(digest)), "both hashes");
    renamed_in(&lock_of(&gateway), &lock);
    until_told(&gateway, "look", Some(ONE)).await;

    // A new version that is approved takes over although nothing of it was compiled before.
    gateway.drop_in("looker", &looker(TWO));
    events(&gateway, "plugin.untrusted", 3).await;
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    done(&gateway, &["plugins", "approve", "looker", "--yes"]).await;
    until_told(&gateway, "look", Some(TWO)).await;
    assert!(!gateway.tools().await.contains(&"version".to_owned()), "the stranger is none of it");
    whole(&gateway);
}

#[test]
fn l10_a_lock_file_that_is_wrong_keeps_the_gateway_from_starting() {
    let place = Place::new();
    place.settings(PROMPT);
    let (one, path) = (looker(ONE), place.path().join("plugins.lock"));
    fs::write(place.plugins().join("looker.wasm"), &one).expect("written");
    assert_eq!(place.run(&["plugins", "approve", "--all", "--yes"]).code, 0);
    assert_eq!(place.run(&["check"]).code, 0);
    let lock = fs::read_to_string(&path).expect("a lock file");
    let digest = format!("sha256:{}", hex(&one));
    let entry = lock.split_once("[[plugin]]").map(|(_, entry)| format!("[[plugin]]{entry}")).expect("an entry");
    let twice = 1 + lock.lines().count() + 1;
    let wrong = [
        (lock.replace(&digest, &digest[..digest.len() - 1]), 6, "component: must be sha256: and 64 hexadecimal digits"),
        (lock.replace(&digest, &digest.replace("sha256:", "md5:")), 6, "component: must be sha256: and 64 hexadecimal digits"),
        (format!("{lock}\n{entry}"), twice + 1, "name: `looker` is there twice"),
        (lock.replacen("name = \"looker\"", "name = \"looker\"\nname = \"looker\"", 1), 6, "duplicate key"),
        (lock.replace("version = 1", "version = 2"), 2, "it is of form 2"),
        (lock.replace(ONE, TWO), 10, "sha256: is not that of the definition below it"),
        (lock[..lock.len() / 2].to_owned(), 0, ""),
    ];
    for (text, line, what) in wrong {
        fs::write(&path, &text).expect("written");
        for command in
            [&["serve", "--listen", "127.0.0.1:0"][..], &["check"], &["plugins", "list"], &["plugins", "approve", "--all", "--yes"]]
        {
            let ran = place.run(command);
            let named = line == 0 || ran.err.contains(&format!("plugins.lock: line {line}: {what}"));
            assert!(ran.code == 78 && named && ran.err.contains("plugins.lock: line "), "{command:?} {line} {what}: {ran:?}\n{text}");
        }
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text, "what is not understood is not written over");
    }
    fs::write(&path, lock.replace(&digest, &format!("sha256:{}", hex(&one).to_uppercase()))).expect("written");
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 0, "upper case is the same: {ran:?}");
}

/// What is half-written, wrong or gone while the gateway runs changes nothing, and what is whole again counts.
#[tokio::test]
async fn a_lock_file_that_cannot_be_used_never_destroys_the_last_good_one() {
    let gateway = gateway(PROMPT).await;
    gateway.drop_in("looker", &looker(ONE));
    events(&gateway, "plugin.untrusted", 1).await;
    done(&gateway, &["plugins", "approve", "looker", "--yes"]).await;
    until_told(&gateway, "look", Some(ONE)).await;
    let (path, lock) = (lock_of(&gateway), fs::read_to_string(lock_of(&gateway)).expect("a lock file"));
    let untaken = |times: usize| {
        let log = gateway.log();
        (log.matches("the lock file was not taken; what was approved goes on").count() == times).then_some(())
    };
    fs::write(&path, &lock[..lock.len() * 2 / 3]).expect("written");
    eventually("half of it is not taken", SOON, async || untaken(1)).await;
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    fs::remove_file(&path).expect("removed");
    eventually("none is not taken", SOON, async || untaken(2)).await;
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    fs::write(&path, &lock).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("its mode");
    eventually("one of everybody's is not taken", SOON, async || untaken(3)).await;
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    let refused: Vec<_> = events(&gateway, "config.rejected", 3).await.iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(refused, [json!("lock"), json!("lock"), json!("lock")]);
    fs::remove_file(&path).expect("removed");
    gateway.drop_in("looker", &looker(TWO));
    events(&gateway, "plugin.untrusted", 2).await;
    done(&gateway, &["plugins", "approve", "looker", "--yes"]).await;
    until_told(&gateway, "look", Some(TWO)).await;
}

/// Killed at any moment, the command leaves the old file or the new one.
#[test]
fn a_killed_approval_leaves_the_old_lock_file_or_the_new_one() {
    let place = Place::new();
    place.settings(PROMPT);
    let (file, path) = (place.plugins().join("looker.wasm"), place.path().join("plugins.lock"));
    let approve = ["plugins", "approve", "--all", "--yes"];
    let mut whole_run = Duration::MAX;
    let locks = [ONE, TWO].map(|description| {
        fs::write(&file, looker(description)).expect("written");
        let began = Instant::now();
        assert_eq!(place.run(&approve).code, 0);
        whole_run = whole_run.min(began.elapsed());
        fs::read_to_string(&path).expect("a lock file")
    });
    assert_ne!(locks[0], locks[1]);
    let mut killed = 0;
    for moment in 1..=24 {
        // The other one than that which is approved now.
        let approved = fs::read_to_string(&path).expect("a lock file");
        let description = if approved == locks[0] { TWO } else { ONE };
        fs::write(&file, looker(description)).expect("written");
        let mut child = Command::new(binary()).args(approve).current_dir(place.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.as_mut().expect("it starts");
        // Most of it is compiling; the file is written near the end.
        std::thread::sleep(whole_run * (24 + moment) / 40);
        child.kill().expect("its own");
        killed += usize::from(!child.wait().expect("it ended").success());
        let left = fs::read_to_string(&path).expect("a lock file");
        assert!(locks.contains(&left), "moment {moment}: {left}");
    }
    assert!(killed > 0, "none of them was killed in time");
    let ran = place.run(&approve);
    assert_eq!(ran.code, 0, "what was left behind is in nobody's way: {ran:?}");
}

#[tokio::test]
async fn files_that_others_can_change_are_not_served() {
    let gateway = gateway("").await;
    let path = gateway.plugins.join("looker.wasm");
    let with_mode = |mode: u32| {
        let temporary = gateway.plugins.join(".new");
        fs::write(&temporary, looker(ONE)).expect("written");
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode)).expect("its mode");
        fs::rename(&temporary, &path).expect("renamed");
    };
    for (mode, reason) in [(0o664, "it can be written by its group, "), (0o646, "it can be written by every user of this machine")] {
        with_mode(mode);
        until_logged(&gateway, &format!("is not served plugin=looker error={reason}")).await;
        assert_eq!(told(&gateway, "look").await, None);
    }
    let rejected = events(&gateway, "plugin.rejected", 2).await;
    assert!(rejected.iter().all(|event| event["reason"] == json!("permissions")), "{rejected:?}");
    // Nothing has to be dropped in anew.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("its mode");
    until_told(&gateway, "look", Some(ONE)).await;
    // A side file says what models read.
    fs::write(gateway.plugins.join("looker.toml"), "").expect("written");
    fs::set_permissions(gateway.plugins.join("looker.toml"), fs::Permissions::from_mode(0o622)).expect("its mode");
    until_logged(&gateway, "error=its side file can be written by every user of this machine").await;
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    fs::remove_file(gateway.plugins.join("looker.toml")).expect("removed");
    if rustix::process::geteuid().is_root() {
        // Who is not root cannot give a file away, and then there is nothing to prove here.
        with_mode(0o644);
        std::os::unix::fs::chown(&path, Some(4711), None).expect("given away");
        until_logged(&gateway, "plugin=looker error=it belongs to user 4711, who can change it at any time").await;
    }
    // What happens to the directory later is heard of as well, and nothing new comes from it.
    fs::set_permissions(&gateway.plugins, fs::Permissions::from_mode(0o777)).expect("its mode");
    gateway.drop_in("versioned", &fs::read(fixture("versioned")).expect("the fixture"));
    until_logged(&gateway, "the plugin directory cannot be read; what is loaded stays").await;
    assert!(!gateway.tools().await.contains(&"version".to_owned()));
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    fs::set_permissions(&gateway.plugins, fs::Permissions::from_mode(0o755)).expect("its mode");
    eventually("it is read again", SOON, async || gateway.tools().await.contains(&"version".to_owned()).then_some(())).await;
}

#[test]
fn directories_that_others_can_change_are_refused() {
    let refused = |prepare: &dyn Fn(&Place), wanted: &str| {
        let place = Place::new();
        prepare(&place);
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"]] {
            let ran = place.run(command);
            assert!(
                ran.code == 78 && ran.err.starts_with("gatehouse: the plugin directory ") && ran.err.contains(wanted),
                "{wanted}: {ran:?}"
            );
        }
    };
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    refused(&|place| mode(&place.plugins(), 0o775), " plugins can be written by its group, ");
    refused(&|place| mode(place.path(), 0o777), ", where every user of this machine can put another in its place");
    if rustix::process::geteuid().is_root() {
        let given = |place: &Place| std::os::unix::fs::chown(place.plugins(), Some(4711), None).expect("given away");
        refused(&given, " plugins belongs to user 4711, who can change it at any time");
    }
    // Where nobody can rename what is another's, as in /tmp.
    let place = Place::new();
    mode(place.path(), 0o1777);
    assert_eq!(place.run(&["check"]).code, 0);
}

/// A link that takes a directory's place is not followed, at the start and later, whoever made it.
#[tokio::test]
async fn l06_a_linked_plugin_directory_is_ignored() {
    let place = Place::with(&[("versioned", fixture("versioned"))]);
    fs::rename(place.plugins(), place.path().join("real")).expect("renamed");
    std::os::unix::fs::symlink("real", place.plugins()).expect("a link");
    let serving = place.serve(&["--plugins", "plugins/"]);
    // The log has a thread of its own, which may be later than the line that says ready.
    let unread = "the plugin directory cannot be read; what is loaded stays";
    eventually(unread, SOON, async || serving.log().contains(unread).then_some(())).await;
    assert!(
        serving.log().matches(unread).count() == 1 && serving.log().contains("it is a symbolic link, which is not followed"),
        "{}",
        serving.log()
    );
    assert!(serving.out().contains("No plugins yet."), "{}", serving.out());
    assert_eq!(place.run(&["check"]).code, 1);

    let gateway = Gateway::with(Setup { fixtures: vec!["versioned"], ..Setup::default() }).await;
    let real = gateway.plugins.with_extension("real");
    fs::rename(&gateway.plugins, &real).expect("renamed");
    // What is wrong is said again when it is something else.
    until_logged(&gateway, "the plugin directory cannot be read; what is loaded stays").await;
    assert!(gateway.log().contains("No such file or directory"), "{}", gateway.log());
    std::os::unix::fs::symlink(&real, &gateway.plugins).expect("a link");
    fs::write(real.join("looker.wasm"), looker(ONE)).expect("written");
    until_logged(&gateway, "it is a symbolic link, which is not followed").await;
    assert_eq!(gateway.tools().await, ["version"]);
    // To another tenant's directory, by a link of its own.
    fs::remove_file(&gateway.plugins).expect("removed");
    fs::create_dir(&gateway.plugins).expect("a directory");
    std::os::unix::fs::symlink(&real, gateway.plugins.join("theirs.wasm")).expect("a link");
    until_logged(&gateway, "is not served plugin=theirs error=it cannot be read: it is a symbolic link").await;
}

/// A tenant's own directory may be asked for more than the shared one, and is named with its tenant.
#[tokio::test]
async fn a_tenants_own_plugins_are_approved_by_its_name() {
    let place = tempfile::tempdir().expect("a directory");
    let own = place.path().join("own");
    fs::create_dir(&own).expect("a directory");
    fs::write(own.join("looker.wasm"), looker(ONE)).expect("written");
    let settings = format!("[tenants.acme]\nplugin_directory = {own:?}\nplugin_trust = \"prompt\"\n[tenants.default]\n");
    let gateway = gateway(&settings).await;
    gateway.drop_in("versioned", &fs::read(fixture("versioned")).expect("the fixture"));
    eventually("what is shared is served", SOON, async || gateway.tools().await.contains(&"version".to_owned()).then_some(())).await;
    let untrusted = &events(&gateway, "plugin.untrusted", 1).await[0];
    assert_eq!((&untrusted["target"], &untrusted["tenant"]), (&json!("acme/looker"), &json!("acme")));
    let (code, said) = gateway.command(&["plugins", "approve", "looker", "--yes"]).await;
    assert!(code == 1 && said.contains("no file looker.wasm lies in plugins.directory"), "{said}");
    done(&gateway, &["plugins", "approve", "acme/looker", "--yes"]).await;
    let approved = &events(&gateway, "plugin.approved", 1).await[0];
    assert_eq!((&approved["target"], &approved["tenant"]), (&json!("acme/looker"), &json!("acme")));
    until_logged(&gateway, "plugin loaded plugin=looker").await;
    assert_eq!(listed(&gateway, "acme/looker").await["state"], json!("served"));
    assert_eq!(listed(&gateway, "versioned").await["state"], json!("served"));
    done(&gateway, &["plugins", "remove", "acme/looker"]).await;
    until_logged(&gateway, "a plugin is not served any more plugin=looker").await;
}

#[tokio::test]
async fn the_operator_is_shown_what_waits() {
    let admin = Administered::with(Vec::new(), Vec::new(), PROMPT).await;
    admin.gateway.drop_in("looker", &looker(ONE));
    let shown = eventually("what waits", SOON, async || {
        let shown = admin.json("/v1/plugins").await;
        shown["problems"].as_array().is_some_and(|problems| !problems.is_empty()).then_some(shown)
    });
    let problem = &shown.await["problems"][0];
    let wanted = json!({ "reason": "not_approved", "approved": null, "found": hex(&looker(ONE)), "tools": [] });
    assert_eq!((&problem["plugin"], &problem["quarantined"]), (&json!("looker"), &wanted));
    let page = admin.metrics().await;
    assert_eq!(page.value("gatehouse_plugins", &[("state", "quarantined")]), 1.0);
    assert_eq!(page.value("gatehouse_plugin_rejected_total", &[("reason", "untrusted")]), 1.0);
}

/// Who may bring plugins must not be able to approve them.
#[test]
fn a_lock_file_among_plugins_is_refused() {
    let place = Place::new();
    place.settings("[plugins]\ntrust = \"prompt\"\nlock = \"plugins/plugins.lock\"\n");
    for command in [&["check"][..], &["plugins", "approve", "--all", "--yes"]] {
        let ran = place.run(command);
        assert!(ran.code == 78 && ran.err.contains("lies in a plugin directory"), "{ran:?}");
    }
}
