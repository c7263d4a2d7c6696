use super::*;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

fn config(directory: &TempDir, bytes_max: u64) -> JournalConfig {
    JournalConfig { directory: directory.path().to_owned(), bytes_max, age_max: Duration::from_secs(3_600) }
}

fn record(tool: &str) -> Record {
    Record {
        at_ms: 1,
        tenant: "default".into(),
        principal: None,
        server: None,
        method: "tools/call".into(),
        plugin: "toolbox".to_owned(),
        tool: tool.to_owned(),
        component: "ab".repeat(32),
        revision: "2026-07-28".into(),
        arguments_bytes: 2,
        arguments_sha256: Record::digest(b"{}"),
        result_bytes: 0,
        result_sha256: None,
        outcome: Outcome::Fault,
        reason: Some("wall_time".into()),
        policy: None,
        wall_us: 5,
        cpu_us: 3,
    }
}

/// Writes so many records and closes the journal.
fn write(directory: &TempDir, bytes_max: u64, count: usize) {
    let journal = Journal::open(&config(directory, bytes_max)).expect("opened");
    for number in 0..count {
        journal.write(record(&format!("tool_{number}")));
    }
}

fn check(directory: &TempDir) -> Result<Option<Verified>, VerifyError> {
    verify(directory.path(), |_| {})
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let directory = TempDir::new().expect("a directory");
    assert!(check(&directory).expect("nothing is right").is_none());
    write(&directory, 1 << 30, 3);
    write(&directory, 1 << 30, 2);
    let verified = check(&directory).expect("whole").expect("records");
    assert_eq!((verified.first_seq, verified.last_seq, verified.missed), (1, 5, 0));
    let lines = lines_from_end(directory.path(), 2).expect("read");
    assert_eq!(lines.len(), 2);
    assert!(lines.last().is_some_and(|line| line.contains("\"seq\":5") && line.contains("\"tool\":\"tool_1\"")), "{lines:?}");
}

#[test]
fn a_change_shows() {
    let directory = TempDir::new().expect("a directory");
    write(&directory, 1 << 30, 4);
    let path = segments(directory.path()).expect("read").remove(0).path;
    let text = fs::read_to_string(&path).expect("read");
    let lines: Vec<&str> = text.lines().collect();

    let broken = |text: String, seq: u64| {
        fs::write(&path, text).expect("written");
        match check(&directory) {
            Err(VerifyError::Broken { seq: found, .. }) => assert_eq!(found, seq),
            other => panic!("{other:?}"),
        }
    };
    broken(text.replace("tool_1", "tool_x"), 3);
    broken(format!("{}\n{}\n{}\n", lines[0], lines[2], lines[3]), 3);
    broken(format!("{}\n{}\n{}\n{}\n", lines[0], lines[2], lines[1], lines[3]), 3);
    fs::write(&path, text.replacen("{", "[", 1)).expect("written");
    assert!(matches!(check(&directory), Err(VerifyError::Malformed { line: 1, .. })));
}

#[test]
fn a_torn_line_is_what_a_crash_leaves() {
    let directory = TempDir::new().expect("a directory");
    write(&directory, 1 << 30, 3);
    let path = segments(directory.path()).expect("read").remove(0).path;
    let mut text = fs::read_to_string(&path).expect("read");
    text.truncate(text.len() - 7);
    fs::write(&path, text).expect("written");
    assert_eq!(check(&directory).expect("whole").expect("records").last_seq, 2);
    write(&directory, 1 << 30, 1);
    assert_eq!(check(&directory).expect("whole").expect("records").last_seq, 3);
}

#[test]
fn old_segments_go_when_there_is_too_much() {
    let directory = TempDir::new().expect("a directory");
    write(&directory, 1 << 20, 6_000);
    let kept = segments(directory.path()).expect("read");
    let bytes: u64 = kept.iter().map(|segment| segment.bytes).sum();
    assert!(kept.len() > 2 && bytes <= (1 << 20) + (128 << 10), "{bytes} bytes in {} segments", kept.len());
    let verified = check(&directory).expect("whole").expect("records");
    assert_eq!(verified.last_seq + verified.missed, 6_000 + verified.missed);
    assert!(verified.first_seq > 1);
    assert_eq!(lines_from_end(directory.path(), 1_000).expect("read").len(), 1_000);
}

#[test]
fn what_is_missing_is_said() {
    let directory = TempDir::new().expect("a directory");
    let journal = Journal::open(&config(&directory, 1 << 30)).expect("opened");
    journal.missed.fetch_add(7, Relaxed);
    journal.write(record("a"));
    drop(journal);
    assert_eq!(check(&directory).expect("whole").expect("records").missed, 7);
}
