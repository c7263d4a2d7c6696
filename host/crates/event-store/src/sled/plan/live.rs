//! A stream that may grow, as the writer remembers it between groups.

use super::super::layout::{CHUNK_BYTES, Head, Said};
use super::super::read;
use super::super::table::Table;
use super::Fault;
use crate::limits;
use crate::{Kind, NewEvent, Seq, Settings, StoreTime, StreamKey};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Live {
    pub(super) head: Head,
    /// Number and cost of each event that is there, the final one included.
    ring: VecDeque<(Seq, u64)>,
}

impl Live {
    pub(super) fn new(created: StoreTime, about: &[u8]) -> Self {
        let head =
            Head { last: Seq(0), gone: Seq(0), bytes: 0, created, expires: None, last_sum: 0, about: about.to_vec(), said: Vec::new() };
        Self { head, ring: VecDeque::new() }
    }

    /// As it lies under its head.
    pub(super) fn read(tree: &Table, key: &StreamKey, head: Head) -> Result<Self, Fault> {
        let mut ring = VecDeque::new();
        for event in read::events(tree, key, &head, Seq(0)) {
            let event = event?;
            ring.push_back((event.seq, limits::event_cost(event.data.len())));
        }
        Ok(Self { head, ring })
    }

    /// Counts an event.
    pub(super) fn push(&mut self, event: &NewEvent, now: StoreTime) {
        let cost = limits::event_cost(event.data.len());
        self.ring.push_back((event.seq, cost));
        self.head.bytes += cost;
        (self.head.last, self.head.last_sum) = (event.seq, limits::event_sum(event));
        self.head.expires = match event.kind {
            Kind::Message => None,
            Kind::Final { keep_for } => Some(now.after(keep_for)),
        };
    }

    /// How many of its oldest events are more than a stream keeps. The newest is never one of them.
    pub(super) fn surplus(&self, settings: &Settings) -> usize {
        let (mut left, mut over) = (self.head.bytes, 0);
        for (_, bytes) in self.ring.iter().take(self.ring.len().saturating_sub(1)) {
            if (self.ring.len() - over) as u64 <= settings.ring_events_max && left <= settings.stream_bytes_max {
                break;
            }
            left -= bytes;
            over += 1;
        }
        over
    }

    /// How many events may be taken away: all but the final one.
    pub(super) fn evictable(&self) -> usize {
        self.ring.len() - usize::from(self.head.expires.is_some() && !self.ring.is_empty())
    }

    /// How many of its oldest events have so many bytes, as far as it has them to give.
    pub(super) fn enough(&self, wanted: u64) -> usize {
        let (mut count, mut bytes) = (0, 0);
        for (_, cost) in self.ring.iter().take(self.evictable()) {
            if bytes >= wanted {
                break;
            }
            (count, bytes) = (count + 1, bytes + cost);
        }
        count
    }

    /// Counts its oldest events no more: what they cost, and which they were. Those that lie in the head go with that.
    pub(super) fn shrink(&mut self, count: usize) -> (u64, Vec<(Seq, u64)>) {
        let taken: Vec<_> = self.ring.drain(..count.min(self.ring.len())).collect();
        let freed = taken.iter().map(|(_, bytes)| bytes).sum();
        self.head.bytes -= freed;
        if let Some((seq, _)) = taken.last() {
            self.head.gone = *seq;
            self.head.said.retain(|said| said.seq > *seq);
        }
        (freed, taken)
    }

    /// Lets events that it has counted lie in its head, if nothing more can come to them and they are small.
    pub(super) fn take_in(&mut self, events: &[NewEvent]) -> bool {
        let bytes = events.iter().fold(self.head.about.len(), |sum, event| sum.saturating_add(Said::bytes(event.data.len())));
        let taken = self.head.expires.is_some() && bytes <= CHUNK_BYTES;
        if taken {
            self.head.said = events.iter().map(|event| Said { seq: event.seq, data: event.data.clone() }).collect();
        }
        taken
    }
}
