//! What a call takes of the heap: a number that no clock and no other process changes, so that a call that costs more than yesterday is seen before anybody
//! measures it.

use crate::{House, KINDS, TOOLBOX, arguments, check};
use sandbox::Growth;

/// So many calls are counted together.
const CALLS: u64 = 100;

/// What a call of the text toolbox's echo takes on its thread, from its permit to its answer: times, and bytes.
const USUAL: (u64, u64) = (47, 40_197);
/// Some of it hangs on the length of names and on the standard library.
const TOLERANCE_PERCENT: u64 = 10;

#[test]
fn a_call_takes_as_much_of_the_heap_as_ever() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let house = House::new(Growth::Elided).unwrap();
    let kind = KINDS.iter().find(|kind| kind.name == TOOLBOX).unwrap();
    let guest = runtime.block_on(house.load(kind)).unwrap();
    let text = arguments(kind);
    let calls = |count: u64| {
        runtime.block_on(async {
            for _ in 0..count {
                check(house.call(&guest, kind, text.clone()).await).unwrap();
            }
        });
    };
    calls(CALLS);
    let counted = allocation_counter::measure(|| calls(CALLS));
    let each = (counted.count_total / CALLS, counted.bytes_total / CALLS);
    assert_eq!(counted.count_current, 0, "something of each call is left: {counted:?}");
    let near = |found: u64, usual: u64| found.abs_diff(usual) * 100 <= usual * TOLERANCE_PERCENT;
    assert!(
        near(each.0, USUAL.0) && near(each.1, USUAL.1),
        "a call took {} allocations of {} bytes together, usual are {} of {}: if that is meant, change `USUAL` here",
        each.0,
        each.1,
        USUAL.0,
        USUAL.1
    );
}
