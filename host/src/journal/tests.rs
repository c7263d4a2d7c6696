use super::*;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

fn config(directory: &TempDir, bytes_max: u64) -> JournalConfig {
    JournalConfig { directory: directory.path().to_owned(), bytes_max, age_max: Duration::from_secs(3_600), on_error: OnError::Continue }
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
        component: Hash::known([0xab; 32]),
        revision: "2026-07-28".into(),
        arguments_bytes: 2,
        arguments_sha256: Hash::of(b"{}"),
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
    journal.state.missed.fetch_add(7, Relaxed);
    journal.write(record("a"));
    drop(journal);
    assert_eq!(check(&directory).expect("whole").expect("records").missed, 7);
}

#[test]
fn every_kind_of_event_is_in_the_operators_table() {
    let page = include_str!("../../README.md");
    let table: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1)).collect();
    for kind in Kind::ALL {
        let word = format!("`{}`", kind.word());
        assert_eq!(table.iter().filter(|cell| cell.contains(&word)).count(), 1, "{word}");
    }
}

#[test]
fn what_was_counted_has_its_line_at_the_end() {
    let directory = TempDir::new().expect("a directory");
    let journal = Journal::open(&config(&directory, 1 << 30)).expect("opened");
    let source = Source::Address([192, 0, 2, 1].into());
    for _ in 0..1_000 {
        journal.note_often(Kind::AuthDenied, &source, "signature", |event| event.to("own"));
    }
    journal.flush(Duration::from_secs(60));
    let lines = lines_from_end(directory.path(), 1_000).expect("read");
    let events: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let (shared, own): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.count.is_some());
    assert_eq!((own.len() as u64 + shared[0].count.expect("a count"), shared.len()), (1_000, 1));
    assert_eq!((&shared[0].target, own[0].target.as_deref(), shared[0].address), (&None, Some("own"), own[0].address));
    drop(journal);
    check(&directory).expect("whole");
}

#[test]
fn names_are_cut_and_escaped() {
    let directory = TempDir::new().expect("a directory");
    let journal = Journal::open(&config(&directory, 1 << 30)).expect("opened");
    let name = format!("a\n{{\"seq\":1}}\u{1b}{}", "ä".repeat(100_000));
    journal.note(Event::new(Kind::SessionCreated).by((Some(&name), Some(&name))).to(&name));
    drop(journal);
    let lines = lines_from_end(directory.path(), 10).expect("read");
    assert!(lines.len() == 1 && lines[0].len() < 4_096, "{lines:?}");
    assert_eq!(check(&directory).expect("whole").expect("a line").last_seq, 1);
}
