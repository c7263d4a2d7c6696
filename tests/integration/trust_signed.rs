//! Signatures of plugins: minisign's, by keys that the settings name, over the very bytes that are compiled. Case L09 of the catalogue.

use super::audit::{by_reason, events};
use super::command::Place;
use super::trust::{SOON, done, gateway, hex, listed, looker, told, until_logged, until_told};
use crate::harness::{Gateway, eventually};
use gatehouse_forge::{Signer, bytes_of, part};
use minisign::KeyPair;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

const COMMENT: &str = "look 1.0, built from 4f2a";
const ONE: &str = "Looks at something.";

fn key() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().expect("a key")
}

fn sign(key: &KeyPair, bytes: &[u8]) -> String {
    minisign::sign(Some(&key.pk), &key.sk, bytes, Some(COMMENT), None).expect("signed").to_string()
}

/// With the tool of that name, and bytes of its own.
fn tool(name: &str) -> Vec<u8> {
    super::definitions::described(&json!([{ "name": name, "description": ONE }]))
}

fn settings(keys: &[&KeyPair], more: &str) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("{:?}", key.pk.to_base64())).collect();
    format!("[plugins]\ntrusted_keys = [{}]\n{more}", keys.join(", "))
}

/// Puts a component into place behind its signature.
fn drop_in(gateway: &Gateway, name: &str, bytes: &[u8], signature: Option<&str>) {
    if let Some(signature) = signature {
        let temporary = gateway.plugins.join(".new");
        fs::write(&temporary, signature).expect("written");
        fs::rename(temporary, gateway.plugins.join(format!("{name}.wasm.minisig"))).expect("renamed");
    }
    gateway.drop_in(name, bytes);
}

/// As minisign before 0.10 signed, of the file and not of its hash: the key, and the signature.
fn old_form(bytes: &[u8]) -> (String, String) {
    let signer = Signer::ed25519("old", 9);
    let base64 = |bytes: &[u8]| {
        let text = part(bytes).replace('-', "+").replace('_', "/");
        format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
    };
    let public = bytes_of(signer.jwk()["x"].as_str().expect("a public key")).expect("base64");
    let signature = signer.sign(bytes);
    let global = signer.sign(&[&signature, COMMENT.as_bytes()].concat());
    let head = b"Ed\x01\x02\x03\x04\x05\x06\x07\x08";
    let text =
        format!("untrusted comment: x\n{}\ntrusted comment: {COMMENT}\n{}\n", base64(&[head, &signature[..]].concat()), base64(&global));
    (base64(&[head, &public[..]].concat()), text)
}

/// Missing, by another key, over another file, and everything else that is no signature of these bytes.
#[tokio::test]
async fn l09_what_is_not_signed_as_it_must_be_is_not_loaded() {
    let (mine, second, other) = (key(), key(), key());
    let (old_key, old_signature) = old_form(&tool("old"));
    let keys = settings(&[&mine, &second], "").replace("\"]\n", &format!("\", {old_key:?}]\n"));
    let gateway = gateway(&keys).await;
    let good = sign(&mine, &tool("comment"));
    let wrong: [(&str, Option<String>, &str); 8] = [
        ("missing", None, "signature_missing"),
        ("other-key", Some(sign(&other, &tool("other-key"))), "signature_key"),
        ("other-file", Some(sign(&mine, &tool("another"))), "signature_wrong"),
        ("comment", Some(good.replace(COMMENT, "look 9.0, built from 4f2a")), "signature_wrong"),
        ("cut", Some(good.lines().take(2).collect::<Vec<_>>().join("\n")), "signature_wrong"),
        ("nothing", Some(String::new()), "signature_wrong"),
        ("old", Some(old_signature), "signature_wrong"),
        ("empty-lines", Some("\n".repeat(16_000)), "signature_wrong"),
    ];
    for (name, signature, _) in &wrong {
        drop_in(&gateway, name, &tool(name), signature.as_deref());
    }
    let untrusted = events(&gateway, "plugin.untrusted", wrong.len()).await;
    let reasons: BTreeMap<_, _> =
        untrusted.iter().map(|event| (event["target"].as_str().unwrap_or_default(), event["reason"].clone())).collect();
    assert_eq!(reasons, wrong.iter().map(|(name, _, reason)| (*name, json!(reason))).collect());
    assert_eq!(by_reason(&untrusted).values().sum::<u64>(), 8, "each once");
    until_logged(&gateway, "plugin=old error=its signature is of minisign's old form, which is not taken").await;
    for event in &untrusted {
        assert_eq!(event["new"], json!(hex(&tool(event["target"].as_str().expect("a name")))));
    }
    assert_eq!(gateway.tools().await, Vec::<String>::new());

    // By either key, and shown with what the signer says.
    drop_in(&gateway, "missing", &tool("missing"), Some(&sign(&second, &tool("missing"))));
    drop_in(&gateway, "comment", &tool("comment"), Some(&good));
    until_told(&gateway, "missing", Some(ONE)).await;
    until_told(&gateway, "comment", Some(ONE)).await;
    let row = listed(&gateway, "comment").await;
    assert_eq!((&row["state"], &row["signed_by"]["comment"]), (&json!("served"), &json!(COMMENT)));
    let id = mine.pk.keynum().iter().rev().map(|byte| format!("{byte:02X}")).collect::<String>();
    assert_eq!(row["signed_by"]["key"], json!(id));
}

/// Every single byte of the component and of its signature counts.
#[test]
fn a_changed_bit_is_another_file() {
    let (mine, place) = (key(), Place::new());
    place.settings(&settings(&[&mine], ""));
    let (bytes, file) = (looker(ONE), place.plugins().join("looker.wasm"));
    let signature = place.plugins().join("looker.wasm.minisig");
    fs::write(&signature, sign(&mine, &bytes)).expect("written");
    for at in [0, 8, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).expect("written");
        let ran = place.run(&["plugins", "list", "--json"]);
        assert_eq!(ran.json()["plugins"][0]["reason"], json!("signature_wrong"), "byte {at}: {ran:?}");
    }
    fs::write(&file, &bytes).expect("written");
    assert_eq!(place.run(&["plugins", "list", "--json"]).json()["plugins"][0]["state"], json!("served"));
}

/// The lock file does not stand in for a signature, nor a signature for the lock file.
#[tokio::test]
async fn l09_both_are_asked_for_where_both_are_set() {
    let mine = key();
    let gateway = gateway(&settings(&[&mine], "trust = \"prompt\"\n")).await;
    let bytes = looker(ONE);
    drop_in(&gateway, "looker", &bytes, Some(&sign(&mine, &bytes)));
    assert_eq!(events(&gateway, "plugin.untrusted", 1).await[0]["reason"], json!("not_approved"));
    let said = done(&gateway, &["plugins", "approve", "looker", "--yes"]).await;
    assert!(said.contains(COMMENT), "who signed it is shown: {said}");
    until_told(&gateway, "look", Some(ONE)).await;
    fs::remove_file(gateway.plugins.join("looker.wasm.minisig")).expect("removed");
    let untrusted = &events(&gateway, "plugin.untrusted", 2).await[1];
    assert_eq!((&untrusted["reason"], &untrusted["old"]), (&json!("signature_missing"), &json!(hex(&bytes))));
    // What was signed when it came goes on; what comes without a signature does not.
    assert_eq!(told(&gateway, "look").await.as_deref(), Some(ONE));
    let (code, said) = gateway.command(&["plugins", "approve", "looker", "--yes"]).await;
    assert!(code == 1 && said.contains("looker cannot be approved: it has no signature"), "{code}: {said}");
}

#[tokio::test]
async fn where_no_signature_is_required_a_wrong_one_is_refused_all_the_same() {
    let (mine, other) = (key(), key());
    let gateway = gateway(&settings(&[&mine], "require_signature = false\n")).await;
    drop_in(&gateway, "unsigned", &tool("unsigned"), None);
    drop_in(&gateway, "stranger", &tool("stranger"), Some(&sign(&other, &tool("stranger"))));
    drop_in(&gateway, "signed", &tool("signed"), Some(&sign(&mine, &tool("signed"))));
    drop_in(&gateway, "wrong", &tool("wrong"), Some(&sign(&mine, &tool("another"))));
    std::os::unix::fs::symlink("signed.wasm.minisig", gateway.plugins.join("linked.wasm.minisig")).expect("a link");
    drop_in(&gateway, "linked", &tool("linked"), None);
    for name in ["unsigned", "stranger", "signed"] {
        until_told(&gateway, name, Some(ONE)).await;
    }
    let mut refused: Vec<_> = events(&gateway, "plugin.untrusted", 2).await.iter().map(|event| event["target"].clone()).collect();
    refused.sort_by_key(ToString::to_string);
    assert_eq!(refused, [json!("linked"), json!("wrong")], "what is there and cannot be read is not passed over either");
    // Where no key is named, nobody looks at them.
    gateway.set("");
    assert_eq!(gateway.reload().await.0, 0);
    for name in ["linked", "wrong"] {
        until_told(&gateway, name, Some(ONE)).await;
    }
    gateway.set(&settings(&[&mine], "require_signature = false\n"));
    assert_eq!(gateway.reload().await.0, 0);
    for name in ["linked", "wrong"] {
        until_told(&gateway, name, None).await;
    }
    assert_eq!(listed(&gateway, "stranger").await["signed_by"], Value::Null);
    assert_eq!(listed(&gateway, "signed").await["signed_by"]["comment"], json!(COMMENT));
}

/// A key that is taken away takes with it what it signed; what is signed anew goes on.
#[tokio::test]
async fn keys_are_exchanged_while_the_gateway_runs() {
    let (first, second) = (key(), key());
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("release.pub");
    let write = |key: &KeyPair| fs::write(&file, key.pk.to_box().expect("its box").to_string()).expect("written");
    write(&first);
    let gateway = gateway(&format!("[plugins]\ntrusted_key_files = [{file:?}]\n")).await;
    for name in ["one", "two"] {
        drop_in(&gateway, name, &tool(name), Some(&sign(&first, &tool(name))));
        until_told(&gateway, name, Some(ONE)).await;
    }
    // Its signature comes first, and is by nobody yet.
    fs::write(gateway.plugins.join("two.wasm.minisig"), sign(&second, &tool("two"))).expect("written");
    assert_eq!(events(&gateway, "plugin.untrusted", 1).await[0]["reason"], json!("signature_key"));
    assert_eq!(told(&gateway, "two").await.as_deref(), Some(ONE));
    write(&second);
    until_told(&gateway, "one", None).await;
    let all = eventually("both are told", SOON, async || {
        let all = events(&gateway, "plugin.untrusted", 2).await;
        all.iter().any(|event| event["target"] == json!("one")).then_some(all)
    });
    let one = all.await.into_iter().find(|event| event["target"] == json!("one")).expect("it was found");
    assert_eq!(one["reason"], json!("signature_key"));
    assert_eq!(told(&gateway, "two").await.as_deref(), Some(ONE));
}

#[test]
fn keys_that_are_wrong_are_named() {
    let place = Place::new();
    let good = key().pk.to_base64();
    let wrong = [
        ("require_signature = true\n".to_owned(), "line 2: plugins.require_signature: needs a key"),
        (format!("trusted_keys = [{good:?}, {:?}]\n", &good[1..]), "plugins.trusted_keys: the second is no public key of minisign"),
        ("trusted_key_files = [\"nowhere.pub\"]\n".to_owned(), "plugins.trusted_key_files: the first cannot be read: "),
        ("trust = \"yes\"\n".to_owned(), "line 2: plugins.trust: must be \"open\", \"prompt\" or \"locked\""),
    ];
    for (settings, wanted) in wrong {
        place.settings(&format!("[plugins]\n{settings}"));
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"]] {
            let ran = place.run(command);
            assert!(ran.code == 78 && ran.err.contains(wanted), "{wanted}: {ran:?}");
        }
    }
}
