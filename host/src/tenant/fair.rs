//! Who is next where many wait for one thing: start-time fair queueing between tenants, by their weights, and the order of coming within each.
//!
//! A tenant that takes a place pays for it by its own clock, which goes the slower the greater its weight is. The one whose clock is furthest
//! behind is next; one that comes back after a pause starts at the present and cannot claim what it did not ask for.

use super::TenantId;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A tenant's clock goes on by so much for a place, divided by its weight.
const PLACE: u64 = 1 << 20;

/// A number of places.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    /// The clock of the tenant that was last served.
    present: u64,
    lines: HashMap<TenantId, Line>,
}

#[derive(Debug)]
struct Line {
    clock: u64,
    weight: u32,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// One of them; given to the next when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Places);

impl Places {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, present: 0, lines: HashMap::new() })))
    }

    /// A place, when it is this tenant's turn. Cancel-safe: who does not wait any more is passed over.
    pub(super) async fn take(&self, tenant: &TenantId, weight: u32) -> Place {
        let waits = {
            let mut state = self.0.lock();
            if state.free > 0 {
                // Nobody waits where one is free.
                state.free -= 1;
                return Place(self.clone());
            }
            let present = state.present;
            let line = state.lines.entry(tenant.clone()).or_insert_with(|| Line { clock: present, weight, waiting: VecDeque::new() });
            line.weight = weight;
            if line.waiting.is_empty() {
                line.clock = line.clock.max(present);
            }
            let (place, waits) = oneshot::channel();
            line.waiting.push_back(place);
            waits
        };
        match waits.await {
            Ok(place) => place,
            // The other end is dropped with the places only.
            Err(_) => std::future::pending().await,
        }
    }

    /// Who is next, out of its line.
    fn next(state: &mut State) -> Option<oneshot::Sender<Place>> {
        loop {
            let (tenant, line) = state.lines.iter_mut().min_by(|(a, one), (b, other)| (one.clock, a).cmp(&(other.clock, b)))?;
            let next = line.waiting.pop_front();
            let Some(next) = next.filter(|next| !next.is_closed()) else {
                // It has gone, and costs its tenant nothing.
                if line.waiting.is_empty() {
                    let tenant = tenant.clone();
                    state.lines.remove(&tenant);
                }
                continue;
            };
            state.present = line.clock;
            line.clock = line.clock.saturating_add(PLACE / u64::from(line.weight.max(1)));
            return Some(next);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = self.0.clone();
        let next = {
            let mut state = places.0.lock();
            let next = Places::next(&mut state);
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // Who went away in this moment drops it, and that gives it to the next: outside of the lock.
            drop(next.send(Place(places)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn id(name: &str) -> TenantId {
        TenantId::of(name)
    }

    type Waiting = std::pin::Pin<Box<dyn Future<Output = Place>>>;

    fn ask(places: &Places, tenant: &str, weight: u32) -> Waiting {
        let (places, tenant) = (places.clone(), id(tenant));
        let mut waiting: Waiting = Box::pin(async move { places.take(&tenant, weight).await });
        assert!(poll(&mut waiting).is_none(), "it waits");
        waiting
    }

    fn poll(waiting: &mut Waiting) -> Option<Place> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    /// One place goes from hand to hand; who has it in what order.
    fn order(places: &Places, first: Place, mut waiting: Vec<(&'static str, Waiting)>) -> String {
        let (mut place, mut order) = (first, String::new());
        while !waiting.is_empty() {
            drop(place);
            let at = waiting.iter_mut().enumerate().find_map(|(at, (_, waiting))| poll(waiting).map(|place| (at, place)));
            let (at, next) = at.expect("somebody is next");
            order.push_str(waiting.remove(at).0);
            place = next;
        }
        drop(place);
        assert_eq!(places.0.lock().free, 1);
        order
    }

    #[tokio::test]
    async fn tenants_take_turns_by_weight() {
        let places = Places::new(1);
        let first = places.take(&id("a"), 1).await;
        let many =
            |name: &'static str, weight: u32, count: usize| (0..count).map(|_| (name, ask(&places, name, weight))).collect::<Vec<_>>();
        let waiting = [many("a", 1, 8), many("b", 1, 4)].concat_all();
        assert_eq!(order(&places, first, waiting), "ababababaaaa");
        let first = places.take(&id("a"), 1).await;
        let waiting = [many("a", 1, 4), many("b", 3, 9)].concat_all();
        let order = order(&places, first, waiting);
        assert_eq!(order.get(..8).map(|some| some.matches('b').count()), Some(6), "{order}");
    }

    #[tokio::test]
    async fn who_goes_away_is_passed_over_and_loses_no_place() {
        let places = Places::new(1);
        let first = places.take(&id("a"), 1).await;
        let (gone, mut stays) = (ask(&places, "a", 1), ask(&places, "b", 1));
        drop(gone);
        drop(first);
        let place = poll(&mut stays).expect("it is next");
        let late = ask(&places, "c", 1);
        drop(place);
        // It was given the place and never took it.
        drop(late);
        assert_eq!(places.0.lock().free, 1);
    }

    trait ConcatAll<T> {
        fn concat_all(self) -> Vec<T>;
    }

    impl<T, const N: usize> ConcatAll<T> for [Vec<T>; N] {
        fn concat_all(self) -> Vec<T> {
            self.into_iter().flatten().collect()
        }
    }
}
