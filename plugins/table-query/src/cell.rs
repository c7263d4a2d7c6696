//! What stands in a cell, and how two of them compare.

use serde_json::Value;
use std::cmp::Ordering;

/// A cell of a table. They sort in this order: what is empty, numbers, texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    /// Finite.
    Number(f64),
    Text(String),
}

impl Cell {
    /// As it stands in the file. `007` and `1_000` are texts: whoever wrote them meant the characters.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Empty;
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_code = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let starts = digits.starts_with(|first: char| first.is_ascii_digit());
        match text.parse::<f64>() {
            Ok(number) if starts && !is_code && number.is_finite() => Self::Number(number),
            _ => Self::Text(text.into()),
        }
    }

    /// As it is answered. A number is written as short as it can be.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Empty => Value::Null,
            // Beyond that not every whole number is one of these.
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(*number as i64),
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    pub fn rank(&self) -> u8 {
        match self {
            Self::Empty => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}
