//! Walks through the texts and numbers of a JSON document (RFC 8259), and puts others in their place.
//!
//! Everything else stays as it is, byte for byte: order of members, spelling of numbers, white space. A parser that builds values would
//! change those, and need several times the memory.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// As deep as other parsers go.
const DEPTH_MAX: usize = 128;

/// Where a walk is: one entry for each object or array around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// In an object, at the member of this name, as it is written: with its escapes.
    Member(&'a str),
    /// In an array.
    Item,
}

/// What a walk comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// A member's name.
    Name(&'t str),
    /// A text.
    Text(&'t str),
    /// A number, as it is written.
    Number(&'t str),
}

/// Asks for each name, text and number what should stand there instead; none: what stands there. The answer is the rewritten document, if
/// there is any difference.
///
/// # Errors
///
/// It is not JSON, or nested too deep; where.
pub(crate) fn walk<'a>(json: &'a str, mut each: impl FnMut(&[Step<'a>], Token<'_>) -> Option<String>) -> Result<Option<String>, String> {
    let mut walk = Walk { json, at: 0, path: Vec::new(), rewritten: String::new(), copied: 0 };
    walk.document(&mut each).map_err(|what| format!("{what} at byte {}", walk.at))?;
    if walk.rewritten.is_empty() {
        return Ok(None);
    }
    walk.rewritten.push_str(json.get(walk.copied..).unwrap_or_default());
    Ok(Some(walk.rewritten))
}

struct Walk<'a> {
    json: &'a str,
    at: usize,
    path: Vec<Step<'a>>,
    rewritten: String,
    /// So much of the document is in `rewritten`.
    copied: usize,
}

type Each<'e, 'a> = &'e mut dyn FnMut(&[Step<'a>], Token<'_>) -> Option<String>;

impl<'a> Walk<'a> {
    /// Without recursion: how deep a document goes is its author's choice, and a full stack would end the instance.
    fn document(&mut self, each: Each<'_, 'a>) -> Result<(), &'static str> {
        self.value(each)?;
        while let Some(step) = self.path.last().copied() {
            self.space();
            match (step, self.next()) {
                (Step::Member(_), Some(b'}')) | (Step::Item, Some(b']')) => {
                    self.path.pop();
                }
                (Step::Item, Some(b',')) => self.value(each)?,
                (Step::Member(_), Some(b',')) => {
                    self.path.pop();
                    self.name(each)?;
                    self.value(each)?;
                }
                _ => return Err("no comma and no end"),
            }
        }
        self.space();
        if self.at == self.json.len() { Ok(()) } else { Err("more than one value") }
    }

    /// A value that has nothing in it, and the begins of all objects and arrays that stand before it.
    fn value(&mut self, each: Each<'_, 'a>) -> Result<(), &'static str> {
        loop {
            self.space();
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                        return Ok(());
                    }
                    self.name(each)?;
                }
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        return Ok(());
                    }
                    self.enter(Step::Item)?;
                }
                Some(b'"') => {
                    let start = self.at;
                    let text = decoded(self.string()?)?;
                    let instead = each(&self.path, Token::Text(&text));
                    self.put(start, instead);
                    return Ok(());
                }
                Some(b'-' | b'0'..=b'9') => {
                    let start = self.at;
                    let number = self.number()?;
                    let instead = each(&self.path, Token::Number(number));
                    self.put(start, instead);
                    return Ok(());
                }
                Some(_) => {
                    let rest = self.json.get(self.at..).unwrap_or_default();
                    let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word)).ok_or("no value")?;
                    self.at += word.len();
                    return Ok(());
                }
                None => return Err("the end, and no value"),
            }
        }
    }

    /// A member's name, and the colon behind it.
    fn name(&mut self, each: Each<'_, 'a>) -> Result<(), &'static str> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err("no name of a member");
        }
        let written = self.string()?;
        let name = decoded(written)?;
        self.enter(Step::Member(written))?;
        let instead = each(&self.path, Token::Name(&name));
        self.put(start, instead);
        self.space();
        if self.next() == Some(b':') { Ok(()) } else { Err("no colon") }
    }

    fn enter(&mut self, step: Step<'a>) -> Result<(), &'static str> {
        if self.path.len() >= DEPTH_MAX {
            return Err("nested deeper than 128 levels");
        }
        self.path.push(step);
        Ok(())
    }

    /// What is between the quotes, with its escapes.
    fn string(&mut self) -> Result<&'a str, &'static str> {
        let start = self.at + 1;
        let bytes = self.json.as_bytes().get(start..).unwrap_or_default();
        let mut escaped = false;
        for (offset, byte) in bytes.iter().enumerate() {
            match byte {
                b'"' if !escaped => {
                    self.at = start + offset + 1;
                    return self.json.get(start..start + offset).ok_or("a broken text");
                }
                0..=0x1f => return Err("a control character in a text"),
                b'\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        Err("a text without an end")
    }

    fn number(&mut self) -> Result<&'a str, &'static str> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        self.json.get(start..self.at).filter(|number| is_number(number)).ok_or("no number")
    }

    fn put(&mut self, start: usize, instead: Option<String>) {
        let Some(instead) = instead else { return };
        self.rewritten.push_str(self.json.get(self.copied..start).unwrap_or_default());
        push_encoded(&mut self.rewritten, &instead);
        self.copied = self.at;
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

/// `-`, digits without a zero before them, a fraction, an exponent.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// A text without its escapes. Half of a surrogate pair becomes U+FFFD: nobody can look for it.
fn decoded(written: &str) -> Result<Cow<'_, str>, &'static str> {
    if !written.contains('\\') {
        return Ok(Cow::Borrowed(written));
    }
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escape.chars();
        match characters.next() {
            Some(c @ ('"' | '\\' | '/')) => text.push(c),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let unit = unit(characters.as_str()).ok_or("an escape that is none")?;
                let after = characters.as_str().get(4..).unwrap_or_default();
                let low = after.strip_prefix("\\u").and_then(unit_of_low);
                match (0xd800..=0xdbff).contains(&unit).then_some(low).flatten() {
                    Some(low) => {
                        text.push(
                            char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER),
                        );
                        rest = after.get(6..).unwrap_or_default();
                    }
                    None => {
                        text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                        rest = after;
                    }
                }
                continue;
            }
            _ => return Err("an escape that is none"),
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    Ok(Cow::Owned(text))
}

fn unit(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

fn unit_of_low(text: &str) -> Option<u32> {
    unit(text).filter(|unit| (0xdc00..=0xdfff).contains(unit))
}

fn push_encoded(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{Step, Token, walk};

    fn seen(json: &str) -> Result<Vec<String>, String> {
        let mut seen = Vec::new();
        let rewritten = walk(json, |path, token| {
            let path: Vec<_> = path.iter().map(|step| if let Step::Member(name) = step { name } else { "*" }).collect();
            seen.push(format!("{}={token:?}", path.join("/")));
            None
        })?;
        assert_eq!(rewritten, None);
        Ok(seen)
    }

    #[test]
    fn every_name_text_and_number() {
        let json = r#" { "a" : [ "x", 1.5e-3, {"b": null, "c":{}} , [], [[true]] ], "d":"y" } "#;
        let expected = [
            r#"a=Name("a")"#,
            r#"a/*=Text("x")"#,
            r#"a/*=Number("1.5e-3")"#,
            r#"a/*/b=Name("b")"#,
            r#"a/*/c=Name("c")"#,
            r#"d=Name("d")"#,
            r#"d=Text("y")"#,
        ];
        assert_eq!(seen(json).unwrap(), expected);
        assert_eq!(seen("\"x\"").unwrap(), [r#"=Text("x")"#]);
    }

    #[test]
    fn escapes_are_read() {
        let json = r#"["\u0061\u0040b", "\"\\\/\b\f\n\r\t", "\ud83d\ude00", "\ud83dx", "\ude00", "\ud83d\ud83d\ude00"]"#;
        let mut texts = Vec::new();
        walk(json, |_, token| {
            if let Token::Text(text) = token {
                texts.push(text.to_owned());
            }
            None
        })
        .unwrap();
        assert_eq!(texts, ["a@b", "\"\\/\u{8}\u{c}\n\r\t", "😀", "\u{fffd}x", "\u{fffd}", "\u{fffd}😀"]);
    }

    #[test]
    fn only_what_is_replaced_changes() {
        let json = "{ \"k\":[1e2 , 100000000000000000000, \"a\\u0062\", 7],\r\n\"k\" : \"ab\" }";
        let change = |_: &[Step<'_>], token: Token<'_>| match token {
            Token::Text("ab") => Some("\"\n\\é".to_owned()),
            Token::Number("7") => Some("seven".to_owned()),
            Token::Name("k") => Some("K".to_owned()),
            _ => None,
        };
        let expected = "{ \"K\":[1e2 , 100000000000000000000, \"\\\"\\u000a\\\\é\", \"seven\"],\r\n\"K\" : \"\\\"\\u000a\\\\é\" }";
        assert_eq!(walk(json, change).unwrap().unwrap(), expected);
        assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
    }

    #[test]
    fn what_is_not_json() {
        for json in [
            "",
            " ",
            "{",
            "[",
            "\"",
            "{]",
            "[}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "[,]",
            "[1,]",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "nul",
            "tru",
            "truefalse",
            "1 2",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "0x1",
            "NaN",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\",
            "'a'",
            "[1]]",
            "{\"a\":1}}",
            "\u{feff}1",
            "{1:2}",
        ] {
            assert!(seen(json).is_err(), "{json}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_err(), "{json}");
        }
        for json in ["-0", "0", "-1.0E+5", "{}", "[]", "null", "[[]]", "{\"\":{}}"] {
            assert!(seen(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |open: &str, close: &str, levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert!(seen(&nested("[", "]", 128)).is_ok());
        assert!(seen(&nested("{\"a\":", "}", 128)).is_ok());
        assert!(seen(&nested("[", "]", 129)).unwrap_err().contains("deeper than 128"));
        assert!(seen(&nested("{\"a\":[", "]}", 50_000)).unwrap_err().contains("deeper than 128"));
        assert!(seen(&"[".repeat(1_000_000)).is_err());
    }
}
