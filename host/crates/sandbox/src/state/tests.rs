use super::*;
use crate::bindings::gatehouse::host::{log::Host as _, progress::Host as _};
use crate::events::{EventReceiver, events};

/// With room for all events of a test.
fn state(limits: Limits, progress: bool) -> (State, EventReceiver) {
    let (sender, receiver) = events(progress);
    (
        State::new(
            &limits,
            &Grants::none(),
            Outward { events: Some(sender), outgoing: None, keyvalue: None, refusals: None, learner: None },
            Limiter::new(&limits, <_>::default(), <_>::default(), <_>::default()),
        ),
        receiver,
    )
}

async fn amounts(mut state: State, mut receiver: EventReceiver, reports: &[f64]) -> (Vec<f64>, u32) {
    for done in reports {
        state.report(*done, Some(f64::INFINITY), None).await.expect("never a trap");
    }
    let dropped = state.said.reports_dropped;
    drop(state);
    let mut told = Vec::new();
    while let Some(event) = receiver.next().await {
        match event {
            GuestEvent::Progress(Progress { done, total: None, .. }) => told.push(done),
            other => panic!("{other:?}"),
        }
    }
    (told, dropped)
}

#[tokio::test]
async fn progress_is_finite_and_grows() {
    let (state, receiver) = state(Limits::default(), true);
    let reports = [1.0, 1.0, f64::NAN, 0.5, f64::INFINITY, f64::NEG_INFINITY, 2.0, -3.0, 2.5];
    assert_eq!(amounts(state, receiver, &reports).await, (vec![1.0, 2.0, 2.5], 6));
}

#[tokio::test]
async fn progress_has_a_limit() {
    let (state, receiver) = state(Limits { progress_reports: 2, ..Limits::default() }, true);
    assert_eq!(amounts(state, receiver, &[1.0, 2.0, 3.0, 4.0]).await, (vec![1.0, 2.0], 2));
}

#[tokio::test]
async fn progress_that_nobody_asked_for_is_nothing() {
    let (state, receiver) = state(Limits::default(), false);
    assert_eq!(amounts(state, receiver, &[1.0, 2.0]).await, (Vec::new(), 0));
}

#[tokio::test]
async fn a_message_is_cut_at_a_character() {
    let (mut state, mut receiver) = state(Limits::default(), true);
    state.report(1.0, None, Some("é".repeat(MESSAGE_BYTES_MAX))).await.expect("never a trap");
    let Some(GuestEvent::Progress(told)) = receiver.next().await else { panic!("a report") };
    assert_eq!(told.message, Some("é".repeat(MESSAGE_BYTES_MAX / 2)));
    let odd = cut("aé".to_owned() + "x", 2);
    assert_eq!(odd, "a");
}

#[tokio::test]
async fn logs_end_at_lines_and_at_bytes() {
    let limits = Limits { log_lines: 3, log_bytes: 10, ..Limits::default() };
    let (mut state, mut receiver) = state(limits, false);
    for data in ["12345", "123456", "12", "12", "12", "1"] {
        state.write(log::Level::Notice, None, data.to_owned()).await.expect("never a trap");
    }
    assert_eq!(state.said.log_lines_dropped, 3, "one for its bytes, two for their number");
    drop(state);
    let mut told = Vec::new();
    while let Some(GuestEvent::Log(line)) = receiver.next().await {
        told.push(line.data);
    }
    assert_eq!(told, ["12345", "12", "12"]);
}

#[test]
fn memories_and_tables_are_added_up() {
    let mut limiter = Limiter::new(
        &Limits { memory_bytes: 100, table_elements: 10, ..Limits::default() },
        <_>::default(),
        <_>::default(),
        <_>::default(),
    );
    let mut memory = |from, to| limiter.memory_growing(from, to, None).expect("no trap");
    // Two memories of one instance, and the second wants too much of what is left.
    assert_eq!([memory(0, 60), memory(0, 30), memory(30, 50), memory(60, 70), memory(30, usize::MAX)], [true, true, false, true, false]);
    assert_eq!((limiter.memory_bytes(), limiter.refused), (100, Some(Resource::Memory)));
    assert!(limiter.table_growing(0, 10, None).expect("no trap"));
    assert!(!limiter.table_growing(0, 1, None).expect("no trap"));
    assert_eq!(limiter.refused, Some(Resource::Table));
}
