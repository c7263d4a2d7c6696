//! Everything that is stored, page by page, damage included.

use super::layout::{self, Damage, Head};
use super::plan::Fault;
use super::read::{self, Values};
use super::table::Table;
use crate::{Cursor, Item, StreamKey, Walk};

/// What is walked through, in this order.
const KINDS: [u8; 4] = [layout::RECORD, layout::STREAM, layout::EVENT, layout::VALUE];

pub(super) fn page(tree: &Table, after: Option<Cursor>, max: usize) -> Result<Walk, Fault> {
    let mut walk = Walk::default();
    let begin = after.map_or_else(|| vec![layout::RECORD], |Cursor(key)| key);
    let at = begin.first().copied().unwrap_or(layout::RECORD);
    let mut from = Some(begin);
    for kind in KINDS.into_iter().skip_while(|kind| *kind != at) {
        let first = from.take().unwrap_or_else(|| vec![kind]);
        let mut values = Values::new(tree.range(first..vec![kind + 1]), header_bytes(kind));
        while let Some(next) = next(tree, kind, &mut values, &mut walk.items) {
            if walk.items.len() >= max.max(1) {
                walk.next = Some(Cursor(next));
                return Ok(walk);
            }
        }
    }
    Ok(walk)
}

fn header_bytes(kind: u8) -> usize {
    match kind {
        layout::RECORD => read::RECORD_HEADER,
        layout::VALUE => 0,
        _ => read::EVENT_HEADER,
    }
}

/// Adds the next thing; where to go on. What is damaged takes one entry, whatever it was.
fn next(tree: &Table, kind: u8, values: &mut Values, items: &mut Vec<Item>) -> Option<Vec<u8>> {
    // The smallest key that is greater.
    let behind = |key: &[u8]| [key, &[0]].concat();
    if kind == layout::STREAM {
        let Ok((key, value)) = values.next_entry()? else {
            items.push(Item::Damaged);
            return Some(vec![u8::MAX]);
        };
        items.extend(stream(&key, &value).unwrap_or_else(|Damage| vec![Item::Damaged]));
        return Some(behind(&key));
    }
    let (key, value) = values.next_with_key()?;
    let Ok(value) = value else {
        items.push(Item::Damaged);
        return Some(behind(&key));
    };
    let behind_all_parts = behind(&layout::part(&value.prefix, u16::MAX));
    let item = match kind {
        layout::RECORD => read::read_record(value).map(|(key, record)| Item::Record(key, record)),
        layout::VALUE => entry(tree, value),
        _ => event(value),
    };
    items.push(item.unwrap_or(Item::Damaged));
    Some(behind_all_parts)
}

/// A stream, with the events that lie in its head.
fn stream(key: &[u8], value: &[u8]) -> Result<Vec<Item>, Damage> {
    let (key, head) = (layout::read_stream_key(key)?, Head::read(layout::unseal(key, value)?)?);
    let mut items: Vec<_> = head.events().map(|event| Item::Event(key.clone(), event)).collect();
    items.insert(0, Item::Stream(key, head.into()));
    Ok(items)
}

fn event(value: read::Value) -> Result<Item, Fault> {
    let (prefix, seq) = value.prefix.split_last_chunk::<8>().ok_or(Damage)?;
    let key: StreamKey = layout::read_stream_key(prefix)?;
    let event = crate::Event { seq: crate::Seq(u64::from_be_bytes(*seq)), is_final: value.header == [1], data: value.data.into() };
    Ok(Item::Event(key, event))
}

/// A value with the key that it stands under: both have to know of each other.
fn entry(tree: &Table, value: read::Value) -> Result<Item, Fault> {
    let (bucket, place) = layout::read_place_key(&value.prefix)?;
    let (_, key) = read::places(tree, &bucket, place.saturating_sub(1)).next().ok_or(Damage)??;
    let placed = read::placed(tree, &bucket, &key)?.ok_or(Damage)?;
    let right = placed.place == place && placed.bytes == value.data.len() as u64;
    if right { Ok(Item::Entry(bucket, key, value.data.into())) } else { Err(Damage.into()) }
}
