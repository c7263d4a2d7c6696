//! Finding by regular expression.

use crate::tool::{Structured, Tool};
use regex::{Captures, Regex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegexExtract {
    /// A regular expression in the syntax of Rust's regex crate: like Perl's, without look-around and back-references. For example
    /// `(\d+)\s*(kg|g)`, or `(?i)error` to ignore case.
    #[schemars(length(max = 4096))]
    pattern: String,
    /// Where to look.
    text: String,
    /// How many matches to return at most.
    #[serde(default = "usual_maximum")]
    #[schemars(range(min = 1, max = 10_000))]
    max_matches: u32,
}

fn usual_maximum() -> u32 {
    100
}

#[derive(Serialize, JsonSchema)]
pub struct Matches {
    /// In the order of the text; they do not overlap.
    matches: Vec<Match>,
}

#[derive(Serialize, JsonSchema)]
pub struct Match {
    /// All that matched.
    text: String,
    /// Where it begins, in Unicode characters from the start of the text.
    start: usize,
    /// Where it ends: the first character that is not part of it.
    end: usize,
    /// What each group of the pattern matched, from the first; null for a group that took no part.
    groups: Vec<Option<String>>,
}

impl Tool for RegexExtract {
    const NAME: &str = "regex_extract";
    const TITLE: &str = "Extract by pattern";
    const DESCRIPTION: &str = "Finds all that matches a regular expression in a text and returns each match with its position and its \
        groups. Runs in linear time, so no pattern is too hard.";

    type Output = Structured<Matches>;

    fn run(self) -> Result<Structured<Matches>, String> {
        // The crate's message draws a picture of where the pattern goes wrong.
        let pattern = Regex::new(&self.pattern).map_err(|error| format!("The pattern cannot be used.\n{error}"))?;
        let mut position = Position { text: &self.text, byte: 0, character: 0 };
        let found = pattern.captures_iter(&self.text).take(self.max_matches as usize);
        Ok(Structured(Matches { matches: found.map(|captures| describe(&captures, &mut position)).collect() }))
    }
}

fn describe(captures: &Captures, position: &mut Position) -> Match {
    let whole = captures.get_match();
    Match {
        text: whole.as_str().into(),
        start: position.advance_to(whole.start()),
        end: position.advance_to(whole.end()),
        groups: captures.iter().skip(1).map(|group| group.map(|part| part.as_str().into())).collect(),
    }
}

/// Turns byte offsets into character offsets. Only goes forward, so that all matches together cost one pass over the text.
struct Position<'a> {
    text: &'a str,
    byte: usize,
    character: usize,
}

impl Position<'_> {
    fn advance_to(&mut self, byte: usize) -> usize {
        self.character += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.character
    }
}
