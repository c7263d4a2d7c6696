//! The smallest arguments with which a component falls in the same way.

use super::super::super::Failed;
use super::super::super::rig::Rig;
use super::{Counts, judged};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Calls that are spent on it.
const CALLS_MAX: usize = 2_000;
/// A component that runs into its time limit takes long for each.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Parts of one value that are tried by themselves.
const PARTS_MAX: usize = 32;

/// Goes from arguments that fail to smaller ones that fail in the same way, as long as there are any.
pub(super) async fn smallest(rig: &mut Rig, tool: &str, arguments: Map<String, Value>, word: &str) -> Result<Map<String, Value>, Failed> {
    let (began, mut calls) = (Instant::now(), 0);
    let mut smallest = Value::Object(arguments);
    'smaller: loop {
        for candidate in candidates(&smallest) {
            if !is_smaller(&candidate, &smallest) || rig.tool(tool).is_ok_and(|tool| tool.input.check(&candidate).is_err()) {
                continue;
            }
            let Value::Object(arguments) = &candidate else { continue };
            calls += 1;
            if calls > CALLS_MAX || began.elapsed() > TIME_MAX {
                break 'smaller;
            }
            let called = rig.call(tool, arguments, None, &mut |_| {}).await;
            if judged(&called, &mut Counts::default())?.is_some_and(|(found, _)| found == word) {
                smallest = candidate;
                continue 'smaller;
            }
        }
        break;
    }
    Ok(if let Value::Object(arguments) = smallest { arguments } else { Map::new() })
}

/// A strict order, so that it comes to an end.
fn is_smaller(one: &Value, other: &Value) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    (one.len(), one) < (other.len(), other)
}

/// Simpler ones, the simplest first.
fn candidates(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(_) => vec![Value::Bool(false)],
        Value::Number(number) => {
            let Some(whole) = number.as_i64() else {
                let float = number.as_f64().unwrap_or(0.0);
                return [0.0, float.trunc(), float / 2.0].into_iter().filter_map(simple).collect();
            };
            // Nearer to zero by half, by a quarter, by an eighth: what lies between what fails and what does not is found soon.
            let nearer = (1..63).map(|part| whole - whole / (1 << part)).take_while(|nearer| *nearer != whole);
            [0, 1].into_iter().chain(nearer).chain([whole - whole.signum()]).map(Value::from).collect()
        }
        Value::String(text) => texts(text).into_iter().map(Value::from).collect(),
        Value::Array(items) => {
            let (half, length) = (items.len() / 2, items.len());
            let parts =
                [items.get(..0), items.get(..half), items.get(half..length)].into_iter().flatten().map(|part| Value::from(part.to_vec()));
            let without = (0..length.min(PARTS_MAX)).map(|left_out| {
                let rest = items.iter().enumerate().filter(|(index, _)| *index != left_out);
                rest.map(|(_, item)| item.clone()).collect()
            });
            let simpler = items.iter().enumerate().take(PARTS_MAX).flat_map(|(index, item)| {
                candidates(item).into_iter().map(move |item| {
                    let mut items = items.clone();
                    if let Some(place) = items.get_mut(index) {
                        *place = item;
                    }
                    Value::Array(items)
                })
            });
            parts.chain(without).chain(simpler).collect()
        }
        Value::Object(members) => {
            let without = members.keys().take(PARTS_MAX).map(|name| {
                let rest = members.iter().filter(|(other, _)| *other != name);
                Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect())
            });
            let simpler = members.iter().take(PARTS_MAX).flat_map(|(name, value)| {
                candidates(value).into_iter().map(move |value| {
                    let mut members = members.clone();
                    members.insert(name.clone(), value);
                    Value::Object(members)
                })
            });
            without.chain(simpler).collect()
        }
    }
}

/// As a whole number where it is one: it reads better.
fn simple(number: f64) -> Option<Value> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return Some(Value::from(number as i64));
    }
    serde_json::Number::from_f64(number).map(Value::Number)
}

fn texts(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let (half, length) = (characters.len() / 2, characters.len());
    let part = |range: std::ops::Range<usize>| characters.get(range).map(|part| part.iter().collect::<String>());
    let mut simpler: Vec<_> = [part(0..0), part(0..half), part(half..length)].into_iter().flatten().collect();
    if length <= PARTS_MAX {
        let without =
            (0..length).map(|left_out| characters.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, c)| *c).collect());
        simpler.extend(without);
    }
    let plain = |only: Option<usize>| {
        characters.iter().enumerate().map(|(at, c)| if only.is_none_or(|only| only == at) { 'a' } else { *c }).collect::<String>()
    };
    simpler.push(plain(None));
    simpler.extend((0..length.min(PARTS_MAX)).map(|at| plain(Some(at))));
    simpler
}
