//! Counting words.

use crate::tool::{Structured, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashMap;

const TOP_WORDS_MAX: usize = 10;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordStats {
    /// The text to look at.
    text: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Stats {
    /// Unicode characters, spaces and line ends included.
    characters: usize,
    words: usize,
    lines: usize,
    /// The first of the longest ones; null where there is no word.
    longest_word: Option<String>,
    /// At most ten, most frequent first, then in alphabetical order.
    top_words: Vec<WordCount>,
}

#[derive(Serialize, JsonSchema)]
pub struct WordCount {
    /// In lower case: capitals do not make another word.
    word: String,
    count: usize,
}

impl Tool for WordStats {
    const NAME: &str = "word_stats";
    const TITLE: &str = "Word statistics";
    const DESCRIPTION: &str = "Counts the characters, words and lines of a text and finds its longest and its most frequent words. A word \
        stands between spaces; punctuation around it does not belong to it.";

    type Output = Structured<Stats>;

    fn run(self) -> Result<Structured<Stats>, String> {
        let mut words = 0;
        let mut longest: Option<(usize, &str)> = None;
        let mut counts = HashMap::<String, usize>::new();
        for word in words_of(&self.text) {
            words += 1;
            let length = word.chars().count();
            if longest.is_none_or(|(best, _)| length > best) {
                longest = Some((length, word));
            }
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }

        let mut top_words: Vec<_> = counts.into_iter().map(|(word, count)| WordCount { word, count }).collect();
        top_words.sort_unstable_by(|a, b| (Reverse(a.count), &a.word).cmp(&(Reverse(b.count), &b.word)));
        top_words.truncate(TOP_WORDS_MAX);

        Ok(Structured(Stats {
            characters: self.text.chars().count(),
            words,
            lines: self.text.lines().count(),
            longest_word: longest.map(|(_, word)| word.into()),
            top_words,
        }))
    }
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).filter(|word| !word.is_empty())
}
