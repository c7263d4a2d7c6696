//! The table reads as one, whatever lies where.

use super::{Entries, Table};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys of which some begin with others, so that prefixes have something to tell apart.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0), Just(1), Just(254), Just(255)], 1..4)
}

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u8>, u8),
    Remove(Vec<u8>),
    /// What was written begins to leave, if nothing is on its way.
    Leave,
    Move(usize),
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>),
    Prefix(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let bound = || prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)];
    prop_oneof![
        4 => (key(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        3 => key().prop_map(Step::Remove),
        1 => Just(Step::Leave),
        2 => (1_usize..5).prop_map(Step::Move),
        2 => (bound(), bound()).prop_map(|(from, to)| Step::Range(from, to)),
        1 => key().prop_map(Step::Prefix),
    ]
}

fn read(entries: Entries) -> Vec<(Vec<u8>, Vec<u8>)> {
    entries.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).expect("read")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Wherever a change lies, it is read as from a plain map.
    #[test]
    fn it_reads_like_one_map(steps in vec(step(), 1..60)) {
        let table = Table::new(sled::Config::new().temporary(true).open().expect("opened"));
        let mut plain = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    table.put(key.clone(), vec![value; 30]);
                    plain.insert(key, vec![value; 30]);
                }
                Step::Remove(key) => {
                    table.remove(key.clone());
                    plain.remove(&key);
                }
                Step::Leave if table.leaving() == 0 => table.leave(),
                Step::Leave => {}
                Step::Move(max) => {
                    if let Some(last) = table.move_some(max, usize::MAX).expect("moved") {
                        table.left(&last);
                    }
                }
                Step::Range(from, to) => {
                    let within = |key: &Vec<u8>| {
                        let after = match &from { Bound::Included(from) => key >= from, Bound::Excluded(from) => key > from, Bound::Unbounded => true };
                        after && match &to { Bound::Included(to) => key <= to, Bound::Excluded(to) => key < to, Bound::Unbounded => true }
                    };
                    let wanted: Vec<_> = plain.iter().filter(|(key, _)| within(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
                    prop_assert_eq!(read(table.range((from.clone(), to.clone()))), wanted);
                }
                Step::Prefix(prefix) => {
                    let wanted: Vec<_> =
                        plain.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(key, value)| (key.clone(), value.clone())).collect();
                    prop_assert_eq!(read(table.scan_prefix(prefix.clone())), wanted);
                    prop_assert_eq!(table.get(&prefix).expect("read").map(|value| value.to_vec()), plain.get(&prefix).cloned());
                    prop_assert_eq!(table.contains_key(&prefix).expect("read"), plain.contains_key(&prefix));
                }
            }
        }
        let all: Vec<_> = plain.into_iter().collect();
        prop_assert_eq!(read(table.range(..)), all);
    }
}

/// Who goes through it and changes it meanwhile sees each entry once.
#[test]
fn it_may_be_changed_meanwhile() {
    let table = Table::new(sled::Config::new().temporary(true).open().expect("opened"));
    for number in 0..20 {
        table.put(vec![number], vec![0]);
        if number == 9 {
            table.leave();
            table.move_some(5, usize::MAX).expect("moved").into_iter().for_each(|last| table.left(&last));
        }
    }
    let mut seen = Vec::new();
    for key in table.range(..).keys() {
        let key = key.expect("read").to_vec();
        let [number] = key[..] else { panic!("{key:?}") };
        seen.push(number);
        // This one, one that is passed, and one that comes.
        table.remove(key.clone());
        table.put(vec![0], vec![1]);
        table.remove(vec![number + 2]);
    }
    assert_eq!(seen, [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]);
}
