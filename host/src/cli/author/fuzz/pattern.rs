//! Texts that match a pattern, as `pattern` of JSON Schema has them.

use super::rng::Rng;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Beyond the least number of repetitions.
const MORE_MAX: u32 = 4;
const DEPTH_MAX: usize = 64;

/// A text that matches, as far as that can be seen; none where the pattern is none.
pub(super) fn matching(pattern: &str, rng: &mut Rng) -> Option<String> {
    let hir = regex_syntax::parse(&in_ascii(pattern)).ok()?;
    let mut text = String::new();
    write(&hir, rng, &mut text, 0);
    Some(text)
}

/// With digits, letters and spaces of ASCII alone: JSON Schema means these, and the crate all of Unicode's.
fn in_ascii(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match (character, if character == '\\' { characters.next() } else { None }) {
            (_, Some('d')) => text.push_str("[0-9]"),
            (_, Some('w')) => text.push_str("[0-9A-Za-z_]"),
            (_, Some('s')) => text.push_str("[ \\t]"),
            (character, escaped) => text.extend([Some(character), escaped].into_iter().flatten()),
        }
    }
    text
}

fn write(hir: &Hir, rng: &mut Rng, text: &mut String, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            if let Some(range) = rng.pick(class.ranges()) {
                let (first, last) = (u32::from(range.start()), u32::from(range.end()));
                let within = u32::try_from(rng.below(last.saturating_sub(first) as usize + 1)).unwrap_or(0);
                // The gap of the surrogates lies within some classes.
                text.push(char::from_u32(first + within).unwrap_or(range.start()));
            }
        }
        HirKind::Class(Class::Bytes(class)) => {
            if let Some(range) = rng.pick(class.ranges()) {
                text.push(char::from(range.start()));
            }
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX).min(repetition.min.saturating_add(MORE_MAX));
            for _ in 0..rng.between(repetition.min as usize, most as usize) {
                write(&repetition.sub, rng, text, depth + 1);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, rng, text, depth + 1),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, rng, text, depth + 1)),
        HirKind::Alternation(ways) => {
            if let Some(way) = rng.pick(ways) {
                write(way, rng, text, depth + 1);
            }
        }
    }
}
