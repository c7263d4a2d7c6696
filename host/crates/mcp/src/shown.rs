//! Text without what terminals obey and people do not see: MCP has servers sanitize what tools give.

use crate::text::position;
use std::borrow::Cow;

/// The text without escape sequences (ECMA-48), control characters other than tab, line feed and carriage return, and tag characters
/// (U+E0000 to U+E007F), with which orders to a model are written that nobody sees. Nothing else is changed; nothing is copied where there is none.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    // Most texts have none of the bytes that these begin with.
    let may_begin = |byte: u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 0x7f | 0xc2 | 0xf3);
    if position(text.as_bytes(), may_begin).is_none() || !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        rest = match character {
            '\u{1b}' => past_sequence(after),
            '\u{9b}' => past_control(after),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => past_string(after),
            hidden if is_hidden(hidden) => after,
            seen => {
                out.push(seen);
                after
            }
        };
    }
    Cow::Owned(out)
}

fn is_hidden(character: char) -> bool {
    (character.is_control() && !matches!(character, '\t' | '\n' | '\r')) || ('\u{e0000}'..='\u{e007f}').contains(&character)
}

/// What comes after an escape sequence, of which the escape character has been read.
fn past_sequence(text: &str) -> &str {
    let mut characters = text.chars();
    match characters.next() {
        Some('[') => past_control(characters.as_str()),
        Some(']' | 'P' | 'X' | '^' | '_') => past_string(characters.as_str()),
        Some(' '..='~') => {
            let rest = text.trim_start_matches(|character| matches!(character, ' '..='/'));
            rest.strip_prefix(|character| matches!(character, '0'..='~')).unwrap_or(rest)
        }
        _ => text,
    }
}

/// After the parameters and the end of a control sequence. One without an end is nothing but its parameters.
fn past_control(text: &str) -> &str {
    let rest =
        text.trim_start_matches(|character| matches!(character, '0'..='?')).trim_start_matches(|character| matches!(character, ' '..='/'));
    rest.strip_prefix(|character| matches!(character, '@'..='~')).unwrap_or(rest)
}

/// After a string that a terminal would keep to itself. Without an end all that follows would be one: then it is text.
fn past_string(text: &str) -> &str {
    let ends = ["\u{7}", "\u{1b}\\", "\u{9c}"];
    let end = ends.iter().filter_map(|end| text.find(end).map(|at| at.saturating_add(end.len()))).min();
    end.and_then(|end| text.get(end..)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_go_as_a_whole_and_text_stays() {
        for (text, left) in [
            ("as it is: \t\r\n é 😀 \u{fffd} \u{200b}", "as it is: \t\r\n é 😀 \u{fffd} \u{200b}"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{9b}31mred\u{9b}m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;https://example.com\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9d}8;;x\u{9c}link", "link"),
            ("\u{1b}Pq#0\u{1b}\\after", "after"),
            ("\u{1b}(B\u{1b}cafter\u{1b}", "after"),
            ("\u{1b}]no end", "no end"),
            ("\u{1b}[12", ""),
            ("\u{1b}[é", "é"),
            ("a\u{0}b\u{8}c\u{7f}d\u{85}e", "abcde"),
            ("\u{e0001}\u{e0049}\u{e0067}seen\u{e007f}", "seen"),
        ] {
            assert_eq!(shown(text), left, "{text:?}");
        }
        assert!(matches!(shown("Übung: 5 °C"), Cow::Borrowed(_)));
    }

    proptest! {
        /// Nothing hidden is left, also not what only becomes a sequence when another one is gone, and what was seen is there in its order.
        #[test]
        fn nothing_hidden_is_left(text in "(\\PC|\u{1b}|\\[|\\]|m|;|\u{7}|\u{9b}|\u{9c}|\u{e0041}|\n){0,40}") {
            let left = shown(&text).into_owned();
            prop_assert!(!left.chars().any(is_hidden));
            let mut all = text.chars();
            prop_assert!(left.chars().all(|character| all.any(|other| other == character)));
        }
    }
}
