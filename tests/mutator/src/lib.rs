//! Broken inputs made of good ones, for tests that look for what nobody thought of.
//!
//! [`fuzz`] mutates a corpus and hands each input to a check, which panics if something is wrong and otherwise says what became of the input.
//! An input with an outcome that was not seen before joins the corpus, so that the search goes on from there. The same inputs come in every
//! run, until `GATEHOUSE_FUZZ_SECONDS` asks for more than those of every day.

#![forbid(unsafe_code)]
#![expect(clippy::panic, clippy::print_stdout, reason = "it is called by tests only: a panic is its verdict, and a line what it did")]

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// The longest input that is made, in bytes.
const BYTES_MAX: usize = 16 << 10;
/// Inputs that are remembered.
const CORPUS_MAX: usize = 4_096;

/// Makes inputs.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// Of these inputs, and of words that mean something where they are read.
    ///
    /// # Panics
    ///
    /// Without any input.
    pub fn new<I: AsRef<[u8]>, W: AsRef<[u8]>>(corpus: &[I], words: &[W]) -> Self {
        assert!(!corpus.is_empty(), "something to begin with");
        let owned = |bytes: &[u8]| bytes.to_vec();
        Self {
            state: 0x9e37_79b9_7f4a_7c15,
            corpus: corpus.iter().map(|input| owned(input.as_ref())).collect(),
            words: words.iter().map(|word| owned(word.as_ref())).collect(),
        }
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        // xorshift64*: the same numbers in every run.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % limit.max(1)
    }

    /// The next input: one of the corpus with a few changes.
    pub fn input(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        let mut input = self.corpus.get(at).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    /// Remembers an input to go on from.
    pub fn keep(&mut self, input: &[u8]) {
        if self.corpus.len() < CORPUS_MAX {
            self.corpus.push(input.to_vec());
        }
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let until = (at + 1 + self.below(16)).min(input.len());
        match self.below(8) {
            // One bit, one byte, a byte that is special somewhere.
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << (self.state % 8);
                }
            }
            1 => {
                let byte = u8::try_from(self.below(256)).unwrap_or_default();
                input.insert(at, byte);
            }
            2 => {
                let special = b"\0\t\n\r \"\\{}[],:0-+.eE/%=?;&#\x7f\x80\xc0\xff";
                let byte = special.get(self.below(special.len())).copied().unwrap_or_default();
                match input.get_mut(at) {
                    Some(old) => *old = byte,
                    None => input.push(byte),
                }
            }
            // A piece less, a piece twice, the end cut off.
            3 if at < until => drop(input.drain(at..until)),
            4 if at < until => {
                let piece = input.get(at..until).unwrap_or_default().to_vec();
                let times = 1 + self.below(8);
                input.splice(at..at, piece.repeat(times));
            }
            5 => input.truncate(at),
            // A word, or a piece of another input.
            6 if !self.words.is_empty() => {
                let which = self.below(self.words.len());
                let word = self.words.get(which).cloned().unwrap_or_default();
                input.splice(at..at, word);
            }
            _ => {
                let which = self.below(self.corpus.len());
                let other = self.corpus.get(which).cloned().unwrap_or_default();
                let from = self.below(other.len() + 1);
                let to = (from + self.below(64)).min(other.len());
                input.splice(at..at, other.get(from..to).unwrap_or_default().iter().copied());
            }
        }
    }
}

/// Checks so many inputs, or for as long as the environment says; says how many there were.
///
/// # Panics
///
/// When the check does, and then with the input.
pub fn fuzz<O: Hash>(name: &str, mut mutator: Mutator, inputs_min: u64, mut check: impl FnMut(&[u8]) -> O) -> u64 {
    let longer = std::env::var_os("GATEHOUSE_FUZZ_SECONDS").and_then(|seconds| seconds.to_str()?.parse().ok()).map(Duration::from_secs);
    let (began, mut inputs, mut seen) = (Instant::now(), 0_u64, HashSet::new());
    let mut first = mutator.corpus.clone().into_iter();
    while longer.map_or(inputs < inputs_min, |longer| began.elapsed() < longer) {
        // What the corpus holds comes as it is, once.
        let input = first.next().unwrap_or_else(|| mutator.input());
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| check(&input)));
        let Ok(outcome) = outcome else { panic!("{name}: input {inputs}: {:?}", String::from_utf8_lossy(&input)) };
        let mut hasher = DefaultHasher::new();
        outcome.hash(&mut hasher);
        if seen.insert(hasher.finish()) {
            mutator.keep(&input);
        }
        inputs += 1;
    }
    println!("{name}: {inputs} inputs, {} outcomes, {:.1} s", seen.len(), began.elapsed().as_secs_f64());
    inputs
}
