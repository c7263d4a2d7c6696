use super::*;
use std::task::Waker;

fn poll(waiting: &mut Asking) -> Option<Place> {
    match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(place) => Some(place),
        Poll::Pending => None,
    }
}

fn ask(places: &Places, share: &Share) -> Asking {
    let mut waiting = places.ask(share);
    assert!(poll(&mut waiting).is_none(), "it waits");
    waiting
}

fn free(places: &Places) -> usize {
    places.0.queue.lock().free
}

/// One place goes from hand to hand; who has it in what order.
fn order(places: &Places, first: Place, mut waiting: Vec<(&'static str, Asking)>) -> String {
    let (mut place, mut order) = (first, String::new());
    while !waiting.is_empty() {
        drop(place);
        let at = waiting.iter_mut().enumerate().find_map(|(at, (_, waiting))| poll(waiting).map(|place| (at, place)));
        let (at, next) = at.expect("somebody is next");
        order.push_str(waiting.remove(at).0);
        place = next;
    }
    drop(place);
    assert_eq!((free(places), places.active()), (1, 0));
    order
}

#[test]
fn shares_take_turns_by_weight() {
    let places = Places::new(1);
    let (a, b) = (Share::new(1), Share::new(1));
    let many = |name: &'static str, share: &Share, count: usize| (0..count).map(|_| (name, ask(&places, share))).collect::<Vec<_>>();
    let first = places.ask(&a).now().expect("free");
    let waiting = many("a", &a, 8).into_iter().chain(many("b", &b, 4)).collect();
    // The first place was paid for as well.
    assert_eq!(order(&places, first, waiting), "babababaaaaa");
    let (a, b) = (Share::new(1), Share::new(1));
    b.set_weight(3);
    let first = places.ask(&a).now().expect("free");
    let waiting = many("a", &a, 4).into_iter().chain(many("b", &b, 9)).collect();
    let order = order(&places, first, waiting);
    assert!(order.get(..8).is_some_and(|some| (6..=7).contains(&some.matches('b').count())), "{order}");
}

#[test]
fn who_takes_longer_pays_for_it() {
    let places = Places::new(1);
    let (a, b) = (Share::new(1), Share::new(1));
    let first = places.ask(&a).now().expect("free");
    let waiting = [&a, &a, &b, &b, &b, &b].map(|share| (if share.0.id == a.0.id { "a" } else { "b" }, ask(&places, share)));
    first.costs_more(3);
    assert_eq!(order(&places, first, waiting.into()), "bbbbaa");
}

#[test]
fn who_goes_away_is_passed_over_and_loses_no_place() {
    let places = Places::new(1);
    let [a, b, c] = [(); 3].map(|()| Share::new(1));
    let first = places.ask(&a).now().expect("free");
    let (gone, mut stays) = (ask(&places, &a), ask(&places, &b));
    assert_eq!((places.active(), a.wanted(), b.wanted(), c.wanted()), (2, 2, 1, 0));
    drop(gone);
    drop(first);
    let place = poll(&mut stays).expect("it is next");
    drop(stays);
    let late = ask(&places, &c);
    drop(place);
    // It was given the place and never took it.
    drop(late);
    assert_eq!((free(&places), places.active(), a.wanted(), b.wanted(), c.wanted()), (1, 0, 0, 0, 0));
}

#[test]
fn who_goes_away_leaves_nothing_behind() {
    let places = Places::new(1);
    let (a, b) = (Share::new(1), Share::new(1));
    let first = places.ask(&a).now().expect("free");
    let stays = ask(&places, &b);
    (0..1_000).for_each(|_| drop(ask(&places, &b)));
    let in_line = places.0.queue.lock().lines.values().map(|line| line.waiting.len()).sum::<usize>();
    assert!(in_line <= 2, "{in_line}");
    assert_eq!(b.waiting(), 1);
    drop((first, stays));
    assert_eq!((free(&places), places.active()), (1, 0));
}

#[test]
fn one_that_was_away_claims_nothing() {
    let places = Places::new(1);
    let (a, b) = (Share::new(1), Share::new(1));
    (0..100).for_each(|_| drop(places.ask(&a).now().expect("free")));
    let first = places.ask(&a).now().expect("free");
    let waiting = [&a, &b, &a, &b].map(|share| (if share.0.id == a.0.id { "a" } else { "b" }, ask(&places, share)));
    let order = order(&places, first, waiting.into());
    assert!(order.starts_with("ba") || order.starts_with("bb"), "{order}");
}
