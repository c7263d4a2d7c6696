use super::*;
use crate::config::TenantId;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

fn tool(tool: &str, tenant: Option<&str>, server: Option<&str>) -> Target {
    Target::Tool { tool: tool.into(), tenant: tenant.map(Into::into), server: server.map(Into::into) }
}

fn revocation(target: Target) -> Revocation {
    Revocation { target, reason: Some("a leak".to_owned()), at_ms: 1, until_ms: None }
}

fn work(tenant: &str, subject: &str, plugin: &str, tool: &str) -> Work {
    Work {
        tenant: TenantId::of(tenant),
        issuer: Some("issuer".into()),
        subject: Some(subject.into()),
        server: None,
        plugin: plugin.into(),
        tool: Some(tool.into()),
    }
}

#[test]
fn each_covers_its_own_and_nothing_else() {
    let principal =
        |tenant: Option<&str>| Target::Principal { issuer: "issuer".into(), subject: "ada".into(), tenant: tenant.map(Into::into) };
    let plugin = |tenant: Option<&str>| Target::Plugin { plugin: "box".into(), tenant: tenant.map(Into::into) };
    let table = [
        (Target::Tenant { tenant: "acme".into() }, [true, false, true, false]),
        (principal(None), [true, true, false, false]),
        (principal(Some("acme")), [true, false, false, false]),
        (plugin(None), [true, true, true, false]),
        (plugin(Some("umbrella")), [false, true, false, false]),
        (tool("echo", None, None), [true, true, false, false]),
        (tool("echo", Some("acme"), None), [true, false, false, false]),
        (tool("echo", None, Some("one")), [false, false, false, false]),
    ];
    let works = [
        work("acme", "ada", "box", "echo"),
        work("umbrella", "ada", "box", "echo"),
        work("acme", "bob", "box", "hash"),
        work("umbrella", "bob", "crate", "hash"),
    ];
    for (target, expected) in table {
        let set = Set::new(vec![revocation(target.clone())]);
        assert_eq!(works.each_ref().map(|work| set.covers(work)), expected, "{target}");
    }
}

#[tokio::test]
async fn what_runs_is_stopped_and_what_comes_is_refused() {
    let revocations = Revocations::none();
    let [first, second] = ["echo", "hash"].map(|tool| revocations.enter(work("acme", "ada", "box", tool)).expect("nothing is revoked"));
    let stopping = revocations.revoke(revocation(tool("echo", None, None))).expect("room");
    assert_eq!((stopping.count(), first.revoked.is_cancelled(), second.revoked.is_cancelled()), (1, true, false));
    assert_eq!(stopping.gone(Duration::ZERO).await, 1);
    drop(first);
    assert_eq!(stopping.gone(Duration::from_secs(60)).await, 0);
    assert_eq!(revocations.enter(work("acme", "ada", "box", "echo")).err(), Some(Revoked));
    assert!(revocations.restore(&tool("echo", None, None)).expect("nothing to write").is_some());
    revocations.enter(work("acme", "ada", "box", "echo")).expect("restored");
}

#[test]
fn they_are_kept_for_one_process_at_a_time() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("data/revocations");
    let revocations = Revocations::open(&directory).expect("none yet");
    revocations.revoke(revocation(tool("echo", Some("acme"), None))).expect("room");
    let over = Revocation { until_ms: Some(2), ..revocation(Target::Tenant { tenant: "acme".into() }) };
    revocations.revoke(over).expect("room");
    revocations.keep().expect("written");
    let mode = std::fs::metadata(directory.join(FILE)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(Revocations::open(&directory), Err(FileError::Locked(_))));
    assert_eq!(Revocations::look(&directory).expect("readable").now().all().len(), 1, "one is over");
    drop(revocations);
    let again = Revocations::open(&directory).expect("free");
    assert_eq!(again.now().all(), [revocation(tool("echo", Some("acme"), None))]);
}

#[test]
fn a_file_that_is_not_understood_is_not_empty() {
    let place = tempfile::tempdir().expect("a directory");
    let table = [
        "",
        "{}",
        "[]",
        "{\"version\":1}",
        "{\"version\":1,\"revocations\":[{}]}",
        "{\"version\":1,\"revocations\":[],\"more\":1}",
        "{\"version\":1,\"revocations\":[{\"target\":{\"kind\":\"tenant\",\"tenant\":\"\"},\"at_ms\":1}]}",
        "{\"version\":1,\"revocations\":[{\"target\":{\"kind\":\"tenant\",\"tenant\":\"a\",\"tool\":\"b\"},\"at_ms\":1}]}",
        "{\"version\":1,\"revocations\":[{\"target\":{\"kind\":\"planet\",\"planet\":\"a\"},\"at_ms\":1}]}",
        "{\"version\":1,\"revocations\":[]",
    ];
    for text in table {
        std::fs::write(place.path().join(FILE), text).expect("written");
        assert!(matches!(Revocations::open(place.path()), Err(FileError::Damaged { .. })), "{text}");
    }
    std::fs::write(place.path().join(FILE), "{\"version\":2,\"anything\":[]}").expect("written");
    assert!(matches!(Revocations::open(place.path()), Err(FileError::Newer { version: 2, .. })));
}
