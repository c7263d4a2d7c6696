use super::super::definition::DefinitionError;
use super::*;

/// A file that lies there since a moment that all times of a test are counted from.
struct Case {
    file: File,
    start: Instant,
}

impl Case {
    fn new() -> Self {
        let start = Instant::now();
        Self { file: File::new("x.wasm".into(), Stamp::made_up(1, 0), start), start }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// It has so many bytes now.
    fn changes(&mut self, ms: u64, bytes: u64) {
        let at = self.at(ms);
        self.file.seen(Stamp::made_up(1, bytes), at);
    }

    fn fails(&mut self, ms: u64, error: PluginError) {
        self.file.begin();
        assert_eq!(self.file.due(false), None, "one load at a time");
        let (stamp, at) = (self.file.stamp, self.at(ms));
        self.file.loaded(stamp, at, Err(error));
        self.file.tell("x", at, false);
    }

    fn check(&self, due_ms: Option<u64>, problem: Option<&str>) {
        let due = self.file.due(false).map(|due| due.duration_since(self.start).as_millis());
        assert_eq!(due, due_ms.map(u128::from));
        assert_eq!(self.file.problem().map(|(_, reason, _)| reason), problem);
    }
}

fn broken() -> PluginError {
    DefinitionError::Nothing.into()
}

const BROKEN: &str = "it offers nothing: all its lists are empty";

#[test]
fn what_is_new_is_tried_at_once_and_told_when_it_was_quiet() {
    let mut case = Case::new();
    case.check(Some(0), None);
    case.fails(20, broken());
    case.check(Some(300), None);
    case.fails(310, broken());
    case.check(None, Some(BROKEN));
}

#[test]
fn what_grows_is_tried_now_and_then_and_not_told() {
    let mut case = Case::new();
    for step in 1..20 {
        case.fails(step * 100, broken());
        case.changes(step * 100 + 50, step);
        case.check(Some(step * 100 + 100), None);
    }
    case.fails(3_000, broken());
    case.check(None, Some(BROKEN));
}

#[test]
fn a_reason_is_told_once_for_a_file() {
    let mut case = Case::new();
    case.fails(400, broken());
    case.changes(500, 1);
    case.check(Some(500), Some(BROKEN));
    case.fails(550, DefinitionError::TooMany { what: "tools", count: 9, limit: 8 }.into());
    case.check(Some(800), None);
    case.fails(800, DefinitionError::TooMany { what: "tools", count: 9, limit: 8 }.into());
    case.check(None, Some("it has 9 tools; the limit is 8"));
}

/// What the machine was to blame for is tried again; what the file is to blame for is not.
#[test]
fn a_passing_reason_is_tried_again() {
    let mut case = Case::new();
    let error = || PluginError::Read(std::io::ErrorKind::PermissionDenied.into());
    case.fails(400, error());
    case.check(Some(2_400), Some("it cannot be read: permission denied"));
    case.fails(2_400, error());
    case.check(Some(4_400), Some("it cannot be read: permission denied"));
    case.fails(4_400, PluginError::Read(std::io::Error::other("it is not a regular file")));
    case.check(None, Some("it cannot be read: it is not a regular file"));
}

#[test]
fn a_file_that_is_missed_for_a_moment_is_not_gone() {
    let mut case = Case::new();
    case.file.missed(case.at(100));
    case.check(None, None);
    assert!(!case.file.is_gone(case.at(599)) && case.file.is_gone(case.at(600)));
    assert_eq!(case.file.next_look(), Some(case.at(600)));
    case.file.seen(case.file.stamp, case.at(200));
    assert!(!case.file.is_gone(case.at(60_000)));
    case.check(Some(0), None);
}

/// The owner of its name may be about to go.
#[test]
fn a_newcomer_with_a_taken_name_is_told_late_and_not_loaded_again() {
    let mut case = Case::new();
    let taken = PluginError::NameTaken { kind: "tool", name: "t".to_owned(), other: "o".to_owned() };
    case.fails(20, broken());
    case.file.waits(&taken);
    case.file.tell("x", case.at(900), false);
    case.check(None, None);
    assert_eq!(case.file.next_look(), Some(case.at(1_000)));
    case.file.tell("x", case.at(1_000), false);
    case.check(None, Some("its tool `t` has the name of a tool of `o`, which was there before; rename one of them"));
    assert_eq!(case.file.next_look(), None);
}

/// At the start nothing is half-written.
#[test]
fn a_finished_file_is_told_at_once() {
    let mut case = Case::new();
    case.fails(0, broken());
    assert_eq!(case.file.due(true), None);
    case.file.tell("x", case.at(0), true);
    assert_eq!(case.file.problem().map(|(_, reason, _)| reason), Some(BROKEN));
}
