//! Which texts of a result or of arguments are looked through, and what becomes of them.

use crate::find::Found;
use crate::json::{Step, Token, walk};
use crate::settings::Settings;
use alloc::borrow::ToOwned;
use alloc::fmt::{Display, Formatter, Result as FmtResult, Write};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    /// A tool's arguments: all of it is data.
    Arguments,
    /// A result of MCP: some members belong to the protocol.
    Result,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// What was found.
    pub(crate) seen: Seen,
    /// The document without it; none if nothing was.
    pub(crate) changed: Option<String>,
    /// Whether it holds data in base64.
    pub(crate) binary: bool,
}

/// How often what was found. Never the text itself: this goes to the audit log.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<(String, usize)>);

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, name: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((name.to_owned(), 1)),
        }
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        for (at, (name, count)) in self.0.iter().enumerate() {
            write!(f, "{}{name} ({count})", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Looks through a document.
///
/// # Errors
///
/// It is not JSON; where.
pub(crate) fn rewrite(settings: &Settings, document: Document, json: &str) -> Result<Rewritten, String> {
    let (mut seen, mut binary, mut names_changed) = (Seen::default(), false, 0_usize);
    let changed = walk(json, |path, token| match (part(document, path), token) {
        (Part::Protocol, _) | (Part::Text, Token::Name(_)) => None,
        (Part::Binary, _) => {
            binary = true;
            None
        }
        (_, Token::Number(digits)) => settings.find_in_number(digits).map(|name| {
            seen.add(name);
            settings.replaced(name)
        }),
        (_, Token::Text(text)) => {
            let found = settings.find(text, member(path));
            found.iter().for_each(|found| seen.add(&found.name));
            // What was a URI must stay one.
            let escape = matches!(member(path), "uri" | "url");
            (!found.is_empty()).then(|| replaced(settings, text, &found, escape))
        }
        (_, Token::Name(name)) => {
            let found = settings.find(name, "");
            found.iter().for_each(|found| seen.add(&found.name));
            (!found.is_empty()).then(|| {
                // Two members that become alike would be one.
                names_changed += 1;
                let name = replaced(settings, name, &found, false);
                if names_changed == 1 { name } else { format!("{name} {names_changed}") }
            })
        }
    })?;
    Ok(Rewritten { seen, changed, binary })
}

/// What a place in a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Names and values are the tool's.
    Data,
    /// The value is the tool's and the name is MCP's.
    Text,
    /// In base64.
    Binary,
    /// Both are MCP's: changing them would change what the result is.
    Protocol,
}

fn part(document: Document, path: &[Step<'_>]) -> Part {
    if document == Document::Arguments {
        return Part::Data;
    }
    match path {
        [Step::Member("structuredContent"), _, ..] => Part::Data,
        // How a client is asked; what it is asked is looked through.
        [Step::Member("inputRequests"), _, Step::Member("method")] => Part::Protocol,
        [Step::Member("inputRequests"), _, Step::Member("params"), Step::Member("mode")] => Part::Protocol,
        _ if path.iter().rev().skip(1).any(|step| *step == Step::Member("_meta")) => Part::Data,
        _ => match member(path) {
            "type" | "resultType" | "mimeType" | "role" | "audience" | "lastModified" => Part::Protocol,
            "data" | "blob" => Part::Binary,
            _ => Part::Text,
        },
    }
}

/// The name of the member around, as it is written. One with escapes is none that this file knows, and its value is looked through.
fn member<'a>(path: &[Step<'a>]) -> &'a str {
    path.iter().rev().find_map(|step| if let Step::Member(name) = step { Some(*name) } else { None }).unwrap_or_default()
}

fn replaced(settings: &Settings, text: &str, found: &[Found], escape: bool) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut copied = 0;
    for found in found {
        replaced.push_str(text.get(copied..found.start).unwrap_or_default());
        let instead = settings.replaced(&found.name);
        if escape {
            push_escaped(&mut replaced, &instead)
        } else {
            replaced.push_str(&instead)
        }
        copied = found.end;
    }
    replaced.push_str(text.get(copied..).unwrap_or_default());
    replaced
}

/// As it may stand anywhere in a URI (RFC 3986, section 2.3).
fn push_escaped(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a text cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
}
