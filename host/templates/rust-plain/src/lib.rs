//! The functions of `wit/component.wit`. A gateway makes tools of them; nothing here knows of any.

wit_bindgen::generate!({ path: "wit" });

use exports::local::component::reading::{Estimate, Guest};

struct Component;

impl Guest for Component {
    fn reading_time(text: String, words_per_minute: Option<u16>) -> Result<Estimate, String> {
        let pace = u64::from(words_per_minute.unwrap_or(200));
        let words = text.split_whitespace().count() as u64;
        if words == 0 {
            // For the model: what was wrong, and what would be right.
            return Err("The text has no words: give one that has.".into());
        }
        if pace == 0 {
            return Err("Nobody reads no words in a minute: give a pace of 1 or more.".into());
        }
        Ok(Estimate { words, seconds: (words * 60).div_ceil(pace) })
    }
}

export!(Component);
