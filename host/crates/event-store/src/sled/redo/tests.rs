//! What the redo log gives back of what was written to it, and of what was not.

use super::{Change, HEADER_BYTES, Header, Record, Redo, SECTOR_BYTES, STEP_BYTES};
use crate::Durability;
use crate::sled::plan::Fault;
use std::fs;
use std::path::Path;

fn put(key: &str, value: impl AsRef<[u8]>) -> Change {
    (key.as_bytes().to_vec(), Some(value.as_ref().to_vec()))
}

fn removed(key: &str) -> Change {
    (key.as_bytes().to_vec(), None)
}

fn keep(redo: &mut Redo, changes: &[Change]) {
    let mut record = Record::default();
    for (key, value) in changes {
        record.push(key, value.as_deref());
    }
    redo.keep(&mut record, Durability::Os).expect("kept");
    assert!(record.is_empty());
}

fn begun(directory: &Path) -> Redo {
    Redo::begin(directory).expect("begun")
}

fn read(directory: &Path) -> Vec<Change> {
    Redo::read(directory).expect("read")
}

/// Changes of the file that is written to, and where its records begin.
fn three_records(directory: &Path) -> (Vec<Change>, Vec<usize>) {
    let mut redo = begun(directory);
    let changes = vec![put("a", [1; 700]), put("b", [2; 10]), put("c", [3; 2_000])];
    let mut begins = Vec::new();
    for change in &changes {
        begins.push(usize::try_from(redo.turn_bytes()).expect("small"));
        keep(&mut redo, std::slice::from_ref(change));
    }
    (changes, begins)
}

#[test]
fn what_was_kept_is_read_in_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut redo = begun(directory.path());
    keep(&mut redo, &[put("a", "1"), removed("b"), put("", "")]);
    redo.turn().expect("turned");
    keep(&mut redo, &[put("a", "2")]);
    keep(&mut redo, &[removed("a")]);
    assert_eq!(read(directory.path()), [put("a", "1"), removed("b"), put("", ""), put("a", "2"), removed("a")]);
    // What the first turn held is of no use any more when the next but one begins.
    redo.turn().expect("turned");
    assert_eq!(read(directory.path()), [put("a", "2"), removed("a")]);
    keep(&mut redo, &[put("c", "3")]);
    assert_eq!(read(directory.path()), [put("a", "2"), removed("a"), put("c", "3")]);
    drop(redo);
    drop(begun(directory.path()));
    assert_eq!(read(directory.path()), []);
}

/// What an earlier turn left in the file does not go on where a shorter one ends.
#[test]
fn what_lies_behind_is_of_another_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut redo = begun(directory.path());
    (0..9).for_each(|_| keep(&mut redo, &[put("old", "1")]));
    redo.turn().expect("turned");
    redo.turn().expect("turned");
    keep(&mut redo, &[put("new", "2")]);
    assert_eq!(read(directory.path()), [put("new", "2")]);
    drop(redo);
    let mut redo = begun(directory.path());
    keep(&mut redo, &[put("newer", "3")]);
    assert_eq!(read(directory.path()), [put("newer", "3")]);
}

/// A group that was being written when everything ended: nobody was told that it is kept.
#[test]
fn a_torn_record_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let (changes, begins) = three_records(directory.path());
    let path = directory.path().join("redo-0");
    let whole = fs::read(&path).expect("read");
    let (last, end) = (begins[2], begins[2] + 2_000);
    for torn_at in (last..end).step_by(SECTOR_BYTES) {
        let mut torn = whole.clone();
        torn[torn_at..torn_at + SECTOR_BYTES].fill(0);
        fs::write(&path, &torn).expect("written");
        assert_eq!(read(directory.path()), changes[..2], "without the sector at {torn_at}");
        fs::write(&path, &whole[..torn_at]).expect("written");
        assert_eq!(read(directory.path()), changes[..2], "cut at {torn_at}");
    }
}

/// One that others follow was kept: that it is not there must not go unnoticed.
#[test]
fn damage_before_the_last_record_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, begins) = three_records(directory.path());
    let path = directory.path().join("redo-0");
    let whole = fs::read(&path).expect("read");
    for at in [begins[0] + 40, begins[0] + 699, begins[1] + 1, begins[1] + 4, begins[1] + 30, begins[1] + 45] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        fs::write(&path, damaged).expect("written");
        let found = Redo::read(directory.path());
        assert!(matches!(found, Err(Fault::Damaged(_))), "byte {at}: {found:?}");
    }
}

#[test]
fn anything_else_is_empty_or_damaged() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("redo-1");
    for bytes in [vec![], vec![0; 3], vec![0; 4_096], vec![7; 5_000]] {
        fs::write(&path, bytes).expect("written");
        assert_eq!(read(directory.path()), []);
    }
    // Whole, and of this format, but its lengths are not those of what it holds; and one that claims to be longer than the file.
    let payload = [9, 0, 0, 0, 1, 0, 0, 0, b'k'];
    let header = Header { life: 7, epoch: 1, number: 0, payload_bytes: payload.len() as u64, payload_sum: crc32fast::hash(&payload) };
    fs::write(&path, [&header.write()[..], &payload].concat()).expect("written");
    assert!(matches!(Redo::read(directory.path()), Err(Fault::Damaged(_))));
    for payload_bytes in [10, u64::MAX] {
        fs::write(&path, [&Header { payload_bytes, ..header }.write()[..], &payload].concat()).expect("written");
        assert_eq!(read(directory.path()), []);
    }
}

/// Files grow by steps, and what one large group took is given back.
#[test]
fn files_stay_small() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut redo = begun(directory.path());
    keep(&mut redo, &[put("a", "1")]);
    assert_eq!(redo.disk_bytes(), STEP_BYTES);
    keep(&mut redo, &[put("large", vec![1; 9 << 20])]);
    assert!(redo.disk_bytes() > 9 << 20);
    assert_eq!(read(directory.path()).len(), 2);
    redo.turn().expect("turned");
    redo.turn().expect("turned");
    assert_eq!(redo.disk_bytes(), 4 << 20);
    let on_disk = fs::metadata(directory.path().join("redo-0")).expect("there").len();
    assert_eq!(on_disk, 4 << 20);
}

/// A tenant who knows all but the log's number writes headers into its values, wherever a record could begin: nothing is lost by it, and what it wrote
/// there is not believed.
#[test]
fn nobody_writes_records_into_values() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut redo = begun(directory.path());
    let payload = [1, 0, 0, 0, 0, 0, 0, 0, b'k'];
    for number in [1, 2, u64::MAX] {
        let forged = Header { life: 1, epoch: 1, number, payload_bytes: payload.len() as u64, payload_sum: crc32fast::hash(&payload) };
        let mut sector = [&forged.write()[..], &payload].concat();
        sector.resize(SECTOR_BYTES, 0);
        // Behind the header of the record, the lengths and the key.
        let value = [vec![0; SECTOR_BYTES - HEADER_BYTES - 8 - 1], sector.repeat(4)].concat();
        keep(&mut redo, &[put("v", value)]);
    }
    assert_eq!(read(directory.path()).len(), 3);
    let path = directory.path().join("redo-0");
    assert!(
        fs::read(&path).expect("read").chunks_exact(SECTOR_BYTES).filter_map(Header::read).any(|header| header.life == 1),
        "not where it counts"
    );
    // Nor where the log begins anew over it.
    drop(redo);
    let mut redo = begun(directory.path());
    keep(&mut redo, &[put("a", [1; SECTOR_BYTES - HEADER_BYTES - 9])]);
    assert_eq!(read(directory.path()).len(), 1);
}
